//! The host's bars, as far as they agree with its positions. Audio thread; allocates nothing.

use super::{HostTransport, TOLERANCE};

/// A time signature with the position of one of its bar lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostBars {
    /// A bar line, in quarter notes.
    pub bar_start: f64,
    /// Upper figure.
    pub numerator: u16,
    /// Lower figure.
    pub denominator: u16,
}

impl HostBars {
    /// Length of a bar in quarter notes.
    fn bar_beats(&self) -> f64 {
        f64::from(self.numerator) * 4.0 / f64::from(self.denominator)
    }

    /// The bar line at or before `beat`, counted from the known one.
    pub(super) fn line_at(&self, beat: f64) -> f64 {
        let bars = ((beat - self.bar_start) / self.bar_beats()).floor();
        self.bar_start + bars * self.bar_beats()
    }

    /// Whether the two have the same figures.
    fn same_figures(&self, other: &Self) -> bool {
        (self.numerator, self.denominator) == (other.numerator, other.denominator)
    }

    /// Whether both draw the same bar lines.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let bars = (self.bar_start - other.bar_start) / self.bar_beats();
        self.same_figures(other) && (bars - bars.round()).abs() * self.bar_beats() < TOLERANCE
    }
}

/// Figures that make a time signature.
fn figures(reading: &HostTransport) -> Option<(u16, u16)> {
    let numerator = u16::try_from(reading.numerator?).ok()?;
    let denominator = u16::try_from(reading.denominator?).ok()?;
    let known = (1..=128).contains(&numerator) && denominator.is_power_of_two();
    (known && denominator <= 64).then_some((numerator, denominator))
}

/// Reads the bars that the host reports, and counts them itself where the reports contradict
/// the positions. Owned by the audio thread.
///
/// Ardour 7 reports the number of the bar, from 1, times 4 in every time signature; other hosts
/// report the number of the bar itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct BarLines {
    /// The time signature of the last block.
    known: Option<HostBars>,
    /// The bar line reported in the last block.
    reported: Option<f64>,
    /// The reported bar lines contradict the positions.
    distrusted: bool,
    /// A bar line from which bars are counted while the reported ones are distrusted.
    base: f64,
}

impl Default for BarLines {
    fn default() -> Self {
        Self {
            known: None,
            reported: None,
            distrusted: false,
            base: 0.0,
        }
    }
}

impl BarLines {
    /// Whether the host's bar lines are not used.
    pub(super) fn distrusted(&self) -> bool {
        self.distrusted
    }

