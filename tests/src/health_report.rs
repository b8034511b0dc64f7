//! The health report that the plugin writes to the file named by `CONTINUO_REPORT` when it is
//! deactivated.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The report. A plugin that never loaded a model leaves most of it empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HealthReport {
    /// The model's name.
    pub model: Option<String>,
    /// Which of its variants.
    pub variant: Option<String>,
    /// What it ran on.
    pub device: Option<String>,
    /// Tokens decoded.
    pub tokens: u64,
    /// Time to decode a token, the median, in milliseconds.
    pub ms_per_token_median: Option<f64>,
    /// The time that 95 of 100 tokens stayed within, in milliseconds.
    pub ms_per_token_p95: Option<f64>,
    /// Notes heard.
    pub heard: u64,
    /// Notes played.
    pub played: u64,
    /// Notes that started late.
    pub late: u64,
    /// Notes that came too late to be played.
    pub dropped: u64,
    /// Messages lost because a ring was full.
    pub overflow: u64,
    /// What went wrong, if anything did.
    pub problem: Option<String>,
}

impl HealthReport {
    /// Reads the report at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the plugin wrote no report to {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("the plugin's report at {} is broken", path.display()))
    }

    /// What went wrong, if anything did.
    pub fn problem(&self) -> Option<&str> {
        self.problem
            .as_deref()
            .filter(|problem| !problem.is_empty())
    }
}
