//! The network: a decoder-only transformer with two memories.
//!
//! ```text
//! h  = E[token] + bar_step[..] + bar[..] + metre[..] + Σ sounding[..]
//!                                                            E = token + A·pitch
//! h += out · attention(rotate(q), rotate(k), v)              q k v = qkv · norm(h)
//! h += down · (silu(gate) * up)                              gate up = gate_up · norm(h)
//! logits = E · norm(h)
//! ```
//!
//! - Matrices are `[in, out]`, and every parameter is a matrix (a gain is `[1, width]`).
//! - RMSNorm: `x / sqrt(mean(x²) + EPSILON) * gain`.
//! - For comparison, parts can be [as MIDIGen has them](crate::config::LikeMidigen).
//! - **XL memory** ([`attention`]): a token attends to exactly the last `window` tokens, itself
//!   included, in every layer.
//! - **kNN memory** ([`recall`]): one layer also recalls, of the tokens that have left its
//!   window, those that are nearest to what it looks for.
//! - Neither memory reaches into an earlier song, and no gradient goes into either.

pub mod attention;
pub mod dropout;
pub mod embedding;
mod midigen;
pub mod recall;

use burn::tensor::activation::{gelu, sigmoid};
use burn::tensor::{Device, FloatDType, GradientCheckpointingStrategy, Int, Tensor};
use continuo_score::{NoteContext, Vocabulary};
use serde::{Deserialize, Serialize};

use crate::config::Shape;
use attention::{Attention, Frame};
use dropout::Dropout;
use embedding::Embedding;

/// Added to the mean square in RMSNorm.
pub const EPSILON: f64 = 1e-5;

/// The network's parameters.
pub struct Model {
    /// Sizes, window, kNN layer.
    pub shape: Shape,
    names: Vec<String>,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Tensor<2>,
    /// Of the products.
    pub precision: Precision,
    /// In training only.
    pub dropout: Option<Dropout>,
}

struct Layer {
    attention: Attention,
    feed_forward: FeedForward,
}

struct FeedForward {
    norm: Tensor<2>,
    /// Gate and up side by side; up alone as MIDIGen has it.
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
    /// What each token is told: the notes that sound, the time since its piece began, the pitch
    /// said last.
    pub told: Vec<NoteContext>,
    /// Position in the stream at which the song of each token began.
    pub song: Vec<u64>,
    /// Ids and rows of the time grid once more, in the order above, where they are on the device
    /// already.
    pub resident: Option<[Tensor<1, Int>; 4]>,
}

/// In which numbers products are computed. Parameters, sums, softmax, norms and the loss are
/// always `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// Factors rounded to 16 bits with the range of 32 (bfloat16), for GPUs.
    Bf16,
}

impl Precision {
    /// `x · w`.
    fn product<const D: usize>(self, x: Tensor<D>, w: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x.matmul(w),
            Self::Bf16 => {
                let product = x.cast(FloatDType::BF16).matmul(w.cast(FloatDType::BF16));
                product.cast(FloatDType::F32)
            }
        }
    }
}

/// Keys and values of consecutive tokens, each `[lanes, heads, length, head_dim]`.
pub type KeysValues = (Tensor<4>, Tensor<4>);

/// What the layers remember of a stream.
#[derive(Clone, Default)]
pub struct Memory {
    /// XL: keys (as they are compared: rotated, or normalised in the kNN layer) and values of
    /// the last tokens in each layer; empty before the first token.
    pub layers: Vec<KeysValues>,
    /// kNN: what has left the window of the kNN layer, oldest first, up to the token that
    /// stands right before the window. Absent while there is nothing.
    pub recalled: Option<KeysValues>,
    /// What the kNN layer chooses is added here, for those who ask by putting something here.
    pub chosen: Option<recall::Choice>,
    /// Tokens fed since the stream began.
    pub position: u64,
}

