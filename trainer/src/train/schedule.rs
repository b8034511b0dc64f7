//! Budget of a training, and the learning rate along it.
//!
//! `burn`'s schedulers count steps; here the rate depends on the share of the budget that is
//! spent, which may be minutes.

use serde::{Deserialize, Serialize};

use crate::train::config::TrainConfig;

/// Length of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Number of steps.
    Steps(u64),
    /// Minutes spent in steps: time for saving, or between two runs, does not count.
    Minutes(f64),
}

/// Smallest learning rate, as a share of its peak.
const FLOOR: f64 = 0.02;
/// Share of the budget, after the warm-up, with a falling learning rate in [`Schedule::Wsd`].
const DECAY: f64 = 0.25;

impl Budget {
    /// The share of the budget spent, 0 to 1.
    pub fn spent(self, steps: u64, seconds: f64) -> f64 {
        let spent = match self {
            Budget::Steps(all) => steps as f64 / all.max(1) as f64,
            Budget::Minutes(all) => seconds / (60.0 * all).max(1e-9),
        };
        spent.clamp(0.0, 1.0)
    }
}

/// Course of the learning rate after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a cosine down, as in every checkpoint that names no schedule.
    #[default]
    Cosine,
    /// At its peak, and linearly down at the end (warm-up, stable, decay). The state before the
    /// end does not depend on the budget: a training can go on from it with a longer one.
    Wsd,
}

impl Schedule {
    pub(super) fn is_cosine(&self) -> bool {
        *self == Self::Cosine
    }

    /// Share of the peak, 1 to 0, at the share `through` of the budget after the warm-up.
    fn at(self, through: f64) -> f64 {
        match self {
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * through).cos()),
            Self::Wsd => ((1.0 - through) / DECAY).min(1.0),
        }
    }
}

impl TrainConfig {
    /// Learning rate at the share `spent` of the budget, 0 to 1: a linear warm-up, then the
    /// schedule.
    pub fn rate(&self, spent: f64) -> f64 {
        if spent < self.warm_up {
            // The first step must not be without effect.
            return self.learning_rate * (spent / self.warm_up).max(0.01);
        }
        let through = (spent - self.warm_up) / (1.0 - self.warm_up).max(1e-9);
        let share = self.schedule.at(through.min(1.0));
        self.learning_rate * (FLOOR + (1.0 - FLOOR) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::preset;
    use continuo_score::Vocabulary;

    #[test]
    fn learning_rate_rises_then_falls() {
        let vocabulary = Vocabulary::preset("continuo").expect("a preset");
        let (_, tiny) = preset("tiny", &vocabulary).expect("a preset");
        let config = TrainConfig {
            learning_rate: 1.0,
            warm_up: 0.1,
            ..tiny
        };
        assert!(config.rate(0.0) > 0.0 && config.rate(0.0) < 0.02);
        assert!((config.rate(0.05) - 0.5).abs() < 1e-9);
        assert!((config.rate(0.1) - 1.0).abs() < 1e-9);
        assert!((config.rate(1.0) - FLOOR).abs() < 1e-9);
        let config = TrainConfig {
            schedule: Schedule::Wsd,
            ..config
        };
        for stable in [0.1, 0.5, 0.77] {
            assert_eq!(config.rate(stable), 1.0, "{stable}");
        }
        // Half-way through the last quarter of what follows the warm-up.
        assert!((config.rate(0.8875) - (FLOOR + (1.0 - FLOOR) * 0.5)).abs() < 1e-9);
        assert!((config.rate(1.0) - FLOOR).abs() < 1e-9);
        assert_eq!(Budget::Steps(10).spent(5, 1e9), 0.5);
        assert_eq!(Budget::Minutes(2.0).spent(0, 60.0), 0.5);
        assert_eq!(Budget::Minutes(2.0).spent(0, 600.0), 1.0);
    }
}
