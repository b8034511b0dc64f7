//! Values that the attention of all layers shares: angles, visible tokens, precision.

use std::sync::Arc;

use burn::nn::{Linear, RmsNorm};
use burn::tensor::{Device, Tensor};
use continuo_score::manifest::NetworkShape;

use super::attention::composed::Composed;
use super::config::ModelConfig;
use super::cpu;
use super::cpu::heads::Angles;
use super::input::Input;
use super::memory::{Memory, MemoryMode};
use super::precision::Precision;
use super::retrieval_mask::RetrievalMask;
use super::rotary::Rotary;

/// Angles and visible tokens of one forward pass.
pub(super) struct AttentionContext {
    pub(super) config: ModelConfig,
    pub(super) batch_rows: usize,
    pub(super) length: usize,
    /// Tokens in the XL memory.
    pub(super) past: usize,
    pub(super) angles: Arc<Angles>,
    /// Index, in the XL memory and the input, of the first token that each token sees.
    pub(super) first_seen: Arc<Vec<usize>>,
    /// Rotations and masks for `burn`'s operations; `None` if [`Self::fused`].
    pub(super) composed: Option<Composed>,
    /// Tokens that the kNN layer may retrieve.
    pub(super) retrieval: RetrievalMask,
    pub(super) precision: Precision,
}

impl AttentionContext {
    pub(super) fn new(
        config: &ModelConfig,
        input: &Input,
        memory: &Memory,
        mode: MemoryMode,
        precision: Precision,
    ) -> Self {
        let NetworkShape { sizes, window, .. } = config.shape;
        let Input {
            batch_rows, length, ..
        } = *input;
        let past = memory.length();
        let rotary = Rotary::new(config, sizes.head_dim);
        // Without relative time and pitch, the angles of all rows are the same.
        let angled_rows = if config.relative.is_some() {
            batch_rows
        } else {
            1
        };
        let rotates = !config.like_midigen.positions;
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for i in 0..angled_rows * length {
            let position = memory.position + (i % length) as u64;
            for angle in rotary.angles(position, &input.contexts[i]) {
                let (s, c) = if rotates { angle.sin_cos() } else { (0.0, 1.0) };
                cos.push(c as f32);
                sin.push(s as f32);
            }
        }
        let scale = 1.0 / (sizes.head_dim as f32).sqrt();
        let angles = Angles { cos, sin, scale };
        // The first remembered key belongs to the token at this stream position.
        let first = memory.position - past as u64;
        let start = |i: usize| {
            let own = memory.position + (i % length) as u64;
            let segment = if mode.xl {
                0
            } else {
                own - (own - input.song_start[i]) % window as u64
            };
            let start = segment
                .max(input.song_start[i])
                .max((own + 1).saturating_sub(window as u64));
            start.saturating_sub(first) as usize
        };
        Self {
            config: *config,
            batch_rows,
            length,
            past,
            angles: Arc::new(angles),
            first_seen: Arc::new((0..batch_rows * length).map(start).collect()),
            composed: None,
            retrieval: RetrievalMask::new(config, input, memory, mode.recall),
            precision,
        }
    }

    /// Prepares `burn`'s operations instead of those of [`cpu`].
    pub(super) fn compose(&mut self, device: &Device) {
        self.composed = Some(Composed::new(self, device));
    }

    /// Whether the operations of [`cpu`] are used instead of `burn`'s.
    pub(super) fn fused(&self) -> bool {
        self.composed.is_none()
    }

    /// The output of a linear module without bias.
    pub(super) fn linear(&self, x: Tensor<2>, linear: &Linear) -> Tensor<2> {
        let weight = linear.weight.val();
        match (self.fused(), self.precision) {
            (true, Precision::F32) => cpu::linear::linear(x, weight),
            (_, precision) => precision.matmul(x, weight),
        }
    }

    /// Logits: the product of `x` with the transposed token table.
    pub(super) fn logits(&self, x: Tensor<2>, table: Tensor<2>) -> Tensor<2> {
        match (self.fused(), self.precision) {
            (true, Precision::F32) => cpu::linear::linear_transposed(x, table),
            (_, precision) => precision.matmul(x, table.transpose()),
        }
    }

    /// The norm of the residual stream `x`, `[tokens, width]`: RMSNorm, or LayerNorm as in
    /// MIDIGen.
    pub(super) fn norm(&self, x: Tensor<2>, norm: &RmsNorm) -> Tensor<2> {
        let x = match self.config.like_midigen.norm {
            true => x.clone() - x.mean_dim(1),
            false => x,
        };
        match self.fused() {
            true => cpu::rms_norm::rms_norm(x, norm),
            false => norm.forward(x),
        }
    }
}
