//! The gate's weights, fitted on predicted tokens.

use super::{FEATURES, Gate, GateWeights, NetworkPrediction, features, softmax};
use crate::ngram::Continuations;
use crate::piece_memory::{PREDICTORS, PiecePrediction};

/// Steps of the fit over all examples.
const STEPS: usize = 400;
/// Learning rate at first; it falls to a tenth.
const RATE: f64 = 0.1;
/// Adam's decay of both moments, and the number that keeps its quotient finite.
const BETAS: (f64, f64) = (0.9, 0.99);
const EPSILON: f64 = 1e-8;
/// Factor of the features' squared weights that is added to the loss, in nats.
const PENALTY: f64 = 1e-5;
/// Score of a predictor at first: one that never predicts keeps it.
const FIRST_SCORE: f64 = -3.0;
/// Added to the standard deviation of a feature.
const LEAST_DEVIATION: f64 = 1e-2;
/// Least probability of a token.
const LEAST: f64 = 1e-30;

/// Weights of one predictor, or their gradient.
type Row = [f64; FEATURES + 1];

/// A predicted token.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    features: [f32; FEATURES],
    present: [bool; PREDICTORS],
    /// The probability that each predictor gave it.
    shares: [f32; PREDICTORS],
    /// The probability that the network gave it.
    network: f32,
    is_band: bool,
}

impl Example {
    /// The prediction of `id`.
    pub fn new(prediction: &PiecePrediction, network: &NetworkPrediction, id: u16) -> Self {
        let share = |c: &Option<Continuations>| c.as_ref().map_or(0.0, |c| c.share(id));
        Self {
            features: features(prediction, network),
            present: prediction.continuations.each_ref().map(Option::is_some),
            shares: prediction.continuations.each_ref().map(share),
            network: network.of(id),
            is_band: prediction.is_band,
        }
    }

    /// The shares of the predictors, given their scores, and the probability of the token.
    fn mix(&self, scores: [f32; PREDICTORS]) -> ([f32; PREDICTORS], f64) {
        let (gates, rest) = softmax(scores, self.present);
        let product = |(gate, share): (&f32, &f32)| f64::from(*gate) * f64::from(*share);
        let predicted: f64 = gates.iter().zip(&self.shares).map(product).sum();
        let network = f64::from(rest) * f64::from(self.network);
        (gates, (predicted + network).max(LEAST))
    }

    /// Loss of the network alone, in nats.
    pub fn network_loss(&self) -> f64 {
        -f64::from(self.network).max(LEAST).ln()
    }
}

impl Gate {
    /// Mean loss of the examples, in nats a token.
    pub fn loss(&self, examples: &[Example]) -> f64 {
        let nats = |e: &Example| {
            let scores = self.weights(e.is_band).scores(&e.features);
            -e.mix(scores).1.ln()
        };
        examples.iter().map(nats).sum::<f64>() / examples.len().max(1) as f64
    }

    /// The weights with the least loss on the examples. A keyboard or a band without examples has the
    /// weights of all.
    pub fn fit(examples: &[Example]) -> Self {
        let fit = |is_band: bool| {
            let own = examples.iter().filter(|e| e.is_band == is_band);
            let own: Vec<Example> = own.copied().collect();
            match own.is_empty() {
                true => GateWeights::fit(examples.to_vec()),
                false => GateWeights::fit(own),
            }
        };
        Self {
            keys: fit(false),
            band: fit(true),
        }
    }
}

impl GateWeights {
    /// The weights that maximise the likelihood of the mixture, by Adam (Kingma and Ba, arXiv 1412.6980)
    /// over all examples, on features of mean 0 and deviation 1.
    fn fit(mut examples: Vec<Example>) -> Self {
        let (means, deviations) = moments(&examples);
        for example in &mut examples {
            let features = example.features.iter_mut().zip(&means).zip(&deviations);
            for ((x, mean), deviation) in features {
                *x = ((f64::from(*x) - mean) / deviation) as f32;
            }
        }
        let mut weights = [[0.0; FEATURES + 1]; PREDICTORS];
        weights
            .iter_mut()
            .for_each(|row| row[FEATURES] = FIRST_SCORE);
        let mut first = [[0.0; FEATURES + 1]; PREDICTORS];
        let mut second = first;
        for step in 0..STEPS {
            let gradient = gradient(&weights, &examples);
            let rate = RATE * (1.0 - 0.9 * step as f64 / STEPS as f64);
            let bias = |beta: f64| 1.0 - beta.powi(step as i32 + 1);
            let moments = first.iter_mut().flatten().zip(second.iter_mut().flatten());
            let weights = weights.iter_mut().flatten();
            for ((weight, (m, v)), g) in weights.zip(moments).zip(gradient.iter().flatten()) {
                *m += (1.0 - BETAS.0) * (g - *m);
                *v += (1.0 - BETAS.1) * (g * g - *v);
                *weight -= rate * (*m / bias(BETAS.0)) / ((*v / bias(BETAS.1)).sqrt() + EPSILON);
            }
        }
        // Weights of the features as they are.
        for row in &mut weights {
            let (row, constant) = row.split_at_mut(FEATURES);
            for ((weight, mean), deviation) in row.iter_mut().zip(&means).zip(&deviations) {
                *weight /= deviation;
                constant[0] -= *weight * mean;
            }
        }
        Self(weights.map(|row| row.map(|weight| weight as f32)))
    }
}

/// The gradient of the mean loss with its penalty.
fn gradient(weights: &[Row; PREDICTORS], examples: &[Example]) -> [Row; PREDICTORS] {
    let rounded = GateWeights(weights.map(|row| row.map(|weight| weight as f32)));
    let mut sums = [[0.0; FEATURES + 1]; PREDICTORS];
    for example in examples {
        let (gates, likelihood) = example.mix(rounded.scores(&example.features));
        for ((sums, gate), share) in sums.iter_mut().zip(gates).zip(example.shares) {
            // The derivative of the likelihood by the score is gate * (share - likelihood).
            let slope = -f64::from(gate) * (f64::from(share) - likelihood) / likelihood;
            for (sum, x) in sums.iter_mut().zip(&example.features) {
                *sum += slope * f64::from(*x);
            }
            sums[FEATURES] += slope;
        }
    }
    let count = examples.len().max(1) as f64;
    for (sums, weights) in sums.iter_mut().zip(weights) {
        sums.iter_mut().for_each(|sum| *sum /= count);
        let features = sums.iter_mut().zip(weights).take(FEATURES);
        features.for_each(|(sum, weight)| *sum += 2.0 * PENALTY * weight);
    }
    sums
}

/// Mean and standard deviation of each feature.
fn moments(examples: &[Example]) -> ([f64; FEATURES], [f64; FEATURES]) {
    let count = examples.len().max(1) as f64;
    let mean = |i: usize, f: &dyn Fn(f64) -> f64| {
        let values = examples.iter().map(|e| f(f64::from(e.features[i])));
        values.sum::<f64>() / count
    };
    let means: [f64; FEATURES] = std::array::from_fn(|i| mean(i, &|x| x));
    let deviations = std::array::from_fn(|i| {
        let variance = mean(i, &|x| (x - means[i]).powi(2));
        variance.sqrt() + LEAST_DEVIATION
    });
    (means, deviations)
}
