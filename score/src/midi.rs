//! Standard MIDI files, types 0, 1 and 2, plain or inside RIFF (`.rmi`), read and written.
//!
//! **Notes** are paired per track, channel and key, first in, first out: where two note-ons
//! of one key overlap, the first note-off ends the first. Where a track has fewer note-offs than
//! note-ons of a key, a note-on ends what sounds on that key, so that lengths do not drift. A
//! note without an end ends with the last of its track's others.
//! **Drums** are channel 10 and the parts that GS, XG and GM2 messages make so ([`DrumMap`]).
//! **Text** is kept as bytes ([`Text`]) and decoded where it is shown. Type 2 holds pieces, not parts: they are read one after the other.
//! SMPTE time has no beats: a beat is taken to be half a second, and the tempo says so.
//!
//! **Damage.** What can be read is read, with a warning for what could not, and the offset of
//! it. A track's length that is wrong is put right by what stands there; a track that stops
//! making sense ends there, and the others are read. A file of which nothing could be read is
//! refused with the offset and the reason.
//!
//! **Writing** keeps: [`MidiDocument`] adds a track to a file's bytes and leaves every other
//! byte as it was, while [`MidiFile::to_bytes`] writes music that was not in a file before.
//!
//! **Why not `midly` for reading**: its errors carry no offset, it takes any byte for a data
//! byte by dropping the top bit, so that damage becomes wrong notes without a word, and
//! running status does not outlive a meta event in it, though files rely on that. It writes
//! our files, and the tests hold our reading against it.

mod append;
mod chunks;
mod document;
mod drums;
mod events;
mod files;
mod note_pairing;
mod read;
mod text;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use continuo_files::{Input, MOST_BYTES, ReadError, WriteError, read_input};
use serde::Serialize;

use crate::time::TimeSignature;

pub use append::{Appended, NewTrack};
pub use document::{MidiDocument, PartSound};
pub use drums::DrumMap;
pub use files::files_in;
pub use read::read;
pub use text::{Text, TextEncoding};
pub use write::BuildError;

/// A note in the file's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MidiNote {
    /// Note-on, in ticks from the start of the file.
    pub start: u64,
    /// Note-off, in ticks; never before `start`.
    pub end: u64,
    /// Key, 0 to 127.
    pub pitch: u8,
    /// Velocity of the note-on, 1 to 127.
    pub velocity: u8,
    /// Channel, 0 to 15.
    pub channel: u8,
    /// Track, an index into [`MidiFile::tracks`].
    pub track: u16,
}

/// A MIDI file as music: notes, tempo, metre.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MidiFile {
    /// Type of the file as its header has it: 0 for one track, 1 for parts side by side, 2
    /// for pieces one after the other. Only told, never used: what is written is type 1.
    pub format: u16,
    /// Ticks in a quarter note.
    pub ticks_per_beat: u32,
    /// The notes, by start, then track.
    pub notes: Vec<MidiNote>,
    /// `(tick, microseconds a quarter note)`, in order; never 0 microseconds.
    pub tempos: Vec<(u64, u32)>,
    /// `(tick, metre)`, in order.
    pub time_signatures: Vec<(u64, TimeSignature)>,
    /// Track names, empty where a track has none.
    pub tracks: Vec<Text>,
    /// The encoding of the file's text, guessed.
    pub encoding: TextEncoding,
    /// Which channels are drums.
    pub drums: DrumMap,
    /// The last event's tick.
    pub end: u64,
    /// What was odd, in words, most of it with the offset in bytes.
    pub warnings: Vec<String>,
}

impl MidiFile {
    /// Whether a note of this file is a drum, whose key is no pitch.
    pub fn is_drum(&self, note: &MidiNote) -> bool {
        self.drums.is_drum(note.track, note.channel, note.start)
    }

    /// The name of a track in characters; empty where it has none.
    pub fn name(&self, track: u16) -> String {
        let name = self.tracks.get(usize::from(track));
        name.map_or_else(String::new, |name| name.shown(self.encoding))
    }

    /// Length in seconds at the file's tempo; 120 beats a minute before its first.
    pub fn seconds(&self) -> f64 {
        let (mut seconds, mut now, mut micros) = (0.0, 0, 500_000);
        let end = (self.end, 0);
        for &(tick, next) in self.tempos.iter().chain([&end]) {
            let beats =
                tick.min(self.end).saturating_sub(now) as f64 / f64::from(self.ticks_per_beat);
            seconds += beats * f64::from(micros) / 1e6;
            (now, micros) = (tick.min(self.end), next);
        }
        seconds
    }
}

/// How to read a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// What the sustain pedal does to notes.
    pub pedal: Pedal,
}

/// What the sustain pedal (controller 64, down from 64 up) does to notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pedal {
    /// Nothing: a note ends where its key is let go.
    #[default]
    Ignore,
    /// A note let go while the pedal of its channel is down sounds on until the pedal comes
    /// up or the key is struck again.
    Lengthen,
}

impl From<bool> for Pedal {
    /// Whether the pedal is heard.
    fn from(heard: bool) -> Self {
        match heard {
            true => Self::Lengthen,
            false => Self::Ignore,
        }
    }
}

/// Why bytes are no readable MIDI file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct ParseError {
    /// Where, in bytes from the start of the file.
    pub offset: usize,
    /// Why.
    pub reason: String,
}

impl ParseError {
    fn new(offset: usize, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { offset, reason }
    }
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MidiError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A MIDI file cannot hold the music.
    #[error("{}: {source}", path.display())]
    Build {
        /// The file that was to be written.
        path: PathBuf,
        /// Why it cannot.
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
        /// Where, in bytes from the start of the file.
        offset: usize,
        /// Why.
        reason: String,
    },
}

/// Reads a file, or standard input (`-`); the sustain pedal is ignored.
///
/// # Errors
/// As those of [`read_file_with`].
pub fn read_file(path: &Path) -> Result<MidiFile, MidiError> {
    read_file_with(path, &ReadOptions::default())
}

/// Reads a file, or standard input (`-`), as `reading` says.
///
/// # Errors
/// When it cannot be read, has more than [`MOST_BYTES`], or is no MIDI file.
pub fn read_file_with(path: &Path, reading: &ReadOptions) -> Result<MidiFile, MidiError> {
    let Input { name, bytes } = read_input(path, MOST_BYTES)?;
    read(&bytes, reading).map_err(|ParseError { offset, reason }| MidiError::Malformed {
        path: name,
        offset,
        reason,
    })
}

/// Reads a file's bytes; the sustain pedal is ignored. The error is [`ParseError`] in words.
pub fn read_bytes(bytes: &[u8]) -> Result<MidiFile, String> {
    read(bytes, &ReadOptions::default()).map_err(|e| e.to_string())
}
