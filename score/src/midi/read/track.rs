//! Reads one track.

use super::Reader;
use crate::midi::chunks::{self, Chunk, Division};
use crate::midi::drums::DrumMessage;
use crate::midi::error::ParseError;
use crate::midi::events::{EventError, EventReader, MidiEvent};
use crate::midi::file::{MidiNote, Pedal, ProgramChange};
use crate::midi::layout::ChannelSetting;
use crate::midi::note_pairing::{self, PedalEvent};
use crate::midi::text::Text;
use crate::time::TimeSignature;

/// Bytes of text from which the encoding is detected.
const TEXT_SAMPLE: usize = 1 << 16;
/// The sustain pedal's controller, and the value from which on it is down.
const SUSTAIN: u8 = 64;
const PEDAL_DOWN: u8 = 64;
/// Bank select, most significant byte.
const BANK: u8 = 0;

impl<'a> Reader<'a> {
    /// Reads the track whose events begin at offset `body` and end, as declared, at `declared`.
    /// Gives the offset of the chunk after it.
    pub(super) fn track(&mut self, body: usize, declared: usize) -> usize {
        let index = self.file.tracks.len();
        // No more than MAX_TRACKS.
        let track = index as u16;
        self.file.tracks.push(Text::default());
        let file_end = self.header.end;
        let mut walk = EventReader::new(self.bytes, body, declared.min(file_end));
        // Type 2 holds pieces one after the other, not parts side by side.
        let mut now = match self.header.format {
            2 => self.file.end,
            _ => 0,
        };
        let mut ended = false;
        let mut fault = None;
        while !ended && walk.at < walk.end {
            let at = walk.at;
            let (delta, event) = match walk.next() {
                Ok(read) => read,
                Err(EventError::Truncated(_)) if self.reads_on(walk.end, declared) => {
                    walk.end = chunks::next_track(self.bytes, walk.end, file_end);
                    let what = format!("track {index} is longer than it says");
                    self.warn(body - 4, what);
                    continue;
                }
                Err(EventError::Truncated(at)) => {
                    let what = format!("track {index} ends inside an event");
                    fault = Some(ParseError::new(at, what));
                    break;
                }
                Err(EventError::Malformed(broken)) => {
                    let what = format!("track {index}: {}; its rest is left out", broken.reason);
                    fault = Some(ParseError::new(broken.offset, what));
                    break;
                }
            };
            now += u64::from(delta);
            match event {
                MidiEvent::On(channel, pitch, velocity) => {
                    let note = MidiNote {
                        start: now,
                        end: now,
                        pitch,
                        velocity,
                        channel,
                        track,
                    };
                    self.layout.uses(track, channel);
                    self.pairing.on(&mut self.file.notes, note);
                }
                MidiEvent::Off(channel, pitch) => {
                    self.pairing.off(&mut self.file.notes, channel, pitch, now);
                }
                MidiEvent::Meta(0x2f, _) => ended = true,
                MidiEvent::Meta(kind, data) => self.meta(kind, data, now, track, at),
                MidiEvent::Control(channel, controller, value) => {
                    self.control(channel, controller, value, now, track);
                }
                MidiEvent::Program(channel, program) => {
                    self.drums.add(now, track, DrumMessage::Program(channel));
                    self.set(channel, ChannelSetting::Program(program), now, track);
                    self.file.programs.push(ProgramChange {
                        tick: now,
                        track,
                        channel,
                        program,
                    });
                }
                MidiEvent::Channel(channel) => self.layout.uses(track, channel),
                MidiEvent::Exclusive(data) => {
                    if let Some(message) = DrumMessage::of_exclusive(data) {
                        self.drums.add(now, track, message);
                    }
                }
                MidiEvent::System(status) => {
                    let what = format!("track {index}: system message {status:#04x}, left out");
                    self.warn(at, what);
                }
                MidiEvent::Raw => {}
            }
        }
        self.file.end = self.file.end.max(now);
        let first = self.file.notes.partition_point(|n| n.track < track);
        let left = self.pairing.close(&mut self.file.notes);
        let beat = self.file.ticks_per_beat.into();
        note_pairing::end_open_notes(&mut self.file.notes[first..], now, beat);
        if let Some(broken) = fault {
            self.damaged(broken);
        } else if declared > file_end && !ended {
            let what = format!("track {index} says it goes on to byte {declared}");
            self.damaged(ParseError::new(file_end, what));
        } else if !ended {
            self.warn(walk.at, format!("track {index} has no end-of-track event"));
        }
        let lost = |count: usize, how: &str| {
            let s = if count == 1 { "" } else { "s" };
            format!("track {index}: {count} note{s} without a note-off, ended {how}")
        };
        if left.struck > 0 {
            self.warn(walk.at, lost(left.struck, "where the key is struck again"));
        }
        if left.open > 0 {
            self.warn(walk.at, lost(left.open, "with the track's other notes"));
        }
        self.after(index, body, declared, &walk, ended)
    }

