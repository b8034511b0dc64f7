//! Replaces notes of a file's bytes; every other byte stays.

use std::collections::BTreeMap;

use super::append::Edited;
use super::document::MidiDocument;
use super::error::BuildError;
use super::events::{EventReader, MidiEvent};
use super::file::MidiNote;
use super::write::LONGEST_DELTA;

/// Channel and pitch.
type Key = (u8, u8);

fn key(note: &MidiNote) -> Key {
    (note.channel & 15, note.pitch & 127)
}

/// Changes of a file's notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Notes of [`MidiDocument::file`] to remove.
    pub removed: Vec<MidiNote>,
    /// Notes to add, each to its track and channel.
    pub added: Vec<MidiNote>,
}

impl MidiDocument {
    /// The file with other notes. The events of all other notes, every other event and every byte
    /// between the tracks stay as they are, and so do the bytes of tracks without a change. Where an
    /// event goes or comes, the wait of the next one changes, and its status byte is written out. A
    /// wrong length of a changed track and of the RIFF wrapping is corrected, and
    /// [`Edited::changes`] lists these corrections.
    ///
    /// The document must be read without the pedal, whose lengths no note-off has. Note-offs without a
    /// note are removed with the notes whose keys they name.
    ///
    /// # Errors
    /// If a changed track is damaged, or a MIDI file cannot hold the result.
    pub fn replace(&self, replacement: &Replacement) -> Result<Edited, BuildError> {
        let mut bytes = self.bytes.clone();
        let mut changes = Vec::new();
        // From the last track to the first, so that earlier offsets stay.
        for index in (0..self.layout.spans.len()).rev() {
            // No more than MAX_TRACKS.
            let track = index as u16;
            let here = |note: &&MidiNote| note.track == track;
            let removed: Vec<MidiNote> = replacement.removed.iter().filter(here).copied().collect();
            let added: Vec<MidiNote> = replacement.added.iter().filter(here).copied().collect();
            if removed.is_empty() && added.is_empty() {
                continue;
            }
            let span = self.layout.spans[index];
            let body = self.replaced_track(index, &removed, &added)?;
            if span.declared_end != span.end {
                changes.push(format!("track {index} says its true length now"));
            }
            let length = u32::try_from(body.len()).map_err(|_| BuildError::Size)?;
            bytes.splice(span.head + 8..span.end, body);
            bytes[span.head + 4..span.head + 8].copy_from_slice(&length.to_be_bytes());
        }
        if bytes.len() > u32::MAX as usize {
            return Err(BuildError::Size);
        }
        if self.layout.header.start > 0 {
            let old = self.layout.header.end - self.layout.header.start;
            let data = old + bytes.len() - self.bytes.len();
            self.rewrap(&mut bytes, data, &mut changes);
        }
        changes.reverse();
        Ok(Edited { bytes, changes })
    }

    /// The tick at which a track begins: in a type 2 file, where those before it end.
    fn track_origin(&self, index: usize) -> Result<u64, BuildError> {
        let mut origin = 0;
        if self.layout.header.format == 2 {
            for index in 0..index {
                let events = self.events(index)?;
                origin += events.iter().map(|e| u64::from(e.delta)).sum::<u64>();
            }
        }
        Ok(origin)
    }

