//! Errors of checkpoints.

use std::path::PathBuf;

use continuo_files::WriteError;
use continuo_score::vocabulary::VocabularyError;

use crate::data::file_kinds::WEIGHTS;

/// Error of a checkpoint that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The folder has no checkpoint.
    #[error("{}: no checkpoint there (a folder step-… with config.json); train one with `continuo-trainer train`", .0.display())]
    None(PathBuf),
    /// The model directory has no parameters.
    #[error(
        "{}: a model without {WEIGHTS}: it can be played, not trained or measured; export it \
         again from its checkpoint", .0.display()
    )]
    NoWeights(PathBuf),
    /// An average would replace the checkpoint of a training.
    #[error(
        "{}: a checkpoint of a training, which could not be resumed after that; choose another folder",
        .0.display()
    )]
    OfTraining(PathBuf),
    /// The system refuses a read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// A file has contents that do not fit.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
    /// Another file is in the way of the checkpoint.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The vocabulary is malformed.
    #[error("{}: {source}", path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: VocabularyError,
    },
}
