//! Standard MIDI files, types 0, 1 and 2, read and written.
//!
//! Notes are paired per track, channel and key, first in, first out: where two note-ons of
//! one key overlap, the first note-off ends the first. What is left sounding at the end of
//! its track ends there. What can be read is read, with a warning for what could not.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Timing, TrackEvent, TrackEventKind};

use crate::time::Metre;

/// A note in the file's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MidiNote {
    /// Note-on, in ticks from the start of the file.
    pub start: u64,
    /// Note-off, in ticks; never before `start`.
    pub end: u64,
    /// Key, 0 to 127.
    pub pitch: u8,
    /// Velocity of the note-on, 1 to 127.
    pub velocity: u8,
    /// Channel, 0 to 15; 9 is the drums'.
    pub channel: u8,
    /// Track, an index into [`MidiFile::tracks`].
    pub track: u16,
}

/// A MIDI file as music: notes, tempo, metre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MidiFile {
    /// Ticks in a quarter note.
    pub ticks_per_beat: u32,
    /// The notes, by start, then track.
    pub notes: Vec<MidiNote>,
    /// `(tick, microseconds a quarter note)`, in order.
    pub tempos: Vec<(u64, u32)>,
    /// `(tick, metre)`, in order.
    pub metres: Vec<(u64, Metre)>,
    /// Track names, empty where a track has none.
    pub tracks: Vec<String>,
    /// The last event's tick.
    pub end: u64,
    /// What was odd, in words.
    pub warnings: Vec<String>,
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MidiError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The bytes are no MIDI file.
    #[error("{}: not a readable MIDI file: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Reads a file.
pub fn read_file(path: &Path) -> Result<MidiFile, MidiError> {
    let bytes = std::fs::read(path).map_err(|source| MidiError::Io {
        path: path.into(),
        source,
    })?;
    read_bytes(&bytes).map_err(|reason| MidiError::Malformed {
        path: path.into(),
        reason,
    })
}

/// Reads a file's bytes. The error is the reason alone.
pub fn read_bytes(bytes: &[u8]) -> Result<MidiFile, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let (header, tracks) = midly::parse(bytes).map_err(|e| e.to_string())?;
    // SMPTE files count seconds, not beats: they are taken as 120 beats a minute, two
    // beats a second, so their ticks count double.
    let (ticks_per_beat, tick_factor) = match header.timing {
        Timing::Metrical(ticks) => (u32::from(ticks.as_int()), 1),
        Timing::Timecode(fps, sub) => (u32::from(fps.as_int()) * u32::from(sub), 2),
    };
    if ticks_per_beat == 0 {
        return Err("the header says 0 ticks to the quarter note".into());
    }
    let mut file = MidiFile {
        ticks_per_beat,
        notes: Vec::new(),
        tempos: Vec::new(),
        metres: Vec::new(),
        tracks: Vec::new(),
        end: 0,
        warnings: Vec::new(),
    };
    if tick_factor == 2 {
        file.warnings
            .push("SMPTE time: read as 120 beats a minute".into());
    }
    let mut broken = None;
    for track in tracks {
        let index = file.tracks.len();
        // Type 2 holds pieces one after the other, not parts side by side.
        let start = if header.format == Format::Sequential {
            file.end
        } else {
            0
        };
        match track {
            Ok(events) => {
                if let Err(reason) = file.read_track(events, start, tick_factor) {
                    broken.get_or_insert(format!("track {index}: {reason}"));
                    file.warnings
                        .push(format!("track {index} ends early: {reason}"));
                }
            }
            Err(e) => {
                broken.get_or_insert(format!("track {index}: {e}"));
                file.warnings
                    .push(format!("track {index} could not be read: {e}"));
                break;
            }
        }
    }
    match broken {
        Some(reason) if file.notes.is_empty() => Err(reason),
        _ => {
            file.notes
                .sort_by_key(|n| (n.start, n.track, n.channel, n.pitch, n.end));
            file.tempos.sort_by_key(|t| t.0);
            file.metres.sort_by_key(|m| m.0);
            Ok(file)
        }
    }
}

/// Notes of one track still waiting for their note-off, by channel and key.
struct Sounding(Vec<VecDeque<(u64, u8)>>);

impl Sounding {
    fn new() -> Self {
        Self(vec![VecDeque::new(); 16 * 128])
    }

