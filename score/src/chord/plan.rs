//! The chords that an answer is to follow.

use super::{Chord, ChordSpan, recognise_range};
use crate::score::Score;

/// Bars before those that come again, from which their first chord is recognised too.
const BARS_BEFORE: u32 = 4;

/// The chord of each step of an answer. The default has none anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChordPlan {
    /// `(first step, chord)`, ascending; before the first there is no chord.
    changes: Vec<(u32, Option<Chord>)>,
    /// Steps after which the changes come again, counted from the first one; 0 for never.
    period: u32,
}

impl ChordPlan {
    /// The chords of `from..to` again and again, from step `to` on. Where `spans` has gaps, there is no
    /// chord. Without any step in `from..to` there is none anywhere.
    pub fn repeating(spans: &[ChordSpan], from: u32, to: u32) -> Self {
        let mut plan = Self::default();
        if to <= from {
            return plan;
        }
        plan.changes.push((to, None));
        for span in spans {
            let (start, end) = (span.start.max(from), span.end.min(to));
            if start < end {
                plan.change(to + (start - from), span.chord);
                plan.change(to + (end - from), None);
            }
        }
        plan.period = to - from;
        plan
    }

    /// The chords of the last `bars` bars of `score` before `at`, or of all there are, again and again from
    /// `at` on.
    pub fn last_bars(score: &Score, at: u32, bars: u32) -> Self {
        let line = score.time_signatures.bar_line(at);
        let from = score.bars_before(line, bars);
        let context = score.bars_before(from, BARS_BEFORE);
        let spans = recognise_range(score, context, at);
        Self::repeating(&spans, from + (at - line).min(line - from), at)
    }

    /// Applies `chord` from `step` on, and removes later changes.
    pub fn change(&mut self, step: u32, chord: Option<Chord>) {
        let earlier = self.changes.partition_point(|&(at, _)| at < step);
        self.changes.truncate(earlier);
        if self.at(step) != chord {
            self.changes.push((step, chord));
        }
    }

