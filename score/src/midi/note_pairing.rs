//! Pairs note-ons with note-offs, and lengthens notes by the sustain pedal.

use std::collections::BTreeMap;

use super::file::MidiNote;

/// The end of a note without a note-off so far.
const OPEN: u64 = u64::MAX;
const KEYS: usize = 16 * 128;

/// Pairs note-offs with note-ons, first in, first out, for each channel and key. The notes
/// still waiting form a chain through the notes themselves, so that a track costs what its
/// events cost, however many tracks there are.
///
/// Where a track leaves notes of a key open, note-offs are missing, and from there on first
/// in, first out gives every note the end of another. So from the last moment at which no
/// note of that key waited, a note-on ends what sounds on its key.
pub(super) struct NotePairing {
    /// For each channel and key, the number (from 1) of the first and of the last note still
    /// waiting; 0 for none.
    first: Box<[u32; KEYS]>,
    last: Box<[u32; KEYS]>,
    /// For each channel and key, the number of the note that began when none waited.
    since: Box<[u32; KEYS]>,
    waits: Vec<Wait>,
    /// Events counted so far.
    events: u32,
    /// Notes before this one belong to tracks that have ended.
    track: usize,
}

/// Links and event numbers of a note.
#[derive(Clone, Copy)]
struct Wait {
    /// Number of the next note waiting on its key; 0 for none.
    next: u32,
    /// Numbers of the events that began and ended it.
    on: u32,
    off: u32,
}

/// Counts of the notes without a note-off that a track left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unpaired {
    /// Notes without an end.
    pub(super) open: usize,
    /// Notes ended by the next note-on of their key.
    pub(super) struck: usize,
}

impl NotePairing {
    pub(super) fn new() -> Self {
        Self {
            first: Box::new([0; KEYS]),
            last: Box::new([0; KEYS]),
            since: Box::new([0; KEYS]),
            waits: Vec::new(),
            events: 0,
            track: 0,
        }
    }

    /// `channel` is below 16 and `key` below 128: both come from checked bytes.
    #[inline]
    fn key(channel: u8, pitch: u8) -> usize {
        usize::from(channel & 15) << 7 | usize::from(pitch & 127)
    }

    /// Adds a note at its note-on.
    #[inline]
    pub(super) fn on(&mut self, notes: &mut Vec<MidiNote>, note: MidiNote) {
        let key = Self::key(note.channel, note.pitch);
        notes.push(MidiNote { end: OPEN, ..note });
        // A file of 4 GiB is refused before it gets here, and a note takes three bytes.
        let number = notes.len() as u32;
        self.events += 1;
        self.waits.push(Wait {
            next: 0,
            on: self.events,
            off: 0,
        });
        match self.first[key] {
            0 => (self.first[key], self.since[key]) = (number, number),
            _ => self.waits[self.last[key] as usize - 1].next = number,
        }
        self.last[key] = number;
    }

    /// Ends the oldest open note of a key. A note-off without one is common and ignored.
    #[inline]
    pub(super) fn off(&mut self, notes: &mut [MidiNote], channel: u8, pitch: u8, now: u64) {
        let key = Self::key(channel, pitch);
        if let Some(index) = (self.first[key] as usize).checked_sub(1) {
            self.events += 1;
            notes[index].end = now;
            self.waits[index].off = self.events;
            self.first[key] = self.waits[index].next;
        }
    }

    /// Ends the track. Notes without an end keep [`OPEN`].
    pub(super) fn close(&mut self, notes: &mut [MidiNote]) -> Unpaired {
        let mut keys: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, note) in notes.iter().enumerate().skip(self.track) {
            let key = Self::key(note.channel, note.pitch);
            if self.first[key] > 0 && index as u32 + 1 >= self.since[key] {
                keys.entry(key).or_default().push(index);
            }
        }
        let mut left = Unpaired::default();
        for (key, indices) in keys {
            left.struck += self.recover(notes, &indices);
            left.open += indices.iter().filter(|&&i| notes[i].end == OPEN).count();
            self.first[key] = 0;
        }
        self.track = notes.len();
        left
    }

    /// Pairs the notes of one key so that a note-on ends the notes that sound; notes struck
    /// together end together. Gives the number of notes that a note-on ended.
    fn recover(&self, notes: &mut [MidiNote], indices: &[usize]) -> usize {
        let mut events: Vec<(u32, u64, Option<usize>)> = Vec::with_capacity(2 * indices.len());
        for &index in indices {
            let (note, wait) = (notes[index], self.waits[index]);
            events.push((wait.on, note.start, Some(index)));
            if wait.off > 0 {
                events.push((wait.off, note.end, None));
            }
        }
        events.sort_unstable();
        let (mut sounding, mut struck) = (Vec::new(), 0);
        let mut end = |sounding: &mut Vec<usize>, at| {
            for index in sounding.drain(..) {
                notes[index].end = at;
            }
        };
        let mut begun = 0;
        for (_, tick, on) in events {
            let Some(index) = on else {
                end(&mut sounding, tick);
                continue;
            };
            if begun < tick {
                struck += sounding.len();
                end(&mut sounding, tick);
            }
            begun = tick;
            sounding.push(index);
        }
        end(&mut sounding, OPEN);
        struck
    }
}

/// A change of the sustain pedal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PedalEvent {
    pub(super) tick: u64,
    pub(super) channel: u8,
    pub(super) down: bool,
}

