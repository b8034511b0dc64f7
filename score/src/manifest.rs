//! `model.json` of a model directory, and the shape of a network, which checkpoints state too. The
//! trainer writes both and the engine reads `model.json`; neither depends on the other, so their
//! shared description lies here, beside the vocabulary. Plain data without a network.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::gate::Gate;
use crate::ngram::{Mixture, NgramWeights};
use crate::piece_memory::MemoryWeights;

/// `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version of the directory; see [`Manifest::FORMAT`].
    pub format: u32,
    /// Name of the model, for people.
    pub name: String,
    /// Shape of the network; its fields are keys of `model.json` itself.
    #[serde(flatten)]
    pub shape: NetworkShape,
    /// Whether attention depends on distances in time and pitch ([`crate::NoteContext`]); `false`
    /// in older models. A checkpoint has the steps of a beat in place of `true`.
    #[serde(default)]
    pub relative: bool,
    /// Weights of the n-gram memory in the same key; `None` for a model without one.
    #[serde(default)]
    pub suffix: Option<NgramWeights>,
    /// Weights of the n-gram memory in other keys; `None` for a model without one.
    #[serde(default)]
    pub suffix_transposed: Option<NgramWeights>,
    /// The gate of the memory of a piece; `None` in older models, whose memory of a piece has the
    /// weights of its n-grams alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
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

/// Shape of a network, as a model directory and a checkpoint state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkShape {
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

impl NetworkShape {
    /// Number of key and value heads in `layer`: one in the kNN layer, else all.
    pub fn memory_heads(&self, layer: usize) -> usize {
        match self.knn {
            Some(knn) if knn.layer == layer => 1,
            _ => self.sizes.heads,
        }
    }
}

impl Sizes {
    /// The length of a bar in steps, given its embedding row; 0 for the last row, which longer bars have
    /// too.
    pub fn bar_length(&self, row: u16) -> u16 {
        match usize::from(row) + 1 < self.bar_steps {
            true => row,
            false => 0,
        }
    }

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
    /// The weights of the memories of tokens; 0 for a model without them.
    pub fn memory_weights(&self) -> MemoryWeights {
        MemoryWeights {
            mixture: Mixture {
                same: self.suffix.unwrap_or_default(),
                transposed: self.suffix_transposed.unwrap_or_default(),
            },
            gate: self.gate.filter(|_| self.suffix.is_some()),
        }
    }

    /// The directory format that this code reads and writes.
    pub const FORMAT: u32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sizes() -> Value {
        json!({
            "vocabulary": 340, "layers": 2, "width": 32, "heads": 2, "head_dim": 16,
            "feed_forward": 64, "bar_steps": 192, "bars": 16,
        })
    }

    #[test]
    fn keys_of_model_json_are_unchanged() {
        let old = json!({
            "format": 1,
            "name": "small",
            "sizes": sizes(),
            "window": 16,
            "knn": { "layer": 1, "k": 32, "capacity": 64, "following": true },
            "sounding": true,
            "relative": true,
            "suffix": null,
            "suffix_transposed": null,
            "variants": { "cpu": { "graphs": ["cpu/lower.onnx", "cpu/upper.onnx"] } },
            "licence": "MIT",
            "training_data": "tunes",
            "held_out": {
                "songs": 1, "tokens": 20, "notes": 5, "nats_per_token": 1.5, "nats_per_note": 6.0,
            },
        });
        let manifest: Manifest = serde_json::from_value(old.clone()).unwrap();
        assert_eq!(manifest.shape.sizes.width, 32);
        assert_eq!(manifest.shape.memory_heads(0), 2);
        assert_eq!(manifest.shape.memory_heads(1), 1);
        assert_eq!(serde_json::to_value(&manifest).unwrap(), old);
        // In the file the keys have this order too.
        let text = serde_json::to_string(&manifest).unwrap();
        let keys = [
            "format", "name", "sizes", "window", "knn", "sounding", "relative", "suffix",
        ];
        let places = keys.map(|key| text.find(&format!("{key:?}:")).unwrap());
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn model_json_of_the_first_models_is_read() {
        let first = json!({
            "format": 1, "name": "first", "sizes": sizes(), "window": 16, "variants": {},
        });
        let manifest: Manifest = serde_json::from_value(first).unwrap();
        let shape = manifest.shape;
        assert_eq!(
            (shape.knn, shape.sounding, manifest.relative),
            (None, false, false)
        );
    }

    #[test]
    fn missing_key_of_the_shape_is_named() {
        let partial = json!({ "format": 1, "name": "", "sizes": sizes(), "variants": {} });
        let error = serde_json::from_value::<Manifest>(partial).unwrap_err();
        assert!(error.to_string().contains("window"), "{error}");
    }
}
