//! Freeze: whole bars that repeat.

use continuo_score::Note;

use crate::timeline::{Timeline, TimelineNote};

/// A loop of whole bars, in song steps.
#[derive(Clone, Debug)]
pub(super) struct FreezeLoop {
    /// First step.
    first: i64,
    /// Length in steps.
    length: i64,
    /// Notes in order of start.
    notes: Vec<TimelineNote>,
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
            notes,
        })
    }

    /// Notes that start in `from..until`, as (first step, first step after it, note).
    pub(super) fn notes(&self, from: i64, until: i64) -> Vec<(i64, i64, Note)> {
        let mut found = Vec::new();
        let mut round = (from - self.first).div_euclid(self.length) * self.length;
        while self.first + round < until {
            for note in &self.notes {
                let start = note.start + round;
                if (from..until).contains(&start) {
                    let (stop, note) = note.repeated();
                    found.push((start, stop + round, note));
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
