//! Training of models for Continuo: from folders of MIDI files to a model directory.
//!
//! ```text
//! .mid files -- encode --> corpus -- train --> checkpoint -- eval ----> table
//!                                                        \-- export --> model directory
//! ```
//!
//! [`data`] makes corpora and batches, [`model`] is the network, [`train`] trains it, [`eval`]
//! measures it, and [`export`] writes it as ONNX graphs. Each of these uses only those before it.
//! The command line is the program `continuo-trainer`.

pub mod data;
pub mod eval;
pub mod export;
pub mod model;
pub mod train;
