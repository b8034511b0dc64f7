//! Reads a file's bytes into a [`MidiFile`].

use super::chunks::{self, Chunk, Division, Header, MAX_TRACKS};
use super::conductor;
use super::drums::{self, DrumMessage};
use super::error::ParseError;
use super::events::{EventError, EventReader, MidiEvent};
use super::file::{MidiFile, MidiNote, Pedal, ReadOptions};
use super::layout::{ChannelSetting, FileLayout, TrackSpan};
use super::note_pairing::{self, NotePairing, PedalEvent};
use super::text::{Text, TextEncoding};
use crate::time::TimeSignature;

/// Warnings kept as text; a last one counts the others.
const MAX_WARNINGS: usize = 50;
/// Bytes of text from which the encoding is detected.
const TEXT_SAMPLE: usize = 1 << 16;
/// The sustain pedal's controller, and the value from which on it is down.
const SUSTAIN: u8 = 64;
const PEDAL_DOWN: u8 = 64;
/// Bank select, most significant byte.
const BANK: u8 = 0;

/// Reads a file's bytes.
///
/// Damaged parts are left out, each with a warning that names its offset. Time and memory are
/// proportional to the bytes, whatever lengths they declare.
///
/// # Errors
/// If damage leaves no note to read, or the bytes are no MIDI file.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<MidiFile, ParseError> {
    run(bytes, options, false).map(|(file, _)| file)
}

/// Reads a file's bytes into music and an outline. With `settings`, the outline has the program
/// and controller changes too.
pub(super) fn run(
    bytes: &[u8],
    options: &ReadOptions,
    settings: bool,
) -> Result<(MidiFile, FileLayout), ParseError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(ParseError::new(0, "the file is larger than 4 GiB"));
    }
    let header = chunks::header(bytes)?;
    let mut reader = Reader {
        bytes,
        header,
        options: *options,
        file: MidiFile {
            format: header.format,
            ..MidiFile::default()
        },
        layout: FileLayout::new(header),
        settings,
        pairing: NotePairing::new(),
        pedal: Vec::new(),
        drums: drums::DrumMapBuilder::default(),
        time_signatures: Vec::new(),
        texts: Vec::new(),
        text_bytes: 0,
        damage: None,
        more_warnings: 0,
    };
    if let Some(odd) = header.odd {
        reader.warn(0, odd);
    }
    reader.division();
    reader.chunks();
    reader.finish()
}

/// The state of one file's reading.
struct Reader<'a> {
    bytes: &'a [u8],
    header: Header,
    options: ReadOptions,
    file: MidiFile,
    layout: FileLayout,
    /// Whether program and controller changes are kept in the layout.
    settings: bool,
    pairing: NotePairing,
    pedal: Vec<PedalEvent>,
    drums: drums::DrumMapBuilder,
    /// `(tick, metre, track)`, in the order read.
    time_signatures: Vec<(u64, TimeSignature, u16)>,
    /// The text events from which the encoding is detected.
    texts: Vec<&'a [u8]>,
    text_bytes: usize,
    /// The first thing that could not be read.
    damage: Option<ParseError>,
    more_warnings: usize,
}

impl<'a> Reader<'a> {
    fn warn(&mut self, offset: usize, what: impl std::fmt::Display) {
        if self.file.warnings.len() < MAX_WARNINGS {
            self.file.warnings.push(format!("byte {offset}: {what}"));
        } else {
            self.more_warnings += 1;
        }
    }

    fn damaged(&mut self, broken: ParseError) {
        self.warn(broken.offset, &broken.reason);
        self.damage.get_or_insert(broken);
    }

    /// Sets the unit of a tick. SMPTE time has no beats: a beat is taken to be half a second, to the
    /// nearest tick, and the tempo is set so that seconds stay right.
    fn division(&mut self) {
        match self.header.division {
            Division::Metrical(ticks) => self.file.ticks_per_beat = ticks.into(),
            Division::Smpte(frames, ticks) => {
                // 29 frames a second are television's 30/1.001.
                let (nominal, slower) = match frames {
                    29 => (30, 1.001),
                    frames => (frames, 1.0),
                };
                let second = u32::from(nominal) * u32::from(ticks);
                let beat = second.div_ceil(2).max(1);
                let micros = 1e6 * slower * f64::from(beat) / f64::from(second);
                self.file.ticks_per_beat = beat;
                self.file.tempos = vec![(0, micros.round() as u32)];
                let what = format!(
                    "SMPTE time, {frames} frames of {ticks} ticks: a beat is taken to be {beat} ticks"
                );
                self.warn(12, what);
            }
        }
    }

    fn chunks(&mut self) {
        let (mut at, end) = (self.header.at, self.header.end);
        let announced = usize::from(self.header.tracks);
        while at < end {
            at = match chunks::chunk(self.bytes, at, end) {
                Chunk::Track(..) if self.file.tracks.len() == MAX_TRACKS => {
                    self.warn(at, "more than 65535 tracks: the rest is left out");
                    break;
                }
                Chunk::Track(body, declared) => {
                    let next = self.track(body, declared);
                    self.layout.spans.push(TrackSpan {
                        head: at,
                        declared_end: declared,
                        end: next,
                    });
                    next
                }
                Chunk::Other(next) => {
                    self.warn(at, "a chunk that is no track, left out");
                    next
                }
                Chunk::None => {
                    let next = chunks::next_track(self.bytes, at, end);
                    let what = format!("{} bytes that are no chunk", next - at);
                    if next < end || self.file.tracks.len() < announced {
                        self.damaged(ParseError::new(at, what));
                    } else {
                        self.warn(at, what);
                    }
                    next
                }
            };
        }
        let found = self.file.tracks.len();
        if found != announced {
            let what = format!("the header announces {announced} tracks, {found} are there");
            if found < announced {
                self.damaged(ParseError::new(end, what));
            } else {
                self.warn(end, what);
            }
        }
    }

    /// Reads the track whose events begin at offset `body` and end, as declared, at `declared`.
    /// Gives the offset of the chunk after it.
    fn track(&mut self, body: usize, declared: usize) -> usize {
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

    fn finish(mut self) -> Result<(MidiFile, FileLayout), ParseError> {
        if let Some(broken) = self.damage.take()
            && self.file.notes.is_empty()
        {
            return Err(broken);
        }
        let (time_signatures, contradiction) = conductor::merge(self.time_signatures);
        self.file.time_signatures = time_signatures;
        self.file.warnings.extend(contradiction);
        let file = &mut self.file;
        // Every track is in the order of starts, so that this is a merge; notes of one key are
        // in the order of their ends already: first in, first out.
        file.notes.sort_by_key(|n| n.start);
        for together in file.notes.chunk_by_mut(|a, b| a.start == b.start) {
            together.sort_by_key(|n| (n.track, n.channel, n.pitch));
        }
        if !self.pedal.is_empty() {
            note_pairing::lengthen(&mut file.notes, self.pedal, file.end);
        }
        file.tempos.sort_by_key(|t| t.0);
        file.drums = self.drums.finish();
        file.encoding = TextEncoding::guess(self.texts);
        if self.more_warnings > 0 {
            let what = format!("and {} warnings more", self.more_warnings);
            file.warnings.push(what);
        }
        Ok((self.file, self.layout))
    }
}
