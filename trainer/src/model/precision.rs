//! Number format of the network's matrix products.

use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// Number format of matrix products. Parameters, sums, softmax, norms and the loss are always
/// `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// Factors rounded to bfloat16 (16 bits with the exponent range of 32), for GPUs.
    Bf16,
}

impl Precision {
    /// The matrix product `x · w`.
    pub(super) fn matmul(self, x: Tensor<2>, w: Tensor<2>) -> Tensor<2> {
        match self {
            Self::F32 => x.matmul(w),
            Self::Bf16 => {
                let product = x.cast(FloatDType::BF16).matmul(w.cast(FloatDType::BF16));
                product.cast(FloatDType::F32)
            }
        }
    }
}
