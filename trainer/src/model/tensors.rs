//! Conversions between tensors and vectors.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Values of a tensor, in row-major order.
pub fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

/// Token ids or embedding rows as a tensor on a device.
pub(crate) fn ids(rows: impl Iterator<Item = u16>, device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.map(i64::from).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}
