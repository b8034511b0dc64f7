//! Export: from a checkpoint to a model directory, with a proof that the graphs equal the model.

pub mod calibration;
pub mod memory_fit;
mod model_directory;
pub mod onnx;
pub mod parity;

pub use model_directory::{ExportError, ExportOptions, Exported, MOST_LOST_BY_FOUR_BITS, export};