    /// The events of a track up to its end-of-track event.
    fn events(&self, index: usize) -> Result<Vec<RawEvent<'_>>, BuildError> {
        let span = self.layout.spans[index];
        let mut walk = EventReader::new(&self.bytes, span.head + 8, span.end);
        let mut events = Vec::new();
        while walk.at < walk.end {
            let at = walk.at;
            let damaged = BuildError::Damaged {
                track: index,
                offset: at,
            };
            let (delta, event) = walk.next().map_err(|_| damaged)?;
            let body = at + delta_bytes(&self.bytes[at..]);
            let is_end = matches!(event, MidiEvent::Meta(0x2f, _));
            events.push(RawEvent {
                at,
                body,
                end: walk.at,
                delta,
                event,
            });
            if is_end {
                break;
            }
        }
        Ok(events)
    }

    /// The bytes of a track's events after the replacement.
    fn replaced_track(
        &self,
        index: usize,
        removed: &[MidiNote],
        added: &[MidiNote],
    ) -> Result<Vec<u8>, BuildError> {
        let origin = self.track_origin(index)?;
        let events = self.events(index)?;
        let mut gone = Gone::new(self, removed, added, &events, origin);
        let off = |&(tick, (channel, pitch)): &(u64, Key)| (tick, OFF, [0x80 | channel, pitch, 64]);
        let mut inserted: Vec<(u64, u8, [u8; 3])> = gone.missing.iter().map(off).collect();
        for note in added {
            let (channel, pitch) = key(note);
            let velocity = note.velocity.clamp(1, 127);
            let start = note.start.max(origin);
            inserted.push((start, ON, [0x90 | channel, pitch, velocity]));
            let end = note.end.max(start + 1);
            inserted.push(off(&(end, (channel, pitch))));
        }
        // Note-offs come before the file's events of their tick, and note-ons after them.
        inserted.sort_unstable();
        let mut inserted = inserted.into_iter().peekable();
        let span = self.layout.spans[index];
        let mut out = TrackWriter::new(&self.bytes, origin, span.end - span.head);
        let mut now = origin;
        for event in &events {
            now += u64::from(event.delta);
            let is_end = matches!(event.event, MidiEvent::Meta(0x2f, _));
            let before = |&(tick, rank, _): &(u64, u8, [u8; 3])| {
                is_end || tick < now || (tick == now && rank == OFF)
            };
            while let Some((tick, _, message)) = inserted.next_if(before) {
                out.insert(tick, &message);
            }
            match gone.takes(event, now) {
                true => out.skip(event),
                false => out.keep(event, now),
            }
        }
        for (tick, _, message) in inserted {
            out.insert(tick, &message);
        }
        let end = events.last().map_or(span.head + 8, |event| event.end);
        out.bytes.extend_from_slice(&self.bytes[end..span.end]);
        Ok(out.bytes)
    }
}

/// Order of inserted events on one tick.
const OFF: u8 = 0;
const ON: u8 = 1;

/// An event, with the offsets of its wait, its first byte after that, and its end.
struct RawEvent<'a> {
    at: usize,
    body: usize,
    end: usize,
    /// Ticks since the event before.
    delta: u32,
    event: MidiEvent<'a>,
}

/// Number of bytes of the quantity at the beginning of `bytes`.
fn delta_bytes(bytes: &[u8]) -> usize {
    let more = bytes.iter().take_while(|&&byte| byte >= 0x80).count();
    more + 1
}

/// The events that belong to removed notes.
struct Gone {
    /// Note-ons left to remove, by tick, key and velocity.
    ons: BTreeMap<(u64, Key, u8), usize>,
    /// Note-offs left to remove, by tick and key.
    offs: BTreeMap<(u64, Key), usize>,
    /// Ticks and keys of note-offs to add.
    missing: Vec<(u64, Key)>,
}

