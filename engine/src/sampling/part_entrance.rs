//! Bias to parts that play too little though they are on.
//!
//! A model of bands imagines the whole band, and hears which of its parts have played. Of a part that
//! nobody has played it expects little, although the musician has switched it on. So each part that is on
//! is owed half the notes that people write for it. What it is owed makes a note on the next beat
//! likelier, of drums on the next eighth, until it plays about that much. Between beats it is left to the
//! model, or a part that enters would catch up all at once. The note takes its probability from moves in
//! time and from parts after it on the step (`CategoricalSampler::favour`).

use continuo_score::chord::Beat;
use continuo_score::{Note, Part, PartSet, Score, TimeSignatureMap};

/// Notes that a part is owed for a beat of its silence, by [`Part::index`]: about half of what people
/// write, who play 12 notes a bar of keys, 13 of chords and 12 of drums, and 4 of a lead or a bass
/// (`docs/lab/2026-11-29-accompaniment.md`).
const OWED: [f32; Part::COUNT] = [1.5, 0.5, 1.5, 0.5, 1.5];
/// Parts of a quarter note on which drums are owed a hit.
const DRUMS_IN_QUARTER: u32 = 2;
/// Beats in arrears before the bias begins: a rest is music.
const REST: f32 = 1.0;
/// Nats for each further beat in arrears.
const PER_BEAT: f32 = 2.0;
/// Greatest bias in nats.
const MOST: f32 = 12.0;
/// Beats of the input that count.
const HEARD: u32 = 32;

/// Arrears of the parts at a step.
#[derive(Clone, Debug)]
pub(super) struct PartEntrance {
    /// Bars, which tell beats.
    time_signatures: TimeSignatureMap,
    step: u32,
    /// Parts of which a note has begun on this step.
    begun: PartSet,
    /// Step from which each part is silent, by [`Part::index`].
    silent_from: [u32; Part::COUNT],
    /// Arrears in beats of silence, by [`Part::index`].
    beats: [f32; Part::COUNT],
}

impl PartEntrance {
    /// No arrears at step 0 of a piece in 4/4.
    pub(super) fn new(steps_per_beat: u32) -> Self {
        Self {
            time_signatures: Score::new(steps_per_beat).time_signatures,
            step: 0,
            begun: PartSet::EMPTY,
            silent_from: [0; Part::COUNT],
            beats: [0.0; Part::COUNT],
        }
    }

    /// Arrears at the last of `notes`, which are sorted by start.
    pub(super) fn hear(notes: &[Note], time_signatures: &TimeSignatureMap) -> Self {
        let beat = time_signatures.steps_per_beat();
        let last = notes.last().map_or(0, |note| note.start);
        let first = last.saturating_sub(HEARD * beat);
        let mut heard = Self::new(beat);
        heard.time_signatures.clone_from(time_signatures);
        for note in &notes[notes.partition_point(|note| note.start < first)..] {
            heard.pass(note.start);
            heard.note(note.part, note.end());
        }
        heard
    }

    /// Lets time pass until `step`.
    pub(super) fn pass(&mut self, step: u32) {
        if step <= self.step {
            return;
        }
        let beat = self.time_signatures.steps_per_beat();
        for (arrears, silent_from) in self.beats.iter_mut().zip(self.silent_from) {
            let silence = step.saturating_sub(self.step.max(silent_from));
            let beats = silence as f32 / beat as f32;
            *arrears = (*arrears + beats).min(REST + MOST / PER_BEAT);
        }
        (self.step, self.begun) = (step, PartSet::EMPTY);
    }

    /// `part` has played a note that ends at step `end`; a drum hit has no length.
    pub(super) fn note(&mut self, part: Part, end: u32) {
        self.begun.insert(part);
        let part = part.index();
        self.beats[part] = (self.beats[part] - 1.0 / OWED[part]).max(0.0);
        self.silent_from[part] = self.silent_from[part].max(end);
    }

