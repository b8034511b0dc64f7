//! Errors of reading and writing MIDI files.

use std::path::PathBuf;

use continuo_files::{ReadError, WriteError};

/// An offset at which bytes are no readable MIDI file, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct ParseError {
    /// Offset in bytes from the start of the file.
    pub offset: usize,
    /// Reason, for people.
    pub reason: String,
}

impl ParseError {
    pub(super) fn new(offset: usize, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { offset, reason }
    }
}

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MidiError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its error.
        source: std::io::Error,
    },
    /// A MIDI file cannot hold the music.
    #[error("{}: {source}", path.display())]
    Build {
        /// The file that was to be written.
        path: PathBuf,
        /// The reason.
        source: BuildError,
    },
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The bytes are no MIDI file.
    #[error("{}: not a readable MIDI file: byte {offset}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Offset in bytes from the start of the file.
        offset: usize,
        /// Reason, for people.
        reason: String,
    },
}

/// Music that a MIDI file cannot hold.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A header counts tracks in 16 bits.
    #[error(
        "a MIDI file holds 65535 tracks, and this one would have {tracks}; leave some out, or \
         write the new track alone"
    )]
    Tracks {
        /// Tracks the file would have.
        tracks: usize,
    },
    /// A header counts the ticks of a beat in 15 bits.
    #[error("a MIDI file has 1 to 32767 ticks a beat, not {ticks}; choose another division")]
    Division {
        /// Ticks a beat.
        ticks: u32,
    },
    /// A wait that would need more than 4096 empty events.
    #[error("a wait of {ticks} ticks is too long for a MIDI file; shorten the silence")]
    Wait {
        /// Ticks from one event to the next.
        ticks: u64,
    },
    /// A chunk counts its bytes in 32 bits.
    #[error("a MIDI file holds 4 GiB, and this one would be longer; leave notes out")]
    Size,
    /// A track whose notes are to be replaced cannot be read to its end.
    #[error(
        "track {track} is damaged at byte {offset}, so its notes cannot be replaced; repair it first"
    )]
    Damaged {
        /// Track, from 0.
        track: usize,
        /// Offset of the first unreadable event in bytes.
        offset: usize,
    },
    /// `midly` refused to write.
    #[error("the MIDI file could not be built: {0}")]
    Refused(std::io::Error),
}
