//! AdamW on the CPU, in place and in one pass.
//!
//! `burn`'s AdamW computes the same in a dozen passes, each of which allocates its result.

use burn::optim::{AdamWState, AdaptiveMomentumState};
use burn::tensor::{Tensor, TensorData};

use super::{BETA_1, BETA_2, EPSILON, floats};
use crate::model::cpu::simd::vectorised;

/// The parameter and its state after one step at learning rate `rate`. All tensors are on the CPU.
pub(super) fn step(
    rate: f64,
    weight_decay: f64,
    parameter: Tensor<2>,
    gradient: &Tensor<2>,
    state: AdamWState<2>,
) -> (Tensor<2>, AdamWState<2>) {
    let device = parameter.device();
    let AdaptiveMomentumState {
        time,
        moment_1,
        moment_2,
        ..
    } = state.momentum;
    let time = time + 1;
    // Means of few gradients are too small: they began at 0.
    let power = i32::try_from(time).unwrap_or(i32::MAX);
    let correction = |beta: f32| 1.0 - beta.powi(power);
    let rate_1 = rate as f32 / correction(BETA_1);
    let factor_2 = 1.0 / correction(BETA_2);
    let kept = (1.0 - rate * weight_decay) as f32;
    let shape = parameter.dims();
    let [mut values, mut first, mut second] = [parameter, moment_1, moment_2].map(floats);
    let gradient = gradient.to_data();
    let gradients = gradient.as_slice::<f32>().expect("f32, on the CPU");
    let moments = first.iter_mut().zip(&mut second);
    let all = values.iter_mut().zip(gradients).zip(moments);
    vectorised(
        #[inline(always)]
        || {
            for ((value, g), (first, second)) in all {
                *first = *first * BETA_1 + g * (1.0 - BETA_1);
                *second = *second * BETA_2 + g * g * (1.0 - BETA_2);
                let size = (*second * factor_2).sqrt() + EPSILON;
                *value = *value * kept - rate_1 * *first / size;
            }
        },
    );
    let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, shape), &device);
    let [parameter, first, second] = [values, first, second].map(tensor);
    let moments = AdaptiveMomentumState::new(time, first, second);
    (parameter, AdamWState::new(moments))
}