impl Gone {
    /// `events` are those of the track, which begins at tick `origin`.
    fn new(
        document: &MidiDocument,
        removed: &[MidiNote],
        added: &[MidiNote],
        events: &[RawEvent],
        origin: u64,
    ) -> Self {
        let (mut ons, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for note in removed {
            *ons.entry((note.start, key(note), note.velocity))
                .or_insert(0) += 1;
            *ends.entry((note.end, key(note))).or_insert(0) += 1;
        }
        // Number of notes that end on a tick and stay.
        let mut staying: BTreeMap<(u64, Key), usize> = BTreeMap::new();
        let track = removed.iter().chain(added).next().map(|note| note.track);
        let notes = document.file.notes.iter();
        for note in notes.filter(|note| Some(note.track) == track) {
            *staying.entry((note.end, key(note))).or_insert(0) += 1;
        }
        for (place, count) in &ends {
            if let Some(staying) = staying.get_mut(place) {
                *staying = staying.saturating_sub(*count);
            }
        }
        // A note-off goes if a removed note ends there, or it would cut an added one.
        let cuts = |place: &(u64, Key)| {
            let within = |note: &MidiNote| note.start < place.0 && place.0 < note.end;
            added
                .iter()
                .any(|note| key(note) == place.1 && within(note))
        };
        let mut offs: BTreeMap<(u64, Key), usize> = BTreeMap::new();
        let mut now = origin;
        for event in events {
            now += u64::from(event.delta);
            if let MidiEvent::Off(channel, pitch) = event.event {
                *offs.entry((now, (channel, pitch))).or_insert(0) += 1;
            }
        }
        // A note that ended where a removed one struck its key needs a note-off.
        let mut missing = Vec::new();
        for note in removed {
            let place = (note.start, key(note));
            let here = offs.get(&place).copied().unwrap_or(0);
            let needed = staying.get(&place).copied().unwrap_or(0);
            missing.extend((here..needed).map(|_| place));
        }
        missing.sort_unstable();
        missing.dedup();
        offs.retain(|place, count| {
            *count = count.saturating_sub(staying.get(place).copied().unwrap_or(0));
            *count > 0 && (ends.contains_key(place) || cuts(place))
        });
        Self { ons, offs, missing }
    }

    /// Whether an event at tick `now` is removed.
    fn takes(&mut self, event: &RawEvent, now: u64) -> bool {
        let left = match event.event {
            MidiEvent::On(channel, pitch, velocity) => {
                self.ons.get_mut(&(now, (channel, pitch), velocity))
            }
            MidiEvent::Off(channel, pitch) => self.offs.get_mut(&(now, (channel, pitch))),
            _ => None,
        };
        match left {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Writes the events of a track.
struct TrackWriter<'a> {
    source: &'a [u8],
    bytes: Vec<u8>,
    /// Tick of the last written event.
    now: u64,
    /// Running status of the source; 0 while there is none.
    status: u8,
    /// Whether the running status of the written events is that of the source.
    status_holds: bool,
}

impl<'a> TrackWriter<'a> {
    fn new(source: &'a [u8], origin: u64, size: usize) -> Self {
        Self {
            source,
            bytes: Vec::with_capacity(size),
            now: origin,
            status: 0,
            status_holds: true,
        }
    }

    /// Writes an event of the source.
    fn keep(&mut self, event: &RawEvent, now: u64) {
        if now.checked_sub(self.now) == Some(event.delta.into()) {
            self.bytes
                .extend_from_slice(&self.source[event.at..event.body]);
            self.now = now;
        } else {
            self.wait_until(now);
        }
        let first = self.source[event.body];
        let is_running = first < 0x80;
        self.read_status(first);
        if is_running && !self.status_holds {
            self.bytes.push(self.status);
        }
        self.bytes
            .extend_from_slice(&self.source[event.body..event.end]);
        if first < 0xf0 {
            self.status_holds = true;
        }
    }

    /// Leaves out an event of the source.
    fn skip(&mut self, event: &RawEvent) {
        self.read_status(self.source[event.body]);
        self.status_holds = false;
    }

    fn read_status(&mut self, first: u8) {
        if (0x80..0xf0).contains(&first) {
            self.status = first;
        }
    }

    fn insert(&mut self, tick: u64, message: &[u8]) {
        self.wait_until(tick);
        self.bytes.extend_from_slice(message);
        self.status_holds = false;
    }

    /// Writes the ticks to wait. Empty text events divide a wait that is too long.
    fn wait_until(&mut self, tick: u64) {
        let mut wait = tick.saturating_sub(self.now);
        while wait > LONGEST_DELTA {
            self.quantity(LONGEST_DELTA);
            self.bytes.extend_from_slice(&[0xff, 1, 0]);
            self.status_holds = false;
            wait -= LONGEST_DELTA;
        }
        self.quantity(wait);
        self.now = self.now.max(tick);
    }

    fn quantity(&mut self, value: u64) {
        for shift in [21, 14, 7] {
            if value >> shift > 0 {
                self.bytes.push(0x80 | (value >> shift & 127) as u8);
            }
        }
        self.bytes.push((value & 127) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ReadOptions, read_bytes};
    use super::*;

    /// Wraps the events of one track.
    fn file(events: &[u8]) -> Vec<u8> {
        let body = [events, b"\0\xff\x2f\0"].concat();
        let length = (body.len() as u32).to_be_bytes();
        [&b"MThd\0\0\0\x06\0\x01\0\x01\0\x60MTrk"[..], &length, &body].concat()
    }

    fn document(bytes: &[u8]) -> MidiDocument {
        MidiDocument::read(bytes.to_vec(), &ReadOptions::default()).unwrap()
    }

    fn note(start: u64, end: u64, pitch: u8) -> MidiNote {
        MidiNote {
            start,
            end,
            pitch,
            velocity: 80,
            channel: 0,
            track: 0,
        }
    }

    fn replaced(bytes: &[u8], removed: &[MidiNote], added: &[MidiNote]) -> Vec<u8> {
        let replacement = Replacement {
            removed: removed.to_vec(),
            added: added.to_vec(),
        };
        document(bytes).replace(&replacement).unwrap().bytes
    }

    #[test]
    fn nothing_replaced_is_the_same_file() {
        let bytes = file(&[0x80, 0x00, 0x90, 60, 80, 96, 60, 0]);
        assert_eq!(replaced(&bytes, &[], &[]), bytes);
        let one = document(&bytes).file().notes[0];
        let again = replaced(&bytes, &[one], &[one]);
        assert_eq!(read_bytes(&again).unwrap(), read_bytes(&bytes).unwrap());
    }

    #[test]
    fn events_between_stay_and_running_status_is_written_where_its_event_goes() {
        let bytes = file(&[
            0, 0xb0, 64, 127, // pedal
            0, 0x90, 60, 80, // goes
            48, 0xff, 1, 1, b'x', // text
            0, 62, 80, // running status of the note that goes
            48, 60, 0, // goes
            0, 62, 0,
        ]);
        let file = document(&bytes);
        let gone = file.file().notes[0];
        let new = replaced(&bytes, &[gone], &[note(24, 72, 67)]);
        let expected = self::file(&[
            0, 0xb0, 64, 127, 24, 0x90, 67, 80, 24, 0xff, 1, 1, b'x', 0, 0x90, 62, 80, 24, 0x80,
            67, 64, 24, 0x90, 62, 0,
        ]);
        assert_eq!(new, expected);
    }

    #[test]
    fn the_track_end_stays_unless_a_note_ends_later() {
        let bytes = file(&[0, 0x90, 60, 80, 96, 60, 0]);
        let gone = document(&bytes).file().notes[0];
        let shorter = read_bytes(&replaced(&bytes, &[gone], &[note(0, 24, 64)])).unwrap();
        assert_eq!(
            (shorter.end, &shorter.notes[..]),
            (96, &[note(0, 24, 64)][..])
        );
        let longer = read_bytes(&replaced(&bytes, &[gone], &[note(48, 480, 64)])).unwrap();
        assert_eq!(longer.end, 480);
        assert_eq!(read_bytes(&replaced(&bytes, &[gone], &[])).unwrap().end, 96);
    }

    #[test]
    fn lost_and_needless_note_offs_do_no_harm() {
        // The first note has no end: the second one ends it.
        let bytes = file(&[0, 0x90, 60, 80, 48, 60, 81, 48, 60, 0]);
        let read = document(&bytes);
        let [first, second] = read.file().notes[..] else {
            panic!("two notes");
        };
        assert_eq!((first.end, second.start), (48, 48));
        let left = read_bytes(&replaced(&bytes, &[second], &[])).unwrap();
        assert_eq!(left.notes, [first]);
        // A second note-off would end the new note.
        let bytes = file(&[0, 0x90, 60, 80, 24, 60, 0, 24, 60, 0]);
        let one = document(&bytes).file().notes[0];
        let left = read_bytes(&replaced(&bytes, &[one], &[note(12, 96, 60)])).unwrap();
        assert_eq!(left.notes, [note(12, 96, 60)]);
    }

    #[test]
    fn a_damaged_track_is_refused_and_named() {
        let mut bytes = file(&[0, 0x90, 60, 80, 96, 60, 0, 0, 0x90, 0xff, 0]);
        bytes.extend(b"MTrk\0\0\0\x04\0\xff\x2f\0");
        bytes[11] = 2;
        let document = document(&bytes);
        let replacement = Replacement {
            removed: document.file().notes.clone(),
            added: Vec::new(),
        };
        let refused = document.replace(&replacement).unwrap_err().to_string();
        assert!(
            refused.contains("track 0") && refused.contains("byte 29"),
            "{refused}"
        );
    }

    #[test]
    fn wrapped_files_and_other_tracks_stay_whole() {
        let plain = file(&[0, 0x90, 60, 80, 96, 60, 0]);
        let other = b"MTrk\0\0\0\x0a\0\x91\x40\x50\x60\x40\0\0\xff\x2f\0junk!";
        let mut inner = [&plain[..], &other[..]].concat();
        inner[11] = 2;
        let length = (other.len() - 8 - 5) as u8;
        let at = plain.len() + 7;
        inner[at] = length;
        for padding in [0, 1] {
            inner.truncate(plain.len() + other.len());
            inner.extend(vec![b'!'; padding]);
            let mut riff = b"RIFF\0\0\0\0RMIDdata".to_vec();
            riff.extend((inner.len() as u32).to_le_bytes());
            riff.extend(&inner);
            if inner.len() % 2 == 1 {
                riff.push(0);
            }
            let size = (riff.len() - 8) as u32;
            riff[4..8].copy_from_slice(&size.to_le_bytes());
            let document = document(&riff);
            let replacement = Replacement {
                removed: vec![document.file().notes[0]],
                added: vec![note(0, 48, 62), note(48, 300, 64)],
            };
            let new = document.replace(&replacement).unwrap();
            assert_eq!(new.changes, Vec::<String>::new());
            let read = read_bytes(&new.bytes).unwrap();
            assert_eq!(read.notes.len(), 3);
            assert_eq!(read.warnings.len(), document.file().warnings.len());
            let tail = &inner[plain.len()..];
            assert!(new.bytes.windows(tail.len()).any(|bytes| bytes == tail));
            assert_eq!(new.bytes.len() % 2, 0);
        }
    }
}
