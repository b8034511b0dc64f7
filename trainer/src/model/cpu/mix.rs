//! Mix of local attention with what the kNN memory recalls.

use burn::tensor::Tensor;

use super::simd::{dot, vectorised};
use super::{CpuOp, Matrix, apply};

/// `local + gate * (recalled - local)`: `local` and `recalled` are `[tokens, heads * head_dim]`,
/// `gate` is `[tokens, heads]`.
pub(in crate::model) fn mix(local: Tensor<2>, recalled: Tensor<2>, gate: Tensor<2>) -> Tensor<2> {
    apply([local, recalled, gate], Mix)
}

#[derive(Debug)]
struct Mix;

impl CpuOp<3> for Mix {
    type Saved = [Matrix; 3];

    fn forward(&self, inputs: [Matrix; 3]) -> (Matrix, [Matrix; 3]) {
        let [local, recalled, gate] = &inputs;
        let (columns, dim) = (local.columns(), local.columns() / gate.columns());
        let mut output = Vec::with_capacity(local.values().len());
        let heads = local.values().chunks_exact(dim);
        let heads = heads.zip(recalled.values().chunks_exact(dim));
        vectorised(
            #[inline(always)]
            || {
                for ((local, recalled), gate) in heads.zip(gate.values()) {
                    let values = local.iter().zip(recalled);
                    output
                        .extend(values.map(|(local, recalled)| local + gate * (recalled - local)));
                }
            },
        );
        (Matrix::new(output, columns), inputs)
    }

    fn backward(&self, [local, recalled, gate]: [Matrix; 3], gradient: &Matrix) -> [Matrix; 3] {
        let (columns, dim) = (local.columns(), local.columns() / gate.columns());
        let mut of_local = Vec::with_capacity(local.values().len());
        let mut of_recalled = Vec::with_capacity(local.values().len());
        let mut of_gate = Vec::with_capacity(gate.values().len());
        let mut difference = vec![0.0; dim];
        let heads = local.values().chunks_exact(dim);
        let heads = heads.zip(recalled.values().chunks_exact(dim));
        let heads = heads.zip(gradient.values().chunks_exact(dim));
        vectorised(
            #[inline(always)]
            || {
                for (((local, recalled), gradient), gate) in heads.zip(gate.values()) {
                    of_local.extend(gradient.iter().map(|g| g - gate * g));
                    of_recalled.extend(gradient.iter().map(|g| gate * g));
                    let values = recalled.iter().zip(local);
                    for (difference, (recalled, local)) in difference.iter_mut().zip(values) {
                        *difference = recalled - local;
                    }
                    of_gate.push(dot(gradient, &difference));
                }
            },
        );
        [
            Matrix::new(of_local, columns),
            Matrix::new(of_recalled, columns),
            Matrix::new(of_gate, gate.columns()),
        ]
    }
}
