//! The rounding of the positions that a host reports. Audio thread; allocates nothing.

/// The coarsest rounding that is recognised, in quarter notes.
pub(super) const COARSEST: f64 = 1.0 / 480.0;

/// Ticks a quarter note that sequencers count in, and decimal fractions that they round to.
const TICKS: [f64; 12] = [
    480.0, 768.0, 960.0, 1_000.0, 1_536.0, 1_920.0, 3_072.0, 3_840.0, 7_680.0, 10_000.0, 15_360.0,
    100_000.0,
];

/// Measures the grid to which a host rounds its positions. Owned by the audio thread.
///
/// CLAP hosts hand positions over in units of 2^-31 quarter notes; Ardour rounds to 1/1920,
/// qtractor to 1/960 or 1/7680. A reported position lies less than one step from the true one,
/// whether the host rounds down, up or to the nearest. So a difference of less than a step
/// between the reported position and the one counted in samples may be rounding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PositionRounding {
    /// Index into [`TICKS`] of the coarsest grid that every position so far lies on; its length
    /// once there is none.
    grid: usize,
    /// Largest change, in quarter notes, of the difference between the reported position and
    /// the counted one from a block to the next.
    jitter: f64,
    /// The last difference, while the playhead moves evenly.
    last: Option<f64>,
    /// Number of differences compared with the one before.
    compared: u32,
}

impl PositionRounding {
    /// Smallest difference that is no rounding, in quarter notes: three units of CLAP's.
    const EXACT: f64 = 3.0 / (1u64 << 31) as f64;

    /// Number of differences after which the largest change counts as known.
    const ENOUGH: u32 = 64;

    /// Records a reported position.
    pub(super) fn observe(&mut self, beat: f64) {
        while let Some(ticks) = TICKS.get(self.grid) {
            let place = beat * ticks;
            let rounding = ticks * Self::EXACT + place.abs() * 1e-12;
            if (place - place.round()).abs() <= rounding {
                return;
            }
            self.grid += 1;
        }
    }

    /// Records the difference of the reported position from the counted one, in quarter notes,
    /// in a block that follows the one before at the same tempo.
    pub(super) fn compare(&mut self, difference: f64) {
        if let Some(last) = self.last.replace(difference) {
            self.jitter = self.jitter.max((difference - last).abs()).min(COARSEST);
            self.compared = self.compared.saturating_add(1);
        }
    }

    /// Forgets the last difference, after the counted position was set to the reported one.
    pub(super) fn restart(&mut self) {
        self.last = None;
    }

    /// Largest difference that is rounding, in quarter notes, as far as it is known.
    pub(super) fn known_step(&self) -> f64 {
        // The largest change is less than the step.
        let jitter = (2.0 * self.jitter).min(COARSEST);
        let grid = TICKS.get(self.grid).map_or(jitter, |ticks| 1.0 / ticks);
        grid + Self::EXACT
    }

    /// Largest difference that may be rounding, in quarter notes: the coarsest until the host's own is
    /// known.
    pub(super) fn step(&self) -> f64 {
        let learned = self.grid < TICKS.len() || self.compared >= Self::ENOUGH;
        if learned {
            self.known_step()
        } else {
            COARSEST + Self::EXACT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_of_rounded_positions_is_found() {
        for ticks in [480.0, 960.0, 1_920.0, 7_680.0] {
            let mut rounding = PositionRounding::default();
            for block in 1..200 {
                let beat = f64::from(block) * 0.003_133_7;
                rounding.observe((beat * ticks).round() / ticks);
            }
            let off = rounding.step() - 1.0 / ticks;
            assert!((0.0..1e-8).contains(&off), "{ticks}: {}", rounding.step());
        }
    }

    #[test]
    fn exact_positions_have_no_grid() {
        let mut rounding = PositionRounding::default();
        for block in 1..100 {
            let unit = (1u64 << 31) as f64;
            rounding.observe((f64::from(block) * 0.003_133_7 * unit).round() / unit);
            rounding.compare(0.0);
        }
        assert_eq!(rounding.step(), PositionRounding::EXACT);
    }

    #[test]
    fn unknown_grid_is_measured_from_the_jitter() {
        let mut rounding = PositionRounding::default();
        for block in 1..400 {
            let beat = f64::from(block) * 0.003_133_7;
            let reported = (beat * 617.0).floor() / 617.0;
            rounding.observe(reported);
            rounding.compare(reported - beat);
        }
        assert!((0.9 / 617.0..2.0 / 617.0).contains(&rounding.step()));
    }
}
