//! Adds a track to a file's bytes; every other byte stays.

use midly::num::{u4, u7};
use midly::{Format, MetaMessage, MidiMessage, TrackEvent, TrackEventKind};

use super::chunks::MAX_TRACKS;
use super::document::{MidiDocument, PartSound};
use super::error::BuildError;
use super::file::MidiNote;
use super::text::Text;
use super::write::{self, TimedEvent};
use crate::time::TimeSignature;

/// A track to add to a file, or to write as a file of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTrack {
    /// Its name, as bytes in the file's own encoding.
    pub name: Text,
    /// Channel of its sound, 0 to 15; each note has its own channel.
    pub channel: u8,
    /// Port, if it is not the first.
    pub port: Option<u8>,
    /// Bank, program and controllers, sent at tick 0.
    pub sound: PartSound,
    /// `(tick, microseconds a quarter note)`.
    pub tempos: Vec<(u64, u32)>,
    /// `(tick, metre)`.
    pub time_signatures: Vec<(u64, TimeSignature)>,
    /// The notes; their `track` is ignored.
    pub notes: Vec<MidiNote>,
    /// Last tick of the track, unless notes end later.
    pub end: u64,
}

/// A changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// For people: each field that had to change beside the tracks or notes that were asked for.
    pub changes: Vec<String>,
}

impl NewTrack {
    /// The track as a type 0 file of its own.
    ///
    /// # Errors
    /// Fails if a MIDI file cannot hold the track.
    pub fn to_bytes(&self, ticks_per_beat: u32) -> Result<Vec<u8>, BuildError> {
        write::to_file(Format::SingleTrack, ticks_per_beat, &[self.events()?])
    }

    fn events(&self) -> Result<Vec<TrackEvent<'_>>, BuildError> {
        let mut events: Vec<TimedEvent> = Vec::with_capacity(2 * self.notes.len() + 16);
        let meta = |message| -> TimedEvent { (0, 0, TrackEventKind::Meta(message)) };
        if !self.name.is_empty() {
            events.push(meta(MetaMessage::TrackName(self.name.as_bytes())));
        }
        if let Some(port) = self.port {
            events.push(meta(MetaMessage::MidiPort(u7::new(port & 127))));
        }
        let channel = u4::new(self.channel & 15);
        let midi = |message| (0, 0, TrackEventKind::Midi { channel, message });
        for &(controller, value) in &self.sound.controls {
            events.push(midi(MidiMessage::Controller {
                controller: u7::new(controller & 127),
                value: u7::new(value & 127),
            }));
        }
        if let Some(program) = self.sound.program {
            let program = u7::new(program & 127);
            events.push(midi(MidiMessage::ProgramChange { program }));
        }
        for event in write::conductor(&self.tempos, &self.time_signatures) {
            events.push(event);
        }
        for note in &self.notes {
            events.extend(write::on_and_off(note));
        }
        write::finish_track(events, self.end)
    }
}

impl MidiDocument {
    /// The file with `track` after its last track. Existing tracks, and the bytes between and
    /// after them, stay as they are. A wrong track count in the header, a wrong length of a track
    /// or of the RIFF wrapping, and the type of a file that gets its second track (0 becomes 1)
    /// are corrected, and [`Edited::changes`] lists these corrections.
    ///
    /// In a type 2 file, whose tracks follow each other, the new track's ticks count from the
    /// end of the last.
    ///
    /// # Errors
    /// Fails if a MIDI file cannot hold the result: 65535 tracks, 4 GiB.
    pub fn append(&self, track: &NewTrack) -> Result<Edited, BuildError> {
        let tracks = self.layout.spans.len() + 1;
        if tracks > MAX_TRACKS {
            return Err(BuildError::Tracks { tracks });
        }
        let header = &self.layout.header;
        let mut changes = Vec::new();
        let mut bytes = self.bytes.clone();
        // Fields of fixed places first, while offsets are those of the input.
        let start = header.start;
        if header.format == 0 {
            bytes[start + 8..start + 10].copy_from_slice(&[0, 1]);
            changes.push("the file's type is 1 now: type 0 holds a single track".into());
        }
        if usize::from(header.tracks) + 1 != tracks {
            changes.push(format!(
                "the header says {tracks} tracks, which is their number now; before, it said {} and there \
                 were {}",
                header.tracks,
                tracks - 1
            ));
        }
        // Checked against MAX_TRACKS.
        bytes[start + 10..start + 12].copy_from_slice(&(tracks as u16).to_be_bytes());
        for (index, span) in self.layout.spans.iter().enumerate() {
            if span.declared_end != span.end {
                // The whole file is below 4 GiB.
                let length = (span.end - span.head - 8) as u32;
                bytes[span.head + 4..span.head + 8].copy_from_slice(&length.to_be_bytes());
                changes.push(format!(
                    "the wrong length of track {index} is corrected to {length} bytes"
                ));
            }
        }
        let at = self.layout.spans.last().map_or(header.at, |span| span.end);
        let chunk = write::to_chunk(track.events()?)?;
        if bytes.len() + chunk.len() > u32::MAX as usize {
            return Err(BuildError::Size);
        }
        bytes.splice(at..at, chunk.iter().copied());
        if start > 0 {
            let data = header.end - start + chunk.len();
            self.rewrap(&mut bytes, data, &mut changes);
        }
        Ok(Edited { bytes, changes })
    }

    /// Corrects the lengths of a RIFF wrapping whose MIDI data now has `new` bytes.
    pub(super) fn rewrap(&self, bytes: &mut Vec<u8>, new: usize, changes: &mut Vec<String>) {
        let header = &self.layout.header;
        let (data, end) = (header.start, header.end);
        let old = end - data;
        // Chunks of odd length are padded by a byte, which belongs to none.
        let padded = old % 2 == 1 && end < self.bytes.len();
        let new_end = data + new;
        if padded && new.is_multiple_of(2) {
            bytes.remove(new_end);
        } else if old.is_multiple_of(2) && !new.is_multiple_of(2) {
            bytes.insert(new_end, 0);
        }
        let declared = |bytes: &[u8], at: usize| {
            let field = &bytes[at..at + 4];
            field.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
        };
        if declared(&self.bytes, data - 4) != old {
            changes.push("the wrong length of the RIFF data chunk is corrected".into());
        }
        // The whole file is below 4 GiB.
        let data_length = new as u32;
        bytes[data - 4..data].copy_from_slice(&data_length.to_le_bytes());
        if declared(&self.bytes, 4) != self.bytes.len() - 8 {
            changes.push("the wrong length in the RIFF header is corrected".into());
        }
        let riff_length = (bytes.len() - 8) as u32;
        bytes[4..8].copy_from_slice(&riff_length.to_le_bytes());
    }
}
