//! Bias to parts that play too little though they are on.
//!
//! A model of bands imagines the whole band, and hears which of its parts have played. Of a part that
//! nobody has played it expects little, although the musician has switched it on. So each part that is on
//! is owed half the notes that people write for it. What it is owed makes its next note likelier, until
//! it plays about that much; when its notes come is left to the model.

use continuo_score::{Note, Part, PartSet};

/// Notes that a part is owed for a beat of its silence, by [`Part::index`]. People write 4.2 notes a bar
/// for a bass, 4.1 for a lead, and 12.1 hits for drums (`docs/lab/2026-11-29-accompaniment.md`). Keys and
/// chords play several at once.
const OWED: [f32; Part::COUNT] = [0.5, 0.5, 0.5, 0.5, 1.5];
/// Beats in arrears before the bias begins: a rest is music.
const REST: f32 = 1.0;
/// Nats for each further beat in arrears.
const PER_BEAT: f32 = 2.0;
/// Greatest bias in nats.
const MOST: f32 = 12.0;
/// Beats of the input that count.
const HEARD: u32 = 32;

/// Arrears of the parts at a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartEntrance {
    step: u32,
    /// Step from which each part is silent, by [`Part::index`].
    silent_from: [u32; Part::COUNT],
    /// Arrears in beats of silence, by [`Part::index`].
    beats: [f32; Part::COUNT],
}

impl PartEntrance {
    /// Arrears at the last of `notes`, which are sorted by start. `beat` is the number of steps of a beat.
    pub(super) fn hear(notes: &[Note], beat: u32) -> Self {
        let last = notes.last().map_or(0, |note| note.start);
        let first = last.saturating_sub(HEARD * beat);
        let mut heard = Self::default();
        for note in &notes[notes.partition_point(|note| note.start < first)..] {
            heard.pass(note.start, beat);
            heard.note(note.part, note.end());
        }
        heard
    }

    /// Lets time pass until `step`.
    pub(super) fn pass(&mut self, step: u32, beat: u32) {
        for (arrears, silent_from) in self.beats.iter_mut().zip(self.silent_from) {
            let silence = step.saturating_sub(self.step.max(silent_from));
            let beats = silence as f32 / beat.max(1) as f32;
            *arrears = (*arrears + beats).min(REST + MOST / PER_BEAT);
        }
        self.step = self.step.max(step);
    }

    /// `part` has played a note that ends at step `end`; a drum hit has no length.
    pub(super) fn note(&mut self, part: Part, end: u32) {
        let part = part.index();
        self.beats[part] = (self.beats[part] - 1.0 / OWED[part]).max(0.0);
        self.silent_from[part] = self.silent_from[part].max(end);
    }

    /// Bias in nats of a note of `part`, where `owed` are the parts that are switched on.
    pub(super) fn bias(&self, part: Part, owed: PartSet) -> f32 {
        match owed.contains(part) {
            true => ((self.beats[part.index()] - REST) * PER_BEAT).clamp(0.0, MOST),
            false => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_grows_until_the_part_has_played_what_it_is_owed() {
        let on: PartSet = [Part::Bass, Part::Drums].into_iter().collect();
        let mut entrance = PartEntrance::default();
        let mut at = |step, notes_of_bass| {
            entrance.pass(step, 12);
            (0..notes_of_bass).for_each(|_| entrance.note(Part::Bass, step + 6));
            [Part::Bass, Part::Drums, Part::Lead].map(|part| entrance.bias(part, on))
        };
        assert_eq!(at(12, 0), [0.0, 0.0, 0.0]);
        assert_eq!(at(48, 0), [6.0, 6.0, 0.0]);
        assert_eq!(at(48, 1), [2.0, 6.0, 0.0]);
        // Half of the beat is the note.
        assert_eq!(at(60, 0), [3.0, 8.0, 0.0]);
        assert_eq!(at(60, 1), [0.0, 8.0, 0.0]);
        assert_eq!(at(9_999, 0), [MOST, MOST, 0.0]);
        assert_eq!(at(9_999, 2), [MOST - 8.0, MOST, 0.0]);
    }

    #[test]
    fn arrears_are_those_at_the_last_note_heard() {
        let note = |start, part| Note {
            start,
            part,
            length: 12,
            ..Note::default()
        };
        let bias = |notes: &[Note]| {
            let heard = PartEntrance::hear(notes, 12);
            heard.bias(Part::Bass, PartSet::from_iter([Part::Bass]))
        };
        assert_eq!(bias(&[]), 0.0);
        let mut notes = vec![note(0, Part::Keys), note(24, Part::Bass)];
        assert_eq!(bias(&notes), 0.0);
        notes.push(note(72, Part::Keys));
        assert_eq!(bias(&notes), 4.0);
        notes.push(note(5_000, Part::Keys));
        notes.push(note(5_384, Part::Keys));
        assert_eq!(bias(&notes), MOST);
    }
}
