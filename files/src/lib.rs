//! Input and output files of commands, and the search for ONNX Runtime's library.
//!
//! **Outputs** appear whole or not at all. [`Output`] is a file, a device, a pipe or standard
//! output; [`FolderOutput`] is a folder. Both are checked before the work begins, so that a wrong
//! name does not cost an hour of work. The bytes go to a scratch file with a unique name in the
//! target's folder, which is flushed to the disk and renamed. A full disk leaves the existing file
//! unchanged. A file of another [`Kind`] is replaced, and a disk is written to, only if
//! [`Replace::Any`] allows it. A file never replaces a folder, and a folder of another kind is
//! never replaced. Other devices and pipes are written to. Only scratch files of this process are
//! ever removed: see [`remove_scratch`].
//!
//! **Inputs** are files, pipes or standard input: [`read_input`]. [`search`] searches folders,
//! follows each link once and counts the entries it leaves out.
//!
//! **ONNX Runtime's library** is searched in one order by all programs: [`onnx_runtime`]. So is the
//! model that turns audio into notes: [`ear_model`].
//!
//! The path `-` stands for standard input or standard output.
//!
//! ```
//! use continuo_files::{Output, Replace, kind};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("song.mid");
//! // Before the work:
//! let output = Output::check(&path, &kind::MIDI, Replace::SameKind)?;
//! // After it:
//! output.write(b"MThd\0\0\0\x06")?;
//! // A picture does not replace a song.
//! let refused = Output::check(&path, &kind::PNG, Replace::SameKind).unwrap_err();
//! assert!(refused.yields_to_force());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod ear_model;
mod error;
mod folder;
mod input;
pub mod kind;
pub mod onnx_runtime;
mod output;
mod place;
mod scratch;
mod search;

pub use error::{ReadError, WriteError};
pub use folder::{FolderDraft, FolderKind, FolderOutput, check_folder};
pub use input::{Input, MOST_BYTES, STANDARD_INPUT, is_standard, read_input, read_text};
pub use kind::Kind;
pub use output::{Draft, Output, Replace, STANDARD_OUTPUT};
pub use scratch::{ScratchFolder, remove_scratch};
pub use search::{Found, LeftOut, Why, search};
