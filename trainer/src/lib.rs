//! From folders of MIDI files to a model directory.
//!
//! ```text
//! .mid files -- encode --> corpus -- train --> checkpoint -- eval ----> table
//!                                                        \-- export --> model directory
//! ```
//!
//! [`config`] holds the presets, [`model`] the whole network, [`learner`] one step of training.

pub mod augment;
pub mod calibrate;
pub mod checkpoint;
pub mod config;
pub mod corpus;
pub mod device;
pub mod encode;
pub mod eval;
pub mod export;
mod journal;
pub mod kinds;
pub mod lanes;
pub mod learner;
mod log;
pub mod model;
pub mod near;
pub mod onnx;
pub mod optimiser;
pub mod parity;
pub mod resident;
pub mod sample;
pub mod schedule;
pub mod suffix;
pub mod tensorboard;
pub mod train;
pub mod vocab;
mod watch;
mod writer;
