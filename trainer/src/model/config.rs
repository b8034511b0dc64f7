//! Configuration of a network.

use continuo_score::Vocabulary;
use continuo_score::manifest::{NetworkShape, Sizes};
use serde::{Deserialize, Serialize};

/// Configuration of a network; it stays the same for all of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// The values that a model directory states too. In `config.json` they are keys at the top level.
    #[serde(flatten)]
    pub shape: NetworkShape,
    /// Steps a beat if attention depends on distances in time and pitch, else `None`. The model
    /// directory only states whether it does.
    #[serde(default)]
    pub relative: Option<u32>,
    /// Parts built as in MIDIGen, for comparison.
    #[serde(default)]
    pub like_midigen: LikeMidigen,
}

/// Parts built as in MIDIGen, the network that this one is derived from, to measure the value of
/// ours. Such a network can be trained and measured, but not exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LikeMidigen {
    /// LayerNorm (without an offset) instead of RMSNorm.
    pub norm: bool,
    /// GELU on four times the width instead of SwiGLU on 8/3 of it.
    pub feed_forward: bool,
    /// A learned bias per head and distance, added to the attention scores, instead of rotary
    /// positions. The kNN layer has neither.
    pub positions: bool,
}

/// Size of a head in presets and resized networks.
const HEAD_DIM: usize = 64;
/// Rows of the bar-number embedding: bars count modulo this.
const BARS: usize = 16;
/// Rows of the step-in-bar and bar-length embeddings: 4 whole notes at 12 steps a beat.
const BAR_STEPS: usize = 192;

impl ModelConfig {
    /// The same network with `layers` layers of `width`: heads of 64, feed-forward networks of
    /// 8/3 of the width, and the kNN layer last but one.
    ///
    /// # Errors
    /// `layers` is 0, or `width` is 0 or no multiple of 64.
    pub fn resized(mut self, layers: usize, width: usize) -> Result<Self, String> {
        if layers == 0 || width == 0 || !width.is_multiple_of(HEAD_DIM) {
            return Err(format!(
                "{layers} layers of {width}: at least one layer, and a width that is a \
                 multiple of {HEAD_DIM}"
            ));
        }
        self.shape.sizes = Sizes {
            layers,
            width,
            heads: width / HEAD_DIM,
            head_dim: HEAD_DIM,
            feed_forward: (width * 8 / 3).next_multiple_of(32),
            ..self.shape.sizes
        };
        if let Some(knn) = &mut self.shape.knn {
            knn.layer = layers.saturating_sub(2);
        }
        Ok(self)
    }
}

/// Sizes with only those fields set that a corpus depends on: vocabulary and grid rows.
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
