//! The kNN memory: one layer recalls what has left its window.
//!
//! ```text
//! local    = attention within the window, by scale_h · cos(q_h, k)
//! recalled = the same over the k nearest of the tokens at positions <= own - window
//! g_h      = recall · sigmoid(bias_h + gate_h·n + best_h · s_max)      n = norm(h)
//! mixed    = local + g · (recalled - local)                            g = 0: nothing found
//! ```
//!
//! Queries (one a head) and keys (one for all heads) have length one and are not rotated, so
//! the same key serves the window and, as long as a piece lasts, the memory: it is trained by
//! the attention within the window. `scale_h` is `exp` of a parameter, at most
//! [`LARGEST_SCALE`]; `s_max` is the best cosine similarity. Whatever the segments, a token
//! sees the last `capacity` tokens of its own song that have left its window. Which of them are
//! nearest is found exactly, by comparing all; the choice has no gradient, nor have the keys
//! and values chosen from.
//!
//! If the shape says `following`, a memory is a token's key with the value of the token that
//! followed it, so that what is like the present brings what came next then. Without it the
//! layers below would have to learn keys that know nothing of their own token.

use std::ops::Range;

use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, TensorData};
use continuo_score::manifest::{Knn, Sizes};

use super::attention::{Frame, MASKED};
use super::{Input, KeysValues, Make, Memory};
use crate::config::Shape;

/// Added to the square of a query's or key's length.
pub const EPSILON: f64 = 1e-6;
/// Cosine similarities are multiplied by this at first.
pub const INITIAL_SCALE: f64 = 20.0;
/// And never by more.
pub const LARGEST_SCALE: f64 = 100.0;

/// What the kNN layer has beside the parameters of attention.
pub(super) struct Recall {
    k: usize,
    following: bool,
    /// `[1, heads]`: logarithm of the scale.
    scale: Tensor<2>,
    /// `[width, heads]`, and `[1, heads]`.
    gate: Tensor<2>,
    bias: Tensor<2>,
    best: Tensor<2>,
}

/// What a kNN layer chose: for each query (lane by lane, head by head, token by token) the
/// positions in the stream of the nearest.
pub type Choice = Vec<Vec<u64>>;

/// What may be recalled, in indices of the tokens that the layer has: those in the kNN
/// memory, those in the window, those at hand.
pub(super) struct Sight {
    recall: f32,
    /// Position in the stream of the first token that the layer has.
    first: u64,
    /// For each token at hand, lane after lane.
    visible: Vec<Range<usize>>,
    /// What stays in the kNN memory afterwards.
    pub(super) kept: Option<Range<usize>>,
}

/// The nearest of each query.
struct Nearest {
    /// `[lanes, 1, heads * length, candidates]`: minus the best score for the nearest,
    /// [`MASKED`] for all others.
    bias: Vec<f32>,
    /// `[lanes, heads, length]`: the best score.
    best: Vec<f32>,
    /// `[lanes, heads, length]`: 1 if anything was found, or 0.
    found: Vec<f32>,
}

impl Sight {
    pub(super) fn new(shape: &Shape, input: &Input, memory: &Memory, recall: f32) -> Self {
        let Input { lanes, length, .. } = *input;
        let capacity = shape.knn.map_or(0, |knn| knn.capacity);
        let past = memory.length();
        let first = memory.position - (past + memory.recallable()) as u64;
        let index = |position: u64| position.saturating_sub(first) as usize;
        let visible = |(i, &song): (usize, &u64)| {
            let own = memory.position + (i % length) as u64;
            let end = index((own + 1).saturating_sub(shape.window as u64));
            let start = index(song).max(end.saturating_sub(capacity));
            start.min(end)..end
        };
        // Songs that have ended in every lane are of no use to anybody.
        let oldest = (1..=lanes).map(|lane| input.song[lane * length - 1]).min();
        let all = memory.recallable() + past + length;
        let end = all - (past + length).min(shape.window - 1);
        let start = end.saturating_sub(capacity).max(oldest.map_or(end, index));
        Self {
            recall,
            first,
            visible: input.song.iter().enumerate().map(visible).collect(),
            kept: (start < end).then_some(start..end),
        }
    }

    /// All that any token sees; `None` if no token sees anything.
    fn candidates(&self) -> Option<Range<usize>> {
        let seeing = || self.visible.iter().filter(|v| !v.is_empty());
        let start = seeing().map(|v| v.start).min()?;
        let end = seeing().map(|v| v.end).max()?;
        Some(start..end)
    }
}

impl Recall {
    pub(super) fn build<E>(s: &Sizes, knn: Knn, make: &mut impl Make<E>) -> Result<Self, E> {
        Ok(Self {
            k: knn.k,
            following: knn.following,
            scale: make("attention.recall_scale", [1, s.heads])?,
            gate: make("attention.recall_gate", [s.width, s.heads])?,
            bias: make("attention.recall_bias", [1, s.heads])?,
            best: make("attention.recall_best", [1, s.heads])?,
        })
    }

    pub(super) fn parameters(&self) -> [&Tensor<2>; 4] {
        [&self.scale, &self.gate, &self.bias, &self.best]
    }

    pub(super) fn parameters_mut(&mut self) -> [&mut Tensor<2>; 4] {
        [
            &mut self.scale,
            &mut self.gate,
            &mut self.bias,
            &mut self.best,
        ]
    }

