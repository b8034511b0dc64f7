//! The health report of an instance: a small JSON file, written by the composer thread where the
//! environment variable asks for it, read by the demo and the tests.

use std::path::Path;

use continuo_files::{Output, Replace, kind};
use serde::Serialize;

use crate::counters::{CounterValues, Counters};

/// Environment variable with the path of the file. All instances of a process write the same file; the
/// last one stays.
pub const REPORT_VARIABLE: &str = "CONTINUO_REPORT";

/// Model, timing and counters of an instance since it was made. Composer thread.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HealthReport {
    /// The model's name.
    pub model: Option<String>,
    /// The variant in use.
    pub variant: Option<String>,
    /// The device in use.
    pub device: Option<String>,
    /// Number of tokens sampled.
    pub tokens: u64,
    /// Median time of a token, in milliseconds.
    pub ms_per_token_median: Option<f32>,
    /// 95th percentile of the time of a token, in milliseconds.
    pub ms_per_token_p95: Option<f32>,
    /// Event counters of the audio thread.
    #[serde(flatten)]
    pub counters: CounterValues,
    /// Whether the system gave the composer thread more than normal priority.
    pub raised: bool,
    /// The first problem.
    pub problem: Option<String>,
}

impl HealthReport {
    /// Fills in the audio thread's counters.
    pub fn count(&mut self, counters: &Counters) {
        self.counters = counters.values();
        let timeouts = self.counters.offline_timeouts;
        if timeouts > 0 && self.problem.is_none() {
            self.problem = Some(format!(
                "the composer did not answer for {timeouts} offline blocks"
            ));
        }
    }

    /// Replaces the file as a whole, so that no reader sees half of it. Composer thread.
    ///
    /// # Errors
    /// Where another kind of file is in its place, or the system refuses.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let output = Output::check(path, &kind::JSON, Replace::SameKind);
        output
            .and_then(|output| output.write(text.as_bytes()))
            .map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn report_has_counters_beside_its_fields_and_null_for_absent_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let mut report = HealthReport::default();
        let counters = Counters::default();
        counters.heard.store(3, Ordering::Relaxed);
        counters.played.store(7, Ordering::Relaxed);
        report.count(&counters);
        report.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (json["heard"].as_u64(), json["played"].as_u64()),
            (Some(3), Some(7))
        );
        assert!(json["problem"].is_null() && json["model"].is_null());
    }
}
