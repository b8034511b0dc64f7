//! The gate between the network and the memory of a piece: how far each predictor is trusted.
//!
//! A softmax regression: every predictor of [`PiecePrediction`] has a score, which is linear in the
//! [`FEATURES`] of the prediction; the network's score is 0. The shares are the softmax of the scores of
//! the network and of those that predict anything, so that the mixture is a distribution: a mixture of
//! experts (Jacobs et al. 1991, "Adaptive mixtures of local experts").

mod fit;

use serde::{Deserialize, Serialize};

use crate::alignment::Phase;
use crate::ngram::Continuations;
use crate::piece_memory::{PREDICTORS, PiecePrediction};

pub use fit::Example;

/// Number of features. For each predictor there are six: whether it predicts anything; the logarithm of
/// 1 plus the n-gram's length, or the similarity of the passage; its largest share; the logarithms of the
/// probability that the network gives to all its ids, by their shares, and to the likeliest; the log-odds
/// of its hit rate. Then the phase, as one of five; the network's entropy, in nats, and the logarithm of
/// its largest probability.
pub const FEATURES: usize = 6 * PREDICTORS + Phase::COUNT + 2;
/// Least probability whose logarithm is taken.
const LEAST: f32 = 1e-4;
/// Hit rates count as no nearer to 0 and to 1.
const LEAST_RATE: f32 = 0.02;

/// The network's prediction of the next token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkPrediction {
    probabilities: Vec<f32>,
    entropy: f32,
    largest: f32,
}

/// Weights of the scores: for each predictor those of the features, then the constant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GateWeights(pub [[f32; FEATURES + 1]; PREDICTORS]);

/// The gate of a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// For a keyboard alone, and for music without parts.
    pub keys: GateWeights,
    /// For a piece that has had other parts than the keys.
    pub band: GateWeights,
}

impl NetworkPrediction {
    /// The softmax of `logits`, `[vocabulary]`, in nats.
    pub fn from_logits(logits: &[f32]) -> Self {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut probabilities: Vec<f32> = logits.iter().map(|l| (l - highest).exp()).collect();
        let sum: f32 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|p| *p /= sum);
        let nats = probabilities.iter().filter(|p| **p > 0.0);
        Self {
            entropy: nats.map(|p| -p * p.ln()).sum(),
            largest: probabilities.iter().copied().fold(0.0, f32::max),
            probabilities,
        }
    }

    /// The probability of an id.
    pub fn of(&self, id: u16) -> f32 {
        let of = self.probabilities.get(usize::from(id));
        of.copied().unwrap_or(0.0)
    }
}

/// The features of a prediction.
pub(crate) fn features(
    prediction: &PiecePrediction,
    network: &NetworkPrediction,
) -> [f32; FEATURES] {
    let log = |p: f32| p.clamp(LEAST, 1.0).ln();
    let mut features = [0.0; FEATURES];
    let mut slots = features.iter_mut();
    let mut push = |value: f32| {
        if let Some(slot) = slots.next() {
            *slot = value;
        }
    };
    for (predictor, continuations) in prediction.continuations.iter().enumerate() {
        let rate = prediction.hit_rates[predictor].clamp(LEAST_RATE, 1.0 - LEAST_RATE);
        push(f32::from(u8::from(continuations.is_some())));
        let none = Continuations::default();
        let continuations = continuations.as_ref().unwrap_or(&none);
        let (likeliest, largest) = continuations.shares.first().copied().unwrap_or((0, 0.0));
        push(match predictor {
            2 => prediction.similarity,
            _ => (continuations.length as f32).ln_1p(),
        });
        push(largest);
        let shares = continuations.shares.iter();
        push(log(shares.map(|(id, share)| share * network.of(*id)).sum()));
        push(log(if largest > 0.0 {
            network.of(likeliest)
        } else {
            0.0
        }));
        push((rate / (1.0 - rate)).ln());
    }
    for phase in 0..Phase::COUNT {
        push(f32::from(u8::from(prediction.phase as usize == phase)));
    }
    push(network.entropy);
    push(log(network.largest));
    features
}

/// The softmax of the scores of those present and of the network's 0: the shares of the predictors, and
/// the network's.
fn softmax(scores: [f32; PREDICTORS], present: [bool; PREDICTORS]) -> ([f32; PREDICTORS], f32) {
    let mut scores = scores;
    for (score, present) in scores.iter_mut().zip(present) {
        if !present {
            *score = f32::NEG_INFINITY;
        }
    }
    let highest = scores.iter().copied().fold(0.0, f32::max);
    let odds = scores.map(|score| (score - highest).exp());
    let network = (-highest).exp();
    let sum = odds.iter().sum::<f32>() + network;
    (odds.map(|odds| odds / sum), network / sum)
}

impl GateWeights {
    fn scores(&self, features: &[f32; FEATURES]) -> [f32; PREDICTORS] {
        self.0.map(|weights| {
            let products = weights.iter().zip(features);
            weights[FEATURES] + products.map(|(w, x)| w * x).sum::<f32>()
        })
    }
}

impl Gate {
    /// The same weights for a keyboard and a band.
    pub fn same(weights: GateWeights) -> Self {
        Self {
            keys: weights,
            band: weights,
        }
    }

    fn weights(&self, is_band: bool) -> &GateWeights {
        match is_band {
            true => &self.band,
            false => &self.keys,
        }
    }

    /// The share of each predictor, 0 to 1; the network has the rest.
    pub fn shares(
        &self,
        prediction: &PiecePrediction,
        network: &NetworkPrediction,
    ) -> [f32; PREDICTORS] {
        let features = features(prediction, network);
        let present = prediction.continuations.each_ref().map(Option::is_some);
        let weights = self.weights(prediction.is_band);
        softmax(weights.scores(&features), present).0
    }

    /// Whether every weight is a number.
    pub fn is_valid(&self) -> bool {
        let mut weights = self.keys.0.iter().chain(&self.band.0).flatten();
        weights.all(|w| w.is_finite())
    }
}

#[cfg(test)]
mod tests;
