//! What `encode` and `vocab` share: folders of songs become a corpus.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use continuo_cli::{PedalOption, Progress, note};
use continuo_files::{MOST_BYTES, read_text};
use continuo_score::Vocabulary;
use continuo_score::midi::{Pedal, Reading};
use continuo_trainer::encode::{self, Options, Outcome};

/// The highest share of songs held out: below 1, so that there is something to train on.
pub(super) const MOST_HELD_OUT: f64 = 0.999999;

/// The base tokens named on the command line.
pub(super) fn preset(name: &str) -> anyhow::Result<Vocabulary> {
    let none = || format!("--preset {name}: no such vocabulary (continuo, midigen)");
    Vocabulary::preset(name).with_context(none)
}

/// The vocabulary in a file, or of standard input (`-`).
pub(super) fn vocabulary(path: &Path) -> anyhow::Result<Vocabulary> {
    let text = read_text(path, MOST_BYTES)?;
    Vocabulary::from_json(&text).with_context(|| path.display().to_string())
}

/// How files are read: as keys, unless the pedal is asked for.
pub(super) fn reading(pedal: PedalOption) -> Reading {
    let pedal = Pedal::from(pedal.is_on_or(false));
    Reading { pedal }
}

/// Encodes, shows how far it is, and says what was left out of the folders.
pub(super) fn encode(options: &Options<'_>) -> anyhow::Result<Outcome> {
    let progress = Progress::new("encoding", "files", 0);
    let begun = AtomicBool::new(false);
    let outcome = encode::encode(options, |done, all| {
        let (done, all) = (done as u64, all as u64);
        // What an earlier run had done says nothing about the speed of this one.
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
