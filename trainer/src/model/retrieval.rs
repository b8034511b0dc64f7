//! Retrieval from the kNN memory: one layer recalls tokens that have left its window.
//!
//! ```text
//! local    = attention within the window, by scale_h · cos(q_h, k)
//! recalled = the same over the k nearest of the tokens at positions <= own - window
//! g_h      = recall · sigmoid(bias_h + gate_h·n + best_h · s_max)      n = norm(h)
//! mixed    = local + g · (recalled - local)                            g = 0: nothing found
//! ```
//!
//! Queries (one per head) and keys (one for all heads) have length 1 and are not rotated, so one
//! key serves the window and, until the piece ends, the memory; the attention within the window
//! trains it. `scale_h` is `exp` of a parameter, at most [`LARGEST_SCALE`]; `s_max` is the best
//! cosine similarity. Whatever the segments, a token sees the last `capacity` tokens of its own
//! song that have left its window. An exact search over all of them finds the nearest; neither
//! the choice nor the retrieved keys and values have a gradient.
//!
//! If the config says `following`, a memory is a token's key with the value of the next token:
//! a match for the present brings what followed it. Otherwise the layers below would have to
//! learn keys that do not depend on their own token.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, TensorData};
use continuo_score::manifest::{Knn, Sizes};

use super::attention::composed::MASKED;
use super::attention_context::AttentionContext;
use super::cpu::Matrix;
use super::cpu::heads::Heads;
use super::cpu::mix::mix;
use super::cpu::recall::{Store, recall, search, threshold};
use super::memory::{KeysValues, RetrievedPositions};
use super::parameters::{Builder, ParamInit, ParamRole};
use super::retrieval_mask::RetrievalMask;

/// Added to the squared length of a query or key.
pub const UNIT_EPSILON: f64 = 1e-6;
/// Initial factor of the cosine similarities.
pub const INITIAL_SCALE: f64 = 20.0;
/// Largest factor of the cosine similarities.
pub const LARGEST_SCALE: f64 = 100.0;

/// Parameters of the kNN layer besides those of attention.
#[derive(Module, Debug)]
pub(super) struct Retrieval {
    k: usize,
    /// Offset from key to value: 1 for the next token's value, 0 for its own.
    value_offset: usize,
    /// `[1, heads]`: logarithm of the scale.
    scale: Param<Tensor<2>>,
    /// `[width, heads]`.
    gate: Linear,
    /// `[1, heads]` each.
    bias: Param<Tensor<2>>,
    best: Param<Tensor<2>>,
}

/// The nearest tokens of each query.
struct Nearest {
    /// `[batch, 1, heads * length, candidates]`: minus the best score for the nearest,
    /// [`MASKED`] for all others.
    bias: Vec<f32>,
    /// `[batch, heads, length]`: the best score.
    best: Vec<f32>,
    /// `[batch, heads, length]`: 1 if any token was found, else 0.
    found: Vec<f32>,
}

impl Retrieval {
    pub(super) fn build<E>(
        s: &Sizes,
        knn: Knn,
        builder: &mut Builder<'_, impl ParamInit<E>>,
    ) -> Result<Self, E> {
        let per_head = [1, s.heads];
        Ok(Self {
            k: knn.k,
            value_offset: usize::from(knn.following),
            scale: builder.matrix("recall_scale", ParamRole::LogScale, per_head)?,
            gate: builder.linear("recall_gate", ParamRole::GateProjection, [s.width, s.heads])?,
            bias: builder.matrix("recall_bias", ParamRole::GateTerm, per_head)?,
            best: builder.matrix("recall_best", ParamRole::GateTerm, per_head)?,
        })
    }

    /// Factor of the cosine similarities, `[1, heads]`.
    pub(super) fn scale(&self) -> Tensor<2> {
        self.scale.val().exp().clamp_max(LARGEST_SCALE)
    }

