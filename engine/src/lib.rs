//! The engine: loads a model directory, and continues music with a [`Composer`].
//!
//! ```text
//! Runtime (ONNX Runtime, one a process) ─> Model (weights, shared) ─> Composer (one memory each)
//! ```
//!
//! It starts no thread and depends on no host; the plugin's composer thread and the command
//! `continuo` call it. No audio thread may call it: every call can allocate and take milliseconds.
//! [`Composer`] has an example.

pub mod composer;
mod denormals;
pub mod device;
pub mod error;
pub mod knn;
pub mod kv_cache;
pub mod loss;
pub mod memory;
pub mod model;
pub mod runtime;
pub mod sampling;
pub mod stats;
#[cfg(windows)]
mod visual_cpp;

pub use composer::{Attribution, Composer, Infill, Infilled, PendingWork, Progress};
pub use device::{Device, UnavailableDevice};
pub use error::EngineError;
pub use memory::Memory;
pub use model::{Model, ModelOptions};
pub use runtime::Runtime;
pub use sampling::{Constraints, PartLimits, Register, Sampler, Sampling, ScaleLock};
pub use stats::DecodeStats;
