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

impl TrainConfig {
    /// Learning rate at the share `spent` of the budget, 0 to 1: a linear warm-up, then half a
    /// cosine down.
    pub fn rate(&self, spent: f64) -> f64 {
        if spent < self.warm_up {
            // The first step must not be without effect.
            return self.learning_rate * (spent / self.warm_up).max(0.01);
        }
        let through = (spent - self.warm_up) / (1.0 - self.warm_up).max(1e-9);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * through.min(1.0)).cos());
        self.learning_rate * (FLOOR + (1.0 - FLOOR) * cosine)
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
        assert_eq!(Budget::Steps(10).spent(5, 1e9), 0.5);
        assert_eq!(Budget::Minutes(2.0).spent(0, 60.0), 0.5);
        assert_eq!(Budget::Minutes(2.0).spent(0, 600.0), 1.0);
    }
}