    fn queue(&mut self, channel: u8, pitch: u8) -> &mut VecDeque<(u64, u8)> {
        &mut self.0[usize::from(channel & 15) * 128 + usize::from(pitch & 127)]
    }
}

impl MidiFile {
    fn read_track<'a>(
        &mut self,
        events: impl Iterator<Item = midly::Result<TrackEvent<'a>>>,
        start: u64,
        tick_factor: u64,
    ) -> Result<(), String> {
        let track = self.tracks.len().min(usize::from(u16::MAX)) as u16;
        self.tracks.push(String::new());
        let mut sounding = Sounding::new();
        let mut now = start;
        let mut result = Ok(());
        for event in events {
            let event = match event {
                Ok(event) => event,
                Err(e) => {
                    result = Err(e.to_string());
                    break;
                }
            };
            now += u64::from(event.delta.as_int()) * tick_factor;
            match event.kind {
                TrackEventKind::Midi { channel, message } => {
                    let channel = channel.as_int();
                    match message {
                        MidiMessage::NoteOn { key, vel } if vel > 0 => {
                            sounding
                                .queue(channel, key.as_int())
                                .push_back((now, vel.as_int()));
                        }
                        MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                            let pitch = key.as_int();
                            // A note-off for nothing is common and harmless.
                            if let Some((start, velocity)) =
                                sounding.queue(channel, pitch).pop_front()
                            {
                                let end = now;
                                self.notes.push(MidiNote {
                                    start,
                                    end,
                                    pitch,
                                    velocity,
                                    channel,
                                    track,
                                });
                            }
                        }
                        _ => {}
                    }
                }
                TrackEventKind::Meta(meta) => self.read_meta(meta, now, track),
                _ => {}
            }
        }
        self.end = self.end.max(now);
        let mut open = 0;
        for (key, queue) in sounding.0.iter().enumerate() {
            for &(start, velocity) in queue {
                open += 1;
                self.notes.push(MidiNote {
                    start,
                    end: now,
                    pitch: (key % 128) as u8,
                    velocity,
                    channel: (key / 128) as u8,
                    track,
                });
            }
        }
        if open > 0 {
            self.warnings
                .push(format!("track {track}: {open} notes without a note-off"));
        }
        result
    }

    fn read_meta(&mut self, meta: MetaMessage, now: u64, track: u16) {
        match meta {
            MetaMessage::Tempo(micros) if micros > 0 => self.tempos.push((now, micros.as_int())),
            MetaMessage::TimeSignature(numerator, power, ..) if numerator > 0 && power < 8 => {
                let denominator = 1 << power;
                self.metres.push((
                    now,
                    Metre {
                        numerator: numerator.into(),
                        denominator,
                    },
                ));
            }
            MetaMessage::Tempo(_) | MetaMessage::TimeSignature(..) => {
                self.warnings
                    .push(format!("track {track}, tick {now}: senseless {meta:?}"));
            }
            MetaMessage::TrackName(name) => {
                self.tracks[usize::from(track)] = String::from_utf8_lossy(name).into_owned();
            }
            _ => {}
        }
    }

    /// As the bytes of a type 1 file: a first track of tempo and metre, then one a part.
    /// On one tick, note-offs stand before note-ons, so that repeated keys sound again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut tracks = Vec::with_capacity(self.tracks.len() + 1);
        let mut conductor = Vec::new();
        for &(tick, micros) in &self.tempos {
            let micros = u24::new(micros.clamp(1, 0xff_ffff));
            conductor.push((tick, 0, TrackEventKind::Meta(MetaMessage::Tempo(micros))));
        }
        for &(tick, metre) in &self.metres {
            let power = metre.denominator.max(1).ilog2() as u8;
            let numerator = metre.numerator.min(255) as u8;
            let meta = MetaMessage::TimeSignature(numerator, power, 24, 8);
            conductor.push((tick, 0, TrackEventKind::Meta(meta)));
        }
        tracks.push(finish_track(conductor, self.end));
        for (index, name) in self.tracks.iter().enumerate() {
            let mut events = Vec::new();
            let title = MetaMessage::TrackName(name.as_bytes());
            events.push((0, 0, TrackEventKind::Meta(title)));
            for note in self.notes.iter().filter(|n| usize::from(n.track) == index) {
                let channel = u4::new(note.channel & 15);
                let key = u7::new(note.pitch & 127);
                let vel = u7::new(note.velocity.clamp(1, 127));
                let on = MidiMessage::NoteOn { key, vel };
                let off = MidiMessage::NoteOff {
                    key,
                    vel: u7::new(64),
                };
                events.push((
                    note.start,
                    2,
                    TrackEventKind::Midi {
                        channel,
                        message: on,
                    },
                ));
                // A note of no length still begins before it ends.
                let end = note.end.max(note.start + 1);
                events.push((
                    end,
                    1,
                    TrackEventKind::Midi {
                        channel,
                        message: off,
                    },
                ));
            }
            tracks.push(finish_track(events, self.end));
        }
        let timing = Timing::Metrical(u15::new(self.ticks_per_beat.min(0x7fff) as u16));
        let mut bytes = Vec::new();
        let header = Header::new(Format::Parallel, timing);
        // Writing to memory fails only on tracks over 4 GiB.
        let _ = midly::write_std(&header, tracks.iter(), &mut bytes);
        bytes
    }

    /// Writes a type 1 file.
    pub fn write_file(&self, path: &Path) -> Result<(), MidiError> {
        std::fs::write(path, self.to_bytes()).map_err(|source| MidiError::Io {
            path: path.into(),
            source,
        })
    }
}