    /// [`Self::scale`] as `[1, heads, 1, 1]`.
    fn scale_of_heads(&self) -> Tensor<4> {
        let scale = self.scale();
        let [_, heads] = scale.dims();
        scale.reshape([1, heads, 1, 1])
    }

    /// Queries (`[batch, heads, length, head_dim]`) whose product with a key is the score.
    pub(super) fn scaled(&self, query: Tensor<4>) -> Tensor<4> {
        query * self.scale_of_heads()
    }

    /// `local` (`[batch, heads, length, head_dim]`) mixed with the values that the scaled queries
    /// retrieve. `normed` is the layer's normalised input, `[batch * length, width]`; the last
    /// argument but two holds the keys and values that [`RetrievalMask`] indexes.
    pub(super) fn mix(
        &self,
        local: Tensor<4>,
        query: Tensor<4>,
        normed: Tensor<2>,
        (keys, values): &KeysValues,
        context: &AttentionContext,
        retrieved: Option<&mut RetrievedPositions>,
    ) -> Tensor<4> {
        let mask = &context.retrieval;
        let [batch, heads, length, dim] = query.dims();
        let Some(candidates) = mask.candidates().filter(|_| mask.recall != 0.0) else {
            if let Some(retrieved) = retrieved {
                retrieved.extend(vec![Vec::new(); batch * heads * length]);
            }
            return local;
        };
        let device = keys.device();
        let (rows, count) = (heads * length, candidates.len());
        let part = |t: &Tensor<4>, offset: usize| {
            let tokens = candidates.start + offset..candidates.end + offset;
            t.clone().slice([0..batch, 0..1, tokens, 0..dim])
        };
        let scores = query
            .reshape([batch, 1, rows, dim])
            .matmul(part(keys, 0).transpose());
        let data = scores.clone().inner().into_data();
        let nearest = match data.as_slice::<f32>() {
            Ok(scores) => self.nearest(scores, candidates.start, mask, [batch, heads, length]),
            // The floats of this backend are not f32.
            Err(_) => {
                let scores: Vec<f32> = data.iter::<f32>().collect();
                self.nearest(&scores, candidates.start, mask, [batch, heads, length])
            }
        };
        if let Some(retrieved) = retrieved {
            let first = mask.first + candidates.start as u64;
            retrieved.extend(nearest.bias.chunks_exact(count).map(|bias| {
                let chosen = (first..).zip(bias).filter(|&(_, &bias)| bias != MASKED);
                chosen.map(|(position, _)| position).collect()
            }));
        }
        let bias = TensorData::new(nearest.bias, [batch, 1, rows, count]);
        let weights = (scores + Tensor::from_data(bias, &device)).exp();
        let ones = Tensor::ones([batch, 1, count, 1], &device);
        // The token after a candidate exists: it is in the window of every token that sees the
        // candidate.
        let sums = weights
            .matmul(Tensor::cat(vec![part(values, self.value_offset), ones], 3))
            .reshape([batch, heads, length, dim + 1]);
        let row = |data| {
            let data = TensorData::new(data, [batch, heads, length, 1]);
            Tensor::<4>::from_data(data, &device)
        };
        let (best, found) = (row(nearest.best), row(nearest.found));
        let sum = sums
            .clone()
            .slice([0..batch, 0..heads, 0..length, dim..dim + 1]);
        // Where nothing was found the sum is 0, and the gate discards the quotient.
        let recalled = sums.slice([0..batch, 0..heads, 0..length, 0..dim])
            / (sum + (found.clone().neg() + 1.0));
        let similarity = (best / self.scale_of_heads().inner()).clamp(-1.0, 1.0);
        let gate = (normed.matmul(self.gate.weight.val()) + self.bias.val())
            .reshape([batch, length, heads, 1])
            .swap_dims(1, 2);
        let gate = sigmoid(gate + self.best.val().reshape([1, heads, 1, 1]) * similarity);
        let gate = gate * (found * mask.recall);
        local.clone() + gate * (recalled - local)
    }

