//! The network: a decoder-only transformer with XL memory. All of it is in this file.
//!
//! ```text
//! h  = E[token] + bar_step[..] + bar[..] + metre[..]         E = token + A·pitch
//! h += out · attention(rotate(q), rotate(k), v)              q k v = qkv · norm(h)
//! h += down · (silu(gate) * up)                              gate up = gate_up · norm(h)
//! logits = E · norm(h)
//! ```
//!
//! - Matrices are `[in, out]`, and every parameter is a matrix (a gain is `[1, width]`).
//! - `A` is constant, `[vocabulary, 12 + 11]`: pitch tokens have a one in the column of their
//!   pitch class and in that of their octave, so that a pitch shares what it knows with its
//!   octaves and neighbours.
//! - RMSNorm: `x / sqrt(mean(x²) + EPSILON) * gain`.
//! - Rotary positions, *rotate half*: with `f_i = ROTARY_BASE^(-2i / head_dim)` and the
//!   halves `a`, `b` of a head, `a' = a cos(p f) - b sin(p f)`, `b' = b cos(p f) + a sin(p f)`,
//!   where `p` counts tokens since the stream began. Angles are computed in `f64`.
//! - A token attends to exactly the last `window` tokens, itself included, in every layer and
//!   never to a token of an earlier song. Keys are remembered rotated; no gradient goes into
//!   memory.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};
use continuo_score::{Token, Vocabulary};

use crate::config::Shape;

/// Added to the mean square in RMSNorm.
pub const EPSILON: f64 = 1e-5;
/// Base of the rotary frequencies.
pub const ROTARY_BASE: f64 = 10_000.0;
/// Columns of `A`: twelve pitch classes, then eleven octaves.
pub const PITCH_FEATURES: usize = 12 + 11;
/// Stands for minus infinity in the attention mask: a score this low weighs exactly nothing.
const MASKED: f32 = -1e30;

/// The network's parameters.
pub struct Model {
    /// Sizes and window.
    pub shape: Shape,
    /// The constant `A`.
    features: Tensor<2>,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Tensor<2>,
}

struct Embedding {
    token: Tensor<2>,
    pitch: Tensor<2>,
    bar_step: Tensor<2>,
    bar: Tensor<2>,
    metre: Tensor<2>,
}

struct Layer {
    attention: Attention,
    feed_forward: FeedForward,
}

struct Attention {
    norm: Tensor<2>,
    qkv: Tensor<2>,
    out: Tensor<2>,
}

struct FeedForward {
    norm: Tensor<2>,
    gate_up: Tensor<2>,
    down: Tensor<2>,
}

/// Tokens for the network: `lanes` rows of `length` each, row after row in every field.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Rows.
    pub lanes: usize,
    /// Tokens in a row.
    pub length: usize,
    /// Ids.
    pub tokens: Vec<u16>,
    /// Rows of the step-in-bar embedding.
    pub bar_step: Vec<u16>,
    /// Rows of the bar-number embedding.
    pub bar: Vec<u16>,
    /// Rows of the bar-length embedding.
    pub metre: Vec<u16>,
    /// Position in the stream at which the song of each token began.
    pub song: Vec<u64>,
}

/// What the layers remember of a stream: keys (rotated) and values of the last tokens, each
/// `[lanes, heads, length, head_dim]`, and how many tokens the stream has had.
#[derive(Clone, Default)]
pub struct Memory {
    /// Keys and values of each layer; empty before the first token.
    pub layers: Vec<(Tensor<4>, Tensor<4>)>,
    /// Tokens fed since the stream began.
    pub position: u64,
}

/// What the attention of all layers shares: where the tokens stand, and who may see whom.
struct Frame {
    lanes: usize,
    length: usize,
    /// `[1, length, 2 heads, head_dim / 2]`; the rows of queries carry `1 / sqrt(head_dim)`.
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// `[lanes, 1, length, past + length]`: 0, or [`MASKED`].
    mask: Tensor<4>,
}

impl Model {
    /// A model whose parameters come from `make(name, [rows, columns])`: the one place that
    /// knows the names and shapes.
    pub fn build<E>(
        shape: Shape,
        vocabulary: &Vocabulary,
        device: &Device,
        make: impl FnMut(&str, [usize; 2]) -> Result<Tensor<2>, E>,
    ) -> Result<Self, E> {
        Self::assemble(shape, features(vocabulary, device), make)
    }

