//! Checkpoints: the whole state of a training, so that it continues with the same losses as if
//! it had never stopped.
//!
//! ```text
//! DIR/losses.csv
//! DIR/step-00001200/     the newest two; each appears whole or not at all
//!   config.json            sizes, window, preset
//!   vocabulary.json
//!   weights.safetensors    parameters by name (f32; f16 in models), matrices [in, out]
//!   training.json          settings, budget, progress, position in the songs
//!   training.safetensors   moments (`first.NAME`, `second.NAME`; `momentum.NAME` for Muon),
//!                          each micro-batch's XL memory (`memory.BATCH.LAYER.key`, `….value`)
//!                          and kNN memory (`memory.BATCH.recalled.key`, `….value`, if there is
//!                          any)
//! ```
//!
//! `burn`'s recorders write the parameters of modules; these files also hold the moments by name
//! and the streams' memories, and other programs read them.

mod average;
mod error;
mod listing;
mod open;
mod save;
mod state;
mod tensor_file;

pub use crate::data::file_kinds::WEIGHTS;
pub use average::average;
pub use error::CheckpointError;
pub use listing::steps;
pub use open::Checkpoint;
pub use save::{save, weights};
pub use state::{CheckpointConfig, TrainState};
pub use tensor_file::StoredFormat;
