//! Musical time: bars and tempo over the step grid.

use serde::{Deserialize, Serialize};

/// A time signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeSignature {
    /// Upper figure: beats in a bar, as written; never 0.
    pub numerator: u16,
    /// Lower figure: note value of a written beat; a power of two.
    pub denominator: u16,
}

impl TimeSignature {
    /// 4/4.
    pub const COMMON: TimeSignature = TimeSignature {
        numerator: 4,
        denominator: 4,
    };

    /// Length of a bar in quarter notes.
    pub fn bar_beats(self) -> f64 {
        f64::from(self.numerator) * 4.0 / f64::from(self.denominator)
    }
}

/// A position in bars: bar number, and step in the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarPosition {
    /// Number of bars before this one, from the beginning of the map.
    pub bar: u32,
    /// Steps from the bar line.
    pub step_in_bar: u32,
    /// Length of the bar in steps, by its time signature.
    pub bar_steps: u32,
}

/// Changes of the time signature over the step grid. A change always begins a new bar: inside a bar
/// it cuts that bar short, as in a printed score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeSignatureMap {
    steps_per_beat: u32,
    /// `(first step, time signature, bars before it)`, strictly rising, the first at step 0.
    changes: Vec<(u32, TimeSignature, u32)>,
}

impl TimeSignatureMap {
    /// One time signature throughout.
    pub fn constant(metre: TimeSignature, steps_per_beat: u32) -> Self {
        Self {
            steps_per_beat,
            changes: vec![(0, metre, 0)],
        }
    }

    /// From changes in any order. The last entry for a step wins; the time signature before the first
    /// change is 4/4; a change on a bar line to the time signature in force is left out.
    pub fn new(steps_per_beat: u32, mut changes: Vec<(u32, TimeSignature)>) -> Self {
        changes.sort_by_key(|&(step, _)| step);
        let mut map = Self::constant(TimeSignature::COMMON, steps_per_beat);
        for (step, metre) in changes {
            map.change(step, metre);
        }
        map
    }

    /// Adds a change at `step` and removes every later one.
    pub fn change(&mut self, step: u32, metre: TimeSignature) {
        if step == 0 {
            self.changes = vec![(0, metre, 0)];
            return;
        }
        self.changes
            .truncate(self.changes.partition_point(|&(at, ..)| at < step));
        let before = self.position(step);
        if before.step_in_bar == 0 && self.time_signature(step) == metre {
            return;
        }
        let bars = before.bar + u32::from(before.step_in_bar != 0);
        self.changes.push((step, metre, bars));
    }

    /// Steps in a quarter note.
    pub fn steps_per_beat(&self) -> u32 {
        self.steps_per_beat
    }

    /// The changes as `(step, time signature)`; the first is at step 0.
    pub fn changes(&self) -> impl Iterator<Item = (u32, TimeSignature)> + '_ {
        self.changes.iter().map(|&(step, metre, _)| (step, metre))
    }

    fn section(&self, step: u32) -> (u32, TimeSignature, u32) {
        let after = self.changes.partition_point(|&(at, ..)| at <= step);
        // The first change is at step 0, so `after` is at least 1.
        self.changes[after - 1]
    }

    /// The time signature in force at `step`.
    pub fn time_signature(&self, step: u32) -> TimeSignature {
        self.section(step).1
    }

    /// The position of `step` in bars. A bar that does not begin on a whole step (5/32 at 12 steps a
    /// beat) begins on the first step after its bar line.
    pub fn position(&self, step: u32) -> BarPosition {
        let (first, metre, bars) = self.section(step);
        let (num, den) = self.bar_fraction(metre);
        let since = u64::from(step - first);
        let bar = since * den / num;
        // Only fractional bars can be one off here: the bar begins at the *ceiling*.
        let start = (bar * num).div_ceil(den);
        let end = ((bar + 1) * num).div_ceil(den);
        BarPosition {
            bar: bars + bar as u32,
            step_in_bar: (since - start.min(since)) as u32,
            bar_steps: (end - start) as u32,
        }
    }

    /// The last bar line at or before `step`.
    pub fn bar_line(&self, step: u32) -> u32 {
        step - self.position(step).step_in_bar
    }

    /// The first bar line at or after `step`.
    pub fn next_bar(&self, step: u32) -> u32 {
        let place = self.position(step);
        if place.step_in_bar == 0 {
            return step;
        }
        let line = step - place.step_in_bar + place.bar_steps;
        // A change inside the bar comes first.
        let after = self.changes.partition_point(|&(at, ..)| at <= step);
        self.changes
            .get(after)
            .map_or(line, |&(at, ..)| line.min(at))
    }

    /// Bar lines in `0..end`, in order.
    pub fn bar_lines(&self, end: u32) -> Vec<u32> {
        let mut lines = Vec::new();
        let mut step = 0;
        while step < end {
            lines.push(step);
            step = self.next_bar(step + 1);
        }
        lines
    }

    /// Bar length in steps as a fraction, `numerator * 4 * steps / denominator`.
    fn bar_fraction(&self, metre: TimeSignature) -> (u64, u64) {
        let num = u64::from(metre.numerator.max(1)) * 4 * u64::from(self.steps_per_beat);
        let den = u64::from(metre.denominator.max(1));
        // A bar shorter than a step would make two bars begin together.
        if num < den { (1, 1) } else { (num, den) }
    }
}

