//! Files that an encoding leaves out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Fewest notes of a song; shorter files are fragments.
pub const FEWEST_NOTES: usize = 16;
/// Most notes of a song; larger files are not pieces of music.
pub const MOST_NOTES: usize = 100_000;
/// Reason to leave a file out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The file is no MIDI file, or damaged.
    Broken,
    /// The file has no notes.
    Empty,
    /// Fewer notes than [`FEWEST_NOTES`].
    TooShort,
    /// More notes than [`MOST_NOTES`].
    TooLong,
    /// The corpus has the same music already, perhaps in another key or at another tempo, or
    /// versions of it on both sides of the split.
    Duplicate,
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Broken => "broken",
            Self::Empty => "empty",
            Self::TooShort => "too short",
            Self::TooLong => "too long",
            Self::Duplicate => "duplicate",
        })
    }
}

/// A file that is not in the corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The file.
    #[serde(with = "lossy")]
    pub path: PathBuf,
    /// Reason.
    pub reason: SkipReason,
    /// Details for people.
    pub detail: String,
}

/// Paths in JSON: bytes that are not UTF-8 are replaced.
mod lossy {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&path.to_string_lossy())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        String::deserialize(from).map(PathBuf::from)
    }
}
