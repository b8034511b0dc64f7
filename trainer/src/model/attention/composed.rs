//! Attention of `burn`'s operations, on any device.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::model::attention_context::AttentionContext;
use crate::model::distance_bias::bucket;
use crate::model::retrieval::UNIT_EPSILON;
use crate::model::tensors::ids;

/// Stands for minus infinity in a mask: a score this low has weight 0 exactly.
pub(in crate::model) const MASKED: f32 = -1e30;

/// Rotations and masks of one forward pass, as tensors.
pub(in crate::model) struct Composed {
    /// `[batch, length, 2 heads, head_dim / 2]`, where `batch` is 1 if all rows are alike; the
    /// entries of queries include the factor `1 / sqrt(head_dim)`.
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// Index of the oldest token, in the XL memory and the input, that any token sees.
    pub(super) first_seen: usize,
    /// `[batch, 1, length, past + length - first_seen]`: 0, or [`MASKED`].
    pub(super) mask: Tensor<4>,
    /// Distance bucket of each query and key, `length * keys`; only with distance biases.
    pub(super) buckets: Option<Tensor<1, Int>>,
}

impl Composed {
    pub(in crate::model) fn new(context: &AttentionContext, device: &Device) -> Self {
        let (length, past) = (context.length, context.past);
        let sizes = context.config.shape.sizes;
        let half = sizes.head_dim / 2;
        // Heads differ only in the scale of the queries.
        let of_heads = |angles: &[f32]| {
            let rows = angles.len() / (length * half);
            let table = TensorData::new(angles.to_vec(), [rows, length, 1, half]);
            let key = Tensor::<4>::from_data(table, device).repeat_dim(2, sizes.heads);
            Tensor::cat(vec![key.clone() * context.angles.scale, key], 2)
        };
        // Keys that no token sees are left out of the products.
        let first_seen = context.first_seen.iter().copied().min().unwrap_or(0);
        let keys = past + length - first_seen;
        let mut mask = vec![MASKED; context.batch_rows * length * keys];
        let rows = mask.chunks_exact_mut(keys).zip(&*context.first_seen);
        for (i, (row, first)) in rows.enumerate() {
            let own = past + i % length;
            row[first - first_seen..=own - first_seen].fill(0.0);
        }
        let buckets = context.config.like_midigen.positions.then(|| {
            let distance = |(i, key): (usize, usize)| (past + i).saturating_sub(first_seen + key);
            let pairs = (0..length).flat_map(|i| (0..keys).map(move |key| (i, key)));
            ids(pairs.map(|pair| bucket(distance(pair))), device)
        });
        let mask = TensorData::new(mask, [context.batch_rows, 1, length, keys]);
        Self {
            cos: of_heads(&context.angles.cos),
            sin: of_heads(&context.angles.sin),
            first_seen,
            mask: Tensor::from_data(mask, device),
            buckets,
        }
    }

    /// The first `count` heads of `qkv` (`[batch, length, heads, head_dim]`), rotated.
    pub(super) fn rotate(&self, qkv: Tensor<4>, count: usize) -> Tensor<4> {
        let [batch, length, _, dim] = qkv.dims();
        let half = |from, to| qkv.clone().slice([0..batch, 0..length, 0..count, from..to]);
        let (a, b) = (half(0, dim / 2), half(dim / 2, dim));
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        Tensor::cat(
            vec![
                a.clone() * cos.clone() - b.clone() * sin.clone(),
                b * cos + a * sin,
            ],
            3,
        )
    }
}

/// Vectors of length 1 along the last dimension.
pub(super) fn unit(x: Tensor<4>) -> Tensor<4> {
    let square = (x.clone() * x.clone()).sum_dim(3);
    x / (square + UNIT_EPSILON).sqrt()
}

/// `softmax(query · keyᵀ + mask) · value`, `[batch, heads, length, head_dim]`. `key` and `value`
/// have the heads of `query`, or one for all.
///
/// The row sums are one more column of the product with the values, and divide its result; `burn`'s
/// `attention` divides the weights before that product.
pub(super) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mask: &Tensor<4>,
) -> Tensor<4> {
    let [batch, heads, length, dim] = query.dims();
    let [_, key_heads, keys, _] = key.dims();
    let rows = heads * length / key_heads;
    let scores = query
        .reshape([batch, key_heads, rows, dim])
        .matmul(key.transpose());
    let scores = scores.reshape([batch, heads, length, keys]) + mask.clone();
    let highest = scores.clone().inner().max_dim(3);
    let weights = (scores - highest)
        .exp()
        .reshape([batch, key_heads, rows, keys]);
    let ones = Tensor::ones([batch, key_heads, keys, 1], &mask.device());
    let sums =
        weights
            .matmul(Tensor::cat(vec![value, ones], 3))
            .reshape([batch, heads, length, dim + 1]);
    sums.clone().slice([0..batch, 0..heads, 0..length, 0..dim])
        / sums.slice([0..batch, 0..heads, 0..length, dim..dim + 1])
}
