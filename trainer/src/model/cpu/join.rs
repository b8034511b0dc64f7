//! Keys or values of the memory and the input, one after the other.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};

/// `past` followed by `own` along the tokens, each `[batch, heads, length, head_dim]`, on the CPU.
///
/// `burn`'s `cat` first copies each part that is a view of a longer tensor.
pub(in crate::model) fn join(past: &Tensor<4>, own: Tensor<4>) -> Tensor<4> {
    let device = own.device();
    let [batch, heads, past_length, dim] = past.dims();
    let [.., own_length, _] = own.dims();
    let parts = [Blocks::of(past.clone()), Blocks::of(own)];
    let shape = [batch, heads, past_length + own_length, dim];
    let mut values = Vec::with_capacity(shape.iter().product());
    for block in 0..batch * heads {
        for part in &parts {
            values.extend_from_slice(part.get(block / heads, block % heads));
        }
    }
    Tensor::from_data(TensorData::new(values, shape), &device)
}

/// A tensor of contiguous blocks `[length, head_dim]`.
struct Blocks {
    tensor: FlexTensor,
    /// Values of a block.
    size: usize,
}

impl Blocks {
    fn of(tensor: Tensor<4>) -> Self {
        let [_, _, length, dim] = tensor.dims();
        let tensor = match tensor.try_into_primitive::<Flex>() {
            Ok(tensor) => tensor,
            Err(e) => panic!("only called on the CPU outside of autodiff: {e:?}"),
        };
        let contiguous = tensor.layout().strides()[2..] == [dim as isize, 1];
        Self {
            tensor: match contiguous {
                true => tensor,
                false => tensor.to_contiguous(),
            },
            size: length * dim,
        }
    }

    fn get(&self, row: usize, head: usize) -> &[f32] {
        let layout = self.tensor.layout();
        let strides = layout.strides();
        let offset = row as isize * strides[0] + head as isize * strides[1];
        let start = layout.start_offset().strict_add_signed(offset);
        &self.tensor.storage::<f32>()[start..start + self.size]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::values;

    #[test]
    fn parts_of_longer_tensors_are_joined_as_by_burn() {
        let data: Vec<f32> = (0..2 * 3 * 5 * 4).map(|i| i as f32).collect();
        let whole = TensorData::new(data, [2, 3, 5, 4]);
        let whole = Tensor::<4>::from_data(whole, &Device::flex());
        let parts = [
            whole.clone().slice([0..2, 1..3, 2..5, 0..4]),
            whole.clone().slice([0..2, 0..2, 0..1, 0..4]),
            whole
                .slice([0..2, 0..2, 0..5, 0..4])
                .swap_dims(2, 3)
                .slice([0..2, 0..2, 0..4, 0..4]),
        ];
        for (past, own) in [(0, 1), (1, 2), (2, 0)] {
            let (past, own) = (parts[past].clone(), parts[own].clone());
            let expected = Tensor::cat(vec![past.clone(), own.clone()], 2);
            assert_eq!(values(&join(&past, own)), values(&expected));
        }
    }
}
