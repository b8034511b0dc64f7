//! The suffix memory of a composer: the stream's ids, those of what was learned, and what they say
//! of the next one.

use std::ops::Range;

use continuo_score::Vocabulary;
use continuo_score::ngram::{Continuations, Mixture, NgramMemory, SOURCES};

use crate::model::{InputToken, Model};

/// Follows the stream when something is to be sampled: listening costs nothing.
pub(super) struct NgramModel {
    weights: Mixture,
    song: NgramMemory,
    learned: NgramMemory,
}

/// Tokens forgotten one by one at most: some milliseconds.
const FORGOTTEN: usize = 4_096;

/// What followed, and how likely it is to be taken where nothing before it in the list was.
pub(super) type WeightedContinuations = Option<(Continuations, f32)>;

impl NgramModel {
    /// Empty; none for a model without weights for it.
    pub(super) fn of(model: &Model) -> Option<Self> {
        model.manifest().suffix?;
        let empty = NgramMemory::new(model.vocabulary());
        Some(Self {
            weights: model.manifest().mixture(),
            song: empty.clone(),
            learned: empty,
        })
    }

    /// The stream was rewound to position `to`: what it says from there on is not known.
    pub(super) fn rewind(&mut self, to: usize, vocabulary: &Vocabulary) {
        if self.song.len() > to + FORGOTTEN {
            // Token by token it would take too long; it is filled again in slices.
            self.song = NgramMemory::new(vocabulary);
        } else {
            self.song.truncate(to);
        }
    }

    /// Tokens of the stream it has not taken in.
    pub(super) fn behind(&self, stream: &[InputToken]) -> usize {
        stream.len().saturating_sub(self.song.len())
    }

    /// Takes in what the stream has said since, `most` tokens of it at most.
    pub(super) fn follow(&mut self, stream: &[InputToken], most: usize) {
        let from = self.song.len().min(stream.len());
        let to = stream.len().min(from.saturating_add(most));
        read(&mut self.song, &stream[from..to]);
    }

    /// Takes in some more of a piece that is learned.
    pub(super) fn learn(&mut self, piece: &[InputToken]) {
        read(&mut self.learned, piece);
    }

    /// Forgets what was learned.
    pub(super) fn forget_learned(&mut self, vocabulary: &Vocabulary) {
        self.learned = NgramMemory::new(vocabulary);
    }

    /// What followed, by source ([`NgramMemory::look`]): at positions `within`, and in what was
    /// learned; `recall` times as likely as the weights say. `None` where nothing did.
    pub(super) fn followed(
        &self,
        recall: f32,
        within: Range<usize>,
    ) -> [WeightedContinuations; SOURCES] {
        let weights = self.weights.times(recall);
        let mut source = 0..SOURCES;
        self.song.look(within, &self.learned).map(|followed| {
            let (source, followed) = (source.next()?, followed?);
            let weight = weights.weight(source, followed.length, followed.agreed());
            (weight > 0.0).then_some((followed, weight))
        })
    }
}

fn read(memory: &mut NgramMemory, tokens: &[InputToken]) {
    for token in tokens {
        memory.push(token.id, token.rows.bar_step);
    }
}
