//! Errors of the engine, with texts that say what to do.

use std::path::PathBuf;

/// Any failure of the engine.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// ONNX Runtime's library is missing, too old or no such library.
    #[error(
        "ONNX Runtime could not be loaded from {}: {reason} (`cargo xtask runtime` fetches it)",
        path.display()
    )]
    Runtime {
        /// Where it was looked for.
        path: PathBuf,
        /// Error of the loader.
        reason: String,
    },
    /// A file of the model directory is missing or makes no sense.
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
    /// The kNN memory failed: in practice, no memory was left.
    #[error("the memory could not be searched or kept: {0}")]
    Memory(String),
    /// The network gave no usable prediction.
    #[error("the model predicts nothing usable here ({0}); its weights may be damaged")]
    Logits(&'static str),
    /// A saved session that cannot be taken up.
    #[error("the saved session cannot be read: {0}")]
    State(String),
    /// A token that the network has no embedding for.
    #[error("token {id} or its place in time is outside of the model's {size} ids and its grid")]
    Token {
        /// Its id.
        id: u16,
        /// Ids in the vocabulary.
        size: usize,
    },
    /// The flag of [`crate::Composer::set_stop`] was up.
    #[error("stopped while reading")]
    Stopped,
    /// Asked for something the vocabulary cannot say.
    #[error("the score is on a grid of {score} steps a beat and the model's is {model}")]
    Grid {
        /// The score's.
        score: u32,
        /// The model's.
        model: u32,
    },
}

impl From<ort::Error> for EngineError {
    fn from(error: ort::Error) -> Self {
        EngineError::Run(error.to_string())
    }
}
