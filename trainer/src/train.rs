//! Training: from a corpus to a checkpoint.
//!
//! [`train`] runs the loop, [`trainer`] takes one step, [`checkpoint`] saves and restores it.

pub mod checkpoint;
pub mod config;
pub mod device;
mod error;
mod events;
mod log;
pub mod optimiser;
mod options;
mod run;
pub mod sample;
pub mod schedule;
mod start;
mod tensorboard;
pub mod trainer;
mod validation;

pub use error::TrainError;
pub use events::{Ending, StepMetrics, TrainEvent};
pub use options::{Start, TrainOptions};
pub use run::train;
