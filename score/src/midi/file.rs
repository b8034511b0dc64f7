//! A MIDI file as music, and the options of reading one.

use serde::Serialize;

use super::drums::DrumMap;
use super::text::{Text, TextEncoding};
use crate::time::TimeSignature;

/// A note in ticks of its file.
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

/// A program change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ProgramChange {
    /// In ticks from the start of the file.
    pub tick: u64,
    /// Track, an index into [`MidiFile::tracks`].
    pub track: u16,
    /// Channel, 0 to 15.
    pub channel: u8,
    /// Program, 0 to 127; 0 is General MIDI's grand piano.
    pub program: u8,
}

/// A MIDI file as music: notes, tempo, metre.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MidiFile {
    /// Type in the file's header: 0 for one track, 1 for parts side by side, 2 for pieces one
    /// after the other. For display only: [`MidiFile::to_bytes`] writes type 1.
    pub format: u16,
    /// Ticks in a quarter note.
    pub ticks_per_beat: u32,
    /// The notes, by start, then track.
    pub notes: Vec<MidiNote>,
    /// `(tick, microseconds a quarter note)`, in order; never 0 microseconds.
    pub tempos: Vec<(u64, u32)>,
    /// `(tick, metre)`, in order.
    pub time_signatures: Vec<(u64, TimeSignature)>,
    /// Program changes, track by track.
    pub programs: Vec<ProgramChange>,
    /// Track names, empty where a track has none.
    pub tracks: Vec<Text>,
    /// Detected encoding of the file's text.
    pub encoding: TextEncoding,
    /// The channels that are drums.
    pub drums: DrumMap,
    /// The last event's tick.
    pub end: u64,
    /// Warnings for people about damage and oddities, most with an offset in bytes.
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

/// Options of reading a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Effect of the sustain pedal on notes.
    pub pedal: Pedal,
}

/// Effect of the sustain pedal (controller 64, down from value 64 up) on notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pedal {
    /// None: a note ends with its note-off.
    #[default]
    Ignore,
    /// A note whose note-off falls while the pedal of its channel is down lasts until the pedal
    /// comes up or its key is struck again.
    Lengthen,
}

impl From<bool> for Pedal {
    /// `true` lengthens notes.
    fn from(lengthen: bool) -> Self {
        match lengthen {
            true => Self::Lengthen,
            false => Self::Ignore,
        }
    }
}
