//! Attention within the window: the XL memory and the tokens at hand.
//!
//! Rotary positions, *rotate half*: with `f_i = ROTARY_BASE^(-2i / head_dim)` and the halves
//! `a`, `b` of a head, `a' = a cos(p f) - b sin(p f)`, `b' = b cos(p f) + a sin(p f)`, where
//! `p` counts tokens since the stream began. Angles are computed in `f64`, and keys are
//! remembered rotated. The kNN layer does not rotate; see [`super::recall`].
//!
//! Where the shape says `relative`, the slower half of the pairs turns with the time since the
//! piece began instead, and with the pitch said last ([`Rotary`]): a score then hangs on how far
//! apart two tokens are in tokens, in time and in pitch, so that the same is found a bar ago or a
//! third lower (relative time and pitch: Huang et al., Music Transformer, 2018; by rotation: Guo
//! and Dixon, Moonbeam, 2025).

use std::f64::consts::TAU;

use burn::tensor::{Device, Int, Tensor, TensorData};
use continuo_score::NoteContext;

use super::embedding::ids;
use super::midigen::{BUCKETS, bucket};
use super::recall::{Recall, Sight};
use super::{Input, KeysValues, Make, Memory, Precision, Use};
use crate::config::Shape;

/// Base of the rotary frequencies.
pub const ROTARY_BASE: f64 = 10_000.0;
/// Stands for minus infinity in a mask: a score this low weighs exactly nothing.
pub(super) const MASKED: f32 = -1e30;

pub(super) struct Attention {
    norm: Tensor<2>,
    qkv: Tensor<2>,
    out: Tensor<2>,
    /// `[BUCKETS, heads]`; only as MIDIGen has it, and not in the kNN layer.
    distance: Option<Tensor<2>>,
    /// In the kNN layer only.
    recall: Option<Recall>,
}

/// What the attention of all layers shares: where the tokens stand, and who may see whom.
pub(super) struct Frame {
    pub(super) shape: Shape,
    pub(super) lanes: usize,
    pub(super) length: usize,
    /// `[lanes, length, 2 heads, head_dim / 2]`, or 1 for all lanes alike; the rows of queries
    /// carry `1 / sqrt(head_dim)`.
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// The oldest of the tokens in the window and at hand that any token sees.
    unseen: usize,
    /// `[lanes, 1, length, past + length - unseen]`: 0, or [`MASKED`].
    mask: Tensor<4>,
    /// For each token at hand and each it may see, how far that is: a row of
    /// [`Attention::distance`].
    buckets: Option<Tensor<1, Int>>,
    /// What the kNN layer may recall.
    pub(super) sight: Sight,
    pub(super) precision: Precision,
}

impl Frame {
    pub(super) fn new(
        shape: &Shape,
        input: &Input,
        memory: &Memory,
        memories: Use,
        device: &Device,
    ) -> Self {
        let Shape { sizes, window, .. } = *shape;
        let Input { lanes, length, .. } = *input;
        let past = memory.length();
        let half = sizes.head_dim / 2;
        let scale = 1.0 / (sizes.head_dim as f64).sqrt();
        let rotary = Rotary::new(shape, sizes.head_dim);
        // Without relative time and pitch, the angles of all lanes are the same.
        let angled = if shape.relative.is_some() { lanes } else { 1 };
        let turning = !shape.like_midigen.positions;
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for i in 0..angled * length {
            let position = memory.position + (i % length) as u64;
            for angle in rotary.angles(position, &input.told[i]) {
                let (s, c) = if turning { angle.sin_cos() } else { (0.0, 1.0) };
                cos.push(c as f32);
                sin.push(s as f32);
            }
        }
        // Heads are alike, but for the scale of the queries.
        let of_heads = |numbers: Vec<f32>| {
            let table = TensorData::new(numbers, [angled, length, 1, half]);
            let key = Tensor::<4>::from_data(table, device).repeat_dim(2, sizes.heads);
            Tensor::cat(vec![key.clone() * scale, key], 2)
        };
        // The first remembered key is that of the token at this position of the stream.
        let first = memory.position - past as u64;
        let start = |i: usize| {
            let own = memory.position + (i % length) as u64;
            let segment = if memories.xl {
                0
            } else {
                own - (own - input.song[i]) % window as u64
            };
            let start = segment
                .max(input.song[i])
                .max((own + 1).saturating_sub(window as u64));
            start.saturating_sub(first) as usize
        };
        // What nobody sees need not be compared.
        let unseen = (0..lanes * length).map(start).min().unwrap_or(0);
        let keys = past + length - unseen;
        let mut mask = vec![MASKED; lanes * length * keys];
        for (i, row) in mask.chunks_exact_mut(keys).enumerate() {
            let own = past + i % length;
            row[start(i) - unseen..=own - unseen].fill(0.0);
        }
        let buckets = (!turning).then(|| {
            let distance = |(i, key): (usize, usize)| (past + i).saturating_sub(unseen + key);
            let pairs = (0..length).flat_map(|i| (0..keys).map(move |key| (i, key)));
            ids(pairs.map(|pair| bucket(distance(pair))), device)
        });
        Self {
            shape: *shape,
            lanes,
            length,
            cos: of_heads(cos),
            sin: of_heads(sin),
            unseen,
            mask: Tensor::from_data(TensorData::new(mask, [lanes, 1, length, keys]), device),
            buckets,
            sight: Sight::new(shape, input, memory, memories.recall),
            precision: Precision::F32,
        }
    }
}

