//! Why a file was not read or not written.

use std::io;
use std::path::PathBuf;

/// Why an output is refused, or was not written. Whatever was there is still there.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A folder stands where a file is to be.
    #[error("{}: is a folder; name a file", .0.display())]
    Folder(PathBuf),
    /// A file stands where a folder is to be.
    #[error("{}: is a file; name a folder", .0.display())]
    File(PathBuf),
    /// The folder that the file is to be in does not exist.
    #[error("{}: there is no folder {} to write it in; make it first", path.display(), folder.display())]
    NoFolder {
        /// The output.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// The name says that it is something else.
    #[error("{}: {wanted} does not end in .{ending} but in {endings}", path.display())]
    Ending {
        /// The output.
        path: PathBuf,
        /// The kind that would be written.
        wanted: &'static str,
        /// The name's ending.
        ending: String,
        /// Endings of that kind.
        endings: String,
    },
    /// A file of another kind has that name.
    #[error("{}: is {found}, not {wanted}, so it is not replaced", path.display())]
    OtherKind {
        /// The output.
        path: PathBuf,
        /// Kind of the file that is there.
        found: &'static str,
        /// The kind that would be written.
        wanted: &'static str,
    },
    /// A folder of another kind has that name.
    #[error("{}: is a folder, but not {wanted} (it has no {marker}), so it is not replaced", path.display())]
    OtherFolder {
        /// The output.
        path: PathBuf,
        /// The kind that would be written.
        wanted: &'static str,
        /// The file by which that kind is known.
        marker: &'static str,
    },
    /// Something has that name, and nothing may be replaced.
    #[error("{}: is there already", .0.display())]
    Exists(PathBuf),
    /// The file that is there may not be written.
    #[error("{}: is read-only, so it is not replaced", .0.display())]
    ReadOnly(PathBuf),
    /// A disk or a socket.
    #[error("{}: is {what}, so it is not written to", path.display())]
    Special {
        /// The output.
        path: PathBuf,
        /// Kind of the thing that is there.
        what: &'static str,
    },
    /// Binary data would go to a terminal.
    #[error("standard output is a terminal, and {0} is no text; name a file or a pipe")]
    Terminal(&'static str),
    /// A folder does not go through a pipe.
    #[error("{0} is a folder, which standard output cannot hold; name a folder")]
    FolderToStandardOutput(&'static str),
    /// The system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The output.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl WriteError {
    /// Whether [`crate::Replace::Any`] would have written it.
    pub fn yields_to_force(&self) -> bool {
        matches!(
            self,
            Self::Ending { .. }
                | Self::OtherKind { .. }
                | Self::ReadOnly(_)
                | Self::Special { what: "a disk", .. }
                | Self::Terminal(_)
        )
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Why an input was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is a folder.
    #[error("{}: is a folder; name a file", .0.display())]
    Folder(PathBuf),
    /// It is larger than anything of its kind.
    #[error("{}: is larger than {} MB, which is the most that is read", path.display(), most >> 20)]
    TooLarge {
        /// The input.
        path: PathBuf,
        /// The most bytes.
        most: u64,
    },
    /// Standard input was named twice.
    #[error(
        "standard input (-) is named twice, and can be read only once; name a file for one of the two"
    )]
    StandardInputTwice,
    /// It is not text.
    #[error("{}: is not text in UTF-8", .0.display())]
    NotText(PathBuf),
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The input.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
