//! The gate between the network and the memory of a piece: how far each predictor is trusted.
//!
//! A softmax regression: every predictor of [`PiecePrediction`] has a score, which is linear in the
//! [`FEATURES`] of the prediction; the network's score is 0. The shares are the softmax of the scores of
//! those that say anything, so that the mixture is a distribution: a mixture of experts (Jacobs et al.
//! 1991, "Adaptive mixtures of local experts").

mod fit;

use serde::{Deserialize, Serialize};

use crate::alignment::Phase;
use crate::ngram::Continuations;
use crate::piece_memory::{PREDICTORS, PiecePrediction};

pub use fit::Example;

/// Numbers that the scores depend on. For each predictor: whether it says anything, the logarithm of 1
/// plus the n-gram's length (or the similarity of the passage), the largest share, the logarithms of the
/// probability that the network gives to what the predictor says and to its likeliest id, and the
/// log-odds of its hit rate. Then the phase, one of five; the network's entropy, in nats, and the
/// logarithm of its largest probability.
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
pub struct Gate(pub [[f32; FEATURES + 1]; PREDICTORS]);

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
pub(crate) fn features(said: &PiecePrediction, network: &NetworkPrediction) -> [f32; FEATURES] {
    let log = |p: f32| p.clamp(LEAST, 1.0).ln();
    let mut features = [0.0; FEATURES];
    let mut places = features.iter_mut();
    let mut put = |value: f32| {
        if let Some(place) = places.next() {
            *place = value;
        }
    };
    for (predictor, continuations) in said.continuations.iter().enumerate() {
        let rate = said.hit_rates[predictor].clamp(LEAST_RATE, 1.0 - LEAST_RATE);
        put(f32::from(u8::from(continuations.is_some())));
        let none = Continuations::default();
        let continuations = continuations.as_ref().unwrap_or(&none);
        let (likeliest, largest) = continuations.shares.first().copied().unwrap_or((0, 0.0));
        put(match predictor {
            2 => said.similarity,
            _ => (continuations.length as f32).ln_1p(),
        });
        put(largest);
        let shares = continuations.shares.iter();
        put(log(shares.map(|(id, share)| share * network.of(*id)).sum()));
        put(log(if largest > 0.0 {
            network.of(likeliest)
        } else {
            0.0
        }));
        put((rate / (1.0 - rate)).ln());
    }
    for phase in 0..Phase::COUNT {
        put(f32::from(u8::from(said.phase as usize == phase)));
    }
    put(network.entropy);
    put(log(network.largest));
    features
}

/// The softmax of the scores of those present, and of the network's 0; the network's share is the rest.
fn softmax(scores: [f32; PREDICTORS], present: [bool; PREDICTORS]) -> [f32; PREDICTORS] {
    let mut scores = scores;
    for (score, present) in scores.iter_mut().zip(present) {
        if !present {
            *score = f32::NEG_INFINITY;
        }
    }
    let highest = scores.iter().copied().fold(0.0, f32::max);
    let odds = scores.map(|score| (score - highest).exp());
    let sum = odds.iter().sum::<f32>() + (-highest).exp();
    odds.map(|odds| odds / sum)
}

impl Gate {
    /// The share of each predictor, 0 to 1; the network has the rest.
    pub fn shares(&self, said: &PiecePrediction, network: &NetworkPrediction) -> [f32; PREDICTORS] {
        let features = features(said, network);
        let present = said.continuations.each_ref().map(Option::is_some);
        softmax(self.scores(&features), present)
    }

    fn scores(&self, features: &[f32; FEATURES]) -> [f32; PREDICTORS] {
        self.0.map(|weights| {
            let products = weights.iter().zip(features);
            weights[FEATURES] + products.map(|(w, x)| w * x).sum::<f32>()
        })
    }

    /// Whether every weight is a number.
    pub fn is_valid(&self) -> bool {
        self.0.iter().flatten().all(|w| w.is_finite())
    }
}

#[cfg(test)]
mod tests;
