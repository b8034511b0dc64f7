//! Optimiser: `burn`'s AdamW on every parameter, with the weight decay and learning rate of its
//! role.
//!
//! `burn`'s `ModuleOptimizer` keeps its state by parameter id in a record of its own format;
//! checkpoints hold it by name beside the parameters, and parameters are updated in parallel.
//! `burn`'s `GradientClipping` clips each parameter by itself; here the norm is that of all
//! gradients together.

use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::model::{Model, ParamRole};
use crate::train::config::TrainConfig;

/// Decay of the running mean of gradients.
const BETA_1: f32 = 0.9;
/// Decay of the running mean of squared gradients.
const BETA_2: f32 = 0.95;
/// Keeps a step finite where gradients have been zero.
const EPSILON: f32 = 1e-8;

/// Running means of one parameter's gradients and squared gradients; `None` before its first
/// step.
pub type Moments = Option<AdamWState<2>>;

/// Moments as a checkpoint holds them, after `steps` steps.
pub fn moments(first: Tensor<2>, second: Tensor<2>, steps: u64) -> Moments {
    let steps = usize::try_from(steps).unwrap_or(usize::MAX);
    let state = AdaptiveMomentumState::new(steps, first, second);
    (steps > 0).then(|| AdamWState::new(state))
}

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

/// Updates all parameters, in parallel if `parallel`. `moments` and `gradients` are in the order
/// of [`Model::specs`].
pub fn step(
    model: &mut Model,
    moments: &mut [Moments],
    gradients: Vec<Tensor<2>>,
    rate: f64,
    config: &TrainConfig,
    parallel: bool,
) {
    let adam_w = AdamWConfig::new()
        .with_beta_1(BETA_1)
        .with_beta_2(BETA_2)
        .with_epsilon(EPSILON);
    let decaying = adam_w
        .clone()
        .with_weight_decay(config.weight_decay as f32)
        .build();
    let plain = adam_w.with_weight_decay(0.0).build();
    let roles = model.specs().iter().map(|spec| spec.role);
    let work: Vec<_> = roles
        .zip(model.parameters())
        .zip(moments)
        .zip(gradients)
        .collect();
    let update = |(((role, parameter), moments), gradient): (((ParamRole, _), &mut Moments), _)| {
        let optimiser: &AdamW = if role.decays() { &decaying } else { &plain };
        let rate = rate * config.rate_factor(role);
        if rate == 0.0 {
            return parameter;
        }
        let (parameter, state) = optimiser.step(rate, parameter, gradient, moments.take());
        *moments = state;
        parameter
    };
    let updated = if parallel {
        work.into_par_iter().map(update).collect()
    } else {
        work.into_iter().map(update).collect()
    };
    model.set_parameters(updated);
}
