//! A score as saved in a session.

use continuo_score::{Note, Score, TimeSignature, TimeSignatureMap};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// A score without its tempo, as saved in a session: notes and time signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedScore {
    steps_per_beat: u32,
    /// `(steps since the onset before, length, pitch, velocity)`.
    notes: Vec<(u32, u32, u8, u8)>,
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
        let change = |(step, m): (u32, TimeSignature)| (step, m.numerator, m.denominator);
        Self {
            steps_per_beat: score.steps_per_beat,
            notes: score.notes.iter().map(note).collect(),
            time_signatures: score.time_signatures.changes().map(change).collect(),
        }
    }

    /// Restores the score.
    ///
    /// # Errors
    /// If it was read from a file with values that no score can have.
    pub fn score(&self) -> Result<Score, EngineError> {
        let mut score = Score::new(self.steps_per_beat);
        let bad = |what: String| Err(EngineError::State(what));
        if self.steps_per_beat == 0 {
            return bad("no steps in a beat".into());
        }
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
                ..Note::default()
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
