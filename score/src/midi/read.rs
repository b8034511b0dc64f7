//! Reads a file's bytes into a [`MidiFile`].

mod track;

use super::chunks::{self, Chunk, Division, Header, MAX_TRACKS};
use super::conductor;
use super::error::ParseError;
use super::file::{MidiFile, ReadOptions};
use super::layout::{FileLayout, TrackSpan};
use super::note_pairing::{self, NotePairing, PedalEvent};
use super::text::TextEncoding;
use super::{drums, named_drums};
use crate::time::TimeSignature;

/// Warnings kept as text; a last one counts the others.
const MAX_WARNINGS: usize = 50;

/// Reads a file's bytes.
///
/// Damaged parts are left out, each with a warning that names its offset. Time and memory are
/// proportional to the bytes, whatever lengths they declare.
///
/// # Errors
/// Fails if damage leaves no note to read, or the bytes are no MIDI file.
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
        let named = named_drums::named_drums(file);
        file.drums.set_named(named);
        if self.more_warnings > 0 {
            let what = format!("and {} warnings more", self.more_warnings);
            file.warnings.push(what);
        }
        Ok((self.file, self.layout))
    }
}
