//! Contents of a checkpoint's JSON files.

use serde::{Deserialize, Serialize};

use crate::data::stream_batcher::BatcherState;
use crate::model::ModelConfig;
use crate::train::config::TrainConfig;
use crate::train::schedule::Budget;

/// Contents of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointConfig {
    /// Format version; see [`CheckpointConfig::FORMAT`].
    pub format: u32,
    /// Preset that the sizes come from.
    pub preset: String,
    /// Shape of the network.
    #[serde(flatten)]
    pub model: ModelConfig,
}

impl CheckpointConfig {
    /// Format version that this build writes and reads.
    pub const FORMAT: u32 = 1;
}

/// Contents of `training.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// Settings of the training.
    #[serde(rename = "recipe")]
    pub config: TrainConfig,
    /// Length of the training.
    pub budget: Budget,
    /// Threads on the CPU; the order of summation depends on them.
    pub threads: usize,
    /// Steps taken.
    pub steps: u64,
    /// Tokens predicted.
    pub tokens: u64,
    /// Seconds spent in steps.
    pub seconds: f64,
    /// Fingerprint of the corpus, [`crate::data::corpus::Corpus::fingerprint`].
    pub corpus: u64,
    /// Position in the songs.
    #[serde(rename = "lanes")]
    pub batcher: BatcherState,
}

impl TrainState {
    /// Tokens that each batch row has read.
    pub(super) fn position(&self) -> u64 {
        self.steps * (self.config.segment * self.config.accumulation_steps) as u64
    }
}
