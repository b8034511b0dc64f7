//! Attention within the window: over the XL memory and the input.
//!
//! Rotary positions, *rotate half*: with `f_i = ROTARY_BASE^(-2i / head_dim)` and the halves
//! `a`, `b` of a head, `a' = a cos(p f) - b sin(p f)`, `b' = b cos(p f) + a sin(p f)`, where
//! `p` counts tokens since the stream began. Angles are computed in `f64`, and keys are stored
//! rotated. The kNN layer does not rotate; see [`super::retrieval`].

pub(super) mod composed;

use burn::module::Module;
use burn::nn::{Embedding, Linear, RmsNorm};
use burn::tensor::Tensor;

use self::composed::{Composed, attend as attend_composed, unit};
use super::attention_context::AttentionContext;
use super::config::ModelConfig;
use super::cpu::Matrix;
use super::cpu::attention::{Window, attend};
use super::cpu::heads::{self, Heads};
use super::cpu::join::join;
use super::distance_bias::BUCKETS;
use super::memory::{KeysValues, Memory};
use super::parameters::{Builder, ParamInit, ParamRole, TableRole};
use super::retrieval::Retrieval;

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
        let shared = knn.map_or(inner, |_| s.head_dim);
        let norm = builder.norm("norm", s.width)?;
        let qkv = builder.fused_linear(
            "qkv",
            ParamRole::Projection,
            s.width,
            &[inner, shared, shared],
        )?;
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

    /// Update of the residual stream `h` (`[batch * length, width]`) by the attention of layer
    /// `l`, in the shape of `h`. Advances the layer's memory.
    pub(super) fn forward(
        &self,
        h: Tensor<2>,
        context: &AttentionContext,
        memory: &mut Memory,
        l: usize,
    ) -> Tensor<2> {
        let normed = context.norm(h, &self.norm);
        let qkv = context.linear(normed.clone(), &self.qkv);
        let (mixed, present) = match &context.composed {
            Some(composed) => self.composed(qkv, normed, context, composed, memory, l),
            None => self.fused(qkv, normed, context, memory, l),
        };
        let keys = present.0.dims()[2];
        let kept = (keys + 1).saturating_sub(context.config.shape.window)..keys;
        let kept = tokens(&present, kept);
        // Layers come in order: `l` exists already or is the next one.
        match memory.layers.get_mut(l) {
            Some(layer) => *layer = kept,
            None => memory.layers.push(kept),
        }
        context.linear(mixed, &self.out)
    }

    /// Output of the heads, `[batch * length, heads * head_dim]`, and the keys and values of the
    /// memory and the input, by the operations of [`cpu`](super::cpu).
    fn fused(
        &self,
        qkv: Tensor<2>,
        normed: Tensor<2>,
        context: &AttentionContext,
        memory: &mut Memory,
        l: usize,
    ) -> (Tensor<2>, KeysValues) {
        let sizes = context.config.shape.sizes;
        let (batch, length, dim) = (context.batch_rows, context.length, sizes.head_dim);
        let all = qkv.dims()[1] / dim;
        let heads = Heads {
            batch,
            length,
            queries: sizes.heads,
            keys: (all - sizes.heads) / 2,
            dim,
        };
        let packed = match &self.retrieval {
            Some(retrieval) => heads::of_unit_length(qkv, retrieval.scale(), heads),
            None => heads::rotated(qkv, heads, context.angles.clone()),
        };
        let values = packed.clone().inner().reshape([batch, all, length, dim]);
        let part = |from, to| {
            let part = [0..batch, from..to, 0..length, 0..dim];
            values.clone().slice(part)
        };
        let first_value = heads.queries + heads.keys;
        let own = (part(heads.queries, first_value), part(first_value, all));
        let present = joined(memory.layers.get(l), own, join);
        let window = Window {
            keys: Matrix::of(present.0.clone()),
            values: Matrix::of(present.1.clone()),
            past: context.past,
            first_seen: context.first_seen.clone(),
        };
        let mut mixed = attend(packed.clone(), heads, window);
        if let Some(retrieval) = &self.retrieval {
            let all = joined(memory.recalled.take().as_ref(), present.clone(), join);
            let retrieved = memory.retrieved.as_mut();
            let held = (&all, heads);
            mixed = retrieval.mix_fused(mixed, packed, normed, held, context, retrieved);
            let kept = context.retrieval.kept.clone();
            memory.recalled = kept.map(|kept| tokens(&all, kept));
        }
        (mixed, present)
    }

    /// As [`Self::fused`], by `burn`'s operations.
    fn composed(
        &self,
        qkv: Tensor<2>,
        normed: Tensor<2>,
        context: &AttentionContext,
        composed: &Composed,
        memory: &mut Memory,
        l: usize,
    ) -> (Tensor<2>, KeysValues) {
        let (batch, length) = (context.batch_rows, context.length);
        let sizes = context.config.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
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
                let rotated = composed.rotate(qkv, 2 * heads);
                (part(&rotated, 0, heads), part(&rotated, heads, 2 * heads))
            }
        };
        let (key, value) = joined(memory.layers.get(l), (key, value), cat);
        let seen = tokens(
            &(key.clone(), value.clone()),
            composed.first_seen..key.dims()[2],
        );
        let mut mixed = attend_composed(query.clone(), seen.0, seen.1, &self.mask(composed));
        let present = (key.inner(), value.inner());
        if let Some(retrieval) = &self.retrieval {
            let all = joined(memory.recalled.take().as_ref(), present.clone(), cat);
            let retrieved = memory.retrieved.as_mut();
            mixed = retrieval.mix(mixed, query, normed, &all, context, retrieved);
            let kept = context.retrieval.kept.clone();
            memory.recalled = kept.map(|kept| tokens(&all, kept));
        }
        let mixed = mixed.swap_dims(1, 2).reshape([batch * length, heads * dim]);
        (mixed, present)
    }

    /// Additive mask of the scores: visibility, and the distance biases of each head.
    fn mask(&self, composed: &Composed) -> Tensor<4> {
        let (Some(table), Some(buckets)) = (&self.distance, &composed.buckets) else {
            return composed.mask.clone();
        };
        let [_, _, length, keys] = composed.mask.dims();
        let bias = table.forward(buckets.clone().reshape([length, keys]));
        let [_, _, heads] = bias.dims();
        let bias = bias.reshape([1, length, keys, heads]).permute([0, 3, 1, 2]);
        composed.mask.clone() + bias
    }
}

/// `past`, if there is any, followed by `own`, put together by `join`.
fn joined(
    past: Option<&KeysValues>,
    own: KeysValues,
    join: impl Fn(&Tensor<4>, Tensor<4>) -> Tensor<4>,
) -> KeysValues {
    match past {
        Some((keys, values)) => (join(keys, own.0), join(values, own.1)),
        None => own,
    }
}

/// `past` followed by `own`, by `burn`'s operations.
fn cat(past: &Tensor<4>, own: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![past.clone(), own], 2)
}

/// The tokens `range` of `keys_values`.
fn tokens((keys, values): &KeysValues, range: std::ops::Range<usize>) -> KeysValues {
    let [batch, heads, _, dim] = keys.dims();
    let part = |t: &Tensor<4>| t.clone().slice([0..batch, 0..heads, range.clone(), 0..dim]);
    (part(keys), part(values))
}
