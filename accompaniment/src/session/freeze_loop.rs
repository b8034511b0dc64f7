//! Freeze: whole bars that repeat.

use continuo_score::{Note, Part};
use serde::{Deserialize, Serialize};

use crate::timeline::{ExactBeats, Timeline, TimelineNote, is_position};

/// Length of a saved loop at most, in quarter notes.
const LONGEST: f64 = 65_536.0;

/// Number of notes of a saved loop at most.
const MAX_NOTES: usize = 1 << 16;

/// A loop of whole bars, in song steps.
#[derive(Clone, Debug)]
pub(super) struct FreezeLoop {
    /// First step.
    first: i64,
    /// Length in steps.
    length: i64,
    /// Notes in order of start: the first step of each in its first round, and the note, which counts
    /// its start from there.
    notes: Vec<(i64, Note)>,
}

/// A loop in JSON, in projects. All positions and lengths are in quarter notes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedFreezeLoop {
    first: ExactBeats,
    length: ExactBeats,
    /// `[start, length, key, velocity, part]`.
    notes: Vec<(ExactBeats, ExactBeats, u8, u8, Part)>,
}

impl FreezeLoop {
    /// The last `bars` whole bars before `now`, in quarter notes: generated notes if there are any,
    /// else the player's. `None` without notes.
    pub(super) fn of(timeline: &Timeline, now: f64, bars: u32) -> Option<Self> {
        let origin = timeline.origin()?;
        let end = timeline.bar_line(timeline.step(now));
        let mut first = end;
        for _ in 0..bars.max(1) {
            if first > origin {
                first = timeline.bar_line(first - 1);
            }
        }
        let inside = |n: &TimelineNote| (first..end).contains(&n.start);
        let generated: Vec<TimelineNote> = timeline
            .notes()
            .filter(|n| n.generated && !n.imagined && inside(n))
            .collect();
        let mut notes = if generated.is_empty() {
            let heard = timeline.notes().filter(|n| !n.generated);
            heard.filter(inside).collect()
        } else {
            generated
        };
        notes.sort_by_key(|n| n.start);
        let length = end - first;
        (length > 0 && !notes.is_empty()).then_some(Self {
            first,
            length,
            notes: notes.iter().map(|n| (n.start, n.repeated().1)).collect(),
        })
    }

    /// The saved form; `timeline` has the grid.
    pub(super) fn save(&self, timeline: &Timeline) -> SavedFreezeLoop {
        let beats = |steps: i64| ExactBeats(timeline.beat(steps));
        let note = |&(start, note): &(i64, Note)| {
            let length = beats(i64::from(note.length));
            (beats(start), length, note.pitch, note.velocity, note.part)
        };
        SavedFreezeLoop {
            first: beats(self.first),
            length: beats(self.length),
            notes: self.notes.iter().map(note).collect(),
        }
    }

    /// Restores a loop on the grid of `timeline`. `None` if the saved form is invalid; single invalid
    /// notes are skipped.
    pub(super) fn restore(saved: &SavedFreezeLoop, timeline: &Timeline) -> Option<Self> {
        let step = |ExactBeats(beat): ExactBeats| is_position(beat).then(|| timeline.step(beat));
        let (first, length) = (step(saved.first)?, step(saved.length)?);
        let note =
            |&(start, length, pitch, velocity, part): &(ExactBeats, ExactBeats, u8, u8, Part)| {
                let (start, length) = (step(start)?, u32::try_from(step(length)?).ok()?);
                let known = start >= first && pitch < 128 && (1..128).contains(&velocity);
                let note = Note {
                    start: 0,
                    length: length.max(1),
                    pitch,
                    velocity,
                    part,
                };
                known.then_some((start, note))
            };
        let mut notes: Vec<(i64, Note)> = saved
            .notes
            .iter()
            .take(MAX_NOTES)
            .filter_map(note)
            .collect();
        notes.retain(|&(start, _)| start < first + length);
        let usable = length > 0 && saved.length.0 <= LONGEST && !notes.is_empty();
        usable.then_some(Self {
            first,
            length,
            notes,
        })
    }

    /// Notes that start in `from..until`, as (first step, first step after it, note).
    pub(super) fn notes(&self, from: i64, until: i64) -> Vec<(i64, i64, Note)> {
        let mut found = Vec::new();
        let mut round = (from - self.first).div_euclid(self.length) * self.length;
        while self.first + round < until {
            for &(first, note) in &self.notes {
                let start = first + round;
                if (from..until).contains(&start) {
                    found.push((start, start + i64::from(note.length), note));
                }
            }
            round += self.length;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::GeneratedNote;
    use continuo_score::TimeSignature;

    #[test]
    fn frozen_bars_repeat_in_phase() {
        let mut timeline = Timeline::new(12);
        timeline.add_time_signature(0.0, TimeSignature::COMMON);
        timeline.on(1.0, 0, 50, 90);
        timeline.off(2.0, None, None);
        for (id, start) in [(1, 48), (2, 60), (3, 96), (4, 110)] {
            timeline.play(GeneratedNote {
                id,
                start_beat: start as f64 / 12.0,
                start,
                end: start + 6,
                pitch: 60 + id as u8,
                velocity: 70,
                ..GeneratedNote::default()
            });
        }
        // In the third bar: the second has two generated notes.
        let one = FreezeLoop::of(&timeline, 9.5, 1).unwrap();
        let starts = |f: &FreezeLoop, from, until| -> Vec<(i64, u8)> {
            let notes = f.notes(from, until).into_iter();
            notes.map(|n| (n.0, n.2.pitch)).collect()
        };
        assert_eq!(
            starts(&one, 144, 240),
            [(144, 61), (156, 62), (192, 61), (204, 62)]
        );
        assert_eq!(starts(&one, 150, 157), [(156, 62)]);
        // There are two bars; only generated notes repeat.
        let all = FreezeLoop::of(&timeline, 9.5, 8).unwrap();
        assert_eq!(starts(&all, 96, 192), [(144, 61), (156, 62)]);
        // Without generated notes, the player's notes repeat.
        let player_notes = FreezeLoop::of(&timeline, 4.0, 4).unwrap();
        assert_eq!(starts(&player_notes, 48, 96), [(60, 50)]);
        assert!(FreezeLoop::of(&Timeline::new(12), 9.0, 4).is_none());
    }
}