    /// `[1, heads, 1, 1]`.
    fn scale(&self) -> Tensor<4> {
        let [_, heads] = self.scale.dims();
        let scale = self.scale.clone().exp().clamp_max(LARGEST_SCALE);
        scale.reshape([1, heads, 1, 1])
    }

    /// Queries (`[lanes, heads, length, head_dim]`) whose product with a key is the score.
    pub(super) fn scaled(&self, query: Tensor<4>) -> Tensor<4> {
        query * self.scale()
    }

    /// `local` mixed with what the scaled queries recall; `normed` is the layer's normed
    /// input, `all` the keys and values that [`Sight`] counts.
    pub(super) fn mix(
        &self,
        local: Tensor<4>,
        query: Tensor<4>,
        normed: Tensor<2>,
        (keys, values): &KeysValues,
        frame: &Frame,
        chosen: Option<&mut Choice>,
    ) -> Tensor<4> {
        let sight = &frame.sight;
        let [lanes, heads, length, dim] = query.dims();
        let Some(candidates) = sight.candidates().filter(|_| sight.recall != 0.0) else {
            if let Some(chosen) = chosen {
                chosen.extend(vec![Vec::new(); lanes * heads * length]);
            }
            return local;
        };
        let device = keys.device();
        let (rows, count) = (heads * length, candidates.len());
        let part = |t: &Tensor<4>, later: usize| {
            let tokens = candidates.start + later..candidates.end + later;
            t.clone().slice([0..lanes, 0..1, tokens, 0..dim])
        };
        let scores = query
            .reshape([lanes, 1, rows, dim])
            .matmul(part(keys, 0).transpose());
        let data = scores.clone().inner().into_data();
        let nearest = match data.as_slice::<f32>() {
            Ok(scores) => self.nearest(scores, candidates.start, sight, [lanes, heads, length]),
            // A backend whose floats are not f32.
            Err(_) => {
                let scores: Vec<f32> = data.iter::<f32>().collect();
                self.nearest(&scores, candidates.start, sight, [lanes, heads, length])
            }
        };
        if let Some(chosen) = chosen {
            let first = sight.first + candidates.start as u64;
            chosen.extend(nearest.bias.chunks_exact(count).map(|bias| {
                let taken = (first..).zip(bias).filter(|&(_, &bias)| bias != MASKED);
                taken.map(|(position, _)| position).collect()
            }));
        }
        let bias = TensorData::new(nearest.bias, [lanes, 1, rows, count]);
        let weights = (scores + Tensor::from_data(bias, &device)).exp();
        let ones = Tensor::ones([lanes, 1, count, 1], &device);
        // What followed a candidate is there: it is in the window of whoever sees the candidate.
        let later = usize::from(self.following);
        let sums = weights
            .matmul(Tensor::cat(vec![part(values, later), ones], 3))
            .reshape([lanes, heads, length, dim + 1]);
        let row = |data| {
            let data = TensorData::new(data, [lanes, heads, length, 1]);
            Tensor::<4>::from_data(data, &device)
        };
        let (best, found) = (row(nearest.best), row(nearest.found));
        let sum = sums
            .clone()
            .slice([0..lanes, 0..heads, 0..length, dim..dim + 1]);
        // Where nothing was found the sum is 0; what is divided by it is weighed by 0.
        let recalled = sums.slice([0..lanes, 0..heads, 0..length, 0..dim])
            / (sum + (found.clone().neg() + 1.0));
        let similarity = (best / self.scale().inner()).clamp(-1.0, 1.0);
        let gate = (normed.matmul(self.gate.clone()) + self.bias.clone())
            .reshape([lanes, length, heads, 1])
            .swap_dims(1, 2);
        let gate = sigmoid(gate + self.best.clone().reshape([1, heads, 1, 1]) * similarity);
        let gate = gate * (found * sight.recall);
        local.clone() + gate * (recalled - local)
    }

    /// Chooses among the scores (`[lanes, heads, length, candidates]`); the first candidate
    /// is the token `first`.
    fn nearest(
        &self,
        scores: &[f32],
        first: usize,
        sight: &Sight,
        [lanes, heads, length]: [usize; 3],
    ) -> Nearest {
        let rows = lanes * heads * length;
        let count = scores.len() / rows;
        let mut nearest = Nearest {
            bias: vec![MASKED; scores.len()],
            best: vec![0.0; rows],
            found: vec![0.0; rows],
        };
        let mut order = Vec::new();
        let biases = nearest.bias.chunks_exact_mut(count);
        for (row, (scores, bias)) in scores.chunks_exact(count).zip(biases).enumerate() {
            let (lane, i) = (row / (heads * length), row % length);
            let visible = sight.visible[lane * length + i].clone();
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
            // Of those that are equal to the k-th best, as many as there is room for.
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

/// The k-th best score, or the worst if there are fewer; `scratch` is room to sort in.
fn threshold(scores: &[f32], k: usize, scratch: &mut Vec<f32>) -> f32 {
    if scores.len() <= k {
        return scores.iter().fold(f32::INFINITY, |m, &s| m.min(s));
    }
    scratch.clear();
    scratch.extend_from_slice(scores);
    let (_, kth, _) = scratch.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    *kth
}