    /// Whether a track cut at `end` is read on beyond it: if no chunk follows there, the track's
    /// length is wrong, not its last event.
    fn reads_on(&self, end: usize, declared: usize) -> bool {
        end == declared
            && end < self.header.end
            && chunks::chunk(self.bytes, end, self.header.end) == Chunk::None
    }

    /// Offset of the chunk after a track.
    fn after(
        &mut self,
        index: usize,
        body: usize,
        declared: usize,
        walk: &EventReader,
        ended: bool,
    ) -> usize {
        let file_end = self.header.end;
        if !ended {
            return walk.end;
        }
        let left = walk.end - walk.at;
        if left > 0
            && matches!(
                chunks::chunk(self.bytes, walk.at, file_end),
                Chunk::Track(..)
            )
        {
            self.warn(body - 4, format!("track {index} is shorter than it says"));
            return walk.at;
        }
        if declared > file_end {
            let what = format!("track {index} says it goes on to byte {declared}");
            self.warn(file_end, what);
        } else if left > 0 {
            let what = format!("track {index}: {left} bytes after its end");
            self.warn(walk.at, what);
        }
        walk.end
    }

    fn set(&mut self, channel: u8, setting: ChannelSetting, now: u64, track: u16) {
        self.layout.uses(track, channel);
        if self.settings {
            self.layout.settings.push((now, track, channel, setting));
        }
    }

    fn control(&mut self, channel: u8, controller: u8, value: u8, now: u64, track: u16) {
        self.set(
            channel,
            ChannelSetting::Control(controller, value),
            now,
            track,
        );
        match controller {
            SUSTAIN if self.options.pedal == Pedal::Lengthen => self.pedal.push(PedalEvent {
                tick: now,
                channel,
                down: value >= PEDAL_DOWN,
            }),
            BANK => self
                .drums
                .add(now, track, DrumMessage::Bank(channel, value)),
            _ => {}
        }
    }

    fn meta(&mut self, kind: u8, data: &'a [u8], now: u64, track: u16, at: usize) {
        if let 0x01..=0x0f = kind
            && self.text_bytes < TEXT_SAMPLE
        {
            self.text_bytes += data.len();
            self.texts.push(data);
        }
        match (kind, data) {
            (0x03, name) => {
                let kept = &mut self.file.tracks[usize::from(track)];
                if kept.is_empty() {
                    *kept = name.into();
                }
            }
            (0x21, &[port]) => self.drums.port(track, port),
            (0x51, &[a, b, c]) if [a, b, c] != [0; 3] => {
                // SMPTE time does not follow the tempo.
                if matches!(self.header.division, Division::Metrical(_)) {
                    let micros = u32::from_be_bytes([0, a, b, c]);
                    self.file.tempos.push((now, micros));
                }
            }
            (0x58, &[numerator, power, ..]) if numerator > 0 && power < 8 => {
                let metre = TimeSignature {
                    numerator: numerator.into(),
                    denominator: 1 << power,
                };
                self.time_signatures.push((now, metre, track));
            }
            (0x51, data) => {
                let data = &data[..data.len().min(8)];
                self.warn(
                    at,
                    format!("track {track}: a tempo of {data:02x?}, left out"),
                );
            }
            (0x58, data) => {
                let data = &data[..data.len().min(8)];
                self.warn(
                    at,
                    format!("track {track}: a metre of {data:02x?}, left out"),
                );
            }
            _ => {}
        }
    }
}