    fn assemble<E>(
        shape: Shape,
        features: Tensor<2>,
        mut make: impl FnMut(&str, [usize; 2]) -> Result<Tensor<2>, E>,
    ) -> Result<Self, E> {
        let s = shape.sizes;
        let (width, inner) = (s.width, s.heads * s.head_dim);
        let embedding = Embedding {
            token: make("embedding.token", [s.vocabulary, width])?,
            pitch: make("embedding.pitch", [PITCH_FEATURES, width])?,
            bar_step: make("embedding.bar_step", [s.bar_steps, width])?,
            bar: make("embedding.bar", [s.bars, width])?,
            metre: make("embedding.metre", [s.bar_steps, width])?,
        };
        let mut layers = Vec::with_capacity(s.layers);
        for l in 0..s.layers {
            layers.push(Layer {
                attention: Attention {
                    norm: make(&format!("layers.{l}.attention.norm"), [1, width])?,
                    qkv: make(&format!("layers.{l}.attention.qkv"), [width, 3 * inner])?,
                    out: make(&format!("layers.{l}.attention.out"), [inner, width])?,
                },
                feed_forward: FeedForward {
                    norm: make(&format!("layers.{l}.feed_forward.norm"), [1, width])?,
                    gate_up: make(
                        &format!("layers.{l}.feed_forward.gate_up"),
                        [width, 2 * s.feed_forward],
                    )?,
                    down: make(
                        &format!("layers.{l}.feed_forward.down"),
                        [s.feed_forward, width],
                    )?,
                },
            });
        }
        let norm = make("norm", [1, width])?;
        Ok(Self {
            shape,
            features,
            embedding,
            layers,
            norm,
        })
    }

    /// Names and parameters, in the order [`Self::build`] asks for them.
    pub fn parameters(&self) -> Vec<(String, &Tensor<2>)> {
        let e = &self.embedding;
        let mut all = vec![&e.token, &e.pitch, &e.bar_step, &e.bar, &e.metre];
        for Layer {
            attention: a,
            feed_forward: f,
        } in &self.layers
        {
            all.extend([&a.norm, &a.qkv, &a.out, &f.norm, &f.gate_up, &f.down]);
        }
        all.push(&self.norm);
        self.names().into_iter().zip(all).collect()
    }

    /// The same, to be changed.
    pub fn parameters_mut(&mut self) -> Vec<(String, &mut Tensor<2>)> {
        let names = self.names();
        let e = &mut self.embedding;
        let mut all = vec![
            &mut e.token,
            &mut e.pitch,
            &mut e.bar_step,
            &mut e.bar,
            &mut e.metre,
        ];
        for Layer {
            attention: a,
            feed_forward: f,
        } in &mut self.layers
        {
            all.extend([&mut a.norm, &mut a.qkv, &mut a.out]);
            all.extend([&mut f.norm, &mut f.gate_up, &mut f.down]);
        }
        all.push(&mut self.norm);
        names.into_iter().zip(all).collect()
    }

    fn names(&self) -> Vec<String> {
        const OUTER: [&str; 5] = ["token", "pitch", "bar_step", "bar", "metre"];
        const INNER: [&str; 6] = [
            "attention.norm",
            "attention.qkv",
            "attention.out",
            "feed_forward.norm",
            "feed_forward.gate_up",
            "feed_forward.down",
        ];
        let outer = OUTER.iter().map(|name| format!("embedding.{name}"));
        let inner = (0..self.layers.len())
            .flat_map(|l| INNER.iter().map(move |name| format!("layers.{l}.{name}")));
        outer.chain(inner).chain(["norm".to_owned()]).collect()
    }

    /// Numbers to learn.
    pub fn size(&self) -> usize {
        self.parameters()
            .iter()
            .map(|(_, p)| p.dims().iter().product::<usize>())
            .sum()
    }

    /// The same parameters as leaves of a new autodiff graph. Graphs of two replicas share
    /// nothing, so two threads can each have one.
    pub fn replica(&self) -> Self {
        let mut parameters = self.parameters().into_iter();
        let copy = Self::assemble::<std::convert::Infallible>(
            self.shape,
            self.features.clone(),
            |_, _| {
                // `parameters` and `assemble` go through the same list.
                let (_, p) = parameters.next().expect("one parameter for each name");
                Ok(p.clone().inner().autodiff().require_grad())
            },
        );
        match copy {
            Ok(model) => model,
            Err(never) => match never {},
        }
    }