/// Lengthens every note whose note-off falls while its channel's pedal is down: until the pedal
/// comes up, or until the same key is struck again, if that is sooner. A note-off on the tick on
/// which the pedal goes down is held; one on the tick on which it comes up is not (the order that
/// `note-seq` uses). `notes` are sorted by start.
pub(super) fn lengthen(notes: &mut [MidiNote], mut pedal: Vec<PedalEvent>, end: u64) {
    pedal.sort_by_key(|p| p.tick);
    // For each channel, the spans in which the pedal is down.
    let mut spans: [Vec<(u64, u64)>; 16] = Default::default();
    for p in pedal {
        let spans = &mut spans[usize::from(p.channel & 15)];
        let held = spans.last_mut().filter(|span| span.1 == OPEN);
        match (held, p.down) {
            (Some(held), false) => held.1 = p.tick,
            (None, true) => spans.push((p.tick, OPEN)),
            _ => {}
        }
    }
    // For each key, the start of the note after, and that of the next one later than that:
    // notes struck together do not cut each other.
    let mut later = vec![(OPEN, OPEN); KEYS];
    for note in notes.iter_mut().rev() {
        let next = &mut later[NotePairing::key(note.channel, note.pitch)];
        let struck = if next.0 == note.start { next.1 } else { next.0 };
        *next = (note.start, struck);
        let spans = &spans[usize::from(note.channel & 15)];
        let begun = spans.partition_point(|s| s.0 <= note.end);
        if let Some(&(_, up)) = begun.checked_sub(1).and_then(|i| spans.get(i))
            && note.end < up
        {
            note.end = note.end.max(up.min(end).min(struck));
        }
    }
}

/// Ends the notes of a track that have no note-off: with the last of its other notes, but at least
/// `beat` ticks after their onset, and at the latest with the track, at tick `end`. Other tracks
/// do not count, so that adding one changes no note.
pub(super) fn end_open_notes(notes: &mut [MidiNote], end: u64, beat: u64) {
    if notes.iter().all(|note| note.end != OPEN) {
        return;
    }
    let closed = notes.iter().map(|note| note.end).filter(|&end| end != OPEN);
    let music = closed.max().unwrap_or(0);
    for note in notes.iter_mut().filter(|note| note.end == OPEN) {
        note.end = music.max(note.start + beat).min(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(start: u64, end: u64, pitch: u8) -> MidiNote {
        MidiNote {
            start,
            end,
            pitch,
            velocity: 80,
            channel: 2,
            track: 0,
        }
    }

    #[test]
    fn pairs_are_first_in_first_out_and_keys_apart() {
        let (mut pairing, mut notes) = (NotePairing::new(), Vec::new());
        for (start, pitch) in [(0, 60), (1, 60), (2, 61), (3, 60)] {
            pairing.on(&mut notes, note(start, 0, pitch));
        }
        for (now, pitch) in [(10, 60), (11, 60), (12, 61), (13, 60), (14, 60)] {
            pairing.off(&mut notes, 2, pitch, now);
        }
        let ends: Vec<u64> = notes.iter().map(|n| n.end).collect();
        assert_eq!(ends, [10, 11, 12, 13]);
        assert_eq!(pairing.close(&mut notes), Unpaired::default());
        // Notes that a track leaves open do not carry over to the next track.
        pairing.on(&mut notes, note(15, 0, 60));
        assert_eq!(pairing.close(&mut notes), Unpaired { open: 1, struck: 0 });
        pairing.off(&mut notes, 2, 60, 99);
        assert_eq!(notes[4].end, OPEN);
    }

    /// `(tick, whether a key goes down)` on one key; gives starts and ends.
    fn paired(events: &[(u64, bool)]) -> (Vec<(u64, u64)>, Unpaired) {
        let (mut pairing, mut notes) = (NotePairing::new(), Vec::new());
        for &(tick, down) in events {
            match down {
                true => pairing.on(&mut notes, note(tick, 0, 60)),
                false => pairing.off(&mut notes, 2, 60, tick),
            }
        }
        let left = pairing.close(&mut notes);
        (notes.iter().map(|n| (n.start, n.end)).collect(), left)
    }

    #[test]
    fn missing_note_offs_do_not_drift() {
        let mut events = vec![(0, true), (5, true), (8, false), (9, false)];
        for bar in 1..4 {
            let at = 10 * bar;
            events.extend([(at, true), (at + 5, true), (at + 10, false)]);
        }
        let (notes, left) = paired(&events);
        // As long as notes and ends are in balance, the first note-off ends the first note.
        let expected = [
            (0, 8),
            (5, 9),
            (10, 15),
            (15, 20),
            (20, 25),
            (25, 30),
            (30, 35),
            (35, 40),
        ];
        assert_eq!(notes, expected);
        assert_eq!(left, Unpaired { open: 0, struck: 3 });
    }

    #[test]
    fn one_lost_note_off_costs_one_note() {
        let (notes, left) = paired(&[(0, true), (4, true), (6, false), (20, true), (22, false)]);
        assert_eq!(notes, [(0, 4), (4, 6), (20, 22)]);
        assert_eq!(left, Unpaired { open: 0, struck: 1 });
        // The last one stays open; notes struck together share their end.
        let (notes, left) = paired(&[(0, true), (0, true), (4, false), (9, true)]);
        assert_eq!(notes, [(0, 4), (0, 4), (9, OPEN)]);
        assert_eq!(left, Unpaired { open: 1, struck: 0 });
    }

    #[test]
    fn the_pedal_holds_until_it_comes_up_or_the_key_is_struck_again() {
        let mut notes = vec![
            note(0, 5, 60),
            note(0, 7, 60),
            note(10, 15, 60),
            note(12, 20, 64),
            note(30, 35, 60),
        ];
        let at = |tick, down| PedalEvent {
            tick,
            channel: 2,
            down,
        };
        let pedal = vec![at(5, true), at(20, false), at(33, true)];
        lengthen(&mut notes, pedal, 50);
        let ends: Vec<u64> = notes.iter().map(|n| n.end).collect();
        assert_eq!(ends, [10, 10, 20, 20, 50]);
    }
}