    /// As [`Self::mix`] by the operations of [`cpu`](super::cpu): `local` and the result are
    /// `[batch * length, heads * head_dim]`, and `packed` holds the scaled queries as
    /// [`heads`](super::cpu::heads) makes them.
    pub(super) fn mix_fused(
        &self,
        local: Tensor<2>,
        packed: Tensor<2>,
        normed: Tensor<2>,
        ((keys, values), heads): (&KeysValues, Heads),
        context: &AttentionContext,
        retrieved: Option<&mut RetrievedPositions>,
    ) -> Tensor<2> {
        let mask = &context.retrieval;
        let Heads {
            length, queries, ..
        } = heads;
        let tokens = heads.batch * length;
        if mask.candidates().is_none() || mask.recall == 0.0 {
            if let Some(retrieved) = retrieved {
                retrieved.extend(vec![Vec::new(); tokens * queries]);
            }
            return local;
        }
        let device = keys.device();
        let store = Store {
            keys: Matrix::of(keys.clone()),
            values: Matrix::of(values.clone()),
            value_offset: self.value_offset,
        };
        let queries_of = Matrix::of(packed.clone().inner());
        let nearest = search(&queries_of, heads, &store, &mask.visible, self.k);
        if let Some(retrieved) = retrieved {
            retrieved.extend((0..tokens * queries).map(|query| {
                let found = nearest.of(query).iter();
                let positions = found.map(|&(index, _)| mask.first + u64::from(index));
                positions.collect()
            }));
        }
        // By token and head: best similarity, and the gate's factor.
        let scale = Matrix::of(self.scale().inner());
        let (mut similarity, mut factor) = (Vec::new(), Vec::new());
        for token in 0..tokens {
            for (head, scale) in scale.values().iter().enumerate() {
                let query = (token / length * queries + head) * length + token % length;
                similarity.push((nearest.best[query] / scale).clamp(-1.0, 1.0));
                let found = !nearest.of(query).is_empty();
                factor.push(if found { mask.recall } else { 0.0 });
            }
        }
        let table = |data| {
            let data = TensorData::new(data, [tokens, queries]);
            Tensor::<2>::from_data(data, &device)
        };
        let gate = normed.matmul(self.gate.weight.val()) + self.bias.val();
        let gate = sigmoid(gate + self.best.val() * table(similarity)) * table(factor);
        let recalled = recall(packed, heads, store, Arc::new(nearest));
        mix(local, recalled, gate)
    }

    /// Chooses the `k` nearest among the scores (`[batch, heads, length, candidates]`); the first
    /// candidate is the token with index `first`.
    fn nearest(
        &self,
        scores: &[f32],
        first: usize,
        mask: &RetrievalMask,
        [batch, heads, length]: [usize; 3],
    ) -> Nearest {
        let rows = batch * heads * length;
        let count = scores.len() / rows;
        let mut nearest = Nearest {
            bias: vec![MASKED; scores.len()],
            best: vec![0.0; rows],
            found: vec![0.0; rows],
        };
        let mut order = Vec::new();
        let biases = nearest.bias.chunks_exact_mut(count);
        for (row, (scores, bias)) in scores.chunks_exact(count).zip(biases).enumerate() {
            let (batch_row, i) = (row / (heads * length), row % length);
            let visible = mask.visible[batch_row * length + i].clone();
            if visible.is_empty() {
                continue;
            }
            let visible = visible.start - first..visible.end - first;
            let threshold = threshold(&scores[visible.clone()], self.k, &mut order);
            let best = scores[visible.clone()]
                .iter()
                .fold(MASKED, |m, &s| m.max(s));
            let mut chosen = 0;
            for j in visible.clone().filter(|&j| scores[j] > threshold) {
                bias[j] = -best;
                chosen += 1;
            }
            // Scores equal to the k-th best fill the remaining places.
            let ties = visible.filter(|&j| scores[j] == threshold);
            for j in ties.take(self.k - chosen) {
                bias[j] = -best;
            }
            nearest.best[row] = best;
            nearest.found[row] = 1.0;
        }
        nearest
    }
}