    /// Logits `[lanes * length, vocabulary]` of what follows each token; `memory` moves on.
    pub fn forward(&self, input: &Input, memory: &mut Memory) -> Tensor<2> {
        let device = self.features.device();
        let frame = self.frame(input, memory, &device);
        let table = self.token_table();
        let mut h = self.embed(input, table.clone(), &device);
        let mut remembered = std::mem::take(&mut memory.layers).into_iter();
        for layer in &self.layers {
            let (out, keep) =
                layer
                    .attention
                    .forward(h.clone(), &frame, remembered.next(), self.shape);
            memory.layers.push(keep);
            h = h + out;
            h = h.clone() + layer.feed_forward.forward(h);
        }
        memory.position += input.length as u64;
        rms_norm(h, &self.norm).matmul(table.transpose())
    }

    /// `E = token + A·pitch`, `[vocabulary, width]`.
    pub fn token_table(&self) -> Tensor<2> {
        self.embedding.token.clone() + self.features.clone().matmul(self.embedding.pitch.clone())
    }

    fn embed(&self, input: &Input, table: Tensor<2>, device: &Device) -> Tensor<2> {
        let rows = |table: Tensor<2>, rows: &[u16]| {
            let rows: Vec<i64> = rows.iter().map(|&r| i64::from(r)).collect();
            let count = rows.len();
            table.select(
                0,
                Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), device),
            )
        };
        rows(table, &input.tokens)
            + rows(self.embedding.bar_step.clone(), &input.bar_step)
            + rows(self.embedding.bar.clone(), &input.bar)
            + rows(self.embedding.metre.clone(), &input.metre)
    }

    fn frame(&self, input: &Input, memory: &Memory, device: &Device) -> Frame {
        let Shape { sizes, window } = self.shape;
        let Input { lanes, length, .. } = *input;
        let past = memory.length();
        let half = sizes.head_dim / 2;
        let scale = 1.0 / (sizes.head_dim as f64).sqrt();
        let mut cos = Vec::with_capacity(length * 2 * sizes.heads * half);
        let mut sin = Vec::with_capacity(cos.capacity());
        for i in 0..length {
            let position = (memory.position + i as u64) as f64;
            for factor in [scale, 1.0] {
                let at = cos.len();
                for f in rotary_frequencies(sizes.head_dim) {
                    let (s, c) = (position * f).sin_cos();
                    cos.push((c * factor) as f32);
                    sin.push((s * factor) as f32);
                }
                for _ in 1..sizes.heads {
                    cos.extend_from_within(at..at + half);
                    sin.extend_from_within(at..at + half);
                }
            }
        }
        let keys = past + length;
        let mut mask = vec![MASKED; lanes * length * keys];
        // The first remembered key is that of the token at this position of the stream.
        let first = memory.position - past as u64;
        for (i, row) in mask.chunks_exact_mut(keys).enumerate() {
            let own = past + i % length;
            let song = input.song[i].saturating_sub(first) as usize;
            row[song.max((own + 1).saturating_sub(window))..=own].fill(0.0);
        }
        let table = [1, length, 2 * sizes.heads, half];
        Frame {
            lanes,
            length,
            cos: Tensor::from_data(TensorData::new(cos, table), device),
            sin: Tensor::from_data(TensorData::new(sin, table), device),
            mask: Tensor::from_data(TensorData::new(mask, [lanes, 1, length, keys]), device),
        }
    }
}

impl Memory {
    /// Tokens remembered.
    pub fn length(&self) -> usize {
        self.layers.first().map_or(0, |(keys, _)| keys.dims()[2])
    }
}

