//! Notes of the timeline as scores for the player.

use continuo_score::{Note, Score};

use super::Timeline;

/// Number of generated notes that [`Timeline::own`] returns at most: some bars.
const MAX_OWN_NOTES: usize = 512;

impl Timeline {
    /// Input notes that start before song step `before`, and generated notes that start before step
    /// `generated`, as a score from the origin. A held key ends at `before`. Imagined notes before
    /// `before` are left out, because what was really played there is known: but for sound that is
    /// not read yet.
    pub fn score(&self, before: i64, generated: i64) -> Score {
        let mut score = Score::new(self.steps_per_beat);
        let Some(origin) = self.origin else {
            return score;
        };
        score.time_signatures = self.time_signature_map(origin);
        let from_origin = |step: i64| u32::try_from(step - origin).unwrap_or(0);
        let notes = self
            .notes
            .iter()
            .filter(|n| n.start < if n.is_generated() { generated } else { before })
            .filter(|n| !n.imagined || n.start >= before || self.stands_for_sound(n))
            .map(|n| Note {
                start: from_origin(n.start),
                length: u32::try_from(n.end.unwrap_or(before) - n.start)
                    .unwrap_or(0)
                    .max(1),
                pitch: n.pitch,
                velocity: n.velocity,
                part: n.part,
            });
        score.notes.extend(notes);
        score.normalise();
        score
    }

    /// All notes that sound and start at or after the bar line before `from`, planned ones too, as a score from that
    /// line, and the line. A held key ends at `now`.
    pub fn score_from(&self, from: i64, now: i64) -> (i64, Score) {
        let line = self.bar_line(from);
        let mut score = Score::new(self.steps_per_beat);
        score.time_signatures = self.time_signature_map(line);
        let sounding = self.notes.iter().filter(|n| !n.imagined);
        let notes = sounding.filter_map(|n| {
            let start = u32::try_from(n.start - line).ok()?;
            let length = u32::try_from(n.end.unwrap_or(now) - n.start).unwrap_or(0);
            Some(Note {
                start,
                length: length.max(1),
                pitch: n.pitch,
                velocity: n.velocity,
                part: n.part,
            })
        });
        score.notes.extend(notes);
        score.normalise();
        (line, score)
    }

    /// The last generated notes that sound and start before song step `before`, in order of start,
    /// counted from `origin`.
    pub fn own(&self, origin: i64, before: i64) -> Vec<Note> {
        let last = self
            .notes()
            .rev()
            .filter(|n| n.generated && !n.imagined && n.start < before);
        let mut own: Vec<Note> = last
            .take(MAX_OWN_NOTES)
            .filter_map(|n| {
                Some(Note {
                    start: u32::try_from(n.start - origin).ok()?,
                    length: u32::try_from(n.end? - n.start).ok()?.max(1),
                    pitch: n.pitch,
                    velocity: n.velocity,
                    part: n.part,
                })
            })
            .collect();
        own.sort_by_key(|n| n.start);
        own
    }
}
