//! Errors of reading and writing files.

use std::io;
use std::path::PathBuf;

/// Error of an output. An existing file or folder is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The path of a file output is a folder.
    #[error("{}: is a folder; name a file", .0.display())]
    Folder(PathBuf),
    /// The path of a folder output is a file.
    #[error("{}: is a file; name a folder", .0.display())]
    File(PathBuf),
    /// The parent folder of the output does not exist.
    #[error(
        "{}: there is no folder {} to write it in; make it first",
        path.display(),
        folder.display()
    )]
    NoFolder {
        /// The output.
        path: PathBuf,
        /// The parent folder.
        folder: PathBuf,
    },
    /// The extension belongs to another kind of file.
    #[error("{}: {wanted} does not end in .{ending} but in {endings}", path.display())]
    Ending {
        /// The output.
        path: PathBuf,
        /// The kind of the output.
        wanted: &'static str,
        /// The extension of the name.
        ending: String,
        /// The extensions of the kind.
        endings: String,
    },
    /// The path is an existing file of another kind.
    #[error("{}: is {found}, not {wanted}, so it is not replaced", path.display())]
    OtherKind {
        /// The output.
        path: PathBuf,
        /// Kind of the existing file.
        found: &'static str,
        /// The kind of the output.
        wanted: &'static str,
    },
    /// The path is an existing folder of another kind.
    #[error(
        "{}: is a folder, but not {wanted} (it has no {marker}), so it is not replaced; name \
         another folder",
        path.display()
    )]
    OtherFolder {
        /// The output.
        path: PathBuf,
        /// The kind of the output.
        wanted: &'static str,
        /// Name of the file that identifies that kind.
        marker: &'static str,
    },
    /// The path exists, and replacing is not allowed.
    #[error("{}: exists already and is not replaced; choose another name", .0.display())]
    Exists(PathBuf),
    /// The existing file is read-only.
    #[error("{}: is read-only, so it is not replaced", .0.display())]
    ReadOnly(PathBuf),
    /// The path is a disk or a socket.
    #[error("{}: is {what}, so it is not written to", path.display())]
    Special {
        /// The output.
        path: PathBuf,
        /// Name of its kind, with an article: "a disk".
        what: &'static str,
    },
    /// Standard output is a terminal, and the output is binary.
    #[error("standard output is a terminal, and {0} is no text; name a file or a pipe")]
    Terminal(&'static str),
    /// Standard output cannot hold a folder.
    #[error("{0} is a folder, which standard output cannot hold; name a folder")]
    FolderToStandardOutput(&'static str),
    /// The system refuses.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The output.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl WriteError {
    /// Whether [`crate::Replace::Any`] would allow this output.
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

/// Error of an input.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The path is a folder.
    #[error("{}: is a folder; name a file", .0.display())]
    Folder(PathBuf),
    /// The input is larger than the limit of its kind.
    #[error("{}: is larger than {} MB, which is the most that is read", path.display(), most >> 20)]
    TooLarge {
        /// The input.
        path: PathBuf,
        /// The limit in bytes.
        most: u64,
    },
    /// Standard input has been read before.
    #[error(
        "standard input (-) is named twice, and can be read only once; name a file for one of the \
         two"
    )]
    StandardInputTwice,
    /// The input is not UTF-8 text.
    #[error("{}: is not text in UTF-8; convert it", .0.display())]
    NotText(PathBuf),
    /// The system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The input.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
