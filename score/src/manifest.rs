//! What `model.json` in a model directory says. The trainer writes it, the engine reads it;
//! neither knows the other, so the page they share stands here, beside the vocabulary.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::ngram::{Mixture, NgramWeights};

/// `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version of the directory; see [`Manifest::FORMAT`].
    pub format: u32,
    /// The model's name, for people.
    pub name: String,
    /// Sizes of the network.
    pub sizes: Sizes,
    /// Tokens each token attends to in every layer, itself included: the XL memory holds
    /// `window - 1` of them.
    pub window: usize,
    /// The layer with the kNN memory; absent in a model without one.
    #[serde(default)]
    pub knn: Option<Knn>,
    /// Whether each token is told which notes sound ([`crate::NoteState`]); models made before
    /// there was that are not.
    #[serde(default)]
    pub sounding: bool,
    /// Whether attention is told how far apart tokens are in time and pitch
    /// ([`crate::NoteContext`]); models made before there was that are not.
    #[serde(default)]
    pub relative: bool,
    /// How much the suffix memory counts beside this network; absent in a model made before there
    /// was one, which is played without.
    #[serde(default)]
    pub suffix: Option<NgramWeights>,
    /// The same of what comes again in another key.
    #[serde(default)]
    pub suffix_transposed: Option<NgramWeights>,
    /// The same network for different machines, by name (`plain`, `cpu`, `gpu`).
    pub variants: BTreeMap<String, Variant>,
    /// Licence of the weights (an SPDX expression).
    #[serde(default)]
    pub licence: String,
    /// What it was trained on, with attribution.
    #[serde(default)]
    pub training_data: String,
    /// Measured on songs never trained on; absent if nobody measured.
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
    /// Attention heads; each has its own key and value.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Inner width of the SwiGLU feed-forward.
    pub feed_forward: usize,
    /// Rows of the step-in-bar and of the bar-length embedding: larger values use the last.
    pub bar_steps: usize,
    /// Rows of the bar-number embedding: bars count modulo this.
    pub bars: usize,
}

/// The layer with the kNN memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knn {
    /// Layer, from 0; the graph is cut there.
    pub layer: usize,
    /// Memories retrieved a query.
    pub k: usize,
    /// Memories the model was trained with.
    pub capacity: usize,
    /// Whether a memory is a token's key with the value of the token that followed it: what
    /// came next there rather than what was there, as in kNN-LM (Khandelwal et al. 2020).
    #[serde(default)]
    pub following: bool,
}

/// One set of graphs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// ONNX files in the order they run, relative to the directory: one graph for a model
    /// without kNN memory, `lower` and `upper` for a model with it.
    pub graphs: Vec<String>,
}

/// Held-out loss.
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
    /// The same sum over notes instead of tokens.
    pub nats_per_note: f64,
}

/// What is fed for each token beside its id: its place in time, as embedding rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridRows {
    /// Row of the step-in-bar embedding.
    pub bar_step: u16,
    /// Row of the bar-number embedding.
    pub bar: u16,
    /// Row of the bar-length embedding (its metre).
    pub metre: u16,
}

impl Sizes {
    /// The embedding rows of a place. One rule for training and playing.
    pub fn rows(&self, place: crate::BarPosition) -> GridRows {
        let row = |at: u32| (at as usize).min(self.bar_steps - 1) as u16;
        GridRows {
            bar_step: row(place.step_in_bar),
            bar: (place.bar as usize % self.bars) as u16,
            metre: row(place.bar_steps),
        }
    }
}

impl Manifest {
    /// How much the suffix memory counts; nothing for a model without weights for it.
    pub fn mixture(&self) -> Mixture {
        Mixture {
            same: self.suffix.unwrap_or_default(),
            transposed: self.suffix_transposed.unwrap_or_default(),
        }
    }

    /// The directory format this code writes and reads.
    pub const FORMAT: u32 = 1;
}
