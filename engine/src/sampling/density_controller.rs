//! Controls the density of notes.

/// The recent density, and its deviation from the target.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DensityController {
    /// Exponentially weighted number of recent notes; for a constant density, the density times
    /// [`DensityController::MEMORY`]. `None` until a density is set: an answer begins as if its density
    /// had been right.
    notes: Option<f32>,
}

impl DensityController {
    /// Beats after which a note counts for 1/e.
    const MEMORY: f32 = 8.0;
    /// Nats for each factor of e between density and target.
    const GAIN: f32 = 2.0;
    /// Maximum bias, in nats.
    const MOST: f32 = 4.0;

    /// Counts a note.
    pub(super) fn note(&mut self) {
        self.notes = self.notes.map(|n| n + 1.0);
    }

    /// Lets time pass, in beats.
    pub(super) fn pass(&mut self, beats: f32) {
        let left = (-beats / Self::MEMORY).exp();
        self.notes = self.notes.map(|n| n * left);
    }

    /// Bias of moves in time, in nats: positive above the target of `aim` notes a beat.
    pub(super) fn time_bias(&mut self, aim: f32) -> f32 {
        let right = aim * Self::MEMORY;
        let notes = *self.notes.get_or_insert(right + 0.5);
        // The call follows a note that has not decayed yet, so half a note is subtracted.
        let off = (((notes - 0.5).max(0.0) + 0.3) / (right + 0.3)).ln();
        (Self::GAIN * off).clamp(-Self::MOST, Self::MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_points_towards_the_target_density() {
        for (every, aim) in [(0.25, 1.0f32), (1.0, 1.0), (2.0, 1.0), (0.5, 8.0)] {
            let mut density_controller = DensityController::default();
            assert_eq!(density_controller.time_bias(aim), 0.0);
            for _ in 0..200 {
                density_controller.pass(every);
                density_controller.note();
            }
            let (time_bias, dense) = (density_controller.time_bias(aim), 1.0 / every);
            assert!(time_bias.abs() <= DensityController::MOST);
            match dense.partial_cmp(&aim).unwrap() {
                std::cmp::Ordering::Greater => assert!(time_bias > 1.0, "{dense}: {time_bias}"),
                std::cmp::Ordering::Equal => assert!(time_bias.abs() < 0.3, "{dense}: {time_bias}"),
                std::cmp::Ordering::Less => assert!(time_bias < -0.5, "{dense}: {time_bias}"),
            }
        }
    }
}
