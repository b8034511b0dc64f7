//! Files as commands read and write them.
//!
//! **Outputs** appear whole or not at all. [`Output`] is a file, a device, a pipe or standard
//! output; [`FolderOutput`] is a folder. Both are checked before the work begins, so that a name
//! that cannot be written costs nobody an hour. The bytes go to a scratch file with a name of its
//! own in the target's folder, which is flushed to the disk and renamed; a full disk leaves what
//! was there. A folder, a disk or a file of another [`Kind`] is not replaced, unless
//! [`Replace::Any`] says so; a folder never becomes a file. Devices and pipes are written to.
//! Only the scratch names of this process are ever removed: see [`remove_scratch`].
//!
//! **Inputs** are files, pipes or standard input: [`read_input`]. Folders are searched with
//! [`search`], which follows each link once and counts what it leaves out.
//!
//! The path `-` is standard input, or standard output.
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

mod error;
mod folder;
mod input;
pub mod kind;
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
