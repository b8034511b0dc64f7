//! Encoding for the commands `encode` and `vocab`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use continuo_cli::{PedalOption, Progress, at_least, note, number};
use continuo_files::{MOST_BYTES, read_text};
use continuo_score::Vocabulary;
use continuo_score::midi::{Pedal, ReadOptions};
use continuo_trainer::data::encode::{self, EncodeOptions, EncodeOutcome};

/// Largest share of held-out songs: below 1, so that training songs remain.
const MOST_HELD_OUT: f64 = 0.999999;

/// Vocabulary preset of a name.
///
/// # Errors
/// There is no such preset.
pub(super) fn preset(name: &str) -> anyhow::Result<Vocabulary> {
    let none = || format!("--preset {name}: no such vocabulary (continuo, band, midigen)");
    Vocabulary::preset(name).with_context(none)
}

/// Vocabulary in a file or from standard input (`-`).
///
/// # Errors
/// The file cannot be read or is no vocabulary.
pub(super) fn vocabulary(path: &Path) -> anyhow::Result<Vocabulary> {
    let text = read_text(path, MOST_BYTES)?;
    Vocabulary::from_json(&text).with_context(|| path.display().to_string())
}

/// Options that select held-out songs and what is read of files.
#[derive(clap::Args)]
pub(super) struct SongSelection {
    /// Share of the folders' songs that are held out for `eval`, 0 to 1. `encode` and `vocab` with
    /// the same share and seed hold out the same songs.
    #[arg(long, default_value_t = 0.03, value_name = "SHARE", value_parser = number(0.0, MOST_HELD_OUT))]
    pub(super) held_out: f64,
    /// Seed that selects the held-out songs.
    #[arg(long, default_value_t = 1, value_parser = at_least(0u64))]
    pub(super) seed: u64,
    #[command(flatten)]
    pedal: PedalOption,
}

impl SongSelection {
    /// Options of reading files: without the pedal by default.
    pub(super) fn reading(&self) -> ReadOptions {
        let pedal = Pedal::from(self.pedal.is_on_or(false));
        ReadOptions { pedal }
    }
}

/// Encodes with a progress bar, and prints what was left out of the folders.
///
/// # Errors
/// The encoding fails.
pub(super) fn encode(options: &EncodeOptions<'_>) -> anyhow::Result<EncodeOutcome> {
    let progress = Progress::new("encoding", "files", 0);
    let begun = AtomicBool::new(false);
    let outcome = encode::encode(options, |done, all| {
        let (done, all) = (done as u64, all as u64);
        // Files of an earlier run do not count for the speed of this one.
        match begun.swap(true, Ordering::Relaxed) {
            false => progress.begin_at(done, all),
            true => progress.set(done, all),
        }
    })?;
    drop(progress);
    for line in &outcome.left_out {
        note(format_args!("continuo-trainer: {line}"));
    }
    Ok(outcome)
}
