//! Muon on the CPU: the orthogonal update in few products, each without a copy.
//!
//! `burn`'s Muon computes the same from its own operations, which take about twice the time.

use burn::tensor::{Tensor, TensorData};

use super::{MUON_MOMENTUM, floats};
use crate::model::ParamSpec;
use crate::model::cpu::matmul::{View, product_values};
use crate::model::cpu::simd::{dot, vectorised};

/// Coefficients of the Newton-Schulz iteration, and its steps: `burn`'s defaults.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.775, 2.0315];
const STEPS: usize = 5;
/// Smallest norm that a gradient is divided by.
const SMALLEST_NORM: f32 = 1e-7;

/// The parameter and its momentum after one step at learning rate `rate`. All tensors are on the
/// CPU.
pub(super) fn step(
    spec: &ParamSpec,
    rate: f64,
    weight_decay: f64,
    parameter: Tensor<2>,
    gradient: &Tensor<2>,
    momentum: Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    let device = parameter.device();
    let [rows, columns] = spec.shape;
    let (mut values, mut momentum) = (floats(parameter), floats(momentum));
    let gradient = gradient.to_data();
    let gradients = gradient.as_slice::<f32>().expect("f32, on the CPU");
    let mut update = Vec::with_capacity(gradients.len());
    vectorised(
        #[inline(always)]
        || {
            for (momentum, gradient) in momentum.iter_mut().zip(gradients) {
                *momentum = *momentum * MUON_MOMENTUM + gradient;
            }
            // Nesterov's step.
            let parts = momentum.iter().zip(gradients);
            update.extend(parts.map(|(m, gradient)| m * MUON_MOMENTUM + gradient));
        },
    );
    let kept = (1.0 - rate * weight_decay) as f32;
    let mut first = 0;
    for &part in &spec.parts {
        let view = View::new(&update[first..], rows, part, columns);
        // The iteration works on the shorter side.
        let tall = rows > part;
        let view = if tall { view.transposed() } else { view };
        let orthogonal = orthogonal(view.to_values(), rows.min(part));
        let factor = (rate * 0.2 * (rows.max(part) as f64).sqrt()) as f32;
        for (i, row) in values.chunks_exact_mut(columns).enumerate() {
            let row = &mut row[first..first + part];
            if tall {
                let column = orthogonal[i..].iter().step_by(rows);
                for (value, update) in row.iter_mut().zip(column) {
                    *value = *value * kept - factor * update;
                }
            } else {
                for (value, update) in row.iter_mut().zip(&orthogonal[i * part..]) {
                    *value = *value * kept - factor * update;
                }
            }
        }
        first += part;
    }
    let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, spec.shape), &device);
    (tensor(values), tensor(momentum))
}

/// The nearest orthogonal matrix to one of `rows` rows, which has at least as many columns; its
/// singular values come near 1.
fn orthogonal(mut x: Vec<f32>, rows: usize) -> Vec<f32> {
    let columns = x.len() / rows.max(1);
    let norm = vectorised(
        #[inline(always)]
        || dot(&x, &x),
    );
    let norm = norm.sqrt().max(SMALLEST_NORM);
    x.iter_mut().for_each(|x| *x /= norm);
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..STEPS {
        let view = View::new(&x, rows, columns, columns);
        let squares = product_values(view, view.transposed());
        let square = View::new(&squares, rows, rows, rows);
        let mut factors = product_values(square, square);
        for (factor, square) in factors.iter_mut().zip(&squares) {
            *factor = b * square + c * *factor;
        }
        let mut next = product_values(View::new(&factors, rows, rows, rows), view);
        for (next, x) in next.iter_mut().zip(&x) {
            *next += a * x;
        }
        x = next;
    }
    x
}
