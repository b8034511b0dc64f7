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
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamW, AdamWConfig, AdjustLrFn, Muon, MuonConfig, Optimizer as _};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::model::{Model, ParamSpec, cpu};
use crate::train::config::TrainConfig;

pub use state::ParamState;

/// Decay of the running mean of gradients.
const BETA_1: f32 = 0.9;
/// Decay of the running mean of squared gradients.
const BETA_2: f32 = 0.95;
/// Keeps a step finite where gradients have been zero.
const EPSILON: f32 = 1e-8;
/// Decay of Muon's running sum of gradients.
const MUON_MOMENTUM: f32 = 0.95;

/// Scales `gradients` down to the norm `largest`, if theirs is larger.
///
/// Returns their norm before.
pub fn clip(gradients: &mut [Tensor<2>], largest: f64) -> f64 {
    let Some(first) = gradients.first() else {
        return 0.0;
    };
    let squares: f64 = if cpu::is_cpu(&first.device()) {
        let square = |g: &Tensor<2>| f64::from(cpu::sum_of_squares(g));
        gradients.iter().map(square).sum()
    } else {
        let squares = gradients.iter().map(|g| g.clone().square().sum());
        // One transfer: each waits for the device.
        let squares = Tensor::cat(squares.collect(), 0).into_data();
        squares.iter::<f32>().map(f64::from).sum()
    };
    let norm = squares.sqrt();
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
        // Its momentum is computed here, because its state cannot be read.
        let no_momentum = MomentumConfig {
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
        };
        let muon = MuonConfig::new()
            .with_momentum(no_momentum)
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
            ParamState::Muon(momentum) => {
                let momentum = momentum * MUON_MOMENTUM + gradient.clone();
                // Nesterov's step.
                let update = momentum.clone() * MUON_MOMENTUM + gradient;
                let parts = spec.split(parameter).into_iter().zip(spec.split(update));
                let step = |(part, update)| self.muon.step(rate, part, update, None).0;
                let parameter = spec.join(parts.map(step).collect());
                (parameter, ParamState::Muon(momentum))
            }
        }
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
