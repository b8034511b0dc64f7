//! Values that the attention of all layers shares: rotations, masks, precision.

use burn::nn::RmsNorm;
use burn::tensor::{Device, Int, Tensor, TensorData};
use continuo_score::manifest::NetworkShape;

use super::config::ModelConfig;
use super::distance_bias::bucket;
use super::input::Input;
use super::memory::{Memory, MemoryMode};
use super::precision::Precision;
use super::retrieval_mask::RetrievalMask;
use super::rotary::Rotary;
use super::tensors::ids;

/// Stands for minus infinity in a mask: a score this low has weight 0 exactly.
pub(super) const MASKED: f32 = -1e30;

/// Rotations and masks of one forward pass.
pub(super) struct AttentionContext {
    pub(super) config: ModelConfig,
    pub(super) batch_rows: usize,
    pub(super) length: usize,
    /// `[batch, length, 2 heads, head_dim / 2]`, where `batch` is 1 if all rows are alike; the
    /// entries of queries include the factor `1 / sqrt(head_dim)`.
    pub(super) cos: Tensor<4>,
    pub(super) sin: Tensor<4>,
    /// Index of the oldest token, in the XL memory and the input, that any token sees.
    pub(super) first_seen: usize,
    /// `[batch, 1, length, past + length - first_seen]`: 0, or [`MASKED`].
    pub(super) mask: Tensor<4>,
    /// Distance bucket of each query and key, `length * keys`; only with distance biases.
    pub(super) buckets: Option<Tensor<1, Int>>,
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
        device: &Device,
    ) -> Self {
        let NetworkShape { sizes, window, .. } = config.shape;
        let Input {
            batch_rows, length, ..
        } = *input;
        let past = memory.length();
        let half = sizes.head_dim / 2;
        let scale = 1.0 / (sizes.head_dim as f64).sqrt();
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
        // Heads differ only in the scale of the queries.
        let of_heads = |angles: Vec<f32>| {
            let table = TensorData::new(angles, [angled_rows, length, 1, half]);
            let key = Tensor::<4>::from_data(table, device).repeat_dim(2, sizes.heads);
            Tensor::cat(vec![key.clone() * scale, key], 2)
        };
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
        // Keys that no token sees are left out of the products.
        let first_seen = (0..batch_rows * length).map(start).min().unwrap_or(0);
        let keys = past + length - first_seen;
        let mut mask = vec![MASKED; batch_rows * length * keys];
        for (i, row) in mask.chunks_exact_mut(keys).enumerate() {
            let own = past + i % length;
            row[start(i) - first_seen..=own - first_seen].fill(0.0);
        }
        let buckets = (!rotates).then(|| {
            let distance = |(i, key): (usize, usize)| (past + i).saturating_sub(first_seen + key);
            let pairs = (0..length).flat_map(|i| (0..keys).map(move |key| (i, key)));
            ids(pairs.map(|pair| bucket(distance(pair))), device)
        });
        let mask = TensorData::new(mask, [batch_rows, 1, length, keys]);
        Self {
            config: *config,
            batch_rows,
            length,
            cos: of_heads(cos),
            sin: of_heads(sin),
            first_seen,
            mask: Tensor::from_data(mask, device),
            buckets,
            retrieval: RetrievalMask::new(config, input, memory, mode.recall),
            precision,
        }
    }

    /// The norm of the residual stream `x`, `[tokens, width]`: RMSNorm, or LayerNorm as in
    /// MIDIGen.
    pub(super) fn norm(&self, x: Tensor<2>, norm: &RmsNorm) -> Tensor<2> {
        norm.forward(match self.config.like_midigen.norm {
            true => x.clone() - x.mean_dim(1),
            false => x,
        })
    }
}
