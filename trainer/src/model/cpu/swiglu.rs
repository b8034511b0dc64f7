//! SwiGLU of gate and up, which lie side by side.

use burn::tensor::Tensor;

use super::simd::{sigmoid, vectorised};
use super::{CpuOp, Matrix, apply};

/// `silu(gate) * up`, `[rows, n]`, where `[gate, up] = both`, `[rows, 2n]`.
pub(in crate::model) fn swiglu(both: Tensor<2>) -> Tensor<2> {
    apply([both], SwiGlu)
}

#[derive(Debug)]
struct SwiGlu;

impl CpuOp<1> for SwiGlu {
    type Saved = Matrix;

    fn forward(&self, [both]: [Matrix; 1]) -> (Matrix, Matrix) {
        let inner = both.columns() / 2;
        let mut output = vec![0.0; both.rows() * inner];
        vectorised(
            #[inline(always)]
            || {
                let rows = both.values().chunks_exact(2 * inner);
                for (row, output) in rows.zip(output.chunks_exact_mut(inner)) {
                    let (gate, up) = row.split_at(inner);
                    for ((output, gate), up) in output.iter_mut().zip(gate).zip(up) {
                        *output = gate * sigmoid(*gate) * up;
                    }
                }
            },
        );
        (Matrix::new(output, inner), both)
    }

    fn backward(&self, both: Matrix, gradient: &Matrix) -> [Matrix; 1] {
        let inner = both.columns() / 2;
        let mut of_both = vec![0.0; both.values().len()];
        vectorised(
            #[inline(always)]
            || {
                let rows = both.values().chunks_exact(2 * inner);
                let gradients = gradient.values().chunks_exact(inner);
                let outputs = of_both.chunks_exact_mut(2 * inner);
                for ((row, gradient), output) in rows.zip(gradients).zip(outputs) {
                    let (gate, up) = row.split_at(inner);
                    let (of_gate, of_up) = output.split_at_mut(inner);
                    let outputs = of_gate.iter_mut().zip(of_up);
                    let inputs = gate.iter().zip(up).zip(gradient);
                    for ((of_gate, of_up), ((gate, up), gradient)) in outputs.zip(inputs) {
                        let s = sigmoid(*gate);
                        *of_gate = gradient * up * s * (1.0 + gate * (1.0 - s));
                        *of_up = gradient * gate * s;
                    }
                }
            },
        );
        [Matrix::new(of_both, 2 * inner)]
    }
}
