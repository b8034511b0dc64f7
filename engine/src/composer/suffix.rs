//! The suffix memory of a composer: the stream's ids, and what they say of the next one.

use std::ops::Range;

use continuo_score::{Followed, SuffixMemory, SuffixWeights};

use crate::model::{Fed, Model};

/// Follows the stream when something is to be sampled: listening costs nothing.
pub(super) struct Suffix {
    weights: SuffixWeights,
    memory: SuffixMemory,
}

impl Suffix {
    /// Empty; none for a model without weights for it.
    pub(super) fn of(model: &Model) -> Option<Self> {
        Some(Self {
            weights: model.manifest().suffix?,
            memory: SuffixMemory::new(model.vocabulary()),
        })
    }

    /// The stream was rewound to position `to`: what it says from there on is not known.
    pub(super) fn rewind(&mut self, to: usize) {
        self.memory.truncate(to);
    }

    /// Takes in what the stream has said since.
    pub(super) fn follow(&mut self, stream: &[Fed]) {
        for token in stream.iter().skip(self.memory.len()) {
            self.memory.push(token.id);
        }
    }

    /// What followed, at positions `within`, and how much it counts: `recall` times as much
    /// as the weights say. `None` where nothing did.
    pub(super) fn followed(&self, recall: f32, within: Range<usize>) -> Option<(Followed, f32)> {
        let followed = self.memory.followed(within)?;
        let weight = self.weights.times(recall).of(followed.length);
        (weight > 0.0).then_some((followed, weight))
    }
}
