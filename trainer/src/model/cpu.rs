//! Operations on the CPU, each in one pass over memory and with its own derivative.
//!
//! `burn`'s operations are small: RMSNorm alone is six of them, and each allocates its result and
//! its gradient. The operations here compute the same values; other devices, and networks with
//! MIDIGen's parts, use `burn`'s ([`AttentionContext::fused`](super::attention_context)).
//!
//! Matrices are row-major `f32`. Each operation runs on the thread that calls it.

pub(super) mod attention;
pub(super) mod cross_entropy;
pub(super) mod heads;
pub(super) mod join;
pub(super) mod linear;
pub(crate) mod matmul;
pub(super) mod mix;
pub(super) mod recall;
pub(super) mod rms_norm;
pub(crate) mod simd;
pub(super) mod swiglu;

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::{Device, Tensor, TensorData};

/// Whether a device, outside of autodiff, is the one that these operations run on.
pub(crate) fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// An operation on `N` matrices that returns a matrix.
pub(super) trait CpuOp<const N: usize>: Debug + Send + 'static {
    /// Values of the forward pass that the backward pass needs.
    type Saved: Clone + Debug + Send + 'static;

    /// The result.
    fn forward(&self, inputs: [Matrix; N]) -> (Matrix, Self::Saved);

    /// Gradients of the inputs, from the gradient of the result.
    fn backward(&self, saved: Self::Saved, gradient: &Matrix) -> [Matrix; N];
}

/// A row-major matrix, shared without a copy.
#[derive(Clone, Debug)]
pub(super) struct Matrix(FlexTensor);

impl Matrix {
    /// A matrix of `columns` columns.
    pub(super) fn new(values: Vec<f32>, columns: usize) -> Self {
        let rows = values.len() / columns.max(1);
        Self(FlexTensor::from_data(TensorData::new(
            values,
            [rows, columns],
        )))
    }

    /// Values of a tensor on the CPU, outside of autodiff: all dimensions but the last count as
    /// rows.
    pub(super) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        match tensor.try_into_primitive::<Flex>() {
            Ok(primitive) => Self(primitive.to_contiguous()),
            Err(e) => panic!("only called on the CPU outside of autodiff: {e:?}"),
        }
    }

    /// Values, row after row.
    pub(super) fn values(&self) -> &[f32] {
        self.0.as_slice().expect("contiguous f32")
    }

    /// Columns.
    pub(super) fn columns(&self) -> usize {
        self.0.layout().shape().last().copied().unwrap_or(1)
    }

    /// Rows.
    pub(super) fn rows(&self) -> usize {
        self.values().len() / self.columns().max(1)
    }
}

/// The sum of the squares of all values of a tensor on the CPU, outside of autodiff.
pub(crate) fn sum_of_squares(tensor: &Tensor<2>) -> f32 {
    let matrix = Matrix::of(tensor.clone());
    let values = matrix.values();
    simd::vectorised(
        #[inline(always)]
        || simd::dot(values, values),
    )
}

/// Applies `op` to tensors on the CPU; the result is differentiable if they are.
pub(super) fn apply<const N: usize, O: CpuOp<N>>(inputs: [Tensor<2>; N], op: O) -> Tensor<2> {
    if let Some(primitives) = primitives::<Flex, N>(&inputs) {
        drop(inputs);
        let (output, _) = op.forward(primitives.map(|p| Matrix(p.to_contiguous())));
        return Tensor::from_primitive::<Flex>(output.0);
    }
    match tracked::<NoCheckpointing, N, O>(inputs, op) {
        Ok(output) => output,
        Err((inputs, op)) => match tracked::<BalancedCheckpointing, N, O>(inputs, op) {
            Ok(output) => output,
            Err(_) => panic!("all inputs are on the CPU, and all or none in one autodiff graph"),
        },
    }
}

/// As [`apply`], on tensors of an autodiff graph; returns the arguments if they are none.
fn tracked<C: CheckpointStrategy, const N: usize, O: CpuOp<N>>(
    inputs: [Tensor<2>; N],
    op: O,
) -> Result<Tensor<2>, ([Tensor<2>; N], O)>
where
    DispatchTensor: DispatchKindConversion<Autodiff<Flex, C>>,
{
    let Some(primitives) = primitives::<Autodiff<Flex, C>, N>(&inputs) else {
        return Err((inputs, op));
    };
    drop(inputs);
    let nodes = primitives.each_ref().map(|p| p.node());
    let values = primitives.map(|p| Matrix(p.into_primitive().to_contiguous()));
    let (output, saved) = op.forward(values);
    let output = match Derivative(op)
        .prepare::<C>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish(saved, output.0),
        OpsKind::UnTracked(prepared) => prepared.finish(output.0),
    };
    Ok(Tensor::from_primitive::<Autodiff<Flex, C>>(output))
}

/// The tensors as primitives of the backend `B`; `None` if they belong to another.
fn primitives<B, const N: usize>(inputs: &[Tensor<2>; N]) -> Option<[B::FloatTensorPrimitive; N]>
where
    B: burn::backend::Backend,
    DispatchTensor: DispatchKindConversion<B>,
{
    let primitives = inputs
        .iter()
        .map(|input| input.clone().try_into_primitive::<B>().ok())
        .collect::<Option<Vec<_>>>()?;
    primitives.try_into().ok()
}

/// The derivative of an operation, as `burn` asks for it.
#[derive(Debug)]
struct Derivative<O>(O);

impl<O: CpuOp<N>, const N: usize> Backward<Flex, N> for Derivative<O> {
    type State = O::Saved;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let gradient = Matrix(gradient.to_contiguous());
        let inputs = self.0.backward(ops.state, &gradient);
        for (parent, gradient) in ops.parents.into_iter().zip(inputs) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, gradient.0);
            }
        }
    }
}
