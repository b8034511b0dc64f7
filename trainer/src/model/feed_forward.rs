//! Feed-forward part of a layer: SwiGLU, or GELU as in MIDIGen.
//!
//! `burn`'s `SwiGlu` holds gate and up as two matrices; the files hold them side by side in one,
//! which is also one product instead of two.

use burn::module::Module;
use burn::nn::{Linear, RmsNorm};
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, silu};

use super::attention_context::AttentionContext;
use super::config::ModelConfig;
use super::cpu;
use super::parameters::{Builder, ParamInit, ParamRole};

/// Feed-forward part of one layer, with the norm before it.
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    norm: RmsNorm,
    /// Gate and up side by side; up alone as in MIDIGen.
    gate_up: Linear,
    down: Linear,
}

impl FeedForward {
    pub(super) fn build<E>(
        config: &ModelConfig,
        mut builder: Builder<'_, impl ParamInit<E>>,
    ) -> Result<Self, E> {
        let s = config.shape.sizes;
        let (into, inner) = match config.like_midigen.feed_forward {
            // As many parameters: 4 of the width instead of twice and once 8/3.
            true => (vec![s.feed_forward * 3 / 2], s.feed_forward * 3 / 2),
            false => (vec![s.feed_forward; 2], s.feed_forward),
        };
        Ok(Self {
            norm: builder.norm("norm", s.width)?,
            gate_up: builder.fused_linear("gate_up", ParamRole::Projection, s.width, &into)?,
            down: builder.linear("down", ParamRole::ResidualProjection, [inner, s.width])?,
        })
    }

    /// Update of the residual stream `h`, `[tokens, width]`, in the same shape.
    pub(super) fn forward(&self, h: Tensor<2>, context: &AttentionContext) -> Tensor<2> {
        let [rows, _] = h.dims();
        let [inner, _] = self.down.weight.dims();
        let both = context.linear(context.norm(h, &self.norm), &self.gate_up);
        if context.config.like_midigen.feed_forward {
            return context.linear(gelu(both), &self.down);
        }
        if context.fused() {
            return context.linear(cpu::swiglu::swiglu(both), &self.down);
        }
        let gate = both.clone().slice([0..rows, 0..inner]);
        let up = both.slice([0..rows, inner..2 * inner]);
        context.linear(silu(gate) * up, &self.down)
    }
}
