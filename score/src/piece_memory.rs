//! The memory of one piece, which predicts the next token from earlier passages: equal n-grams
//! ([`crate::ngram`]) and aligned passages ([`crate::alignment`]). [`MemoryWeights`] mix its predictions
//! with the network's.

use std::ops::Range;

use crate::Vocabulary;
use crate::alignment::{AlignedContinuations, Alignments, Phase};
use crate::gate::{Gate, NetworkPrediction};
use crate::ngram::{Continuations, Mixture, NgramMemory, PredictedToken};

/// Predictors within a piece, in this order: n-grams in the same key, n-grams in other keys, aligned
/// passages.
pub const PREDICTORS: usize = 3;
/// Sources of a prediction besides the network: the predictors, then the learned pieces in the same key
/// and in other keys.
pub const MIXED_SOURCES: usize = PREDICTORS + 2;
/// Weight of the last token in a hit rate.
const HIT_RATE_STEP: f32 = 0.1;
const ALL: Range<usize> = 0..usize::MAX;

/// Continuations, and the probability of choosing them if no source before them was chosen.
pub type WeightedContinuations = Option<(Continuations, f32)>;

/// The predictions of the next token by all predictors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PiecePrediction {
    /// By predictor; `None` for one that predicts nothing.
    pub continuations: [Option<Continuations>; PREDICTORS],
    /// Similarity of the aligned passage, 0 to 1.
    pub similarity: f32,
    /// How often each predictor was right lately: the moving average of the share of what came, 0 to 1.
    pub hit_rates: [f32; PREDICTORS],
    /// The kind of the next token.
    pub phase: Phase,
    /// Whether the piece has parts other than the keys so far.
    pub is_band: bool,
}

/// The tokens of a piece and what usually follows them. A value: its owner may be any thread.
#[derive(Clone, Debug)]
pub struct PieceMemory {
    ngrams: NgramMemory,
    alignments: Alignments,
    /// Hit rates before each token.
    hit_rates: Vec<[f32; PREDICTORS]>,
    /// The prediction of the next token from the whole piece.
    expected: PiecePrediction,
}

/// The weights of a model for all memories of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryWeights {
    /// For learned pieces, and for the piece itself without a gate.
    pub mixture: Mixture,
    /// For the predictors within a piece; `None` in models that have only the mixture.
    pub gate: Option<Gate>,
}

impl PieceMemory {
    /// An empty memory for ids of `vocabulary`.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let mut memory = Self {
            ngrams: NgramMemory::new(vocabulary),
            alignments: Alignments::new(vocabulary),
            hit_rates: Vec::new(),
            expected: PiecePrediction::default(),
        };
        memory.expect([0.5; PREDICTORS]);
        memory
    }

    /// Number of ids, which is the next id's position.
    pub fn len(&self) -> usize {
        self.hit_rates.len()
    }

    /// Whether it has no ids.
    pub fn is_empty(&self) -> bool {
        self.hit_rates.is_empty()
    }

    /// Appends an id at step `bar_step` of its bar, which has `bar_length` steps (0: unknown).
    pub fn push(&mut self, id: u16, bar_step: u16, bar_length: u16) {
        let mut hit_rates = self.expected.hit_rates;
        for (rate, predicted) in hit_rates.iter_mut().zip(&self.expected.continuations) {
            if let Some(predicted) = predicted {
                *rate += HIT_RATE_STEP * (predicted.share(id) - *rate);
            }
        }
        self.append(id, bar_step, bar_length, hit_rates);
    }

    /// As [`PieceMemory::push`], for an id that was generated: it leaves the hit rates as they are. An
    /// answer that follows the predictors does not show that the player repeats anything.
    pub fn push_generated(&mut self, id: u16, bar_step: u16, bar_length: u16) {
        self.append(id, bar_step, bar_length, self.expected.hit_rates);
    }

    /// Appends an id after which the hit rates are `hit_rates`.
    fn append(&mut self, id: u16, bar_step: u16, bar_length: u16, hit_rates: [f32; PREDICTORS]) {
        self.hit_rates.push(self.expected.hit_rates);
        self.ngrams.push(id, bar_step);
        self.alignments.push(id, bar_length);
        self.expect(hit_rates);
    }

    /// Removes every id from position `to` on.
    pub fn truncate(&mut self, to: usize) {
        let Some(&hit_rates) = self.hit_rates.get(to) else {
            return;
        };
        self.hit_rates.truncate(to);
        self.ngrams.truncate(to);
        self.alignments.truncate(to);
        self.expect(hit_rates);
    }

    /// Predicts the next token, and aligns passages where an onset is complete.
    fn expect(&mut self, hit_rates: [f32; PREDICTORS]) {
        let by_ngrams = self.ngrams.followed_within(&ALL);
        if self.alignments.completes_onset() {
            let found = self
                .ngrams
                .equal_passages(by_ngrams.each_ref().map(Option::as_ref));
            self.alignments.align(found);
        }
        self.expected = self.prediction(by_ngrams, hit_rates, &ALL);
    }

    fn prediction(
        &self,
        [same, transposed]: [Option<Continuations>; 2],
        hit_rates: [f32; PREDICTORS],
        within: &Range<usize>,
    ) -> PiecePrediction {
        let aligned = self.alignments.continuations(within);
        let AlignedContinuations {
            continuations,
            similarity,
        } = aligned.unwrap_or_default();
        let aligned = Some(continuations).filter(|c| !c.shares.is_empty());
        PiecePrediction {
            continuations: [same, transposed, aligned],
            similarity,
            hit_rates,
            phase: self.alignments.phase(),
            is_band: self.alignments.is_band(),
        }
    }

    /// The prediction of the next token from the whole piece.
    pub fn expected(&self) -> &PiecePrediction {
        &self.expected
    }

    /// The prediction of the next token from what followed at the positions `within`.
    pub fn expected_within(&self, within: &Range<usize>) -> PiecePrediction {
        if within.start == 0 && within.end >= self.len() {
            return self.expected.clone();
        }
        let by_ngrams = self.ngrams.followed_within(within);
        self.prediction(by_ngrams, self.expected.hit_rates, within)
    }

    /// The n-grams of the piece.
    pub fn ngrams(&self) -> &NgramMemory {
        &self.ngrams
    }
}