impl Attention {
    pub(super) fn build<E>(
        shape: &Shape,
        layer: usize,
        make: &mut impl Make<E>,
    ) -> Result<Self, E> {
        let s = shape.sizes;
        let inner = s.heads * s.head_dim;
        let knn = shape.knn.filter(|knn| knn.layer == layer);
        // The kNN layer has one key and one value for all its queries.
        let outer = knn.map_or(3 * inner, |_| inner + 2 * s.head_dim);
        let has_distance = shape.like_midigen.positions && knn.is_none();
        Ok(Self {
            norm: make("attention.norm", [1, s.width])?,
            qkv: make("attention.qkv", [s.width, outer])?,
            out: make("attention.out", [inner, s.width])?,
            distance: has_distance
                .then(|| make("attention.distance", [BUCKETS, s.heads]))
                .transpose()?,
            recall: knn.map(|knn| Recall::build(&s, knn, make)).transpose()?,
        })
    }

    pub(super) fn parameters(&self) -> Vec<&Tensor<2>> {
        let mut all = vec![&self.norm, &self.qkv, &self.out];
        all.extend(&self.distance);
        all.extend(self.recall.iter().flat_map(Recall::parameters));
        all
    }

    pub(super) fn parameters_mut(&mut self) -> Vec<&mut Tensor<2>> {
        let mut all = vec![&mut self.norm, &mut self.qkv, &mut self.out];
        all.extend(&mut self.distance);
        all.extend(self.recall.iter_mut().flat_map(Recall::parameters_mut));
        all
    }

    /// What is added to the scores: who may see whom, and what each head makes of distances.
    fn mask(&self, frame: &Frame) -> Tensor<4> {
        let (Some(table), Some(buckets)) = (&self.distance, &frame.buckets) else {
            return frame.mask.clone();
        };
        let [_, _, length, keys] = frame.mask.dims();
        let [_, heads] = table.dims();
        let bias = table.clone().select(0, buckets.clone());
        let bias = bias.reshape([1, length, keys, heads]).permute([0, 3, 1, 2]);
        frame.mask.clone() + bias
    }

    /// What attention in layer `l` adds to `h` (`[lanes * length, width]`); the layer's memory
    /// moves on.
    pub(super) fn forward(
        &self,
        h: Tensor<2>,
        frame: &Frame,
        memory: &mut Memory,
        l: usize,
    ) -> Tensor<2> {
        let (lanes, length) = (frame.lanes, frame.length);
        let sizes = frame.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let normed = frame.norm(h, &self.norm);
        let product = |x, w: &Tensor<2>| frame.precision.product(x, w.clone());
        let qkv = product(normed.clone(), &self.qkv);
        let all = qkv.dims()[1] / dim;
        let qkv = qkv.reshape([lanes, length, all, dim]);
        // Keys and values of the kNN layer: one of each.
        let shared = (all - heads) / 2;
        let part = |t: &Tensor<4>, from, to| {
            t.clone()
                .slice([0..lanes, 0..length, from..to, 0..dim])
                .swap_dims(1, 2)
        };
        let value = part(&qkv, heads + shared, all);
        let (query, key) = match &self.recall {
            Some(recall) => {
                let query = recall.scaled(unit(part(&qkv, 0, heads)));
                (query, unit(part(&qkv, heads, heads + shared)))
            }
            None => {
                let turned = rotate(qkv, frame, 2 * heads);
                (part(&turned, 0, heads), part(&turned, heads, 2 * heads))
            }
        };
        let (key, value) = match memory.layers.get(l) {
            Some((past_key, past_value)) => (
                Tensor::cat(vec![past_key.clone(), key], 2),
                Tensor::cat(vec![past_value.clone(), value], 2),
            ),
            None => (key, value),
        };
        let seen = tokens(&(key.clone(), value.clone()), frame.unseen..key.dims()[2]);
        let mut mixed = attend(query.clone(), seen.0, seen.1, &self.mask(frame));
        let present = (key.inner(), value.inner());
        if let Some(recall) = &self.recall {
            let all = match memory.recalled.take() {
                Some((keys, values)) => (
                    Tensor::cat(vec![keys, present.0.clone()], 2),
                    Tensor::cat(vec![values, present.1.clone()], 2),
                ),
                None => present.clone(),
            };
            mixed = recall.mix(mixed, query, normed, &all, frame, memory.chosen.as_mut());
            memory.recalled = frame.sight.kept.clone().map(|kept| tokens(&all, kept));
        }
        let keys = present.0.dims()[2];
        let kept = tokens(
            &present,
            (keys + 1).saturating_sub(frame.shape.window)..keys,
        );
        // Layers come in order, so this is where `l` stands or the end.
        match memory.layers.get_mut(l) {
            Some(layer) => *layer = kept,
            None => memory.layers.push(kept),
        }
        let mixed = mixed.swap_dims(1, 2).reshape([lanes * length, heads * dim]);
        product(mixed, &self.out)
    }
}