/// Which memories are in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Use {
    /// Whether tokens see the XL memory. Without it a song falls into segments of `window`
    /// tokens, and a token sees those of its own segment only.
    pub xl: bool,
    /// What the gate of the kNN memory is multiplied by, from 0 (as if it were empty) to 1.
    /// What can be recalled is the same with and without XL memory.
    pub recall: f32,
}

impl Use {
    /// Both, as in training.
    pub const BOTH: Self = Self {
        xl: true,
        recall: 1.0,
    };
    /// The XL memory alone.
    pub const XL: Self = Self {
        xl: true,
        recall: 0.0,
    };
}

/// Makes the parameter of a name and shape.
trait Make<E>: FnMut(&str, [usize; 2]) -> Result<Tensor<2>, E> {}
impl<E, F: FnMut(&str, [usize; 2]) -> Result<Tensor<2>, E>> Make<E> for F {}

impl Model {
    /// A model whose parameters come from `make(name, [rows, columns])`.
    pub fn build<E>(
        shape: Shape,
        vocabulary: &Vocabulary,
        device: &Device,
        make: impl FnMut(&str, [usize; 2]) -> Result<Tensor<2>, E>,
    ) -> Result<Self, E> {
        Self::assemble(shape, embedding::features(vocabulary, device), make)
    }

    fn assemble<E>(shape: Shape, features: Tensor<2>, mut make: impl Make<E>) -> Result<Self, E> {
        let s = shape.sizes;
        let (into, inner) = match shape.like_midigen.feed_forward {
            // As many parameters: 4 of the width instead of twice and once 8/3.
            true => (s.feed_forward * 3 / 2, s.feed_forward * 3 / 2),
            false => (2 * s.feed_forward, s.feed_forward),
        };
        let mut names = Vec::new();
        let mut make = |name: &str, dims| {
            names.push(name.to_owned());
            make(name, dims)
        };
        let embedding = Embedding::build(&shape, features, &mut make)?;
        let mut layers = Vec::with_capacity(s.layers);
        for l in 0..s.layers {
            let mut make = |name: &str, dims| make(&format!("layers.{l}.{name}"), dims);
            layers.push(Layer {
                attention: Attention::build(&shape, l, &mut make)?,
                feed_forward: FeedForward {
                    norm: make("feed_forward.norm", [1, s.width])?,
                    gate_up: make("feed_forward.gate_up", [s.width, into])?,
                    down: make("feed_forward.down", [inner, s.width])?,
                },
            });
        }
        let norm = make("norm", [1, s.width])?;
        Ok(Self {
            shape,
            names,
            embedding,
            layers,
            norm,
            precision: Precision::F32,
            dropout: None,
        })
    }

    /// Names and parameters, in the order [`Self::build`] asks for them.
    pub fn parameters(&self) -> Vec<(String, &Tensor<2>)> {
        let mut all = Vec::with_capacity(self.names.len());
        all.extend(self.embedding.parameters());
        for Layer {
            attention,
            feed_forward: f,
        } in &self.layers
        {
            all.extend(attention.parameters());
            all.extend([&f.norm, &f.gate_up, &f.down]);
        }
        all.push(&self.norm);
        self.names.iter().cloned().zip(all).collect()
    }

    /// The same, to be changed.
    pub fn parameters_mut(&mut self) -> Vec<(String, &mut Tensor<2>)> {
        let mut all = Vec::with_capacity(self.names.len());
        all.extend(self.embedding.parameters_mut());
        for Layer {
            attention,
            feed_forward: f,
        } in &mut self.layers
        {
            all.extend(attention.parameters_mut());
            all.extend([&mut f.norm, &mut f.gate_up, &mut f.down]);
        }
        all.push(&mut self.norm);
        self.names.iter().cloned().zip(all).collect()
    }

    /// Numbers to learn.
    pub fn size(&self) -> usize {
        self.parameters()
            .iter()
            .map(|(_, p)| p.dims().iter().product::<usize>())
            .sum()
    }

