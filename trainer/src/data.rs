//! Songs for training: from MIDI files to the batches of a training step.
//!
//! ```text
//! .mid files -- encode, dedup --> corpus -- stream_batcher, augment --> micro-batches
//! ```

pub mod augment;
pub mod corpus;
pub(crate) mod corpus_writer;
pub mod dedup;
pub mod device_corpus;
pub mod divide;
pub mod encode;
pub mod file_kinds;
pub mod grooves;
mod journal;
pub mod merges;
pub mod micro_batch;
pub mod skipped;
pub(crate) mod song_input;
pub mod stream_batcher;
mod style_sampler;
