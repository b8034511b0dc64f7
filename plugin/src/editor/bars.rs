//! Bars and beats of the roll: where the lines are, and how they are numbered.

use super::view::Bars;

/// A line of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Where, in quarter notes.
    pub at: f64,
    /// In which bar, as the host counts.
    pub bar: i32,
    /// On which written beat of it: 1 is the bar line.
    pub beat: u32,
}

/// Lines beyond this are not drawn: whoever zooms out that far sees bars by the thousand.
const MOST: usize = 4_000;

/// Nearer than this is the same place, in quarter notes.
const SAME: f64 = 1e-6;

impl Bars {
    /// Plain 4/4 from the host's position 0.
    pub const COMMON: Self = Self {
        at: 0.0,
        number: 1,
        numerator: 4,
        denominator: 4,
    };

    /// Length of a bar, in quarter notes.
    pub fn length(&self) -> f64 {
        f64::from(self.numerator.max(1)) * self.beat_length()
    }

    /// Length of a written beat, in quarter notes.
    pub fn beat_length(&self) -> f64 {
        4.0 / f64::from(self.denominator.max(1))
    }

    /// Which bar, which written beat of it from 1, and how far into the beat, 0 to 1.
    pub fn place(&self, at: f64) -> (i32, u32, f64) {
        let bars = ((at - self.at) / self.length() + SAME).floor();
        let into = (at - self.at - bars * self.length()).max(0.0) / self.beat_length();
        let beat = (into + SAME).floor();
        (
            self.number + bars as i32,
            beat as u32 + 1,
            (into - beat).clamp(0.0, 1.0),
        )
    }
}

/// The bars in force at a position; before the first that are known, those.
pub fn bars_at(time_signatures: &[Bars], at: f64) -> Bars {
    let after = time_signatures.partition_point(|bars| bars.at <= at + SAME);
    let known = time_signatures.get(after.saturating_sub(1));
    known.copied().unwrap_or(Bars::COMMON)
}

/// The lines from one position up to another, in order.
pub fn lines(time_signatures: &[Bars], from: f64, to: f64) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = from;
    while at < to && lines.len() < MOST {
        let bars = bars_at(time_signatures, at);
        let end = time_signatures
            .iter()
            .map(|later| later.at)
            .find(|&later| later > at + SAME)
            .unwrap_or(f64::INFINITY)
            .min(to);
        // Beats since the bar line they are counted from: no sum of lengths, so no drift.
        let first = ((at - bars.at) / bars.beat_length() - SAME).ceil() as i64;
        let beats = i64::from(bars.numerator.max(1));
        for beat in first.. {
            let here = bars.at + beat as f64 * bars.beat_length();
            if here >= end - SAME || lines.len() >= MOST {
                break;
            }
            lines.push(Line {
                at: here,
                bar: bars.number + beat.div_euclid(beats) as i32,
                beat: beat.rem_euclid(beats) as u32 + 1,
            });
        }
        at = end;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &[Line]) -> Vec<(f64, i32, u32)> {
        lines.iter().map(|l| (l.at, l.bar, l.beat)).collect()
    }

    #[test]
    fn without_a_host_it_is_four_four_with_a_count_in() {
        let lines = lines(&[], -1.5, 5.5);
        assert_eq!(
            shown(&lines),
            [
                (-1.0, 0, 4),
                (0.0, 1, 1),
                (1.0, 1, 2),
                (2.0, 1, 3),
                (3.0, 1, 4),
                (4.0, 2, 1),
                (5.0, 2, 2)
            ]
        );
    }

    #[test]
    fn a_change_of_metre_begins_where_the_host_says() {
        let seven_eight = Bars {
            at: 4.0,
            number: 2,
            numerator: 7,
            denominator: 8,
        };
        let lines = lines(&[Bars::COMMON, seven_eight], 3.0, 8.0);
        assert_eq!(
            shown(&lines),
            [
                (3.0, 1, 4),
                (4.0, 2, 1),
                (4.5, 2, 2),
                (5.0, 2, 3),
                (5.5, 2, 4),
                (6.0, 2, 5),
                (6.5, 2, 6),
                (7.0, 2, 7),
                (7.5, 3, 1)
            ]
        );
        assert_eq!(bars_at(&[seven_eight], 7.75).place(7.75), (3, 1, 0.5));
        assert_eq!(bars_at(&[seven_eight], 3.75).place(3.75), (1, 7, 0.5));
    }

    #[test]
    fn lines_do_not_drift_and_never_run_away() {
        let third = Bars {
            at: 1.0 / 3.0,
            number: 1,
            numerator: 3,
            denominator: 8,
        };
        let far = lines(&[third], 1e6, 1e6 + 3.0);
        assert_eq!(far.len(), 6);
        assert!(lines(&[third], 0.0, 1e9).len() <= MOST);
    }
}
