//! Quirks of real hosts: differences between the reported transport and the true one. They were
//! recorded in qtractor, Ardour and Carla; a stress run draws them at random.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::host::{Transport, TransportDetail};

/// Rounding of the reported position.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rounding {
    Exact,
    /// Rounds down to a whole number of ticks; the value is ticks a quarter note.
    Down(f64),
    /// Rounds to the nearest tick; the value is ticks a quarter note.
    Nearest(f64),
}

/// Value that is reported as the bar's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BarLine {
    /// The bar's start in quarter notes.
    True,
    /// Ardour 7: the number of the bar, from 1, times 4.
    NumberTimesFour,
    /// The number of the bar, from 0.
    Number,
}

/// Quirks of a host's transport reports.
#[derive(Clone, Copy, Debug)]
pub struct TransportQuirks {
    rounding: Rounding,
    bar_line: BarLine,
    /// Whether the loop is reported.
    reports_loop: bool,
    /// One block in this number, on average, has no report; 0 if every block has one.
    gaps: u32,
}

impl TransportQuirks {
    /// A host that reports the true transport.
    pub const EXACT: Self = Self {
        rounding: Rounding::Exact,
        bar_line: BarLine::True,
        reports_loop: true,
        gaps: 0,
    };

    /// Draws a host at random; half of them report the true transport.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        if rng.random_bool(0.5) {
            return Self::EXACT;
        }
        let ticks = [480.0, 960.0, 1_920.0, 7_680.0][rng.random_range(0..4)];
        Self {
            rounding: [
                Rounding::Exact,
                Rounding::Down(ticks),
                Rounding::Nearest(ticks),
            ][rng.random_range(0..3)],
            bar_line: [BarLine::True, BarLine::NumberTimesFour, BarLine::Number]
                [rng.random_range(0..3)],
            reports_loop: rng.random_bool(0.5),
            gaps: [0, 7, 50][rng.random_range(0..3)],
        }
    }

    /// Whether no plugin can know where in a loop of `length` quarter notes the playhead is: the loop is
    /// not reported, and it is hardly longer than the rounding.
    pub fn hides_position_in_loop(&self, length: f64) -> bool {
        !self.reports_loop && self.error() > 0.0 && length < 0.1
    }

    /// Returns the reported transport of a block. Consumes the same number of random values for all
    /// quirks.
    pub fn report(&self, transport: &Transport, rng: &mut ChaCha8Rng) -> Transport {
        let mut said = *transport;
        said.beat = match self.rounding {
            Rounding::Exact => said.beat,
            Rounding::Down(ticks) => (said.beat * ticks).floor() / ticks,
            Rounding::Nearest(ticks) => (said.beat * ticks).round() / ticks,
        };
        said.bar_start = match self.bar_line {
            BarLine::True => said.bar_start,
            BarLine::NumberTimesFour => f64::from(said.bar + 1) * 4.0,
            BarLine::Number => f64::from(said.bar),
        };
        said.loop_range = said.loop_range.filter(|_| self.reports_loop);
        let gap = rng.random_range(0..u32::MAX);
        if self.gaps > 0 && gap.is_multiple_of(self.gaps) {
            said.detail = TransportDetail::None;
        }
        said
    }

    /// Returns the greatest difference between a reported position and the true one, in quarter notes.
    pub fn error(&self) -> f64 {
        match self.rounding {
            Rounding::Exact => 0.0,
            Rounding::Down(ticks) | Rounding::Nearest(ticks) => 1.0 / ticks,
        }
    }

    /// Whether the host reports a loop that wraps inside a block.
    pub fn reports_loop(&self) -> bool {
        self.reports_loop
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn rounded_position_lies_within_the_declared_error() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut rounded = 0;
        for block in 0..2_000 {
            let quirks = TransportQuirks::draw(&mut rng);
            let transport = Transport {
                playing: true,
                beat: f64::from(block) * 0.0377 - 4.0,
                bpm: 120.0,
                metre: (5, 4),
                bar_start: 0.0,
                bar: 0,
                loop_range: Some((0.0, 4.0)),
                detail: TransportDetail::Full,
            };
            let said = quirks.report(&transport, &mut rng);
            assert!((said.beat - transport.beat).abs() <= quirks.error());
            assert_eq!(said.loop_range.is_some(), quirks.reports_loop());
            rounded += u32::from(said.beat != transport.beat);
        }
        assert!(rounded > 300);
    }
}