/// Some tokens of `keys_values`.
fn tokens((keys, values): &KeysValues, range: std::ops::Range<usize>) -> KeysValues {
    let [lanes, heads, _, dim] = keys.dims();
    let part = |t: &Tensor<4>| t.clone().slice([0..lanes, 0..heads, range.clone(), 0..dim]);
    (part(keys), part(values))
}

/// The first `count` of the heads in `qkv` (`[lanes, length, heads, head_dim]`), rotated.
fn rotate(qkv: Tensor<4>, frame: &Frame, count: usize) -> Tensor<4> {
    let (lanes, length) = (frame.lanes, frame.length);
    let [.., dim] = qkv.dims();
    let half = |from, to| qkv.clone().slice([0..lanes, 0..length, 0..count, from..to]);
    let (a, b) = (half(0, dim / 2), half(dim / 2, dim));
    let (cos, sin) = (frame.cos.clone(), frame.sin.clone());
    Tensor::cat(
        vec![
            a.clone() * cos.clone() - b.clone() * sin.clone(),
            b * cos + a * sin,
        ],
        3,
    )
}

/// Vectors of length one, along the last dimension.
fn unit(x: Tensor<4>) -> Tensor<4> {
    let square = (x.clone() * x.clone()).sum_dim(3);
    x / (square + super::recall::EPSILON).sqrt()
}

/// `softmax(query · keyᵀ + mask) · value`, `[lanes, heads, length, head_dim]`; `key` and
/// `value` have as many heads as `query`, or one for all.
pub(super) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mask: &Tensor<4>,
) -> Tensor<4> {
    let [lanes, heads, length, dim] = query.dims();
    let [_, shared, keys, _] = key.dims();
    let rows = heads * length / shared;
    let scores = query
        .reshape([lanes, shared, rows, dim])
        .matmul(key.transpose());
    let scores = scores.reshape([lanes, heads, length, keys]) + mask.clone();
    let highest = scores.clone().inner().max_dim(3);
    let weights = (scores - highest)
        .exp()
        .reshape([lanes, shared, rows, keys]);
    // Divided after the product with the values: the sum of a row is one more column of that
    // product, and so costs nothing in the backward pass either.
    let ones = Tensor::ones([lanes, shared, keys, 1], &mask.device());
    let sums =
        weights
            .matmul(Tensor::cat(vec![value, ones], 3))
            .reshape([lanes, heads, length, dim + 1]);
    sums.clone().slice([0..lanes, 0..heads, 0..length, 0..dim])
        / sums.slice([0..lanes, 0..heads, 0..length, dim..dim + 1])
}

/// By how much each of the `head_dim / 2` pairs of numbers in a head turns, in radians.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// With each token.
    pub token: Vec<f64>,
    /// With each step.
    pub step: Vec<f64>,
    /// With each semitone.
    pub semitone: Vec<f64>,
}

/// Semitones to a full turn, the most telling first: pitch classes, then registers.
const TURNS: [f64; 8] = [12.0, 24.0, 6.0, 48.0, 4.0, 3.0, 2.4, 96.0];

impl Rotary {
    /// Every pair turns with tokens; where `shape` says `relative`, the slower half, which hardly
    /// turns within a window, does so with steps and semitones instead, by turns.
    pub fn new(shape: &Shape, head_dim: usize) -> Self {
        let pairs = head_dim / 2;
        let slower = |i: usize| ROTARY_BASE.powf(-2.0 * i as f64 / head_dim as f64);
        let mut rotary = Self {
            token: (0..pairs).map(slower).collect(),
            step: vec![0.0; pairs],
            semitone: vec![0.0; pairs],
        };
        if let Some(steps_per_beat) = shape.relative {
            for (n, i) in (pairs - pairs / 2..pairs).enumerate() {
                rotary.token[i] = 0.0;
                let turn = n / 2;
                if n.is_multiple_of(2) {
                    // A beat, two, four, and so on.
                    let beats = 2f64.powi(turn as i32);
                    rotary.step[i] = TAU / (beats * f64::from(steps_per_beat));
                } else {
                    rotary.semitone[i] = TAU / TURNS[turn % TURNS.len()];
                }
            }
        }
        rotary
    }

    /// The angles of a token.
    fn angles(&self, position: u64, told: &NoteContext) -> impl Iterator<Item = f64> {
        let (position, step) = (position as f64, f64::from(told.step));
        let pitch = f64::from(told.pitch);
        (0..self.token.len())
            .map(move |i| position * self.token[i] + step * self.step[i] + pitch * self.semitone[i])
    }
}
