//! The n-gram memories of a composer: of the stream and of learned pieces.

use std::ops::Range;

use continuo_score::Vocabulary;
use continuo_score::ngram::{Continuations, Mixture, NgramMemory, SOURCES};

use crate::model::{InputToken, Model};

/// The n-gram model of a session. It reads the stream when a token is sampled, so that listening costs
/// nothing.
pub(super) struct NgramModel {
    weights: Mixture,
    song: NgramMemory,
    learned: NgramMemory,
}

/// Tokens removed one by one at most, which takes some milliseconds.
const MAX_TRUNCATED: usize = 4_096;

/// Continuations of one source, and the probability of choosing them if no source before them was
/// chosen.
pub(super) type WeightedContinuations = Option<(Continuations, f32)>;

impl NgramModel {
    /// An empty memory; `None` for a model without weights for it.
    pub(super) fn new(model: &Model) -> Option<Self> {
        model.manifest().suffix?;
        let empty = NgramMemory::new(model.vocabulary());
        Some(Self {
            weights: model.manifest().mixture(),
            song: empty.clone(),
            learned: empty,
        })
    }

    /// Removes the tokens of the stream from position `to` on.
    pub(super) fn rewind(&mut self, to: usize, vocabulary: &Vocabulary) {
        if self.song.len() > to + MAX_TRUNCATED {
            // Too slow token by token; it is filled again in slices.
            self.song = NgramMemory::new(vocabulary);
        } else {
            self.song.truncate(to);
        }
    }

    /// Number of unread tokens of the stream.
    pub(super) fn unread(&self, stream: &[InputToken]) -> usize {
        stream.len().saturating_sub(self.song.len())
    }

    /// Reads more tokens of the stream, at most `most`.
    pub(super) fn read(&mut self, stream: &[InputToken], most: usize) {
        let from = self.song.len().min(stream.len());
        let to = stream.len().min(from.saturating_add(most));
        push_all(&mut self.song, &stream[from..to]);
    }

    /// Reads more tokens of a learned piece.
    pub(super) fn learn(&mut self, piece: &[InputToken]) {
        push_all(&mut self.learned, piece);
    }

    /// Removes learned pieces.
    pub(super) fn forget_learned(&mut self, vocabulary: &Vocabulary) {
        self.learned = NgramMemory::new(vocabulary);
    }

    /// Continuations by source ([`NgramMemory::continuations`]) at positions `within` and in learned
    /// pieces, with their weights times `recall`. `None` for a source without any.
    pub(super) fn continuations(
        &self,
        recall: f32,
        within: Range<usize>,
    ) -> [WeightedContinuations; SOURCES] {
        let weights = self.weights.times(recall);
        let mut source = 0..SOURCES;
        self.song
            .continuations(within, &self.learned)
            .map(|followed| {
                let (source, followed) = (source.next()?, followed?);
                let weight = weights.weight(source, followed.length, followed.agreed());
                (weight > 0.0).then_some((followed, weight))
            })
    }
}

fn push_all(memory: &mut NgramMemory, tokens: &[InputToken]) {
    for token in tokens {
        memory.push(token.id, token.rows.bar_step);
    }
}
