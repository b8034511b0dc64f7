//! A score as saved in a session.

use continuo_score::{Note, Part, Score, TimeSignature, TimeSignatureMap};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// A score without its tempo, as saved in a session: notes and time signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedScore {
    steps_per_beat: u32,
    /// `(steps since the onset before, length, pitch, velocity)`.
    notes: Vec<(u32, u32, u8, u8)>,
    /// The part of each note; empty if all are of the keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
    /// `(step, numerator, denominator)`.
    #[serde(rename = "metres")]
    time_signatures: Vec<(u32, u16, u16)>,
}

impl SavedScore {
    /// Saves a score in [`Score::normalise`]'s order.
    pub fn new(score: &Score) -> Self {
        let mut last = 0;
        let note = |n: &Note| {
            let since = n.start.saturating_sub(last);
            last = n.start;
            (since, n.length, n.pitch, n.velocity)
        };
        let parts = match score.notes.iter().all(|n| n.part.is_keys()) {
            true => Vec::new(),
            false => score.notes.iter().map(|n| n.part).collect(),
        };
        let change = |(step, m): (u32, TimeSignature)| (step, m.numerator, m.denominator);
        Self {
            steps_per_beat: score.steps_per_beat,
            notes: score.notes.iter().map(note).collect(),
            parts,
            time_signatures: score.time_signatures.changes().map(change).collect(),
        }
    }

    /// Restores the score.
    ///
    /// # Errors
    /// Fails if it was read from a file with values that no score can have.
    pub fn score(&self) -> Result<Score, EngineError> {
        let mut score = Score::new(self.steps_per_beat);
        let bad = |what: String| Err(EngineError::State(what));
        if self.steps_per_beat == 0 {
            return bad("no steps in a beat".into());
        }
        if !(self.parts.is_empty() || self.parts.len() == self.notes.len()) {
            let (parts, notes) = (self.parts.len(), self.notes.len());
            return bad(format!("{parts} parts of {notes} notes"));
        }
        let mut parts = self.parts.iter().copied();
        let mut start = 0u32;
        for &(since, length, pitch, velocity) in &self.notes {
            start = start.saturating_add(since);
            if start > 1 << 28 || length == 0 || length > 1 << 20 || pitch > 127 || velocity > 127 {
                return bad(format!("a note at step {start} that cannot be"));
            }
            score.notes.push(Note {
                start,
                length,
                pitch,
                velocity,
                part: parts.next().unwrap_or_default(),
            });
        }
        let mut time_signatures = Vec::new();
        for &(step, numerator, denominator) in &self.time_signatures {
            if numerator == 0 || !denominator.is_power_of_two() || denominator > 64 {
                return bad(format!("a metre of {numerator}/{denominator}"));
            }
            let metre = TimeSignature {
                numerator,
                denominator,
            };
            time_signatures.push((step, metre));
        }
        score.time_signatures = TimeSignatureMap::new(self.steps_per_beat, time_signatures);
        score.normalise();
        Ok(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_saved_and_the_keys_alone_are_saved_as_before() {
        let mut score = Score::new(12);
        score.notes = vec![Note::default()];
        score.normalise();
        let json = serde_json::to_string(&SavedScore::new(&score)).unwrap();
        assert!(!json.contains("parts"), "{json}");
        let read: SavedScore = serde_json::from_str(&json).unwrap();
        assert_eq!(read.score().unwrap().notes, score.notes);
        for part in Part::ALL {
            score.notes.push(Note {
                part,
                ..Note::default()
            });
        }
        score.normalise();
        let json = serde_json::to_string(&SavedScore::new(&score)).unwrap();
        let read: SavedScore = serde_json::from_str(&json).unwrap();
        assert_eq!(read.score().unwrap(), score);
        let fewer = json.replace("\"lead\",", "");
        let read: SavedScore = serde_json::from_str(&fewer).unwrap();
        assert!(read.score().unwrap_err().to_string().contains("4 parts"));
    }
}
