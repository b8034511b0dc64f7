//! Note-ons and note-offs become notes; the sustain pedal lengthens them.

use super::MidiNote;

/// The end of a note whose note-off has not come.
const OPEN: u64 = u64::MAX;
const KEYS: usize = 16 * 128;

/// Pairs note-offs with note-ons, first in, first out, for each channel and key. The notes
/// still waiting form a chain through the notes themselves, so that a track costs what its
/// events cost, however many tracks there are.
pub(super) struct Pairing {
    /// For each channel and key, the number (from 1) of the first and of the last note still
    /// waiting; 0 for none.
    first: Box<[u32; KEYS]>,
    last: Box<[u32; KEYS]>,
    /// For each note, the number of the next one waiting on its key.
    next: Vec<u32>,
    /// Notes before this one belong to tracks that have ended.
    track: usize,
}

impl Pairing {
    pub(super) fn new() -> Self {
        Self {
            first: Box::new([0; KEYS]),
            last: Box::new([0; KEYS]),
            next: Vec::new(),
            track: 0,
        }
    }

    /// `channel` is below 16 and `key` below 128: both come from checked bytes.
    #[inline]
    fn key(channel: u8, pitch: u8) -> usize {
        usize::from(channel & 15) << 7 | usize::from(pitch & 127)
    }

    #[inline]
    pub(super) fn on(&mut self, notes: &mut Vec<MidiNote>, note: MidiNote) {
        let key = Self::key(note.channel, note.pitch);
        notes.push(MidiNote { end: OPEN, ..note });
        self.next.push(0);
        // A file of 4 GiB is refused before it gets here, and a note takes three bytes.
        let number = notes.len() as u32;
        match self.first[key] {
            0 => self.first[key] = number,
            _ => self.next[self.last[key] as usize - 1] = number,
        }
        self.last[key] = number;
    }

    /// A note-off for nothing is common and harmless.
    #[inline]
    pub(super) fn off(&mut self, notes: &mut [MidiNote], channel: u8, pitch: u8, now: u64) {
        let key = Self::key(channel, pitch);
        if let Some(index) = (self.first[key] as usize).checked_sub(1) {
            notes[index].end = now;
            self.first[key] = self.next[index];
        }
    }

    /// The track ends: what still sounds ends with it. Gives their number.
    pub(super) fn close(&mut self, notes: &mut [MidiNote], now: u64) -> usize {
        let mut open = 0;
        for note in &mut notes[self.track..] {
            if note.end == OPEN {
                note.end = now;
                open += 1;
                self.first[Self::key(note.channel, note.pitch)] = 0;
            }
        }
        self.track = notes.len();
        open
    }
}

/// A movement of the sustain pedal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pedalling {
    pub(super) tick: u64,
    pub(super) channel: u8,
    pub(super) down: bool,
}

/// Lengthens every note let go while its channel's pedal is down: to where the pedal comes
/// up, or to where the same key is struck again, if that is sooner. A note let go on the
/// tick on which the pedal goes down is held, one let go on the tick on which it comes up is
/// not (the order `note-seq` uses). `notes` are sorted by start.
pub(super) fn lengthen(notes: &mut [MidiNote], mut pedal: Vec<Pedalling>, end: u64) {
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
        let next = &mut later[Pairing::key(note.channel, note.pitch)];
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
        let (mut pairing, mut notes) = (Pairing::new(), Vec::new());
        for (start, pitch) in [(0, 60), (1, 60), (2, 61), (3, 60)] {
            pairing.on(&mut notes, note(start, 0, pitch));
        }
        for (now, pitch) in [(10, 60), (11, 60), (12, 61), (13, 60), (14, 60)] {
            pairing.off(&mut notes, 2, pitch, now);
        }
        let ends: Vec<u64> = notes.iter().map(|n| n.end).collect();
        assert_eq!(ends, [10, 11, 12, 13]);
        assert_eq!(pairing.close(&mut notes, 20), 0);
        // What a track leaves open is no business of the next one's.
        pairing.on(&mut notes, note(15, 0, 60));
        assert_eq!(pairing.close(&mut notes, 20), 1);
        pairing.off(&mut notes, 2, 60, 99);
        assert_eq!(notes[4].end, 20);
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
        let at = |tick, down| Pedalling {
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
