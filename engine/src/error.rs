//! Errors of the engine. Their texts are for users.

use std::path::PathBuf;

/// Any failure of the engine.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The library of ONNX Runtime is missing, too old, or another library.
    #[error(
        "ONNX Runtime could not be loaded from {}: {reason} (`cargo xtask runtime` fetches it)",
        path.display()
    )]
    Runtime {
        /// Path of the library.
        path: PathBuf,
        /// Error of the loader.
        reason: String,
    },
    /// A file of the model directory is missing or invalid.
    #[error("model {}: {reason}", path.display())]
    Model {
        /// The file or directory.
        path: PathBuf,
        /// Reason and, if known, remedy, for people.
        reason: String,
    },
    /// The network failed while running.
    #[error("the model failed while running: {0}")]
    Run(String),
    /// The kNN memory failed, as a rule because the system had no memory left.
    #[error("the memory could not be searched or kept: {0}")]
    Memory(String),
    /// The logits are unusable: NaN, infinite or of the wrong length, or the grammar allows no token.
    #[error("the model predicts nothing usable here ({0}); its weights may be damaged")]
    Logits(&'static str),
    /// A saved session is invalid.
    #[error("the saved session cannot be read: {0}")]
    State(String),
    /// The network has no embedding for a token.
    #[error("token {id} or its place in time is outside of the model's {size} ids and its grid")]
    Token {
        /// Its id.
        id: u16,
        /// Number of ids in the vocabulary.
        size: usize,
    },
    /// The flag of [`crate::Composer::set_stop`] was set.
    #[error("stopped while reading")]
    Stopped,
    /// The grid of a score differs from that of the model.
    #[error("the score is on a grid of {score} steps a beat and the model's is {model}")]
    Grid {
        /// Steps a beat of the score.
        score: u32,
        /// Steps a beat of the model.
        model: u32,
    },
}

impl From<ort::Error> for EngineError {
    fn from(error: ort::Error) -> Self {
        EngineError::Run(error.to_string())
    }
}
