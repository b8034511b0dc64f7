//! Settings of a training, and the presets.

use continuo_score::Vocabulary;
use continuo_score::manifest::{Knn, NetworkShape, Sizes};
use serde::{Deserialize, Serialize};

use crate::model::config::grid_sizes;
use crate::model::parameters::TableRole;
use crate::model::{LikeMidigen, ModelConfig, ParamRole, Precision};
use crate::train::schedule::Schedule;

/// Training configuration of a network. The keys are those of `training.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Tokens of a batch row in one segment. Attention computes `segment * (segment + window)`
    /// scores, of which `segment * window` are used: a segment much longer than the window wastes
    /// work, a much shorter one limits how far gradients reach.
    pub segment: usize,
    /// Batch rows: streams of songs side by side in one step.
    #[serde(rename = "lanes")]
    pub batch_rows: usize,
    /// Batch rows that pass through the network at once. A step is the sum over micro-batches;
    /// small ones stay in the processor's cache, large ones suit a GPU.
    #[serde(rename = "group")]
    pub micro_batch: usize,
    /// Segments of every batch row whose gradients are added up in one step.
    #[serde(rename = "accumulate")]
    pub accumulation_steps: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay of the matrices inside the layers.
    pub weight_decay: f64,
    /// Optimiser of the matrices inside the layers.
    #[serde(default, skip_serializing_if = "Optimizer::is_adamw")]
    pub optimizer: Optimizer,
    /// Share of the budget with a rising learning rate, 0 to 1.
    pub warm_up: f64,
    /// Course of the learning rate after it has risen.
    #[serde(default, skip_serializing_if = "Schedule::is_cosine")]
    pub schedule: Schedule,
    /// Largest norm of the gradient; a longer one is scaled down to it.
    #[serde(rename = "clip")]
    pub gradient_clip: f64,
    /// Number format of the matrix products, forward and backward.
    #[serde(default)]
    pub precision: Precision,
    /// Share of the values that dropout sets to zero, after the embedding and after each half of
    /// a layer; 0 for none.
    #[serde(default)]
    pub dropout: f64,
    /// Factor of the learning rate of the kNN layer's scale, bias and similarity weight: a few
    /// values with gradients from all tokens.
    #[serde(default = "one")]
    pub recall_rate: f64,
    /// Parts of the network that stay zero.
    #[serde(default, rename = "without")]
    pub ablation: Ablation,
    /// Whether the backward pass computes cheap activations again instead of keeping them
    /// (gradient checkpointing).
    #[serde(default)]
    pub recompute: bool,
}

fn one() -> f64 {
    1.0
}

impl TrainConfig {
    /// Factor of the learning rate for a parameter; 0 if it is not trained.
    pub fn rate_factor(&self, role: ParamRole) -> f64 {
        if self.ablation.removes(role) {
            0.0
        } else if role.is_knn_scalar() {
            self.recall_rate
        } else {
            1.0
        }
    }
}

/// Optimiser of the matrices inside the layers; AdamW trains all other parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// AdamW, as in every checkpoint that names no optimiser.
    #[default]
    AdamW,
    /// Muon: momentum, made orthogonal.
    Muon,
}

impl Optimizer {
    fn is_adamw(&self) -> bool {
        *self == Self::AdamW
    }
}

/// Parts of the network that are left out, to measure their value: their parameters are zero and
/// are not trained. Shape, files and export of the network stay the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ablation {
    /// The time grid: step in bar, bar number, bar length.
    pub grid: bool,
    /// Pitch classes and octaves: each token id is learnt separately.
    pub pitch: bool,
    /// The notes that sound.
    pub sounding: bool,
    /// The learnt gate of the kNN memory: it stays half open.
    pub gate: bool,
}

impl Ablation {
    /// Whether parameters of this role are left out.
    pub fn removes(self, role: ParamRole) -> bool {
        match role {
            ParamRole::Table(TableRole::Grid) => self.grid,
            ParamRole::Table(TableRole::Pitch) => self.pitch,
            ParamRole::Table(TableRole::NoteState) => self.sounding,
            role => role.is_gate() && self.gate,
        }
    }
}

/// Names of the presets, smallest first.
pub const PRESETS: [&str; 4] = ["tiny", "small", "base", "large"];

/// Tokens that each query of a preset retrieves.
const K: usize = 32;

/// A preset by name, for a vocabulary; `None` if there is no such preset.
///
/// | preset    | layers x width | parameters | window | kNN layer, memories | for                |
/// |-----------|----------------|------------|--------|---------------------|--------------------|
/// | `tiny`    | 2 x 32         | 44 k       | 16     | 1, 64               | tests              |
/// | `small`   | 4 x 256        | 3.3 M      | 384    | 2, 2048             | an hour on 2 cores |
/// | `base`    | 8 x 512        | 25.3 M     | 512    | 6, 8192             | a GPU              |
/// | `large`   | 16 x 768       | 113 M      | 1024   | 14, 16384           | a large GPU        |
pub fn preset(name: &str, vocabulary: &Vocabulary) -> Option<(ModelConfig, TrainConfig)> {
    let model = |layers, width, heads, head_dim, feed_forward, window, layer, capacity| {
        let sizes = Sizes {
            layers,
            width,
            heads,
            head_dim,
            feed_forward,
            ..grid_sizes(vocabulary)
        };
        ModelConfig {
            shape: NetworkShape {
                sizes,
                window,
                knn: Some(Knn {
                    layer,
                    k: K,
                    capacity,
                    following: true,
                }),
                sounding: true,
            },
            relative: Some(vocabulary.steps_per_beat),
            like_midigen: LikeMidigen::default(),
        }
    };
    let train = |segment, batch_rows, micro_batch, learning_rate| TrainConfig {
        segment,
        batch_rows,
        micro_batch,
        accumulation_steps: 1,
        learning_rate,
        weight_decay: 0.1,
        optimizer: Optimizer::AdamW,
        warm_up: 0.03,
        schedule: Schedule::Cosine,
        gradient_clip: 1.0,
        precision: Precision::F32,
        dropout: 0.0,
        recall_rate: 1.0,
        ablation: Ablation::default(),
        recompute: false,
    };
    match name {
        "tiny" => Some((model(2, 32, 2, 16, 64, 16, 1, 64), train(16, 4, 2, 3e-3))),
        "small" => Some((
            model(4, 256, 4, 64, 704, 384, 2, 2048),
            // More rows make the songs of a step more diverse.
            train(64, 32, 8, 1.5e-3),
        )),
        "base" => Some((
            model(8, 512, 8, 64, 1376, 512, 6, 8192),
            train(512, 32, 8, 6e-4),
        )),
        "large" => Some((
            model(16, 768, 12, 64, 2048, 1024, 14, 16384),
            train(1024, 64, 8, 3e-4),
        )),
        _ => None,
    }
}