    /// Whether there is no chord anywhere.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|(_, chord)| chord.is_none())
    }

    /// The chord that applies at `step`.
    pub fn at(&self, step: u32) -> Option<Chord> {
        self.section(step).0
    }

    /// Number of steps from `step` on under whose chords, one after the other, `pitch` is a tone, or
    /// there is no chord; [`u32::MAX`] for ever.
    pub fn holds(&self, step: u32, pitch: u8) -> u32 {
        let mut now = step;
        // After one period everything comes again.
        for _ in 0..=self.changes.len() + 1 {
            let (chord, end) = self.section(now);
            if chord.is_some_and(|chord| !chord.contains(pitch)) {
                return now - step;
            }
            match end {
                Some(end) => now = end,
                None => break,
            }
        }
        u32::MAX
    }

    /// The chord at `step`, and the step at which the next change comes, if there is one.
    fn section(&self, step: u32) -> (Option<Chord>, Option<u32>) {
        let Some(&(first, _)) = self.changes.first() else {
            return (None, None);
        };
        let Some(since) = step.checked_sub(first) else {
            return (None, Some(first));
        };
        let place = match self.period {
            0 => since,
            period => since % period,
        };
        let after = self.changes.partition_point(|&(at, _)| at - first <= place);
        let chord = self.changes[..after].last().and_then(|&(_, chord)| chord);
        let next = self.changes.get(after).map(|&(at, _)| at - first);
        let next = next.or((self.period > 0).then_some(self.period));
        (chord, next.and_then(|next| step.checked_add(next - place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chord::Quality;

    fn span(start: u32, end: u32, root: u8) -> ChordSpan {
        ChordSpan {
            start,
            end,
            chord: Some(Chord::new(root, Quality::Major)),
        }
    }

    fn roots(plan: &ChordPlan, steps: &[u32]) -> Vec<Option<u8>> {
        let root = |&step: &u32| plan.at(step).map(|chord| chord.root);
        steps.iter().map(root).collect()
    }

    #[test]
    fn bars_come_again_for_ever() {
        // The first span begins before the loop; there is a gap at its end.
        let spans = [span(0, 60, 9), span(60, 84, 5)];
        let plan = ChordPlan::repeating(&spans, 48, 96);
        assert_eq!(
            roots(
                &plan,
                &[95, 96, 107, 108, 131, 132, 143, 144, 156, 96 + 48 * 1000]
            ),
            [
                None,
                Some(9),
                Some(9),
                Some(5),
                Some(5),
                None,
                None,
                Some(9),
                Some(5),
                Some(9)
            ]
        );
        assert!(!plan.is_empty());
        assert!(ChordPlan::repeating(&spans, 96, 96).is_empty());
        assert!(ChordPlan::repeating(&[], 0, 96).is_empty());
    }

    #[test]
    fn a_pitch_holds_until_a_chord_to_which_it_is_foreign() {
        // C for a beat, F for a beat, for ever: C holds for ever, E for the first beat only.
        let plan = ChordPlan::repeating(&[span(0, 12, 0), span(12, 24, 5)], 0, 24);
        assert_eq!(plan.holds(24, 60), u32::MAX);
        assert_eq!((plan.holds(24, 64), plan.holds(30, 64)), (12, 6));
        assert_eq!(
            (plan.holds(36, 69), plan.holds(24 * 100 + 13, 69)),
            (12, 11)
        );
        assert_eq!(plan.holds(24, 61), 0);
        // Before the first chord everything holds up to it.
        assert_eq!(plan.holds(0, 61), 24);
        assert_eq!(ChordPlan::default().holds(0, 61), u32::MAX);
        let mut open = ChordPlan::default();
        open.change(12, Some(Chord::new(0, Quality::Major)));
        assert_eq!((open.holds(12, 60), open.holds(20, 61)), (u32::MAX, 0));
    }

    #[test]
    fn the_last_bars_come_again_in_their_places() {
        let tune = "C3+E3+G3:4 | F3+A3+C4:4 | G3+B3+D4:4 | A3+C4+E4:4";
        let score = crate::tune::parse(tune, 12).unwrap();
        let bars = |at: u32, bars: u32| {
            let plan = ChordPlan::last_bars(&score, at, bars);
            let chord = |bar: u32| plan.at(at + 48 * bar).map(|chord| chord.root);
            [0, 1, 2, 3, 4].map(chord)
        };
        let some = |roots: [u8; 5]| roots.map(Some);
        assert_eq!(bars(192, 4), some([0, 5, 7, 9, 0]));
        assert_eq!(bars(192, 2), some([7, 9, 7, 9, 7]));
        // No more bars are there.
        assert_eq!(bars(192, 16), some([0, 5, 7, 9, 0]));
        // In the middle of a bar, what comes next is what came after the middle of an earlier one.
        let plan = ChordPlan::last_bars(&score, 168, 2);
        let roots = [168, 192].map(|step| plan.at(step).map(|chord| chord.root));
        assert_eq!(roots, [Some(5), Some(7)]);
        assert!(ChordPlan::last_bars(&score, 0, 4).is_empty());
    }

    #[test]
    fn a_change_replaces_what_came_later() {
        let mut plan = ChordPlan::default();
        assert!(plan.is_empty());
        let [c, d] = [0, 2].map(|root| Some(Chord::new(root, Quality::Minor)));
        plan.change(10, c);
        plan.change(20, d);
        plan.change(30, None);
        assert_eq!(
            roots(&plan, &[9, 10, 20, 30]),
            [None, Some(0), Some(2), None]
        );
        plan.change(15, d);
        assert_eq!(roots(&plan, &[14, 15, 30]), [Some(0), Some(2), Some(2)]);
        plan.change(15, c);
        assert_eq!(plan.changes.len(), 1);
    }
}
