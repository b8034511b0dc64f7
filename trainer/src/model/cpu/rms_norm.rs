//! RMSNorm of each row.

use burn::nn::RmsNorm;
use burn::tensor::Tensor;

use super::simd::{dot, vectorised};
use super::{CpuOp, Matrix, apply};

/// `x / sqrt(mean(x²) + epsilon) * gain` for each row of `x`, as [`RmsNorm::forward`].
pub(in crate::model) fn rms_norm(x: Tensor<2>, norm: &RmsNorm) -> Tensor<2> {
    let gain = norm.gamma.val().unsqueeze::<2>();
    let epsilon = norm.epsilon as f32;
    apply([x, gain], Norm { epsilon })
}

#[derive(Debug)]
struct Norm {
    epsilon: f32,
}

/// Input, gain, and the factor of each row.
type Saved = (Matrix, Matrix, Vec<f32>);

impl CpuOp<2> for Norm {
    type Saved = Saved;

    fn forward(&self, [x, gain]: [Matrix; 2]) -> (Matrix, Saved) {
        let width = x.columns();
        let mut output = Vec::with_capacity(x.values().len());
        let mut factors = Vec::with_capacity(x.rows());
        let (rows, gains) = (x.values().chunks_exact(width), gain.values());
        vectorised(
            #[inline(always)]
            || {
                for row in rows {
                    let factor = 1.0 / (dot(row, row) / width as f32 + self.epsilon).sqrt();
                    let scaled = row.iter().zip(gains);
                    output.extend(scaled.map(|(x, gain)| x * factor * gain));
                    factors.push(factor);
                }
            },
        );
        (Matrix::new(output, width), (x, gain, factors))
    }

    fn backward(&self, (x, gain, factors): Saved, gradient: &Matrix) -> [Matrix; 2] {
        let width = x.columns();
        let mut of_x = Vec::with_capacity(x.values().len());
        let mut of_gain = vec![0.0; width];
        let mut scaled = vec![0.0; width];
        let gains = gain.values();
        let rows = x.values().chunks_exact(width);
        let rows = rows.zip(gradient.values().chunks_exact(width));
        vectorised(
            #[inline(always)]
            || {
                for ((x, gradient), factor) in rows.zip(&factors) {
                    let outputs = scaled.iter_mut().zip(of_gain.iter_mut());
                    let inputs = gradient.iter().zip(x).zip(gains);
                    for ((scaled, of_gain), ((gradient, x), gain)) in outputs.zip(inputs) {
                        *scaled = gradient * gain;
                        *of_gain += gradient * x * factor;
                    }
                    let along = factor * factor * dot(&scaled, x) / width as f32;
                    let parts = scaled.iter().zip(x);
                    of_x.extend(parts.map(|(scaled, x)| factor * (scaled - x * along)));
                }
            },
        );
        [Matrix::new(of_x, width), Matrix::new(of_gain, width)]
    }
}
