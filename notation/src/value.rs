//! Note values, and the grid on which a score is written.

use continuo_score::Score;

use crate::NotationError;

/// MusicXML's names of note values, from the breve on; each is half of the one before.
const NAMES: [&str; 12] = [
    "breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th", "256th",
    "512th", "1024th",
];

/// Number of halvings from a quarter to the shortest value.
const FINEST: u32 = 8;

/// A note value: `quarter`, dotted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// Halvings of the quarter: 0 is a quarter, 1 an eighth, -1 a half.
    pub(crate) halvings: i32,
    /// Whether it is dotted.
    pub(crate) dotted: bool,
}

impl Value {
    /// The value of `units`, of which a quarter has 2 to the power `quarter`; `None` if no single
    /// value with at most one dot lasts as long.
    fn of(units: u32, quarter: u32) -> Option<Self> {
        if units == 0 {
            return None;
        }
        let zeros = units.trailing_zeros();
        let (power, dotted) = match units >> zeros {
            1 => (zeros, false),
            3 => (zeros + 1, true),
            _ => return None,
        };
        let halvings = quarter as i32 - power as i32;
        (-3..=FINEST as i32)
            .contains(&halvings)
            .then_some(Self { halvings, dotted })
    }

    /// MusicXML's name.
    pub(crate) fn name(self) -> &'static str {
        NAMES[(self.halvings + 3) as usize]
    }

    /// Number of beams or flags.
    pub(crate) fn beams(self) -> usize {
        self.halvings.max(0) as usize
    }
}

/// The steps of a beat as note values: `odd` times a power of two. Whole multiples of `odd` are plain
/// values; the rest are tuplets of `odd` in the time of `normal`. On the grid of 12, these are
/// triplets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Steps in a quarter note.
    pub(crate) beat: u32,
    /// Notes of a tuplet.
    pub(crate) odd: u32,
    /// Notes in whose time they are played: the largest power of two that is not above `odd`.
    pub(crate) normal: u32,
    /// The power of two.
    power: u32,
}

impl Grid {
    fn of(beat: u32) -> Option<Self> {
        let power = beat.trailing_zeros();
        let odd = beat.checked_shr(power).filter(|odd| *odd > 0)?;
        let normal = 1u32 << odd.ilog2();
        (power + normal.ilog2() <= FINEST).then_some(Self {
            beat,
            odd,
            normal,
            power,
        })
    }

    /// The grid for a score, and the number of its steps in one of the score's. Of the grids with
    /// twice, four times, … the score's steps it is the first on which the beats of every time
    /// signature are whole; where that is too fine, the finest.
    ///
    /// # Errors
    /// If a beat has so many steps that a step is shorter than the shortest note value.
    pub(crate) fn for_score(score: &Score) -> Result<(Self, u32), NotationError> {
        let beat = score.steps_per_beat;
        let whole = |grid: &Grid| {
            let mut changes = score.time_signatures.changes();
            changes.all(|(_, time)| (4 * grid.beat).is_multiple_of(time.denominator.max(1).into()))
        };
        let mut found = Self::of(beat).ok_or(NotationError::TooFine(beat))?;
        let mut factor = 1;
        while !whole(&found)
            && let Some(finer) = Self::of(2 * found.beat)
        {
            (found, factor) = (finer, 2 * factor);
        }
        Ok((found, factor))
    }

    /// The value of a plain note of `steps`.
    pub(crate) fn plain(&self, steps: u32) -> Option<Value> {
        let units = steps.is_multiple_of(self.odd).then_some(steps / self.odd)?;
        Value::of(units, self.power)
    }

    /// The value of a note of `steps` in a tuplet.
    pub(crate) fn in_tuplet(&self, steps: u32) -> Option<Value> {
        Value::of(steps, self.power + self.normal.ilog2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::{TimeSignature, TimeSignatureMap};

    #[test]
    fn twelve_steps_a_beat_are_binary_values_and_triplets() {
        let grid = Grid::of(12).unwrap();
        assert_eq!((grid.odd, grid.normal), (3, 2));
        let plain = |steps| grid.plain(steps).map(|v| (v.name(), v.dotted));
        assert_eq!(plain(12), Some(("quarter", false)));
        assert_eq!(plain(18), Some(("quarter", true)));
        assert_eq!(
            (plain(3), plain(48)),
            (Some(("16th", false)), Some(("whole", false)))
        );
        assert_eq!((plain(4), plain(15)), (None, None));
        let triplet = |steps| grid.in_tuplet(steps).map(|v| (v.name(), v.dotted));
        assert_eq!(
            (triplet(1), triplet(4)),
            (Some(("32nd", false)), Some(("eighth", false)))
        );
        assert_eq!(
            (triplet(8), triplet(3)),
            (Some(("quarter", false)), Some(("16th", true)))
        );
        assert_eq!(triplet(5), None);
    }

    #[test]
    fn every_step_of_every_vocabulary_has_a_value() {
        for beat in 1..=96 {
            let grid = Grid::of(beat).unwrap();
            assert!(grid.in_tuplet(1).is_some(), "{beat}");
            // A tuplet's notes fill its time.
            let written = f64::from(grid.normal) / f64::from(grid.odd);
            let value = grid.in_tuplet(1).unwrap();
            let length = 0.5f64.powi(value.halvings) * written;
            assert!((length - 1.0 / f64::from(beat)).abs() < 1e-12, "{beat}");
        }
        assert!(Grid::of(0).is_none() && Grid::of(1000).is_none());
    }

    #[test]
    fn short_beats_make_the_grid_finer() {
        let mut score = Score::new(12);
        assert_eq!(Grid::for_score(&score).unwrap().1, 1);
        let time = |denominator| TimeSignature {
            numerator: 5,
            denominator,
        };
        for (denominator, factor) in [(8, 1), (16, 1), (32, 2), (64, 4)] {
            score.time_signatures = TimeSignatureMap::constant(time(denominator), 12);
            assert_eq!(Grid::for_score(&score).unwrap().1, factor);
        }
        // Beyond the shortest value, the finest grid.
        score.time_signatures = TimeSignatureMap::constant(time(32768), 12);
        assert_eq!(Grid::for_score(&score).unwrap().0.beat, 12 << 5);
    }
}
