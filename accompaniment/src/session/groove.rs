//! Groove of the player: velocity, and timing beside the grid. Generated notes follow it.

use crate::choices::VelocityFrom;
use crate::messages::Settings;
use crate::timeline::Timeline;

/// Number of the player's last notes that give the mean velocity.
const LOUDNESS_NOTES: usize = 16;
/// Number of the player's last notes that give the timing.
const TIMING_NOTES: usize = 96;

/// The player's groove at the time an answer is decided.
#[derive(Clone, Debug)]
pub(super) struct Groove {
    /// Mean velocity of the player's last notes.
    loudness: Option<f64>,
    /// Running mean of the model's velocities.
    wanted: Option<f64>,
    /// Mean lateness at each step of a beat, in quarter notes.
    late: Vec<f64>,
}

impl Groove {
    /// Measures the groove of the player's notes before step `before`.
    pub(super) fn of(timeline: &Timeline, before: i64) -> Self {
        let player_notes = || {
            let notes = timeline.notes().rev();
            notes.filter(move |n| !n.generated && n.start < before)
        };
        let last = player_notes().take(LOUDNESS_NOTES);
        let (sum, count) = last.fold((0.0, 0u32), |(sum, count), n| {
            (sum + f64::from(n.velocity), count + 1)
        });
        let loudness = (count > 0).then(|| sum / f64::from(count));

        let steps = usize::try_from(timeline.step(1.0)).unwrap_or(1).max(1);
        let mut late = vec![(0.0, 0u32); steps];
        for note in player_notes().take(TIMING_NOTES) {
            let class = note.start.rem_euclid(steps as i64) as usize;
            late[class].0 += note.start_beat - timeline.beat(note.start);
            late[class].1 += 1;
        }
        let mean = |(sum, count): (f64, u32)| {
            if count > 0 {
                sum / f64::from(count)
            } else {
                0.0
            }
        };
        Self {
            loudness,
            wanted: None,
            late: late.into_iter().map(mean).collect(),
        }
    }

    /// Lateness of the player at this step, in quarter notes: less than half a step, so that notes
    /// keep their order.
    pub(super) fn late(&self, step: i64) -> f64 {
        let class = step.rem_euclid(self.late.len().max(1) as i64) as usize;
        self.late.get(class).copied().unwrap_or(0.0)
    }

    /// The velocity of the next note; `wanted` is the model's.
    pub(super) fn velocity(&mut self, wanted: u8, settings: &Settings) -> u8 {
        let value = f64::from(wanted);
        let mean = self
            .wanted
            .map_or(value, |mean| mean + (value - mean) / 8.0);
        self.wanted = Some(mean);
        match (settings.velocity_from, self.loudness) {
            (VelocityFrom::Fixed, _) => settings.velocity,
            (VelocityFrom::Follow, Some(loudness)) => {
                (loudness + value - mean).round().clamp(1.0, 127.0) as u8
            }
            _ => wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swung() -> Timeline {
        let mut timeline = Timeline::new(12);
        for beat in 0..8 {
            let beat = f64::from(beat);
            // The off-beat eighth comes 0.03 late, and every note is loud.
            for (at, velocity) in [(beat, 100), (beat + 0.53, 110)] {
                timeline.on(at, 0, 60, velocity);
                timeline.off(at + 0.3, Some(0), Some(60));
            }
        }
        timeline
    }

    #[test]
    fn swing_and_loudness_of_the_player_are_measured() {
        let mut groove = Groove::of(&swung(), 1000);
        assert!(groove.late(24).abs() < 1e-9 && (groove.late(30) - 0.03).abs() < 1e-9);
        assert_eq!(groove.late(31), 0.0, "nothing was played there");
        let follow = Settings {
            velocity_from: VelocityFrom::Follow,
            ..Settings::default()
        };
        assert_eq!(groove.velocity(40, &follow), 105);
        assert!(groove.velocity(60, &follow) > 105, "louder than before");
        let fixed = Settings {
            velocity_from: VelocityFrom::Fixed,
            velocity: 33,
            ..follow
        };
        assert_eq!(groove.velocity(90, &fixed), 33);
        assert_eq!(groove.velocity(90, &Settings::default()), 90);
    }

    #[test]
    fn without_input_the_groove_is_that_of_the_model() {
        let mut groove = Groove::of(&Timeline::new(12), 0);
        let follow = Settings {
            velocity_from: VelocityFrom::Follow,
            ..Settings::default()
        };
        assert_eq!((groove.velocity(40, &follow), groove.late(5)), (40, 0.0));
    }
}
