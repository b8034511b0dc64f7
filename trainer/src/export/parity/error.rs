//! Errors of the parity proof.

use std::path::PathBuf;

/// Largest difference of two logits that counts as rounding.
pub const TOLERANCE: f32 = 1e-4;
/// Largest loss of a variant, nats per token.
pub const MOST_LOST: f64 = 0.02;

/// Error that keeps exported graphs from being proved equal to the model.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// ONNX Runtime does not load.
    #[error("{}: ONNX Runtime does not load: {reason}", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
    /// ONNX Runtime refuses a graph.
    #[error("ONNX Runtime on the exported graph: {0}")]
    Run(#[from] ort::Error),
    /// A graph has an unknown input.
    #[error("the exported graph has an unknown input {0:?}")]
    Input(String),
    /// The graphs lack an output.
    #[error("the exported graphs have no output {0:?}")]
    Output(&'static str),
    /// The corpus has no songs.
    #[error("{}: no songs", .0.display())]
    NoSongs(PathBuf),
    /// The trainer's retrieval and the exact search differ.
    #[error("at token {position} the trainer did not retrieve the nearest memories")]
    Search {
        /// Token of the song.
        position: usize,
    },
    /// A variant loses too much.
    #[error(
        "the variant {variant} loses {per_token:.3} nats a token (at most {MOST_LOST} is allowed)"
    )]
    Loses {
        /// Name of the variant.
        variant: &'static str,
        /// Loss, nats per token.
        per_token: f64,
    },
    /// The logits differ.
    #[error(
        "the exported graph is not the model: logits differ by up to {largest:.2e} (at most {TOLERANCE:.0e} is rounding)"
    )]
    Differs {
        /// Largest absolute difference.
        largest: f32,
    },
}
