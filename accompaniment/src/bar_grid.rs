//! Bars and beats by the host's time signatures: positions of grid lines, and bar numbers. Plain data; all
//! positions are the host's, in quarter notes.

use crate::snapshot::Snapshot;

/// Upper limit of the lines of one call, for a view zoomed out over thousands of bars.
const MAX_LINES: usize = 4_000;

/// Tolerance within which two positions are the same.
const SAME: f64 = 1e-6;

/// Tolerance within which a bar line of the host continues the bars before it.
const SAME_LINE: f64 = 1e-3;

/// Bars of one time signature, from a bar line on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarSection {
    /// Position of the bar line.
    pub at: f64,
    /// Number of the bar that begins there; the host's first is 1.
    pub number: i32,
    /// Beats in a bar as written.
    pub numerator: u16,
    /// The note value of one written beat; a power of two.
    pub denominator: u16,
}

/// A position as musicians count it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarPosition {
    /// Number of the bar.
    pub bar: i32,
    /// Written beat within the bar, from 1.
    pub beat: u32,
}

/// A line of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridLine {
    /// Its position.
    pub at: f64,
    /// The bar it belongs to.
    pub bar: i32,
    /// The written beat it marks; 1 is the bar line.
    pub beat: u32,
}

impl BarSection {
    /// 4/4 from position 0.
    pub const COMMON: Self = Self {
        at: 0.0,
        number: 1,
        numerator: 4,
        denominator: 4,
    };

    /// A section whose first bar is numbered as if its time signature held from position 0, as hosts
    /// need not report bar numbers. `None` without a usable time signature.
    fn new(at: f64, numerator: u16, denominator: u16) -> Option<Self> {
        let section = Self {
            at,
            number: 1,
            numerator,
            denominator,
        };
        let usable = numerator > 0 && denominator > 0 && at.is_finite();
        usable.then(|| Self {
            number: (at / section.bar_length()).round() as i32 + 1,
            ..section
        })
    }

    /// Length of a bar, in quarter notes.
    pub fn bar_length(&self) -> f64 {
        f64::from(self.numerator.max(1)) * self.beat_length()
    }

    /// Length of a written beat, in quarter notes.
    pub fn beat_length(&self) -> f64 {
        4.0 / f64::from(self.denominator.max(1))
    }

    fn position(&self, at: f64) -> BarPosition {
        let bars = ((at - self.at) / self.bar_length() + SAME).floor();
        let into = (at - self.at - bars * self.bar_length()).max(0.0) / self.beat_length();
        BarPosition {
            bar: self.number + bars as i32,
            beat: (into + SAME).floor() as u32 + 1,
        }
    }
}

/// All bars, as sections in ascending order. Empty, it is 4/4 from position 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarGrid(Vec<BarSection>);