impl Attention {
    /// What attention adds to `h` (`[lanes * length, width]`), and the keys and values to
    /// remember.
    fn forward(
        &self,
        h: Tensor<2>,
        frame: &Frame,
        past: Option<(Tensor<4>, Tensor<4>)>,
        shape: Shape,
    ) -> (Tensor<2>, (Tensor<4>, Tensor<4>)) {
        let Shape { sizes, window } = shape;
        let (heads, dim, half) = (sizes.heads, sizes.head_dim, sizes.head_dim / 2);
        let (lanes, length) = (frame.lanes, frame.length);
        let qkv = rms_norm(h, &self.norm).matmul(self.qkv.clone()).reshape([
            lanes,
            length,
            3 * heads,
            dim,
        ]);
        let value = qkv
            .clone()
            .slice([0..lanes, 0..length, 2 * heads..3 * heads, 0..dim]);
        let a = qkv
            .clone()
            .slice([0..lanes, 0..length, 0..2 * heads, 0..half]);
        let b = qkv.slice([0..lanes, 0..length, 0..2 * heads, half..dim]);
        let (cos, sin) = (frame.cos.clone(), frame.sin.clone());
        let rotated = Tensor::cat(
            vec![
                a.clone() * cos.clone() - b.clone() * sin.clone(),
                b * cos + a * sin,
            ],
            3,
        );
        let query = rotated
            .clone()
            .slice([0..lanes, 0..length, 0..heads, 0..dim])
            .swap_dims(1, 2);
        let mut key = rotated
            .slice([0..lanes, 0..length, heads..2 * heads, 0..dim])
            .swap_dims(1, 2);
        let mut value = value.swap_dims(1, 2);
        if let Some((past_key, past_value)) = past {
            key = Tensor::cat(vec![past_key, key], 2);
            value = Tensor::cat(vec![past_value, value], 2);
        }
        let keys = key.dims()[2];
        let from = (keys + 1).saturating_sub(window);
        let keep = |t: &Tensor<4>| {
            t.clone()
                .inner()
                .slice([0..lanes, 0..heads, from..keys, 0..dim])
        };
        let kept = (keep(&key), keep(&value));

        // Softmax, divided after the product with the values: the sum of a row is one more
        // column of that product, and so costs nothing in the backward pass either.
        let scores = query.matmul(key.transpose()) + frame.mask.clone();
        let highest = scores.clone().inner().max_dim(3);
        let weights = (scores - highest).exp();
        let ones = Tensor::ones([lanes, heads, keys, 1], &frame.mask.device());
        let sums = weights.matmul(Tensor::cat(vec![value, ones], 3));
        let mixed = sums.clone().slice([0..lanes, 0..heads, 0..length, 0..dim])
            / sums.slice([0..lanes, 0..heads, 0..length, dim..dim + 1]);
        let mixed = mixed.swap_dims(1, 2).reshape([lanes * length, heads * dim]);
        (mixed.matmul(self.out.clone()), kept)
    }
}

impl FeedForward {
    fn forward(&self, h: Tensor<2>) -> Tensor<2> {
        let [rows, _] = h.dims();
        let [inner, _] = self.down.dims();
        let both = rms_norm(h, &self.norm).matmul(self.gate_up.clone());
        let gate = both.clone().slice([0..rows, 0..inner]);
        let up = both.slice([0..rows, inner..2 * inner]);
        (gate.clone() * sigmoid(gate) * up).matmul(self.down.clone())
    }
}

fn rms_norm(x: Tensor<2>, gain: &Tensor<2>) -> Tensor<2> {
    let mean = (x.clone() * x.clone()).mean_dim(1);
    x / (mean + EPSILON).sqrt() * gain.clone()
}

/// The `head_dim / 2` rotary frequencies, in radians a token.
pub fn rotary_frequencies(head_dim: usize) -> impl Iterator<Item = f64> {
    (0..head_dim / 2).map(move |i| ROTARY_BASE.powf(-2.0 * i as f64 / head_dim as f64))
}

/// The pitch class and octave columns of a token, if it is a pitch.
pub fn pitch_features(token: Token) -> Option<[usize; 2]> {
    match token {
        Token::Pitch(p) => Some([usize::from(p % 12), 12 + usize::from(p / 12)]),
        _ => None,
    }
}

/// A tensor's numbers, row after row.
pub fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

/// The constant `A`, `[vocabulary, PITCH_FEATURES]`.
fn features(vocabulary: &Vocabulary, device: &Device) -> Tensor<2> {
    let size = vocabulary.size();
    let mut data = vec![0.0f32; size * PITCH_FEATURES];
    for id in 0..size {
        for column in vocabulary
            .token(id as u16)
            .and_then(pitch_features)
            .into_iter()
            .flatten()
        {
            data[id * PITCH_FEATURES + column] = 1.0;
        }
    }
    Tensor::from_data(TensorData::new(data, [size, PITCH_FEATURES]), device)
}
