//! What an instance did, as a small JSON file: written by the composer thread where the
//! environment variable asks for it, read by the demo and the tests.

use std::path::Path;
use std::sync::atomic::Ordering;

use continuo_files::{Output, Replace, kind};
use serde::Serialize;

use crate::snapshot::Health;
use crate::shared::Counters;

/// The file to write. Every instance of the process writes the same one; the last wins.
pub const REPORT_VARIABLE: &str = "CONTINUO_REPORT";

/// What an instance did since it was made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The model's name.
    pub model: Option<String>,
    /// Which of its variants ran.
    pub variant: Option<String>,
    /// On what.
    pub device: Option<String>,
    /// Tokens sampled.
    pub tokens: u64,
    /// Median time of one, in milliseconds.
    pub ms_per_token_median: Option<f32>,
    /// Time 95 of 100 stayed within.
    pub ms_per_token_p95: Option<f32>,
    /// Notes heard while the transport ran.
    pub heard: u64,
    /// Generated notes sent.
    pub played: u64,
    /// Generated notes started late and shortened.
    pub late: u64,
    /// Generated notes not sent.
    pub dropped: u64,
    /// Generated notes made void by a cut before their time.
    pub early: u64,
    /// Messages lost because a ring was full.
    pub overflow: u64,
    /// Whether the system gave the composer thread more than normal priority.
    pub raised: bool,
    /// What went wrong, if anything.
    pub problem: Option<String>,
}

impl Report {
    /// Fills in what the audio thread counted.
    pub fn count(&mut self, counters: &Counters) {
        let mut health = Health::default();
        counters.show(&mut health);
        (self.heard, self.played) = (health.heard, health.played);
        (self.late, self.dropped, self.early) = (health.late, health.dropped, health.early);
        self.overflow = health.overflow;
        let gave_up = counters.gave_up.load(Ordering::Relaxed);
        if gave_up > 0 && self.problem.is_none() {
            self.problem = Some(format!(
                "the composer did not answer for {gave_up} offline blocks"
            ));
        }
    }

    /// Writes the file, all at once, so that nobody reads half of it. Composer thread.
    ///
    /// # Errors
    /// When something other than a report is there, or the system refuses.
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
    use super::*;

    #[test]
    fn absent_values_are_null() {
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
