//! `model.json` of a model directory. The trainer writes it and the engine reads it; neither depends
//! on the other, so their shared description lies here, beside the vocabulary. Plain data without a
//! network.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::ngram::{Mixture, NgramWeights};

/// `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version of the directory; see [`Manifest::FORMAT`].
    pub format: u32,
    /// Name of the model, for people.
    pub name: String,
    /// Sizes of the network.
    pub sizes: Sizes,
    /// Tokens that a token attends to in every layer, itself included; the KV cache has
    /// `window - 1` of them.
    pub window: usize,
    /// The layer with the kNN memory; `None` for a model without one.
    #[serde(default)]
    pub knn: Option<Knn>,
    /// Whether the note context ([`crate::NoteContext`]) is an input; `false` in older models.
    #[serde(default)]
    pub sounding: bool,
    /// Whether attention has distances in time and pitch ([`crate::NoteContext`]); `false` in older
    /// models.
    #[serde(default)]
    pub relative: bool,
    /// Weights of the n-gram memory in the same key; `None` for a model without one.
    #[serde(default)]
    pub suffix: Option<NgramWeights>,
    /// Weights of the n-gram memory in other keys; `None` for a model without one.
    #[serde(default)]
    pub suffix_transposed: Option<NgramWeights>,
    /// Exports of the network for different machines, by name: `plain`, `cpu`, `gpu`.
    pub variants: BTreeMap<String, Variant>,
    /// Licence of the weights, an SPDX expression.
    #[serde(default)]
    pub licence: String,
    /// Training data, with attribution.
    #[serde(default)]
    pub training_data: String,
    /// Loss on held-out songs; `None` if not measured.
    #[serde(default)]
    pub held_out: Option<HeldOut>,
}

/// Sizes of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Ids in the vocabulary.
    pub vocabulary: usize,
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads, each with its own key and value.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Inner width of the SwiGLU feed-forward.
    pub feed_forward: usize,
    /// Rows of the step-in-bar and of the bar-length embedding; larger values use the last row.
    pub bar_steps: usize,
    /// Rows of the bar-number embedding; bar numbers count modulo this.
    pub bars: usize,
}

/// The layer with the kNN memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knn {
    /// Index of the layer, from 0; the graph is divided after its query.
    pub layer: usize,
    /// Neighbours retrieved for each query.
    pub k: usize,
    /// Keys in memory during training.
    pub capacity: usize,
    /// Whether a key is stored with the value of the next token, as in kNN-LM (Khandelwal et al.
    /// 2020), and not with its own.
    #[serde(default)]
    pub following: bool,
}

/// One export of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// ONNX files in running order, relative to the directory: one graph for a model without kNN
    /// memory, `lower` and `upper` for a model with it.
    pub graphs: Vec<String>,
}

/// Loss on held-out songs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Songs measured.
    pub songs: usize,
    /// Tokens predicted.
    pub tokens: u64,
    /// Notes in them.
    pub notes: u64,
    /// Mean negative log-likelihood of a token, in nats.
    pub nats_per_token: f64,
    /// The sum of the loss divided by the notes, in nats.
    pub nats_per_note: f64,
}

/// The time grid of a token as embedding rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridRows {
    /// Row of the step-in-bar embedding.
    pub bar_step: u16,
    /// Row of the bar-number embedding.
    pub bar: u16,
    /// Row of the bar-length embedding.
    pub metre: u16,
}

impl Sizes {
    /// The embedding rows of a position. Training and playing use this one function.
    pub fn rows(&self, position: crate::BarPosition) -> GridRows {
        let row = |at: u32| (at as usize).min(self.bar_steps - 1) as u16;
        GridRows {
            bar_step: row(position.step_in_bar),
            bar: (position.bar as usize % self.bars) as u16,
            metre: row(position.bar_steps),
        }
    }
}

impl Manifest {
    /// The weights of the n-gram memory; 0 for a model without one.
    pub fn mixture(&self) -> Mixture {
        Mixture {
            same: self.suffix.unwrap_or_default(),
            transposed: self.suffix_transposed.unwrap_or_default(),
        }
    }

    /// The directory format that this code reads and writes.
    pub const FORMAT: u32 = 1;
}