impl MemoryWeights {
    /// The continuations of all sources with their weights times `recall`, 0 to 1: of `memory` at the
    /// positions `within`, and of the `learned` pieces.
    pub fn weigh(
        &self,
        memory: &PieceMemory,
        learned: &NgramMemory,
        within: &Range<usize>,
        network: &NetworkPrediction,
        recall: f32,
    ) -> [WeightedContinuations; MIXED_SOURCES] {
        let recall = if recall > 0.0 { recall.min(1.0) } else { 0.0 };
        let mixture = self.mixture.times(recall);
        let weigh = |source: usize, continuations: Option<Continuations>| {
            let continuations = continuations?;
            let weight = mixture.weight(source, continuations.length, continuations.agreed());
            (weight > 0.0).then_some((continuations, weight))
        };
        let expected = memory.expected_within(within);
        let [same_learned, transposed_learned] = memory.ngrams.followed_in(learned);
        let [same, transposed, aligned] = match self.gate {
            Some(gate) => gated(expected, &gate, network, recall),
            None => {
                let [same, transposed, _] = expected.continuations;
                [weigh(0, same), weigh(1, transposed), None]
            }
        };
        [
            same,
            transposed,
            aligned,
            weigh(2, same_learned),
            weigh(3, transposed_learned),
        ]
    }
}

/// The predictions of a piece, each with its share of what the ones before it left.
fn gated(
    expected: PiecePrediction,
    gate: &Gate,
    network: &NetworkPrediction,
    recall: f32,
) -> [WeightedContinuations; PREDICTORS] {
    let mut shares = gate.shares(&expected, network).into_iter();
    let mut left = 1.0;
    expected.continuations.map(|continuations| {
        let share = recall * shares.next().unwrap_or(0.0);
        let weight = if left > 0.0 { share / left } else { 0.0 };
        left -= share;
        Some((continuations?, weight.clamp(0.0, 1.0))).filter(|(_, weight)| *weight > 0.0)
    })
}

/// The probability of an id, which the network gave the probability `network`, when each source is
/// chosen with its weight.
pub fn likelihood(sources: &[WeightedContinuations], id: u16, network: f64) -> f64 {
    let (mut left, mut sum) = (1.0, 0.0);
    for (continuations, weight) in sources.iter().flatten() {
        let share = left * f64::from(*weight);
        sum += share * f64::from(continuations.share(id));
        left -= share;
    }
    sum + left * network
}

/// The prediction of `id` by n-grams of the piece alone, for [`Mixture::fit`].
pub fn predicted_by_ngrams(memory: &PieceMemory, id: u16, network: f64) -> PredictedToken {
    let [same, transposed, _] = memory.expected().continuations.clone();
    PredictedToken::new(network, &[same, transposed, None, None], id)
}

#[cfg(test)]
mod tests;