    /// The time signature of a block that begins at `beat`. `rolls`: the block follows the one before.
    pub(super) fn read(&mut self, reading: &HostTransport, beat: f64, rolls: bool) -> HostBars {
        let before = self.known.filter(|_| rolls);
        // A block that leaves the signature out is in the signature of the block before.
        let kept = before.map(|bars| (bars.numerator, bars.denominator));
        let (numerator, denominator) = figures(reading).or(kept).unwrap_or((4, 4));
        let mut bars = HostBars {
            bar_start: self.base,
            numerator,
            denominator,
        };
        if let Some(before) = before.filter(|b| !b.same_figures(&bars)) {
            // Another signature begins on a bar line of the one before, or inside a bar of it.
            let line = before.line_at(beat + TOLERANCE);
            self.base = if beat - line < TOLERANCE { line } else { beat };
            bars.bar_start = self.base;
        } else if !rolls {
            self.base = 0.0;
            bars.bar_start = 0.0;
        }

        let same = before.is_some_and(|before| before.same_figures(&bars));
        let last = self.reported.filter(|_| same);
        self.reported = reading.bar_start.filter(|line| line.is_finite());
        if let Some(line) = self.reported {
            let bar = bars.bar_beats();
            let inside = line <= beat + TOLERANCE && beat - line < bar + TOLERANCE;
            let moved = last.map_or(0.0, |last| line - last);
            let whole = ((moved / bar) - (moved / bar).round()).abs() * bar < TOLERANCE;
            if !inside || !whole {
                self.distrusted = true;
            } else if (moved - bar).abs() < TOLERANCE {
                // It moves as a bar line does, to where one can be.
                self.distrusted = false;
            }
            if !self.distrusted {
                bars.bar_start = line;
            }
        }
        if self.distrusted || self.reported.is_none() {
            // Without a report bars go on as they were.
            let from = before.filter(|before| before.same_figures(&bars) && !self.distrusted);
            bars.bar_start = from.unwrap_or(bars).line_at(beat + TOLERANCE);
        }
        self.known = Some(bars);
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bar lines read while a host plays from `from` to `to` in blocks of 0.02 beats and
    /// reports its bars by `report`, without repetitions.
    fn read(
        from: f64,
        to: f64,
        signature: impl Fn(f64) -> (i32, i32),
        report: impl Fn(f64) -> f64,
    ) -> (Vec<f64>, bool) {
        let (mut lines, mut bars) = (Vec::new(), BarLines::default());
        let mut beat = from;
        while beat < to {
            let (numerator, denominator) = signature(beat);
            let reading = HostTransport {
                numerator: Some(numerator),
                denominator: Some(denominator),
                bar_start: Some(report(beat)),
                ..HostTransport::default()
            };
            let line = bars.read(&reading, beat, beat != from).bar_start;
            if lines
                .last()
                .is_none_or(|&last: &f64| (last - line).abs() > 1e-6)
            {
                lines.push(line);
            }
            beat += 0.02;
        }
        (lines, bars.distrusted())
    }

    #[test]
    fn correct_bar_lines_are_used() {
        let four = |_| (4, 4);
        // A song whose bars begin one beat late.
        let pickup = |beat: f64| ((beat - 1.0) / 4.0).floor() * 4.0 + 1.0;
        assert_eq!(read(2.0, 12.0, four, pickup), (vec![1.0, 5.0, 9.0], false));
    }

    #[test]
    fn bar_number_times_four_of_ardour_is_recognised() {
        for (numerator, bar) in [(4, 4.0), (5, 5.0), (3, 3.0), (12, 6.0)] {
            let denominator = if numerator == 12 { 8 } else { 4 };
            let report = |beat: f64| ((beat / bar).floor() + 1.0) * 4.0;
            let (lines, distrusted) = read(0.0, 50.0, |_| (numerator, denominator), report);
            let expected: Vec<f64> = (0..)
                .map(|n| f64::from(n) * bar)
                .take_while(|b| *b < 50.0)
                .collect();
            assert_eq!(lines, expected, "{numerator}/{denominator}");
            assert!(distrusted);
        }
    }

    #[test]
    fn bar_number_is_not_used_as_a_bar_line() {
        let (lines, distrusted) = read(0.0, 15.9, |_| (4, 4), |beat| (beat / 4.0).floor());
        assert_eq!(lines, [0.0, 4.0, 8.0, 12.0]);
        assert!(distrusted);
    }

    #[test]
    fn time_signature_inside_a_bar_begins_where_the_host_reports_it() {
        let signature = |beat: f64| if beat < 6.0 - 1e-6 { (4, 4) } else { (3, 4) };
        let report = |beat: f64| {
            if beat < 6.0 - 1e-6 {
                (beat / 4.0 + 1e-9).floor() * 4.0
            } else {
                6.0 + ((beat - 6.0) / 3.0 + 1e-9).floor() * 3.0
            }
        };
        let (lines, distrusted) = read(0.0, 11.9, signature, report);
        let expected = [0.0, 4.0, 6.0, 9.0];
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        assert!(
            lines
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
        assert!(!distrusted);
        // The same where the host reports no bar lines that make sense.
        let (lines, _) = read(0.0, 11.9, signature, |_| 1e7);
        assert!(
            lines
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 0.021),
            "{lines:?}"
        );
    }
}