/// Tempo changes over the step grid, in quarter notes a minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TempoMap {
    /// `(first step, beats a minute)`, rising, the first at step 0.
    changes: Vec<(u32, f64)>,
}

impl TempoMap {
    /// MIDI's default for a file without a tempo.
    pub const DEFAULT_BPM: f64 = 120.0;

    /// One tempo throughout.
    pub fn constant(bpm: f64) -> Self {
        Self {
            changes: vec![(0, bpm)],
        }
    }

    /// From changes in any order; the last entry for a step wins.
    pub fn new(mut changes: Vec<(u32, f64)>) -> Self {
        changes.sort_by_key(|&(step, _)| step);
        let mut map = Self::constant(Self::DEFAULT_BPM);
        for (step, bpm) in changes {
            match map.changes.last_mut() {
                Some(last) if last.0 == step => last.1 = bpm,
                Some(last) if last.1 == bpm => {}
                _ => map.changes.push((step, bpm)),
            }
        }
        map
    }

    /// The changes as `(step, beats a minute)`.
    pub fn changes(&self) -> &[(u32, f64)] {
        &self.changes
    }

    /// The tempo at `step`, in quarter notes a minute.
    pub fn bpm(&self, step: u32) -> f64 {
        let after = self.changes.partition_point(|&(at, _)| at <= step);
        self.changes[after.max(1) - 1].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_FOUR: TimeSignature = TimeSignature {
        numerator: 3,
        denominator: 4,
    };

    #[test]
    fn positions_in_common_time() {
        let map = TimeSignatureMap::constant(TimeSignature::COMMON, 12);
        assert_eq!(
            map.position(0),
            BarPosition {
                bar: 0,
                step_in_bar: 0,
                bar_steps: 48
            }
        );
        assert_eq!(
            map.position(47),
            BarPosition {
                bar: 0,
                step_in_bar: 47,
                bar_steps: 48
            }
        );
        assert_eq!(
            map.position(48),
            BarPosition {
                bar: 1,
                step_in_bar: 0,
                bar_steps: 48
            }
        );
        assert_eq!(
            (map.next_bar(0), map.next_bar(1), map.next_bar(48)),
            (0, 48, 48)
        );
        assert_eq!(
            (map.bar_line(0), map.bar_line(47), map.bar_line(48)),
            (0, 0, 48)
        );
    }

    #[test]
    fn a_change_inside_a_bar_cuts_it_short() {
        let map = TimeSignatureMap::new(4, vec![(24, THREE_FOUR)]);
        assert_eq!(map.position(23).bar, 1);
        assert_eq!(
            map.position(24),
            BarPosition {
                bar: 2,
                step_in_bar: 0,
                bar_steps: 12
            }
        );
        assert_eq!((map.bar_line(23), map.next_bar(17)), (16, 24));
        assert_eq!(map.bar_lines(49), [0, 16, 24, 36, 48]);
    }

    #[test]
    fn bars_of_a_fraction_of_a_step_do_not_drift() {
        // 5/32 at 12 steps a beat is 7.5 steps: 20 bars are 150 steps, to the step.
        let map = TimeSignatureMap::constant(
            TimeSignature {
                numerator: 5,
                denominator: 32,
            },
            12,
        );
        let lines = map.bar_lines(150);
        assert_eq!(lines.len(), 20);
        assert_eq!(&lines[..4], [0, 8, 15, 23]);
        for step in 0..150 {
            let place = map.position(step);
            assert_eq!(lines[place.bar as usize] + place.step_in_bar, step);
            assert!(place.step_in_bar < place.bar_steps);
        }
    }

    #[test]
    fn a_repeated_time_signature_is_no_change() {
        let map =
            TimeSignatureMap::new(4, vec![(0, THREE_FOUR), (12, THREE_FOUR), (0, THREE_FOUR)]);
        assert_eq!(map.changes().count(), 1);
        // Off the bar line it is one: the bar begins again there.
        assert_eq!(
            TimeSignatureMap::new(4, vec![(0, THREE_FOUR), (13, THREE_FOUR)])
                .changes()
                .count(),
            2
        );
    }

    #[test]
    fn tempo_is_the_last_change_at_or_before() {
        let map = TempoMap::new(vec![(10, 90.0), (0, 60.0), (10, 100.0)]);
        assert_eq!((map.bpm(0), map.bpm(9), map.bpm(10)), (60.0, 60.0, 100.0));
        assert_eq!(TempoMap::new(vec![(5, 90.0)]).bpm(0), 120.0);
    }
}
