//! What `encode` and `vocab` share: folders of songs become a corpus.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use continuo_score::Vocabulary;
use continuo_trainer::encode::{self, Options, Outcome};
use indicatif::{ProgressBar, ProgressStyle};

/// The base tokens named on the command line.
pub(super) fn preset(name: &str) -> anyhow::Result<Vocabulary> {
    let none = || format!("--preset {name}: no such vocabulary (continuo, midigen)");
    Vocabulary::preset(name).with_context(none)
}

/// Encodes, and shows how far it is.
pub(super) fn encode(options: &Options<'_>) -> anyhow::Result<Outcome> {
    let share = options.held_out;
    if !(0.0..1.0).contains(&share) {
        bail!("--held-out {share}: a share is at least 0 and below 1");
    }
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} files  {per_sec}  {eta} to go",
    )?);
    let begun = AtomicBool::new(false);
    let outcome = encode::encode(options, |done, all| {
        bar.set_length(all as u64);
        // What an earlier run had done says nothing about the speed of this one.
        if !begun.swap(true, Ordering::Relaxed) {
            bar.set_position(done as u64);
            bar.reset_eta();
        }
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok(outcome?)
}
