//! A file's bytes become a [`MidiFile`].

use super::chunks::{self, Chunk, Division, Header};
use super::document::{ChannelSetting, Layout, TrackSpan};
use super::drums::{self, DrumMessage};
use super::events::{EventError, EventReader, MidiEvent};
use super::note_pairing::{self, NotePairing, OPEN, PedalEvent};
use super::text::{Text, TextEncoding};
use super::{MidiFile, MidiNote, ParseError, Pedal, ReadOptions};
use crate::time::TimeSignature;

/// Warnings kept; of more only the number is told.
const MOST_WARNINGS: usize = 50;
/// Tracks a header can announce.
pub(super) const MOST_TRACKS: usize = 0xffff;
/// Bytes of text from which the encoding is guessed.
const TEXT_SAMPLE: usize = 1 << 16;
/// The sustain pedal's controller, and the value from which on it is down.
const SUSTAIN: u8 = 64;
const PEDAL_DOWN: u8 = 64;
/// Bank select, most significant byte.
const BANK: u8 = 0;

/// Reads a file's bytes.
///
/// What is damaged is left out with a warning that names the offset; a file of which nothing
/// could be read because of its damage is refused. Time and memory are in proportion to the
/// bytes, whatever they say.
pub fn read(bytes: &[u8], reading: &ReadOptions) -> Result<MidiFile, ParseError> {
    run(bytes, reading, false).map(|(file, _)| file)
}

/// Reads a file's bytes, and where in them its tracks stand. With `settings`, the layout has
/// the program and controller changes too.
pub(super) fn run(
    bytes: &[u8],
    reading: &ReadOptions,
    settings: bool,
) -> Result<(MidiFile, Layout), ParseError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(ParseError::new(0, "the file is larger than 4 GiB"));
    }
    let header = chunks::header(bytes)?;
    let mut reader = Reader {
        bytes,
        header,
        reading: *reading,
        file: MidiFile {
            format: header.format,
            ..MidiFile::default()
        },
        layout: Layout::new(header),
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

struct Reader<'a> {
    bytes: &'a [u8],
    header: Header,
    reading: ReadOptions,
    file: MidiFile,
    layout: Layout,
    /// Whether program and controller changes are kept in the layout.
    settings: bool,
    pairing: NotePairing,
    pedal: Vec<PedalEvent>,
    drums: drums::DrumMapBuilder,
    /// `(tick, metre, track)`, in the order read.
    time_signatures: Vec<(u64, TimeSignature, u16)>,
    /// Text events, as far as the encoding is guessed from them.
    texts: Vec<&'a [u8]>,
    text_bytes: usize,
    /// The first thing that could not be read.
    damage: Option<ParseError>,
    more_warnings: usize,
}

impl<'a> Reader<'a> {
    fn warn(&mut self, offset: usize, what: impl std::fmt::Display) {
        if self.file.warnings.len() < MOST_WARNINGS {
            self.file.warnings.push(format!("byte {offset}: {what}"));
        } else {
            self.more_warnings += 1;
        }
    }

    fn damaged(&mut self, broken: ParseError) {
        self.warn(broken.offset, &broken.reason);
        self.damage.get_or_insert(broken);
    }

    /// What a tick is. SMPTE time has no beats: a beat is taken to be half a second, to the
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
                Chunk::Track(..) if self.file.tracks.len() == MOST_TRACKS => {
                    self.warn(at, "more than 65535 tracks: the rest is left out");
                    break;
                }
                Chunk::Track(body, said) => {
                    let next = self.track(body, said);
                    self.layout.spans.push(TrackSpan {
                        head: at,
                        said,
                        next,
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

    /// Reads the track whose events begin at `body` and end, by its own word, at `said`.
    /// Gives the offset of what comes after it.
    fn track(&mut self, body: usize, said: usize) -> usize {
        let index = self.file.tracks.len();
        // No more than MOST_TRACKS.
        let track = index as u16;
        self.file.tracks.push(Text::default());
        let file_end = self.header.end;
        let mut walk = EventReader::new(self.bytes, body, said.min(file_end));
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
                Err(EventError::Truncated(_)) if self.reads_on(walk.end, said) => {
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
        end_with_music(&mut self.file.notes[first..], now, beat);
        if let Some(broken) = fault {
            self.damaged(broken);
        } else if said > file_end && !ended {
            let what = format!("track {index} says it goes on to byte {said}");
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
        self.after(index, body, said, &walk, ended)
    }

    /// Whether a track cut at `end` should be read on beyond it: where the chunk that should
    /// follow is not there, the track's length is wrong, not its last event.
    fn reads_on(&self, end: usize, said: usize) -> bool {
        end == said
            && end < self.header.end
            && chunks::chunk(self.bytes, end, self.header.end) == Chunk::None
    }

    /// Where the chunk after a track begins.
    fn after(
        &mut self,
        index: usize,
        body: usize,
        said: usize,
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
        if said > file_end {
            let what = format!("track {index} says it goes on to byte {said}");
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
            SUSTAIN if self.reading.pedal == Pedal::Lengthen => self.pedal.push(PedalEvent {
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

    fn finish(mut self) -> Result<(MidiFile, Layout), ParseError> {
        if let Some(broken) = self.damage.take()
            && self.file.notes.is_empty()
        {
            return Err(broken);
        }
        self.keep_metres();
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

    /// Sorts the metres. Where two tracks contradict each other the first counts, as the
    /// conductor's track, and that is said.
    fn keep_metres(&mut self) {
        let mut time_signatures = std::mem::take(&mut self.time_signatures);
        time_signatures.sort_by_key(|m| m.0);
        let mut contradictions = 0;
        let mut said = String::new();
        for together in time_signatures.chunk_by(|a, b| a.0 == b.0) {
            let (tick, first, track) = together[0];
            for &(_, metre, other) in together {
                if other == track {
                    self.file.time_signatures.push((tick, metre));
                } else if metre != first {
                    contradictions += 1;
                    if said.is_empty() {
                        said = format!(
                            "tracks {track} and {other} contradict each other: {}/{} and {}/{} at tick {tick}",
                            first.numerator, first.denominator, metre.numerator, metre.denominator
                        );
                    }
                }
            }
        }
        match contradictions {
            0 => return,
            1 => {}
            more => said += &format!(", and so in {} places more", more - 1),
        }
        self.file.warnings.push(said + "; the first track counts");
    }
}

/// Gives every note of a track that has no end one: where the last of its other notes ends, but
/// a beat after its start at least, and with the track, at `end`, at the latest. Other tracks
/// do not count: one that is added changes no note.
fn end_with_music(notes: &mut [MidiNote], end: u64, beat: u64) {
    if notes.iter().all(|note| note.end != OPEN) {
        return;
    }
    let closed = notes.iter().map(|note| note.end).filter(|&end| end != OPEN);
    let music = closed.max().unwrap_or(0);
    for note in notes.iter_mut().filter(|note| note.end == OPEN) {
        note.end = music.max(note.start + beat).min(end);
    }
}
