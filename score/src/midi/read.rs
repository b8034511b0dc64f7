//! A file's bytes become a [`MidiFile`].

use super::chunks::{self, Chunk, Division, Header};
use super::events::{Event, Events, Fault};
use super::notes::{self, Pairing, Pedalling};
use super::{Broken, MidiFile, MidiNote, Pedal, Reading};
use crate::time::Metre;

/// Warnings kept; of more only the number is told.
const MOST_WARNINGS: usize = 50;
/// Tracks a header can announce.
const MOST_TRACKS: usize = 0xffff;

/// Reads a file's bytes.
///
/// What is damaged is left out with a warning that names the offset; a file of which nothing
/// could be read because of its damage is refused. Time and memory are in proportion to the
/// bytes, whatever they say.
pub fn read(bytes: &[u8], reading: &Reading) -> Result<MidiFile, Broken> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(Broken::new(0, "the file is larger than 4 GiB"));
    }
    let header = chunks::header(bytes)?;
    let mut reader = Reader {
        bytes,
        header,
        reading: *reading,
        file: MidiFile {
            format: header.format,
            ticks_per_beat: 0,
            notes: Vec::new(),
            tempos: Vec::new(),
            metres: Vec::new(),
            tracks: Vec::new(),
            end: 0,
            warnings: Vec::new(),
        },
        pairing: Pairing::new(),
        pedal: Vec::new(),
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
    reading: Reading,
    file: MidiFile,
    pairing: Pairing,
    pedal: Vec<Pedalling>,
    /// The first thing that could not be read.
    damage: Option<Broken>,
    more_warnings: usize,
}

impl Reader<'_> {
    fn warn(&mut self, offset: usize, what: impl std::fmt::Display) {
        if self.file.warnings.len() < MOST_WARNINGS {
            self.file.warnings.push(format!("byte {offset}: {what}"));
        } else {
            self.more_warnings += 1;
        }
    }

    fn damaged(&mut self, broken: Broken) {
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
                Chunk::Track(body, said) => self.track(body, said),
                Chunk::Other(next) => {
                    self.warn(at, "a chunk that is no track, left out");
                    next
                }
                Chunk::None => {
                    let next = chunks::next_track(self.bytes, at, end);
                    let what = format!("{} bytes that are no chunk", next - at);
                    if next < end || self.file.tracks.len() < announced {
                        self.damaged(Broken::new(at, what));
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
                self.damaged(Broken::new(end, what));
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
        self.file.tracks.push(String::new());
        let file_end = self.header.end;
        let mut walk = Events::new(self.bytes, body, said.min(file_end));
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
                Err(Fault::Cut(_)) if self.reads_on(walk.end, said) => {
                    walk.end = chunks::next_track(self.bytes, walk.end, file_end);
                    let what = format!("track {index} is longer than it says");
                    self.warn(body - 4, what);
                    continue;
                }
                Err(Fault::Cut(at)) => {
                    let what = format!("track {index} ends inside an event");
                    fault = Some(Broken::new(at, what));
                    break;
                }
                Err(Fault::Broken(broken)) => {
                    let what = format!("track {index}: {}; its rest is left out", broken.reason);
                    fault = Some(Broken::new(broken.offset, what));
                    break;
                }
            };
            now += u64::from(delta);
            match event {
                Event::On(channel, pitch, velocity) => {
                    let note = MidiNote {
                        start: now,
                        end: now,
                        pitch,
                        velocity,
                        channel,
                        track,
                    };
                    self.pairing.on(&mut self.file.notes, note);
                }
                Event::Off(channel, pitch) => {
                    self.pairing.off(&mut self.file.notes, channel, pitch, now);
                }
                Event::Meta(0x2f, _) => ended = true,
                Event::Meta(kind, data) => self.meta(kind, data, now, track, at),
                Event::Pedal(channel, down) if self.reading.pedal == Pedal::Lengthen => {
                    self.pedal.push(Pedalling {
                        tick: now,
                        channel,
                        down,
                    });
                }
                Event::System(status) => {
                    let what = format!("track {index}: system message {status:#04x}, left out");
                    self.warn(at, what);
                }
                Event::Pedal(..) | Event::Other => {}
            }
        }
        self.file.end = self.file.end.max(now);
        let open = self.pairing.close(&mut self.file.notes, now);
        if let Some(broken) = fault {
            self.damaged(broken);
        } else if said > file_end && !ended {
            let what = format!("track {index} says it goes on to byte {said}");
            self.damaged(Broken::new(file_end, what));
        } else if !ended {
            self.warn(walk.at, format!("track {index} has no end-of-track event"));
        }
        if open > 0 {
            let what = format!("track {index}: {open} notes without a note-off end here");
            self.warn(walk.at, what);
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
        walk: &Events,
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

    fn meta(&mut self, kind: u8, data: &[u8], now: u64, track: u16, at: usize) {
        match (kind, data) {
            (0x03, name) => {
                let kept = &mut self.file.tracks[usize::from(track)];
                if kept.is_empty() {
                    *kept = String::from_utf8_lossy(name).into_owned();
                }
            }
            (0x51, &[a, b, c]) if [a, b, c] != [0; 3] => {
                // SMPTE time does not follow the tempo.
                if matches!(self.header.division, Division::Metrical(_)) {
                    let micros = u32::from_be_bytes([0, a, b, c]);
                    self.file.tempos.push((now, micros));
                }
            }
            (0x58, &[numerator, power, ..]) if numerator > 0 && power < 8 => {
                let metre = Metre {
                    numerator: numerator.into(),
                    denominator: 1 << power,
                };
                self.file.metres.push((now, metre));
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

    fn finish(mut self) -> Result<MidiFile, Broken> {
        if let Some(broken) = self.damage
            && self.file.notes.is_empty()
        {
            return Err(broken);
        }
        let file = &mut self.file;
        // Every track is in the order of starts, so that this is a merge; notes of one key are
        // in the order of their ends already: first in, first out.
        file.notes.sort_by_key(|n| n.start);
        for together in file.notes.chunk_by_mut(|a, b| a.start == b.start) {
            together.sort_by_key(|n| (n.track, n.channel, n.pitch));
        }
        if !self.pedal.is_empty() {
            notes::lengthen(&mut file.notes, self.pedal, file.end);
        }
        file.tempos.sort_by_key(|t| t.0);
        file.metres.sort_by_key(|m| m.0);
        if self.more_warnings > 0 {
            let what = format!("and {} warnings more", self.more_warnings);
            file.warnings.push(what);
        }
        Ok(self.file)
    }
}
