//! Cross-entropy of each row of logits.

use burn::tensor::Tensor;

use super::simd::{exp, largest, sum, vectorised};
use super::{CpuOp, Matrix, apply};
use crate::model::IGNORED;

/// As [`cross_entropy`](crate::model::cross_entropy).
pub(in crate::model) fn cross_entropy(logits: Tensor<2>, targets: &[u16]) -> Tensor<2> {
    let targets = targets.to_vec();
    apply([logits], CrossEntropy { targets })
}

#[derive(Debug)]
struct CrossEntropy {
    targets: Vec<u16>,
}

impl CpuOp<1> for CrossEntropy {
    /// Probabilities.
    type Saved = Matrix;

    fn forward(&self, [logits]: [Matrix; 1]) -> (Matrix, Matrix) {
        let size = logits.columns();
        let mut losses = Vec::with_capacity(self.targets.len());
        let mut probabilities = logits.values().to_vec();
        vectorised(
            #[inline(always)]
            || {
                for (row, &target) in probabilities.chunks_exact_mut(size).zip(&self.targets) {
                    let highest = largest(row);
                    let chosen = match target {
                        IGNORED => None,
                        target => Some(row[usize::from(target)] - highest),
                    };
                    for value in row.iter_mut() {
                        *value = exp(*value - highest);
                    }
                    let all = sum(row);
                    let factor = 1.0 / all;
                    for value in row.iter_mut() {
                        *value *= factor;
                    }
                    losses.push(chosen.map_or(0.0, |chosen| all.ln() - chosen));
                }
            },
        );
        (Matrix::new(losses, 1), Matrix::new(probabilities, size))
    }

    fn backward(&self, probabilities: Matrix, gradient: &Matrix) -> [Matrix; 1] {
        let size = probabilities.columns();
        let mut of_logits = Vec::with_capacity(probabilities.values().len());
        let rows = probabilities.values().chunks_exact(size);
        let rows = rows.zip(&self.targets).zip(gradient.values());
        vectorised(
            #[inline(always)]
            || {
                for ((row, &target), &gradient) in rows {
                    let start = of_logits.len();
                    if target == IGNORED {
                        of_logits.resize(start + size, 0.0);
                        continue;
                    }
                    of_logits.extend(row.iter().map(|p| p * gradient));
                    of_logits[start + usize::from(target)] -= gradient;
                }
            },
        );
        [Matrix::new(of_logits, size)]
    }
}
