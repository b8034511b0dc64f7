//! Standard MIDI files, types 0, 1 and 2, plain or inside RIFF (`.rmi`), read and written.
//!
//! ```
//! use continuo_score::midi::{self, MidiFile};
//!
//! let minuet: MidiFile = continuo_score::tune::minuet().to_midi();
//! let bytes = minuet.to_bytes().unwrap();
//! let read = midi::read_bytes(&bytes).unwrap();
//! assert_eq!(read.notes.len(), minuet.notes.len());
//! ```
//!
//! **Notes** are paired for each track, channel and key, first in, first out: where two note-ons
//! of one key overlap, the first note-off ends the first note. Where a track has fewer note-offs
//! than note-ons of a key, a note-on ends the note that sounds on that key, so that lengths do not
//! drift. A note without an end ends with the last of its track's other notes.
//! **Drums** are channel 10 and the parts that GS, XG and GM2 messages turn into drums
//! ([`DrumMap`]). **Text** is kept as bytes ([`Text`]) and decoded for display. Type 2 holds
//! pieces, not parts: they are read one after the other. SMPTE time has no beats: a beat is taken
//! to be half a second, and the tempo is set to match.
//!
//! **Damage.** Every readable part is read; each unreadable one gives a warning with its offset. A
//! wrong track length is corrected from the bytes that follow. A track ends where its bytes become
//! invalid, and the other tracks are read. A file of which nothing can be read is refused with the
//! offset and the reason.
//!
//! **Writing.** [`MidiDocument`] adds a track to a file's bytes, or replaces notes in them, and
//! leaves every other byte as it was. [`MidiFile::to_bytes`] writes new music.
//!
//! **Why not `midly` for reading**: its errors carry no offset; it accepts any byte as a data byte
//! by dropping the top bit, so that damage becomes wrong notes in silence; and its running status
//! does not survive a meta event, though files rely on that. `midly` writes our files, and the
//! tests compare our reading with its.

mod append;
mod chunks;
mod conductor;
mod document;
mod drums;
mod error;
mod events;
mod file;
mod files;
mod layout;
mod named_drums;
mod note_pairing;
mod programs;
mod read;
mod replace;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub use append::{Edited, NewTrack};
pub use document::{MidiDocument, PartSound};
pub use drums::DrumMap;
pub use error::{BuildError, MidiError, ParseError};
pub use file::{MidiFile, MidiNote, Pedal, ProgramChange, ReadOptions};
pub use files::{files_in, music_in, read_bytes, read_file, read_file_with};
pub use programs::ProgramMap;
pub use read::read;
pub use replace::Replacement;
pub use text::{Text, TextEncoding};