    /// Bias in nats of a note of `part`, where `owed` are the parts that are switched on.
    pub(super) fn bias(&self, part: Part, owed: PartSet) -> f32 {
        match owed.contains(part) && !self.begun.contains(part) && self.is_due(part) {
            true => ((self.beats[part.index()] - REST) * PER_BEAT).clamp(0.0, MOST),
            false => 0.0,
        }
    }

    /// Whether `part` may be owed a note on this step.
    fn is_due(&self, part: Part) -> bool {
        let since = self.step - Beat::at(&self.time_signatures, self.step).start;
        match part.is_pitched() {
            true => since == 0,
            false => {
                let quarter = self.time_signatures.steps_per_beat();
                (since * DRUMS_IN_QUARTER).is_multiple_of(quarter)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::TimeSignature;

    #[test]
    fn bias_grows_until_the_part_has_played_what_it_is_owed() {
        let owed: PartSet = [Part::Bass, Part::Drums].into_iter().collect();
        let mut entrance = PartEntrance::new(12);
        let mut at = |step, notes_of_bass| {
            let last = entrance.step;
            (0..notes_of_bass).for_each(|_| entrance.note(Part::Bass, last + 6));
            entrance.pass(step);
            [Part::Bass, Part::Drums, Part::Lead].map(|part| entrance.bias(part, owed))
        };
        assert_eq!(at(12, 0), [0.0, 0.0, 0.0]);
        assert_eq!(at(48, 0), [6.0, 6.0, 0.0]);
        // Of the next beat, the first half is the note.
        assert_eq!(at(60, 1), [3.0, 8.0, 0.0]);
        assert_eq!(at(72, 1), [0.0, 10.0, 0.0]);
        assert_eq!(at(9_996, 0), [MOST, MOST, 0.0]);
        assert_eq!(at(10_008, 2), [MOST - 7.0, MOST, 0.0]);
    }

    #[test]
    fn note_is_owed_on_beats_once() {
        let owed = PartSet::ALL;
        let mut entrance = PartEntrance::new(12);
        let time_signature = |numerator, denominator| TimeSignature {
            numerator,
            denominator,
        };
        let mut due = |numerator, denominator, part| {
            let metre = time_signature(numerator, denominator);
            entrance.time_signatures = TimeSignatureMap::constant(metre, 12);
            let first = 36 * (entrance.step / 36 + 4);
            let mut steps = Vec::new();
            for step in first..first + 36 {
                entrance.pass(step);
                if entrance.bias(part, owed) > 0.0 {
                    steps.push(step - first);
                }
            }
            steps
        };
        assert_eq!(due(3, 4, Part::Bass), [0, 12, 24]);
        assert_eq!(due(3, 4, Part::Drums), [0, 6, 12, 18, 24, 30]);
        assert_eq!(due(6, 8, Part::Chords), [0, 18]);
        assert_eq!(due(6, 8, Part::Drums), [0, 6, 12, 18, 24, 30]);
        entrance.pass(9_000);
        assert!(entrance.bias(Part::Bass, owed) > 0.0);
        entrance.note(Part::Bass, 9_001);
        assert_eq!(entrance.bias(Part::Bass, owed), 0.0);
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
            let bars = Score::new(12).time_signatures;
            let heard = PartEntrance::hear(notes, &bars);
            heard.bias(Part::Bass, PartSet::from_iter([Part::Bass]))
        };
        assert_eq!(bias(&[]), 0.0);
        let mut notes = vec![note(0, Part::Keys), note(24, Part::Bass)];
        assert_eq!(bias(&notes), 0.0);
        notes.push(note(72, Part::Keys));
        assert_eq!(bias(&notes), 4.0);
        notes.push(note(4_992, Part::Keys));
        notes.push(note(5_376, Part::Keys));
        assert_eq!(bias(&notes), MOST);
    }
}
