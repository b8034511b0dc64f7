//! Attention within the window: over the XL memory and the input.
//!
//! Rotary positions, *rotate half*: with `f_i = ROTARY_BASE^(-2i / head_dim)` and the halves
//! `a`, `b` of a head, `a' = a cos(p f) - b sin(p f)`, `b' = b cos(p f) + a sin(p f)`, where
//! `p` counts tokens since the stream began. Angles are computed in `f64`, and keys are stored
//! rotated. The kNN layer does not rotate; see [`super::retrieval`].

use burn::module::Module;
use burn::nn::{Embedding, Linear, RmsNorm};
use burn::tensor::Tensor;

use super::attention_context::AttentionContext;
use super::config::ModelConfig;
use super::distance_bias::BUCKETS;
use super::memory::{KeysValues, Memory};
use super::parameters::{Builder, ParamInit, ParamRole, TableRole};
use super::retrieval::{Retrieval, UNIT_EPSILON};

/// Attention of one layer, with the norm before it.
#[derive(Module, Debug)]
pub(super) struct Attention {
    norm: RmsNorm,
    qkv: Linear,
    out: Linear,
    /// `[BUCKETS, heads]`; only with MIDIGen's positions, and not in the kNN layer.
    distance: Option<Embedding>,
    /// Only in the kNN layer.
    retrieval: Option<Retrieval>,
}

impl Attention {
    pub(super) fn build<E>(
        config: &ModelConfig,
        layer: usize,
        mut builder: Builder<'_, impl ParamInit<E>>,
    ) -> Result<Self, E> {
        let s = config.shape.sizes;
        let inner = s.heads * s.head_dim;
        let knn = config.shape.knn.filter(|knn| knn.layer == layer);
        // The kNN layer has one key and one value for all its queries.
        let outer = knn.map_or(3 * inner, |_| inner + 2 * s.head_dim);
        let norm = builder.norm("norm", s.width)?;
        let qkv = builder.linear("qkv", ParamRole::Projection, [s.width, outer])?;
        let out = builder.linear("out", ParamRole::ResidualProjection, [inner, s.width])?;
        let distance = match config.like_midigen.positions && knn.is_none() {
            true => {
                let shape = [BUCKETS, s.heads];
                Some(builder.embedding("distance", TableRole::Distance, shape)?)
            }
            false => None,
        };
        let retrieval = match knn {
            Some(knn) => Some(Retrieval::build(&s, knn, &mut builder)?),
            None => None,
        };
        Ok(Self {
            norm,
            qkv,
            out,
            distance,
            retrieval,
        })
    }

    /// Additive mask of the scores: visibility, and the distance biases of each head.
    fn mask(&self, context: &AttentionContext) -> Tensor<4> {
        let (Some(table), Some(buckets)) = (&self.distance, &context.buckets) else {
            return context.mask.clone();
        };
        let [_, _, length, keys] = context.mask.dims();
        let bias = table.forward(buckets.clone().reshape([length, keys]));
        let [_, _, heads] = bias.dims();
        let bias = bias.reshape([1, length, keys, heads]).permute([0, 3, 1, 2]);
        context.mask.clone() + bias
    }

    /// Update of the residual stream `h` (`[batch * length, width]`) by the attention of layer
    /// `l`, in the shape of `h`. Advances the layer's memory.
    pub(super) fn forward(
        &self,
        h: Tensor<2>,
        context: &AttentionContext,
        memory: &mut Memory,
        l: usize,
    ) -> Tensor<2> {
        let (batch, length) = (context.batch_rows, context.length);
        let sizes = context.config.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let normed = context.norm(h, &self.norm);
        let qkv = context.precision.linear(normed.clone(), &self.qkv);
        let all = qkv.dims()[1] / dim;
        let qkv = qkv.reshape([batch, length, all, dim]);
        // Heads of keys, and of values: 1 in the kNN layer.
        let key_heads = (all - heads) / 2;
        let part = |t: &Tensor<4>, from, to| {
            t.clone()
                .slice([0..batch, 0..length, from..to, 0..dim])
                .swap_dims(1, 2)
        };
        let value = part(&qkv, heads + key_heads, all);
        let (query, key) = match &self.retrieval {
            Some(retrieval) => {
                let query = retrieval.scaled(unit(part(&qkv, 0, heads)));
                (query, unit(part(&qkv, heads, heads + key_heads)))
            }
            None => {
                let rotated = rotate(qkv, context, 2 * heads);
                (part(&rotated, 0, heads), part(&rotated, heads, 2 * heads))
            }
        };
        let (key, value) = match memory.layers.get(l) {
            Some((past_key, past_value)) => (
                Tensor::cat(vec![past_key.clone(), key], 2),
                Tensor::cat(vec![past_value.clone(), value], 2),
            ),
            None => (key, value),
        };
        let seen = tokens(
            &(key.clone(), value.clone()),
            context.first_seen..key.dims()[2],
        );
        let mut mixed = attend(query.clone(), seen.0, seen.1, &self.mask(context));
        let present = (key.inner(), value.inner());
        if let Some(retrieval) = &self.retrieval {
            let all = match memory.recalled.take() {
                Some((keys, values)) => (
                    Tensor::cat(vec![keys, present.0.clone()], 2),
                    Tensor::cat(vec![values, present.1.clone()], 2),
                ),
                None => present.clone(),
            };
            let retrieved = memory.retrieved.as_mut();
            mixed = retrieval.mix(mixed, query, normed, &all, context, retrieved);
            memory.recalled = context
                .retrieval
                .kept
                .clone()
                .map(|kept| tokens(&all, kept));
        }
        let keys = present.0.dims()[2];
        let kept = tokens(
            &present,
            (keys + 1).saturating_sub(context.config.shape.window)..keys,
        );
        // Layers come in order: `l` exists already or is the next one.
        match memory.layers.get_mut(l) {
            Some(layer) => *layer = kept,
            None => memory.layers.push(kept),
        }
        let mixed = mixed.swap_dims(1, 2).reshape([batch * length, heads * dim]);
        context.precision.linear(mixed, &self.out)
    }
}

/// The tokens `range` of `keys_values`.
fn tokens((keys, values): &KeysValues, range: std::ops::Range<usize>) -> KeysValues {
    let [batch, heads, _, dim] = keys.dims();
    let part = |t: &Tensor<4>| t.clone().slice([0..batch, 0..heads, range.clone(), 0..dim]);
    (part(keys), part(values))
}

/// The first `count` heads of `qkv` (`[batch, length, heads, head_dim]`), rotated.
fn rotate(qkv: Tensor<4>, context: &AttentionContext, count: usize) -> Tensor<4> {
    let (batch, length) = (context.batch_rows, context.length);
    let [.., dim] = qkv.dims();
    let half = |from, to| qkv.clone().slice([0..batch, 0..length, 0..count, from..to]);
    let (a, b) = (half(0, dim / 2), half(dim / 2, dim));
    let (cos, sin) = (context.cos.clone(), context.sin.clone());
    Tensor::cat(
        vec![
            a.clone() * cos.clone() - b.clone() * sin.clone(),
            b * cos + a * sin,
        ],
        3,
    )
}

/// Vectors of length 1 along the last dimension.
fn unit(x: Tensor<4>) -> Tensor<4> {
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
