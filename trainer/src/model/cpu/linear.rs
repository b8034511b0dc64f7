//! Products with a matrix of parameters.

use burn::tensor::Tensor;

use super::matmul::{View, product};
use super::{CpuOp, Matrix, apply};

/// `x · w`.
pub(in crate::model) fn linear(x: Tensor<2>, w: Tensor<2>) -> Tensor<2> {
    apply([x, w], Linear { transposed: false })
}

/// `x · wᵀ`.
pub(in crate::model) fn linear_transposed(x: Tensor<2>, w: Tensor<2>) -> Tensor<2> {
    apply([x, w], Linear { transposed: true })
}

#[derive(Debug)]
struct Linear {
    transposed: bool,
}

impl CpuOp<2> for Linear {
    type Saved = [Matrix; 2];

    fn forward(&self, inputs: [Matrix; 2]) -> (Matrix, [Matrix; 2]) {
        let [x, w] = inputs.each_ref().map(View::of);
        let output = match self.transposed {
            true => product(x, w.transposed()),
            false => product(x, w),
        };
        (output, inputs)
    }

    fn backward(&self, inputs: [Matrix; 2], gradient: &Matrix) -> [Matrix; 2] {
        let [x, w] = inputs.each_ref().map(View::of);
        let gradient = View::of(gradient);
        match self.transposed {
            true => [product(gradient, w), product(gradient.transposed(), x)],
            false => [
                product(gradient, w.transposed()),
                product(x.transposed(), gradient),
            ],
        }
    }
}
