//! From a model directory to a [`Composer`] that listens, remembers and plays on.
//!
//! ```text
//! Runtime (ONNX Runtime, one a process) ─> Model (weights, shared) ─> Composer (one memory each)
//! ```
//!
//! Nothing here starts a thread or touches a host; the plugin's composer thread and the
//! `continuo` command call it. Nothing here may be called from an audio thread: every call
//! can allocate and take milliseconds.

pub mod composer;
mod denormals;
pub mod device;
pub mod error;
pub mod knn;
pub mod kv_cache;
pub mod memory;
pub mod model;
pub mod runtime;
pub mod sampling;
pub mod stats;

pub use composer::{Attribution, Composer, PendingWork, Progress};
pub use device::{Device, UnavailableDevice};
pub use error::EngineError;
pub use memory::Memory;
pub use model::{Model, ModelOptions};
pub use runtime::Runtime;
pub use sampling::{Constraints, Register, Sampler, Sampling, ScaleLock};
pub use stats::DecodeStats;
