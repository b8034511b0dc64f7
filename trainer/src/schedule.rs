//! How long to train, and how fast to learn when.

use serde::{Deserialize, Serialize};

use crate::config::Recipe;

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// So many steps.
    Steps(u64),
    /// So many minutes in steps: time spent saving, or not running at all, does not count.
    Minutes(f64),
}

/// The learning rate never falls below this share of its peak.
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

impl Recipe {
    /// The learning rate when `spent` of the budget is spent: a linear warm-up, then half a
    /// cosine down.
    pub fn rate(&self, spent: f64) -> f64 {
        if spent < self.warm_up {
            // Not quite zero at the first step.
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
    use crate::config::Without;
    use crate::model::Precision;

    #[test]
    fn rises_then_falls() {
        let recipe = Recipe {
            segment: 1,
            lanes: 1,
            group: 1,
            accumulate: 1,
            learning_rate: 1.0,
            weight_decay: 0.0,
            warm_up: 0.1,
            clip: 1.0,
            precision: Precision::F32,
            dropout: 0.0,
            recall_rate: 1.0,
            without: Without::default(),
            recompute: false,
        };
        assert!(recipe.rate(0.0) > 0.0 && recipe.rate(0.0) < 0.02);
        assert!((recipe.rate(0.05) - 0.5).abs() < 1e-9);
        assert!((recipe.rate(0.1) - 1.0).abs() < 1e-9);
        assert!((recipe.rate(1.0) - FLOOR).abs() < 1e-9);
        assert_eq!(Budget::Steps(10).spent(5, 1e9), 0.5);
        assert_eq!(Budget::Minutes(2.0).spent(0, 60.0), 0.5);
        assert_eq!(Budget::Minutes(2.0).spent(0, 600.0), 1.0);
    }
}
