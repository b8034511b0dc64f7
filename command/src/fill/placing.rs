//! Tracks, channels and ticks of new notes in a file, and the notes that they replace.

use continuo_score::midi::{MidiDocument, MidiFile, MidiNote, Replacement};
use continuo_score::{Note, PartFilter};

use super::Music;

/// Number of bars on each side of the filled range whose notes decide the track of a new note.
const AROUND: u32 = 4;

impl Music {
    /// Returns the change of the file: the chosen notes that begin in the bars are removed, and
    /// `notes`, in steps of the file, are added.
    pub(super) fn replacement(
        &self,
        document: &MidiDocument,
        filter: &PartFilter,
        notes: &[Note],
    ) -> Replacement {
        let file = document.file();
        let step = |note: &MidiNote| file.nearest_step(note.start, self.whole.steps_per_beat);
        let range = u64::from(self.range.start)..u64::from(self.range.end);
        let goes = |note: &MidiNote| filter.accepts(file, note) && range.contains(&step(note));
        let (removed, stay): (Vec<_>, Vec<_>) = file.notes.iter().copied().partition(goes);
        let chosen: Vec<MidiNote> = (file.notes.iter().copied())
            .filter(|note| filter.accepts(file, note))
            .collect();
        let around = self.around(file, &chosen);
        let added = notes.iter().filter_map(|note| {
            let part = self.part_of(file, note, &around)?;
            let placed = MidiNote {
                start: self.tick(file, note.start),
                end: self.tick(file, note.end()),
                pitch: note.pitch,
                velocity: note.velocity,
                ..part
            };
            between(placed, &stay)
        });
        Replacement {
            added: added.collect(),
            removed,
        }
    }

    fn tick(&self, file: &MidiFile, step: u32) -> u64 {
        u64::from(step) * u64::from(file.ticks_per_beat) / u64::from(self.whole.steps_per_beat)
    }

    /// Returns the chosen notes that begin in the bars or around them, or all chosen notes if there
    /// are none.
    fn around(&self, file: &MidiFile, chosen: &[MidiNote]) -> Vec<MidiNote> {
        let bars = &self.whole.time_signatures;
        let from = self.whole.bars_before(self.range.start, AROUND);
        let until = (0..AROUND).fold(self.range.end, |at, _| bars.next_bar(at + 1));
        let ticks = self.tick(file, from)..self.tick(file, until);
        let within = chosen.iter().filter(|note| ticks.contains(&note.start));
        let around: Vec<MidiNote> = within.copied().collect();
        match around.is_empty() {
            true => chosen.to_vec(),
            false => around,
        }
    }

    /// Returns a note of the track to which a new note belongs: the nearest one in pitch and time.
    /// A semitone counts as much as a beat. With a model that has parts, tracks of the note's part
    /// come first.
    fn part_of(&self, file: &MidiFile, note: &Note, around: &[MidiNote]) -> Option<MidiNote> {
        let start = self.tick(file, note.start);
        let beat = u64::from(file.ticks_per_beat);
        let distance = |other: &&MidiNote| {
            let semitones = u64::from(other.pitch.abs_diff(note.pitch));
            let apart = semitones * beat + other.start.abs_diff(start);
            let played_by = self.parts.get(&(other.track, other.channel));
            let other_part = played_by.is_some_and(|part| *part != note.part);
            (other_part, apart, other.track, other.channel)
        };
        around.iter().min_by_key(distance).copied()
    }
}

/// Ends a new note where a note that stays begins on the same key and channel. Returns `None` if a
/// note that stays already holds that key down.
fn between(mut placed: MidiNote, stay: &[MidiNote]) -> Option<MidiNote> {
    let same = |note: &&MidiNote| note.channel == placed.channel && note.pitch == placed.pitch;
    for note in stay.iter().filter(same) {
        if note.start <= placed.start && placed.start < note.end {
            return None;
        }
        if (placed.start..placed.end).contains(&note.start) {
            placed.end = note.start;
        }
    }
    (placed.end > placed.start).then_some(placed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(start: u64, end: u64, pitch: u8, track: u16) -> MidiNote {
        MidiNote {
            start,
            end,
            pitch,
            velocity: 80,
            channel: 0,
            track,
        }
    }

    #[test]
    fn new_notes_leave_the_keys_of_those_that_stay_alone() {
        let stay = [note(0, 500, 60, 0), note(950, 1_000, 64, 1)];
        assert_eq!(between(note(480, 720, 60, 1), &stay), None);
        let free = note(500, 720, 60, 1);
        assert_eq!(between(free, &stay), Some(free));
        // The note that stays begins a little before its beat.
        let cut = between(note(720, 960, 64, 0), &stay);
        assert_eq!(cut, Some(note(720, 950, 64, 0)));
    }
}
