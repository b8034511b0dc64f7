use std::io;
use std::path::{Path, PathBuf};

use continuo_files::ReadError;

/// Error of this crate. Its text says what failed, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum EarError {
    /// The audio file cannot be opened or read.
    #[error("{path}: cannot be read: {source}; check the file's name and your permissions", path = .path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// Standard input cannot be read.
    #[error(transparent)]
    Standard(#[from] ReadError),
    /// The file is no audio file of a known kind.
    #[error("{path}: is no WAV or FLAC file that can be decoded ({reason}); convert it to WAV or FLAC first", path = .path.display())]
    Format {
        /// Path of the file.
        path: PathBuf,
        /// Error of the decoder.
        reason: String,
    },
    /// The sample rate is out of range.
    #[error("{path}: the sample rate is {rate} Hz; convert the file to a rate from 8000 to 192000 Hz", path = .path.display())]
    FileRate {
        /// Path of the file.
        path: PathBuf,
        /// Sample rate in Hz.
        rate: u32,
    },
    /// The sample rate of a stream is out of range.
    #[error("the stream's sample rate is {0} Hz; use a rate from 8000 to 192000 Hz")]
    Rate(u32),
    /// The model's file cannot be loaded.
    #[error("{path}: cannot be loaded as basic-pitch's model ({reason}); fetch it with `cargo xtask ear`", path = .path.display())]
    Model {
        /// Path of the model's file.
        path: PathBuf,
        /// Error of ONNX Runtime, or the difference from the expected model.
        reason: String,
    },
    /// The model does not run.
    #[error("the ear's model cannot run: {0}; load the model again")]
    Run(String),
    /// The caller stopped the transcription.
    #[error("the transcription was stopped; start it again")]
    Stopped,
    /// The sample rate cannot be converted.
    #[error("the sample rate cannot be converted: {0}; use another sample rate")]
    Resample(String),
}

impl EarError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }

    pub(crate) fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
