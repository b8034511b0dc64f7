//! Options of a training.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::data::corpus::Corpus;
use crate::data::stream_batcher::BatchConfig;
use crate::train::checkpoint::{Checkpoint, CheckpointConfig};
use crate::train::config::TrainConfig;
use crate::train::device::Devices;
use crate::train::schedule::Budget;

/// Options of [`train`](crate::train::train).
pub struct TrainOptions<'a> {
    /// Songs.
    pub corpus: &'a Corpus,
    /// Folder for checkpoints and `losses.csv`.
    pub output: &'a Path,
    /// State to start from.
    pub start: Start,
    /// Time between checkpoints; one more is saved at the end.
    pub checkpoint_every: Duration,
    /// Time between measurements on held-out songs, with one more at the end; `None` for no
    /// measurements.
    pub measure_every: Option<Duration>,
    /// Time between samples, with one more at the end; `None` for no samples.
    pub sample_every: Option<Duration>,
    /// Devices that run the network.
    pub devices: &'a Devices,
    /// Any thread sets it to save a checkpoint and stop.
    pub stop: &'a AtomicBool,
}

/// State that a training starts from.
#[expect(clippy::large_enum_variant, reason = "there is one, made once")]
pub enum Start {
    /// The first step.
    New {
        /// Shape of the network.
        model: CheckpointConfig,
        /// Settings of the training.
        config: TrainConfig,
        /// Length of the training.
        budget: Budget,
        /// Threads on the CPU.
        threads: usize,
        /// Composition of the batches; its seed also decides the random parameters.
        batches: BatchConfig,
        /// Initial parameters; random ones if `None`.
        from: Option<Checkpoint>,
    },
    /// The newest checkpoint in the output folder.
    Resume {
        /// Replaces the saved budget.
        budget: Option<Budget>,
    },
}
