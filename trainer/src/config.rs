//! Presets: the sizes of a network and how it is trained. All of them stand here.

use continuo_score::Vocabulary;
use continuo_score::manifest::{Knn, Sizes};
use serde::{Deserialize, Serialize};

use crate::model::Precision;

/// What decides the shape of a network; the rest of training may change, this may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Sizes, as the model directory states them.
    pub sizes: Sizes,
    /// Tokens each token attends to in every layer, itself included.
    pub window: usize,
    /// The layer that also recalls what has left its window, if there is one.
    #[serde(default)]
    pub knn: Option<Knn>,
    /// Whether each token is told which notes sound.
    #[serde(default)]
    pub sounding: bool,
    /// Steps a beat, where attention is told how far apart tokens are in time and pitch.
    #[serde(default)]
    pub relative: Option<u32>,
    /// Parts that are made otherwise, for comparison.
    #[serde(default)]
    pub like_midigen: LikeMidigen,
}

/// Parts made as in MIDIGen, the network this one grew from, to see what ours are worth. Such a
/// network is trained and measured; it has no graphs to export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LikeMidigen {
    /// LayerNorm (without an offset) instead of RMSNorm.
    pub norm: bool,
    /// GELU on four times the width instead of SwiGLU on 8/3 of it.
    pub feed_forward: bool,
    /// A learned number for each head and distance, added to the scores, instead of rotary
    /// positions. The kNN layer has neither.
    pub positions: bool,
}

impl Shape {
    /// Heads of keys and values in layer `l`: one in the kNN layer.
    pub fn memory_heads(&self, l: usize) -> usize {
        match self.knn {
            Some(knn) if knn.layer == l => 1,
            _ => self.sizes.heads,
        }
    }
}

/// Memories retrieved a query.
const K: usize = 32;
/// Numbers in a head.
const HEAD_DIM: usize = 64;

impl Shape {
    /// The shape with as many layers, as wide; heads of 64, feed-forward networks of 8/3 of the
    /// width. The kNN layer is the last but one.
    ///
    /// # Errors
    /// A width that is no multiple of 64, or nothing at all.
    pub fn resized(mut self, layers: usize, width: usize) -> Result<Self, String> {
        if layers == 0 || width == 0 || !width.is_multiple_of(HEAD_DIM) {
            return Err(format!(
                "{layers} layers of {width}: at least one layer, and a width that is a \
                 multiple of {HEAD_DIM}"
            ));
        }
        self.sizes = Sizes {
            layers,
            width,
            heads: width / HEAD_DIM,
            head_dim: HEAD_DIM,
            feed_forward: (width * 8 / 3).next_multiple_of(32),
            ..self.sizes
        };
        if let Some(knn) = &mut self.knn {
            knn.layer = layers.saturating_sub(2);
        }
        Ok(self)
    }
}

/// How a network is trained, unless the command line says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Tokens of a lane in one step. Attention costs `segment * (segment + window)`, of which
    /// `segment * window` is used: a segment much longer than the window is wasted work, a
    /// much shorter one carries gradients over too short a stretch.
    pub segment: usize,
    /// Lanes: songs played side by side in one step.
    pub lanes: usize,
    /// Lanes that pass through the network at once. A step is the sum over such groups; small
    /// groups stay in the processor's cache, large ones suit a GPU.
    pub group: usize,
    /// Segments of every lane that make one step.
    pub accumulate: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay, of matrices inside the layers.
    pub weight_decay: f64,
    /// Share of the budget spent warming up.
    pub warm_up: f64,
    /// Largest norm of the gradient; longer ones are scaled down to it.
    pub clip: f64,
    /// Of the products, forward and backward.
    #[serde(default)]
    pub precision: Precision,
    /// Share of the numbers that dropout sets to zero, of what the embedding gives and of what
    /// each layer's two halves add to it; 0 for none.
    #[serde(default)]
    pub dropout: f64,
    /// What the learning rate of the kNN layer's scale, bias and similarity weight is
    /// multiplied by: a handful of numbers, which all tokens pull at, each its own way.
    #[serde(default = "one")]
    pub recall_rate: f64,
    /// Parts of the network that stay zero.
    #[serde(default)]
    pub without: Without,
    /// Whether the backward pass computes again what is cheap to compute, instead of having
    /// kept it (activation checkpoints).
    #[serde(default)]
    pub recompute: bool,
}

