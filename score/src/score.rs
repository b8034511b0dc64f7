//! The score: notes on the step grid.

use serde::{Deserialize, Serialize};

use crate::part::Part;
use crate::time::{TempoMap, TimeSignature, TimeSignatureMap};
use crate::vocabulary::Vocabulary;

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Note {
    /// Onset, in steps since the beginning of the piece.
    pub start: u32,
    /// Length in steps; at least 1. A drum hit has none that counts; tokens give it 1.
    pub length: u32,
    /// MIDI key, 0 to 127; 60 is middle C.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// The part of the band that plays it.
    #[serde(default, skip_serializing_if = "Part::is_keys")]
    pub part: Part,
}

impl Default for Note {
    /// A middle C of the keys on step 0, one step long.
    fn default() -> Self {
        Self {
            start: 0,
            length: 1,
            pitch: 60,
            velocity: Vocabulary::DEFAULT_VELOCITY,
            part: Part::Keys,
        }
    }
}

impl Note {
    /// The step at which the note ends.
    pub fn end(&self) -> u32 {
        self.start.saturating_add(self.length)
    }
}

/// A piece of music on the step grid: one merged stream of notes, with its bars and tempo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Steps in a quarter note.
    pub steps_per_beat: u32,
    /// The notes, by start, then part, then pitch from low to high, then length.
    pub notes: Vec<Note>,
    /// Length of the piece in steps: its end, not its last onset.
    pub length: u32,
    /// Time signatures, which give the bars.
    #[serde(rename = "metres")]
    pub time_signatures: TimeSignatureMap,
    /// Tempo.
    pub tempos: TempoMap,
}

impl Score {
    /// An empty score in 4/4 at 120 beats a minute.
    pub fn new(steps_per_beat: u32) -> Self {
        Self {
            steps_per_beat,
            notes: Vec::new(),
            length: 0,
            time_signatures: TimeSignatureMap::constant(TimeSignature::COMMON, steps_per_beat),
            tempos: TempoMap::constant(TempoMap::DEFAULT_BPM),
        }
    }

    /// Sorts the notes and makes `length` cover them. Call it after a change of `notes`.
    ///
    /// Two notes of one pitch and part on one step become one, with the larger length and velocity.
    pub fn normalise(&mut self) {
        normalise_notes(&mut self.notes);
        self.length = self
            .length
            .max(self.notes.iter().map(Note::end).max().unwrap_or(0));
    }

    /// The score transposed up by `semitones`, where the keys of drums stay; `None`
    /// if a note would leave MIDI's 128 pitches.
    pub fn transposed(&self, semitones: i8) -> Option<Score> {
        let mut moved = self.clone();
        for note in &mut moved.notes {
            if !note.part.is_pitched() {
                continue;
            }
            let pitch = note.pitch.checked_add_signed(semitones);
            note.pitch = pitch.filter(|pitch| *pitch < 128)?;
        }
        Some(moved)
    }

    /// The score up to `step`: the notes that start before it, cut there.
    pub fn until(&self, step: u32) -> Score {
        let mut cut = self.clone();
        cut.notes.retain(|n| n.start < step);
        for note in &mut cut.notes {
            note.length = note.length.min(step - note.start);
        }
        cut.length = step;
        cut
    }
}

/// Sorts notes into [`Score::normalise`]'s order, and makes one of equal ones.
pub(crate) fn normalise_notes(notes: &mut Vec<Note>) {
    // Onsets are nearly sorted as a rule, and chords are small.
    notes.sort_by_key(|n| n.start);
    for chord in notes.chunk_by_mut(|a, b| a.start == b.start) {
        chord.sort_by_key(|n| (n.part, n.pitch, n.length, n.velocity));
    }
    notes.dedup_by(|later, kept| {
        let same = (later.start, later.part, later.pitch) == (kept.start, kept.part, kept.pitch);
        if same {
            kept.length = kept.length.max(later.length);
            kept.velocity = kept.velocity.max(later.velocity);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_one_pitch_in_two_parts_are_two() {
        let note = |part, pitch, length| Note {
            part,
            pitch,
            length,
            ..Note::default()
        };
        let mut score = Score::new(12);
        score.notes = vec![
            note(Part::Bass, 40, 2),
            note(Part::Lead, 70, 4),
            note(Part::Keys, 40, 3),
            note(Part::Bass, 40, 5),
            note(Part::Lead, 64, 4),
        ];
        score.normalise();
        let order = [
            note(Part::Keys, 40, 3),
            note(Part::Lead, 64, 4),
            note(Part::Lead, 70, 4),
            note(Part::Bass, 40, 5),
        ];
        assert_eq!(score.notes, order);
    }

    #[test]
    fn the_json_of_keys_has_no_part() {
        let json = serde_json::to_string(&Note::default()).unwrap();
        assert_eq!(json, r#"{"start":0,"length":1,"pitch":60,"velocity":90}"#);
        assert_eq!(
            serde_json::from_str::<Note>(&json).unwrap(),
            Note::default()
        );
        let bass = Note {
            part: Part::Bass,
            ..Note::default()
        };
        let json = serde_json::to_string(&bass).unwrap();
        assert!(json.ends_with(r#""part":"bass"}"#), "{json}");
        assert_eq!(serde_json::from_str::<Note>(&json).unwrap(), bass);
    }

    #[test]
    fn transposing_stays_within_128_pitches() {
        let mut score = Score::new(12);
        let note = |start, pitch| Note {
            start,
            length: 6,
            pitch,
            velocity: 80,
            ..Note::default()
        };
        score.notes = vec![note(0, 3), note(12, 120)];
        score.normalise();
        let moved = score.transposed(7).unwrap();
        assert_eq!(moved.notes, [note(0, 10), note(12, 127)]);
        assert_eq!(moved.transposed(-7), Some(score.clone()));
        assert_eq!(score.transposed(8), None);
        assert_eq!(score.transposed(-4), None);
        let drum = Note {
            part: Part::Drums,
            ..note(12, 127)
        };
        let mut band = score.clone();
        band.notes.push(drum);
        assert_eq!(band.transposed(7).unwrap().notes[2], drum);
    }
}