impl BarGrid {
    /// The bars of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut grid = Self::default();
        for &(at, time_signature) in &snapshot.time_signatures {
            grid.add(at, time_signature.numerator, time_signature.denominator);
        }
        let (numerator, denominator) = snapshot.time.time_signature;
        grid.add(snapshot.time.bar_start, numerator, denominator);
        grid
    }

    /// Adds a bar line with its time signature after those before it, unless it continues them. Bars are
    /// numbered on across sections.
    fn add(&mut self, at: f64, numerator: u16, denominator: u16) {
        let Some(section) = BarSection::new(at, numerator, denominator) else {
            return;
        };
        let Some(&before) = self.0.last() else {
            self.0.push(section);
            return;
        };
        let bars = (at - before.at) / before.bar_length();
        let continues = (before.numerator, before.denominator) == (numerator, denominator)
            && (bars - bars.round()).abs() * before.bar_length() < SAME_LINE;
        if continues || at <= before.at {
            return;
        }
        let number = before.number + (bars - SAME_LINE).ceil() as i32;
        self.0.push(BarSection { number, ..section });
    }

    /// The sections, in ascending order.
    pub fn sections(&self) -> &[BarSection] {
        &self.0
    }

    /// The section at a position; before the first section, that one.
    pub fn section_at(&self, at: f64) -> BarSection {
        let after = self.0.partition_point(|section| section.at <= at + SAME);
        let known = self.0.get(after.saturating_sub(1));
        known.copied().unwrap_or(BarSection::COMMON)
    }

    /// Bar and beat of a position.
    pub fn position(&self, at: f64) -> BarPosition {
        self.section_at(at).position(at)
    }

    /// The bar line at or before a position.
    pub fn bar_line(&self, at: f64) -> f64 {
        let section = self.section_at(at);
        let bars = section.position(at).bar - section.number;
        section.at + f64::from(bars) * section.bar_length()
    }

    /// The lines from one position up to another, in ascending order.
    pub fn lines(&self, from: f64, to: f64) -> Vec<GridLine> {
        let mut lines = Vec::new();
        let mut at = from;
        while at < to && lines.len() < MAX_LINES {
            let section = self.section_at(at);
            let end = self
                .0
                .iter()
                .map(|later| later.at)
                .find(|&later| later > at + SAME)
                .unwrap_or(f64::INFINITY)
                .min(to);
            // Beats are counted from the section's bar line: a sum of lengths would drift.
            let first = ((at - section.at) / section.beat_length() - SAME).ceil() as i64;
            let beats = i64::from(section.numerator.max(1));
            for beat in first.. {
                let here = section.at + beat as f64 * section.beat_length();
                if here >= end - SAME || lines.len() >= MAX_LINES {
                    break;
                }
                lines.push(GridLine {
                    at: here,
                    bar: section.number + beat.div_euclid(beats) as i32,
                    beat: beat.rem_euclid(beats) as u32 + 1,
                });
            }
            at = end;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(grid: &[BarSection], from: f64, to: f64) -> Vec<(f64, i32, u32)> {
        let lines = BarGrid(grid.to_vec()).lines(from, to).into_iter();
        lines.map(|l| (l.at, l.bar, l.beat)).collect()
    }

    #[test]
    fn empty_grid_is_four_four_with_a_count_in() {
        assert_eq!(
            shown(&[], -1.5, 5.5),
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
    fn new_time_signature_begins_at_its_bar_line() {
        let seven_eight = BarSection {
            at: 4.0,
            number: 2,
            numerator: 7,
            denominator: 8,
        };
        assert_eq!(
            shown(&[BarSection::COMMON, seven_eight], 3.0, 8.0),
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
        let grid = BarGrid(vec![seven_eight]);
        assert_eq!(grid.position(7.75), BarPosition { bar: 3, beat: 1 });
        assert_eq!(grid.position(3.75), BarPosition { bar: 1, beat: 7 });
        assert_eq!((grid.bar_line(7.75), grid.bar_line(3.75)), (7.5, 0.5));
    }

    #[test]
    fn lines_do_not_drift_and_are_limited_in_number() {
        let third = BarSection {
            at: 1.0 / 3.0,
            number: 1,
            numerator: 3,
            denominator: 8,
        };
        assert_eq!(shown(&[third], 1e6, 1e6 + 3.0).len(), 6);
        assert!(shown(&[third], 0.0, 1e9).len() <= MAX_LINES);
    }

    #[test]
    fn only_bar_lines_that_change_something_open_a_section() {
        let mut grid = BarGrid::default();
        for at in [0.0, 4.0, 8.0] {
            grid.add(at, 4, 4);
        }
        assert_eq!(grid.sections(), [BarSection::COMMON]);
        for at in [12.0, 15.0, 18.0, 18.0] {
            grid.add(at, 3, 4);
        }
        let numbers = |grid: &BarGrid| -> Vec<_> {
            let sections = grid.sections().iter();
            sections.map(|s| (s.at, s.number)).collect()
        };
        assert_eq!(numbers(&grid), [(0.0, 1), (12.0, 4)]);
        // A bar line out of step opens a section of the same time signature.
        grid.add(22.0, 3, 4);
        assert_eq!(numbers(&grid), [(0.0, 1), (12.0, 4), (22.0, 8)]);
        grid.add(30.0, 0, 0);
        assert_eq!(grid.sections().len(), 3);
    }
}