fn one() -> f64 {
    1.0
}

/// Parts of the network that can be left out, to see what they are worth: their parameters are
/// zero and learn nothing. The network's shape, its files and its export remain the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Without {
    /// The time grid: step in bar, bar, metre.
    pub grid: bool,
    /// Pitch classes and octaves: every id learns for itself.
    pub pitch: bool,
    /// Which notes sound.
    pub sounding: bool,
    /// What the gate of the kNN memory has learnt: it is half open.
    pub gate: bool,
}

impl Without {
    /// Whether the parameter of this name is left out.
    pub fn leaves_out(self, name: &str) -> bool {
        match name.rsplit('.').next().unwrap_or(name) {
            "bar_step" | "bar" | "metre" => self.grid,
            "pitch" => self.pitch,
            "sounding" => self.sounding,
            "recall_gate" | "recall_bias" | "recall_best" => self.gate,
            _ => false,
        }
    }
}

/// Rows of the bar-number embedding: bars count modulo this.
const BARS: usize = 16;
/// Rows of the step-in-bar and bar-length embeddings: 4 whole notes at 12 steps a beat.
const BAR_STEPS: usize = 192;

/// Sizes of which only those hold that a corpus depends on: its vocabulary and grid rows.
pub fn grid_sizes(vocabulary: &Vocabulary) -> Sizes {
    Sizes {
        vocabulary: vocabulary.size(),
        layers: 0,
        width: 0,
        heads: 0,
        head_dim: 0,
        feed_forward: 0,
        bar_steps: BAR_STEPS,
        bars: BARS,
    }
}

/// Names of the presets, smallest first.
pub const PRESETS: [&str; 4] = ["tiny", "small", "base", "large"];

/// A preset by name, for a vocabulary.
///
/// | preset  | layers x width | parameters | window | kNN layer, memories | for                    |
/// |---------|----------------|------------|--------|---------------------|------------------------|
/// | `tiny`  | 2 x 32         | 44 k       | 16     | 1, 64               | tests                  |
/// | `small` | 4 x 256        | 3.3 M      | 384    | 2, 2048             | an hour on 2 cores     |
/// | `base`  | 8 x 512        | 25.3 M     | 512    | 6, 8192             | a GPU                  |
/// | `large` | 16 x 768       | 113 M      | 1024   | 14, 16384           | a large GPU            |
pub fn preset(name: &str, vocabulary: &Vocabulary) -> Option<(Shape, Recipe)> {
    let shape = |layers, width, heads, head_dim, feed_forward, window, layer, capacity| Shape {
        sizes: Sizes {
            layers,
            width,
            heads,
            head_dim,
            feed_forward,
            ..grid_sizes(vocabulary)
        },
        window,
        knn: Some(Knn {
            layer,
            k: K,
            capacity,
            following: true,
        }),
        sounding: true,
        relative: Some(vocabulary.steps_per_beat),
        like_midigen: LikeMidigen::default(),
    };
    let recipe = |segment, lanes, group, learning_rate| Recipe {
        segment,
        lanes,
        group,
        accumulate: 1,
        learning_rate,
        weight_decay: 0.1,
        warm_up: 0.03,
        clip: 1.0,
        precision: Precision::F32,
        dropout: 0.0,
        recall_rate: 1.0,
        without: Without::default(),
        recompute: false,
    };
    match name {
        "tiny" => Some((shape(2, 32, 2, 16, 64, 16, 1, 64), recipe(16, 4, 2, 3e-3))),
        "small" => Some((
            shape(4, 256, 4, 64, 704, 384, 2, 2048),
            // Many lanes: the songs of a step are the more different.
            recipe(64, 32, 8, 1.5e-3),
        )),
        "base" => Some((
            shape(8, 512, 8, 64, 1376, 512, 6, 8192),
            recipe(512, 32, 8, 6e-4),
        )),
        "large" => Some((
            shape(16, 768, 12, 64, 2048, 1024, 14, 16384),
            recipe(1024, 64, 8, 3e-4),
        )),
        _ => None,
    }
}