    /// The same parameters on a device, as leaves of a new autodiff graph. Graphs of two
    /// replicas share nothing, so two threads can each have one. Whether activations are
    /// kept or computed again is for `strategy` to say.
    pub fn replica(&self, device: &Device, strategy: GradientCheckpointingStrategy) -> Self {
        let mut parameters = self.parameters().into_iter();
        let copy = Self::assemble::<std::convert::Infallible>(
            self.shape,
            self.embedding.features.clone().to_device(device),
            |_: &str, _| {
                // `parameters` and `assemble` go through the same list.
                let (_, p) = parameters.next().expect("one parameter for each name");
                let leaf = p.clone().inner().to_device(device).autodiff();
                let leaf = leaf.with_gradient_checkpointing_strategy(strategy);
                Ok(leaf.require_grad())
            },
        );
        match copy {
            Ok(model) => Self {
                precision: self.precision,
                ..model
            },
            Err(never) => match never {},
        }
    }

    /// Logits `[lanes * length, vocabulary]` of what follows each token; `memory` moves on.
    pub fn forward(&self, input: &Input, memory: &mut Memory) -> Tensor<2> {
        self.forward_with(input, memory, Use::BOTH)
    }

    /// The same with some of its memories.
    pub fn forward_with(&self, input: &Input, memory: &mut Memory, memories: Use) -> Tensor<2> {
        let device = self.embedding.features.device();
        let mut frame = Frame::new(&self.shape, input, memory, memories, &device);
        frame.precision = self.precision;
        let table = self.token_table();
        let drop = |x| match &self.dropout {
            Some(dropout) => dropout.apply(x),
            None => x,
        };
        let mut h = drop(self.embedding.embed(input, table.clone(), &device));
        for (l, layer) in self.layers.iter().enumerate() {
            h = h.clone() + drop(layer.attention.forward(h, &frame, memory, l));
            h = h.clone() + drop(layer.feed_forward.forward(h, &frame));
        }
        memory.position += input.length as u64;
        self.precision
            .product(frame.norm(h, &self.norm), table.transpose())
    }

    /// Makes it less sure, or surer below 1: all logits are divided by `temperature` from now on.
    pub fn divide_logits(&mut self, temperature: f32) {
        self.norm = self.norm.clone() / temperature;
    }

    /// `E = token + A·pitch`, `[vocabulary, width]`.
    pub fn token_table(&self) -> Tensor<2> {
        self.embedding.table()
    }
}

impl Memory {
    /// Tokens in the XL memory.
    pub fn length(&self) -> usize {
        self.layers.first().map_or(0, |(keys, _)| keys.dims()[2])
    }

    /// Tokens in the kNN memory.
    pub fn recallable(&self) -> usize {
        self.recalled.as_ref().map_or(0, |(keys, _)| keys.dims()[2])
    }
}

impl FeedForward {
    fn forward(&self, h: Tensor<2>, frame: &Frame) -> Tensor<2> {
        let precision = frame.precision;
        let [rows, _] = h.dims();
        let [inner, _] = self.down.dims();
        let both = precision.product(frame.norm(h, &self.norm), self.gate_up.clone());
        if frame.shape.like_midigen.feed_forward {
            return precision.product(gelu(both), self.down.clone());
        }
        let gate = both.clone().slice([0..rows, 0..inner]);
        let up = both.slice([0..rows, inner..2 * inner]);
        precision.product(gate.clone() * sigmoid(gate) * up, self.down.clone())
    }
}

impl Frame {
    fn norm(&self, x: Tensor<2>, gain: &Tensor<2>) -> Tensor<2> {
        let x = match self.shape.like_midigen.norm {
            true => x.clone() - x.mean_dim(1),
            false => x,
        };
        let mean = (x.clone() * x.clone()).mean_dim(1);
        x / (mean + EPSILON).sqrt() * gain.clone()
    }
}

/// A tensor's numbers, row after row.
pub fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}
