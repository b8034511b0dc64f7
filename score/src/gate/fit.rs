//! The gate's weights, fitted on predicted tokens.

use super::{FEATURES, Gate, NetworkPrediction, features, softmax};
use crate::piece_memory::{PREDICTORS, PiecePrediction};

/// Steps of the fit over all examples.
const STEPS: usize = 400;
/// Learning rate at first; it falls to a tenth.
const RATE: f32 = 0.1;
/// Adam's decay of both moments, and the number that keeps its quotient finite.
const BETAS: (f32, f32) = (0.9, 0.99);
const EPSILON: f32 = 1e-8;
/// Added to the standard deviation of a feature.
const LEAST_DEVIATION: f32 = 1e-2;

/// One token that came, and what was said of it before.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    features: [f32; FEATURES],
    present: [bool; PREDICTORS],
    /// The probability that each predictor gave it.
    shares: [f32; PREDICTORS],
    /// The probability that the network gave it.
    network: f32,
}

impl Example {
    /// What was said of `id`, which came.
    pub fn new(said: &PiecePrediction, network: &NetworkPrediction, id: u16) -> Self {
        let share =
            |c: &Option<crate::ngram::Continuations>| c.as_ref().map_or(0.0, |c| c.share(id));
        Self {
            features: features(said, network),
            present: said.continuations.each_ref().map(Option::is_some),
            shares: said.continuations.each_ref().map(share),
            network: network.of(id),
        }
    }

    /// The shares of the predictors, given their scores; then the probability of the token.
    fn mixed(&self, scores: [f32; PREDICTORS]) -> ([f32; PREDICTORS], f32) {
        let gates = softmax(scores, self.present);
        let rest = 1.0 - gates.iter().sum::<f32>();
        let said: f32 = gates.iter().zip(self.shares).map(|(g, p)| g * p).sum();
        (gates, (said + rest * self.network).max(f32::MIN_POSITIVE))
    }
}

impl Gate {
    /// Mean loss of the examples, in nats a token.
    pub fn loss(&self, examples: &[Example]) -> f64 {
        let nats = |e: &Example| -f64::from(e.mixed(self.scores(&e.features)).1).ln();
        examples.iter().map(nats).sum::<f64>() / examples.len().max(1) as f64
    }

    /// The weights with the least loss on the examples: the likelihood of the mixture is maximised by
    /// Adam (Kingma and Ba, arXiv 1412.6980) over all of them, on features of mean 0 and deviation 1.
    pub fn fit(examples: &[Example]) -> Self {
        let (means, deviations) = moments(examples);
        let scaled = |e: &Example| {
            let mut scaled = *e;
            let features = scaled.features.iter_mut().zip(&means).zip(&deviations);
            features.for_each(|((x, mean), deviation)| *x = (*x - mean) / deviation);
            scaled
        };
        let scaled: Vec<Example> = examples.iter().map(scaled).collect();
        let mut gate = Self([[0.0; FEATURES + 1]; PREDICTORS]);
        let mut first = gate;
        let mut second = gate;
        for step in 0..STEPS {
            let gradient = gate.gradient(&scaled);
            let through = step as f32 / STEPS as f32;
            let rate = RATE * (1.0 - 0.9 * through);
            let corrections = (
                1.0 - BETAS.0.powi(step as i32 + 1),
                1.0 - BETAS.1.powi(step as i32 + 1),
            );
            let weights = gate.0.iter_mut().flatten();
            let moments = first
                .0
                .iter_mut()
                .flatten()
                .zip(second.0.iter_mut().flatten());
            for ((weight, (m, v)), g) in weights.zip(moments).zip(gradient.iter().flatten()) {
                *m += (1.0 - BETAS.0) * (g - *m);
                *v += (1.0 - BETAS.1) * (g * g - *v);
                *weight -= rate * (*m / corrections.0) / ((*v / corrections.1).sqrt() + EPSILON);
            }
        }
        // Weights of the features as they are.
        for weights in &mut gate.0 {
            let (weights, constant) = weights.split_at_mut(FEATURES);
            for ((weight, mean), deviation) in weights.iter_mut().zip(&means).zip(&deviations) {
                *weight /= deviation;
                constant[0] -= *weight * mean;
            }
        }
        gate
    }

    /// The gradient of the mean loss.
    fn gradient(&self, examples: &[Example]) -> [[f32; FEATURES + 1]; PREDICTORS] {
        let mut sums = [[0.0f32; FEATURES + 1]; PREDICTORS];
        for example in examples {
            let (gates, likelihood) = example.mixed(self.scores(&example.features));
            for ((sums, gate), share) in sums.iter_mut().zip(gates).zip(example.shares) {
                // d likelihood / d score = gate * (share - likelihood)
                let slope = -gate * (share - likelihood) / likelihood;
                for (sum, x) in sums.iter_mut().zip(&example.features) {
                    *sum += slope * x;
                }
                sums[FEATURES] += slope;
            }
        }
        let count = examples.len().max(1) as f32;
        sums.map(|sums| sums.map(|sum| sum / count))
    }
}

/// Mean and standard deviation of each feature.
fn moments(examples: &[Example]) -> ([f32; FEATURES], [f32; FEATURES]) {
    let count = examples.len().max(1) as f64;
    let mean = |i: usize, f: &dyn Fn(f64) -> f64| {
        let values = examples.iter().map(|e| f(f64::from(e.features[i])));
        values.sum::<f64>() / count
    };
    let means: [f64; FEATURES] = std::array::from_fn(|i| mean(i, &|x| x));
    let deviations = std::array::from_fn(|i| {
        let variance = mean(i, &|x| (x - means[i]).powi(2));
        variance.sqrt() as f32 + LEAST_DEVIATION
    });
    (means.map(|mean| mean as f32), deviations)
}
