//! From folders of MIDI files to a model directory.
//!
//! ```text
//! .mid files -- encode --> corpus -- train --> checkpoint -- eval ----> table
//!                                                        \-- export --> model directory
//! ```
//!
//! [`config`] holds the presets, [`model`] the whole network, [`learner`] one step of training.

pub mod checkpoint;
pub mod config;
pub mod corpus;
pub mod encode;
pub mod eval;
pub mod export;
pub mod files;
pub mod lanes;
pub mod learner;
pub mod model;
pub mod onnx;
pub mod optimiser;
pub mod parity;
pub mod schedule;
pub mod train;
