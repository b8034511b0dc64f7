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
    /// Fails if a changed track is damaged, or a MIDI file cannot hold the result.
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
                changes.push(format!("the wrong length of track {index} is corrected"));
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
mod tests;
