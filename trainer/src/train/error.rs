//! Errors of a training.

use std::path::{Path, PathBuf};

use continuo_files::WriteError;

use crate::data::corpus::Corpus;
use crate::train::checkpoint::CheckpointError;
use crate::train::device::DeviceError;

/// Error that keeps a training from starting or from going on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The output folder holds a training.
    #[error("{}: a training is there already; continue it with --resume, or choose another folder", .0.display())]
    Taken(PathBuf),
    /// The corpus does not fit the model.
    #[error("{0}")]
    Corpus(String),
    /// All songs are held out.
    #[error("{}: no songs to train on (all {songs} are held out)", path.display())]
    NoSongs {
        /// The corpus.
        path: PathBuf,
        /// Its songs.
        songs: usize,
    },
    /// A song would be in several batch rows at once.
    #[error("{}: {songs} songs to train on, and {batch_rows} batch rows to play them in; take --batch {songs} or less", path.display())]
    FewSongs {
        /// The corpus.
        path: PathBuf,
        /// Its training songs.
        songs: usize,
        /// Batch rows.
        batch_rows: usize,
    },
    /// The initial model has other sizes.
    #[error("{}: its sizes or its vocabulary are not those of the training", .0.display())]
    OtherModel(PathBuf),
    /// The device cannot compute in the training's number format.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file beside the checkpoints cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// A file beside the checkpoints is in the way of the output.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The loss or the gradient is not finite.
    #[error(
        "step {step}: the loss is {loss}, so nothing more is saved; the last checkpoint is from \
         before: start again with a lower --lr, or with --from it"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// The loss, nats per token.
        loss: f64,
    },
}

impl TrainError {
    /// [`Self::Corpus`] for a training that began with another corpus.
    pub(crate) fn other_corpus(corpus: &Corpus) -> Self {
        Self::Corpus(format!(
            "{}: not the corpus that this training began with; resume with that one, or start a new \
             training in another folder",
            corpus.path().display(),
        ))
    }

    /// [`Self::NoSongs`] for a corpus.
    pub(crate) fn no_songs(corpus: &Corpus) -> Self {
        Self::NoSongs {
            path: corpus.path().into(),
            songs: corpus.songs.len(),
        }
    }
}

/// Adds the path to an error of the system.
pub(crate) fn io_at(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError {
    let path = path.to_owned();
    move |source| TrainError::Io { path, source }
}
