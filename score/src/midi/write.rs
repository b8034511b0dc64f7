//! Writes music as the bytes of a MIDI file.

use std::path::Path;

use continuo_files::{Output, Replace, kind};
use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Timing, TrackEvent, TrackEventKind};

use super::chunks::MAX_TRACKS;
use super::error::{BuildError, MidiError};
use super::file::{MidiFile, MidiNote};
use crate::time::TimeSignature;

/// Delta times have 28 bits.
pub(super) const LONGEST_DELTA: u64 = 0x0fff_ffff;
/// Empty text events that may divide one wait.
const MOST_WAITS: u64 = 1 << 12;
/// Bytes of a header chunk.
const HEADER: usize = 14;

/// Tick, order among the events of that tick, event.
pub(super) type TimedEvent<'a> = (u64, u8, TrackEventKind<'a>);

impl MidiFile {
    /// The bytes of a type 1 file: a first track of tempo and time signatures, then one track a
    /// part, with its program changes. On one tick, note-offs come before note-ons, so that repeated keys sound again.
    /// Notes of tracks beyond [`MidiFile::tracks`] are left out.
    ///
    /// # Errors
    /// Fails if a MIDI file cannot hold the music: too many tracks, or too long a wait.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BuildError> {
        let mut parts: Vec<Vec<TimedEvent>> = Vec::with_capacity(self.tracks.len() + 1);
        parts.push(conductor(&self.tempos, &self.time_signatures).collect());
        for name in &self.tracks {
            let title = MetaMessage::TrackName(name.as_bytes());
            parts.push(vec![(0, 0, TrackEventKind::Meta(title))]);
        }
        for change in &self.programs {
            if let Some(part) = parts.get_mut(usize::from(change.track) + 1) {
                let message = MidiMessage::ProgramChange {
                    program: u7::new(change.program & 127),
                };
                let channel = u4::new(change.channel & 15);
                part.push((change.tick, 0, TrackEventKind::Midi { channel, message }));
            }
        }
        for note in &self.notes {
            if let Some(part) = parts.get_mut(usize::from(note.track) + 1) {
                part.extend(on_and_off(note));
            }
        }
        if parts.len() > MAX_TRACKS {
            let tracks = parts.len();
            return Err(BuildError::Tracks { tracks });
        }
        let mut tracks = Vec::with_capacity(parts.len());
        for part in parts {
            tracks.push(finish_track(part, self.end)?);
        }
        to_file(Format::Parallel, self.ticks_per_beat, &tracks)
    }

    /// Writes a type 1 file, whole or not at all; an existing MIDI file is replaced.
    ///
    /// # Errors
    /// Fails if a MIDI file cannot hold the music, the path is something other than a MIDI file, or the
    /// system refuses.
    pub fn write_file(&self, path: &Path) -> Result<(), MidiError> {
        let output = Output::check(path, &kind::MIDI, Replace::SameKind)?;
        let bytes = self.to_bytes().map_err(|source| MidiError::Build {
            path: path.into(),
            source,
        })?;
        Ok(output.write(&bytes)?)
    }
}

/// Tempos and time signatures as events, first of the events on their tick.
pub(super) fn conductor(
    tempos: &[(u64, u32)],
    time_signatures: &[(u64, TimeSignature)],
) -> impl Iterator<Item = TimedEvent<'static>> {
    let tempos = tempos.iter().map(|&(tick, micros)| {
        let micros = u24::new(micros.clamp(1, 0xff_ffff));
        (tick, 0, TrackEventKind::Meta(MetaMessage::Tempo(micros)))
    });
    let time_signatures = time_signatures.iter().map(|&(tick, metre)| {
        let power = metre.denominator.max(1).ilog2() as u8;
        let numerator = metre.numerator.min(255) as u8;
        let meta = MetaMessage::TimeSignature(numerator, power, 24, 8);
        (tick, 0, TrackEventKind::Meta(meta))
    });
    tempos.chain(time_signatures)
}

/// The note-on and the note-off of a note.
pub(super) fn on_and_off(note: &MidiNote) -> [TimedEvent<'static>; 2] {
    let channel = u4::new(note.channel & 15);
    let key = u7::new(note.pitch & 127);
    let on = MidiMessage::NoteOn {
        key,
        vel: u7::new(note.velocity.clamp(1, 127)),
    };
    let off = MidiMessage::NoteOff {
        key,
        vel: u7::new(64),
    };
    let event = |message| TrackEventKind::Midi { channel, message };
    // A note of no length still begins before it ends.
    let end = note.end.max(note.start + 1);
    [(note.start, 2, event(on)), (end, 1, event(off))]
}

/// Sorts the events and ends the track at tick `end`, or with its last event. Empty text events
/// divide a wait that is longer than a delta time can be.
pub(super) fn finish_track(
    mut events: Vec<TimedEvent>,
    end: u64,
) -> Result<Vec<TrackEvent>, BuildError> {
    events.sort_by_key(|&(tick, rank, _)| (tick, rank));
    let last = events.last().map_or(0, |e| e.0).max(end);
    events.push((last, 3, TrackEventKind::Meta(MetaMessage::EndOfTrack)));
    let mut track = Vec::with_capacity(events.len());
    let mut now = 0;
    for (tick, _, kind) in events {
        let mut wait = tick - now;
        if wait / LONGEST_DELTA > MOST_WAITS {
            return Err(BuildError::Wait { ticks: wait });
        }
        while wait > LONGEST_DELTA {
            track.push(TrackEvent {
                delta: u28::new(LONGEST_DELTA as u32),
                kind: TrackEventKind::Meta(MetaMessage::Text(b"")),
            });
            wait -= LONGEST_DELTA;
        }
        track.push(TrackEvent {
            // No more than LONGEST_DELTA.
            delta: u28::new(wait as u32),
            kind,
        });
        now = tick;
    }
    Ok(track)
}

/// A file of these tracks.
pub(super) fn to_file(
    format: Format,
    ticks_per_beat: u32,
    tracks: &[Vec<TrackEvent>],
) -> Result<Vec<u8>, BuildError> {
    let ticks = u16::try_from(ticks_per_beat).ok();
    let Some(ticks) = ticks.filter(|&ticks| (1..=0x7fff).contains(&ticks)) else {
        return Err(BuildError::Division {
            ticks: ticks_per_beat,
        });
    };
    let header = Header::new(format, Timing::Metrical(u15::new(ticks)));
    let mut bytes = Vec::new();
    midly::write_std(&header, tracks.iter(), &mut bytes).map_err(BuildError::Refused)?;
    Ok(bytes)
}

/// The chunk of one track: its head and its events.
pub(super) fn to_chunk(track: Vec<TrackEvent>) -> Result<Vec<u8>, BuildError> {
    // The division does not matter: the header is not kept.
    let bytes = to_file(Format::SingleTrack, 1, &[track])?;
    Ok(bytes[HEADER..].into())
}
