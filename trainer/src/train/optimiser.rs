//! Optimisers: `burn`'s AdamW on every parameter, or `burn`'s Muon on the matrices inside the
//! layers, with the weight decay and learning rate of each parameter's role.
//!
//! Muon makes an update orthogonal, which has a meaning for one matrix: matrices that lie side by
//! side in one parameter, such as query, key and value, are updated apart. Its update has the size
//! of AdamW's (0.2 in root mean square), so both take the same learning rate.
//!
//! `burn`'s `ModuleOptimizer` keeps its state by parameter id in a record of its own format;
//! checkpoints hold it by name beside the parameters, and parameters are updated in parallel.
//! `burn`'s `GradientClipping` clips each parameter by itself; here the norm is that of all
//! gradients together.

mod state;

use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamW, AdamWConfig, AdjustLrFn, Muon, MuonConfig, MuonState, Optimizer as _};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::model::{Model, ParamSpec};
use crate::train::config::TrainConfig;

pub use state::ParamState;

/// Decay of the running mean of gradients.
const BETA_1: f32 = 0.9;
/// Decay of the running mean of squared gradients.
const BETA_2: f32 = 0.95;
/// Keeps a step finite where gradients have been zero.
const EPSILON: f32 = 1e-8;

/// Scales `gradients` down to the norm `largest`, if theirs is larger.
///
/// Returns their norm before.
pub fn clip(gradients: &mut [Tensor<2>], largest: f64) -> f64 {
    let squares: Vec<Tensor<1>> = gradients.iter().map(|g| g.clone().square().sum()).collect();
    if squares.is_empty() {
        return 0.0;
    }
    // One transfer: each waits for the device.
    let squares = Tensor::cat(squares, 0).into_data();
    let norm = squares.iter::<f32>().map(f64::from).sum::<f64>().sqrt();
    if norm > largest {
        for gradient in gradients {
            gradient.inplace(|g| g * (largest / norm));
        }
    }
    norm
}

/// The optimisers of one training.
struct Optimisers {
    /// AdamW with and without weight decay.
    decaying: AdamW,
    plain: AdamW,
    muon: Muon,
}

impl Optimisers {
    fn new(config: &TrainConfig) -> Self {
        let adam_w = AdamWConfig::new()
            .with_beta_1(BETA_1)
            .with_beta_2(BETA_2)
            .with_epsilon(EPSILON);
        let decay = config.weight_decay as f32;
        // Momentum 0.95 with Nesterov's step, and five iterations, are its defaults.
        let muon = MuonConfig::new()
            .with_weight_decay(Some(WeightDecayConfig::new(decay)))
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
        Self {
            decaying: adam_w.clone().with_weight_decay(decay).build(),
            plain: adam_w.with_weight_decay(0.0).build(),
            muon: muon.build(),
        }
    }

    /// The parameter and its state after one step at learning rate `rate`.
    fn step(
        &self,
        spec: &ParamSpec,
        parameter: Tensor<2>,
        gradient: Tensor<2>,
        state: ParamState,
        rate: f64,
    ) -> (Tensor<2>, ParamState) {
        match state {
            ParamState::AdamW(moments) => {
                let adam_w = match spec.role.decays() {
                    true => &self.decaying,
                    false => &self.plain,
                };
                let (parameter, moments) = adam_w.step(rate, parameter, gradient, Some(moments));
                // A step always returns a state.
                let moments = moments.expect("AdamW has a state");
                (parameter, ParamState::AdamW(moments))
            }
            ParamState::Muon(momenta) => {
                let parts = spec.split(parameter).into_iter().zip(spec.split(gradient));
                let (parts, momenta) = parts
                    .zip(momenta)
                    .map(|((part, gradient), momentum)| {
                        self.muon_step(part, gradient, momentum, rate)
                    })
                    .unzip();
                (spec.join(parts), ParamState::Muon(momenta))
            }
        }
    }

    fn muon_step(
        &self,
        part: Tensor<2>,
        gradient: Tensor<2>,
        momentum: MuonState<2>,
        rate: f64,
    ) -> (Tensor<2>, MuonState<2>) {
        let (part, momentum) = self.muon.step(rate, part, gradient, Some(momentum));
        (part, momentum.expect("Muon has a state"))
    }
}

/// Updates all parameters, in parallel if `parallel`. `states` and `gradients` are in the order
/// of [`Model::specs`].
pub fn step(
    model: &mut Model,
    states: &mut Vec<ParamState>,
    gradients: Vec<Tensor<2>>,
    rate: f64,
    config: &TrainConfig,
    parallel: bool,
) {
    let optimisers = Optimisers::new(config);
    let work: Vec<_> = model
        .specs()
        .iter()
        .zip(model.parameters())
        .zip(std::mem::take(states))
        .zip(gradients)
        .collect();
    let update = |(((spec, parameter), state), gradient): (((&ParamSpec, _), _), _)| {
        let rate = rate * config.rate_factor(spec.role);
        if rate == 0.0 {
            return (parameter, state);
        }
        optimisers.step(spec, parameter, gradient, state, rate)
    };
    let (parameters, updated) = if parallel {
        work.into_par_iter().map(update).unzip()
    } else {
        work.into_iter().map(update).unzip()
    };
    *states = updated;
    model.set_parameters(parameters);
}

#[cfg(test)]
mod tests;