fn finish_track<'a>(
    mut events: Vec<(u64, u8, TrackEventKind<'a>)>,
    end: u64,
) -> Vec<TrackEvent<'a>> {
    events.sort_by_key(|&(tick, rank, _)| (tick, rank));
    let last = events.last().map_or(0, |e| e.0).max(end);
    events.push((last, 3, TrackEventKind::Meta(MetaMessage::EndOfTrack)));
    let mut now = 0;
    events
        .into_iter()
        .map(|(tick, _, kind)| {
            let delta = u28::new((tick - now).min(0x0fff_ffff) as u32);
            now = tick;
            TrackEvent { delta, kind }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type 0 file around one track's bytes, at 96 ticks a beat.
    fn file(track: &[u8]) -> Vec<u8> {
        let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk".to_vec();
        bytes.extend((track.len() as u32).to_be_bytes());
        bytes.extend(track);
        bytes
    }

    const END: [u8; 4] = [0, 0xff, 0x2f, 0];

    #[test]
    fn overlapping_notes_are_first_in_first_out() {
        let mut track = vec![0, 0x90, 60, 100, 10, 60, 50, 10, 60, 0, 10, 0x80, 60, 0];
        track.extend(END);
        let read = read_bytes(&file(&track)).unwrap();
        let notes: Vec<_> = read
            .notes
            .iter()
            .map(|n| (n.start, n.end, n.velocity))
            .collect();
        assert_eq!(notes, [(0, 20, 100), (10, 30, 50)]);
        assert!(read.warnings.is_empty());
    }

    #[test]
    fn a_note_without_off_ends_with_its_track() {
        let mut track = vec![0, 0x99, 36, 100, 0x60, 0xb9, 7, 1];
        track.extend(END);
        let read = read_bytes(&file(&track)).unwrap();
        assert_eq!((read.notes[0].end, read.notes[0].channel), (96, 9));
        assert_eq!(read.warnings.len(), 1);
    }

    #[test]
    fn what_is_no_midi_file_says_so() {
        for bytes in [&b""[..], b"hello", b"MThd", &file(&[0, 0x90])[..10]] {
            assert!(read_bytes(bytes).is_err());
        }
        let missing = read_file(Path::new("no/such.mid")).unwrap_err().to_string();
        assert!(missing.contains("no/such.mid"), "{missing}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let note = |start, end, pitch, track| MidiNote {
            start,
            end,
            pitch,
            velocity: 70,
            channel: 0,
            track,
        };
        let written = MidiFile {
            ticks_per_beat: 480,
            // The same key again on the tick it ends.
            notes: vec![
                note(0, 480, 60, 1),
                note(480, 960, 60, 1),
                note(480, 500, 64, 2),
            ],
            tempos: vec![(0, 600_000), (960, 500_000)],
            metres: vec![(
                0,
                Metre {
                    numerator: 6,
                    denominator: 8,
                },
            )],
            tracks: vec!["".into(), "heard".into(), "played".into()],
            end: 1920,
            warnings: vec![],
        };
        let mut read = read_bytes(&written.to_bytes()).unwrap();
        // The conductor's track comes first; the parts follow.
        assert_eq!(read.tracks.remove(0), "");
        read.notes.iter_mut().for_each(|n| n.track -= 1);
        assert_eq!(read, written);
    }
}
