//! The health report that the plugin writes to the file in `CONTINUO_REPORT` when it is deactivated.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The report. Most fields are empty if the plugin has never loaded a model.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HealthReport {
    /// Name of the model.
    pub model: Option<String>,
    /// Variant of the model.
    pub variant: Option<String>,
    /// Device that ran the model.
    pub device: Option<String>,
    /// Number of tokens decoded.
    pub tokens: u64,
    /// Median time per token in milliseconds.
    pub ms_per_token_median: Option<f64>,
    /// 95th percentile of the time per token in milliseconds.
    pub ms_per_token_p95: Option<f64>,
    /// Number of input notes.
    pub heard: u64,
    /// Number of generated notes.
    pub played: u64,
    /// Number of notes that started late.
    pub late: u64,
    /// Number of notes dropped because they were too late.
    pub dropped: u64,
    /// Number of messages lost because a ring buffer was full.
    pub overflow: u64,
    /// The problem, if any; may be empty.
    pub problem: Option<String>,
}

impl HealthReport {
    /// Reads the report at `path`.
    ///
    /// # Errors
    ///
    /// Fails when there is no file or it is no report.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the plugin wrote no report to {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("the plugin's report at {} is malformed", path.display()))
    }

    /// The problem, if there is one.
    pub fn problem(&self) -> Option<&str> {
        self.problem
            .as_deref()
            .filter(|problem| !problem.is_empty())
    }
}
