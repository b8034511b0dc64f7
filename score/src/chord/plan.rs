//! The chords that an answer is to follow.

use super::{Chord, ChordSpan};

/// Which chord applies at each step of an answer. The default applies none anywhere.
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
        let &(first, _) = self.changes.first()?;
        let since = step.checked_sub(first)?;
        let step = match self.period {
            0 => step,
            period => first + since % period,
        };
        let after = self.changes.partition_point(|&(at, _)| at <= step);
        self.changes[..after].last()?.1
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
