//! The memories of tokens of a composer: of the stream and of learned pieces.

use std::ops::Range;

use continuo_score::Vocabulary;
use continuo_score::gate::NetworkPrediction;
use continuo_score::manifest::Sizes;
use continuo_score::ngram::NgramMemory;
use continuo_score::piece_memory::{
    MIXED_SOURCES, MemoryWeights, PieceMemory, WeightedContinuations,
};

use crate::model::{InputToken, Model};

/// The memories of tokens of a session. They read the stream while the composer catches up, and when a
/// token is sampled: listening does not wait for them.
pub(super) struct TokenMemory {
    weights: MemoryWeights,
    sizes: Sizes,
    song: PieceMemory,
    /// Position of the first token that was read as generated, and not as input.
    generated_from: Option<usize>,
    learned: NgramMemory,
}

/// Tokens removed one by one at most, which takes some milliseconds.
const MAX_TRUNCATED: usize = 16_384;

impl TokenMemory {
    /// An empty memory; `None` for a model without weights for it.
    pub(super) fn new(model: &Model) -> Option<Self> {
        model.manifest().suffix?;
        Some(Self {
            weights: model.manifest().memory_weights(),
            sizes: *model.sizes(),
            song: PieceMemory::new(model.vocabulary()),
            generated_from: None,
            learned: NgramMemory::new(model.vocabulary()),
        })
    }

    /// Removes the tokens of the stream from position `to` on.
    pub(super) fn rewind(&mut self, to: usize, vocabulary: &Vocabulary) {
        self.generated_from = self.generated_from.filter(|from| *from < to);
        if self.song.len() > to + MAX_TRUNCATED {
            // Too slow token by token; it is filled again in slices.
            self.song = PieceMemory::new(vocabulary);
            self.generated_from = None;
        } else {
            self.song.truncate(to);
        }
    }

    /// Number of tokens of the stream that [`TokenMemory::read`] still has to read. Tokens that were read
    /// as generated and lie before `answer_start` are input now, and count as unread.
    pub(super) fn unread(&self, stream: &[InputToken], answer_start: usize) -> usize {
        let read = self.earlier_answer(answer_start);
        stream.len().saturating_sub(read.unwrap_or(self.song.len()))
    }

    /// Position of the first token that was read as generated and is input now.
    fn earlier_answer(&self, answer_start: usize) -> Option<usize> {
        self.generated_from.filter(|from| *from < answer_start)
    }

    /// Reads more tokens of the stream, at most `most`. Those from position `answer_start` on are generated.
    /// Those of an earlier answer are input by now and are read again as such, so that predictions depend
    /// on the stream and the answer alone.
    pub(super) fn read(&mut self, stream: &[InputToken], most: usize, answer_start: usize) {
        if let Some(from) = self.earlier_answer(answer_start) {
            self.song.truncate(from);
            self.generated_from = None;
        }
        let from = self.song.len().min(stream.len());
        let to = stream.len().min(from.saturating_add(most));
        for (position, token) in (from..to).zip(&stream[from..to]) {
            let bar_length = self.sizes.bar_length(token.rows.metre);
            let (id, bar_step) = (token.id, token.rows.bar_step);
            if position < answer_start {
                self.song.push(id, bar_step, bar_length);
            } else {
                self.song.push_generated(id, bar_step, bar_length);
                self.generated_from.get_or_insert(position);
            }
        }
    }

    /// Reads more tokens of a learned piece.
    pub(super) fn learn(&mut self, piece: &[InputToken]) {
        for token in piece {
            self.learned.push(token.id, token.rows.bar_step);
        }
    }

    /// Removes learned pieces.
    pub(super) fn forget_learned(&mut self, vocabulary: &Vocabulary) {
        self.learned = NgramMemory::new(vocabulary);
    }

    /// Continuations by source at positions `within` and in learned pieces, with their weights times
    /// `recall`, beside the network's `logits`. `None` for a source without any.
    pub(super) fn continuations(
        &self,
        recall: f32,
        within: Range<usize>,
        logits: &[f32],
    ) -> [WeightedContinuations; MIXED_SOURCES] {
        let network = NetworkPrediction::from_logits(logits);
        (self.weights).weigh(&self.song, &self.learned, &within, &network, recall)
    }
}
