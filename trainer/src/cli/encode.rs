//! `continuo-trainer encode`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use continuo_score::Vocabulary;
use continuo_trainer::encode::{Options, Outcome, by_style};

use super::folders;

/// Encode folders of MIDI files into one corpus file.
///
/// Files are searched recursively and encoded in parallel. Broken and empty files, songs of
/// fewer than 16 or more than 100,000 notes and duplicates (also in another key or at another
/// tempo) are left out; how many and why is told at the end, and each of them is listed in
/// FILE.skipped.tsv. Versions of one piece are all kept apart or all not. Drums (channel 10)
/// are left out. An encoding that was interrupted goes on where it was when the same command
/// is given again.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folders of MIDI files (.mid, .midi, .kar, .rmi). Files in different subfolders count as different
    /// styles, which `train` balances.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// The corpus to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The vocabulary: continuo (with velocity, 12 steps a beat) or midigen.
    #[arg(long, default_value = "continuo")]
    preset: String,
    /// A vocabulary.json in place of a preset: one with merged tokens, made by `vocab`, or a
    /// model's.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    vocabulary: Option<PathBuf>,
    /// Share of songs kept apart for `eval`.
    #[arg(long, default_value_t = 0.03, value_name = "SHARE")]
    held_out: f64,
    /// Decides which songs those are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let vocabulary = match &a.vocabulary {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Vocabulary::from_json(&text).with_context(|| path.display().to_string())?
        }
        None => folders::preset(&a.preset)?,
    };
    let options = Options {
        folders: &a.folders,
        output: &a.output,
        vocabulary,
        held_out: a.held_out,
        seed: a.seed,
    };
    let start = std::time::Instant::now();
    let outcome = folders::encode(&options)?;
    let list = list_skipped(a, &outcome)?;
    if a.json {
        print_json(&outcome)?;
    } else {
        print_table(a, &outcome, start.elapsed().as_secs_f64(), list);
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes FILE.skipped.tsv, if there is anything to say.
fn list_skipped(a: &Arguments, outcome: &Outcome) -> anyhow::Result<Option<PathBuf>> {
    let mut name = a.output.clone().into_os_string();
    name.push(".skipped.tsv");
    let path = PathBuf::from(name);
    if outcome.skipped.is_empty() {
        // What an earlier run left would be untrue now.
        if path.exists() {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
        return Ok(None);
    }
    let mut text = String::from("file\treason\tdetail\n");
    for s in &outcome.skipped {
        text += &format!(
            "{}\t{}\t{}\n",
            s.path.display(),
            s.reason,
            s.detail.replace('\n', " ")
        );
    }
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(Some(path))
}

fn print_json(outcome: &Outcome) -> anyhow::Result<()> {
    let songs = &outcome.songs;
    let sum = |f: fn(&continuo_trainer::corpus::Song) -> u64| songs.iter().map(f).sum::<u64>();
    let json = serde_json::json!({
        "songs": songs.len(),
        "held_out": songs.iter().filter(|s| s.held_out).count(),
        "tokens": sum(|s| s.tokens),
        "notes": sum(|s| s.notes),
        "skipped": outcome.skipped_by_reason(),
    });
    println!("{}", serde_json::to_string_pretty(&json)?);
    Ok(())
}

fn print_table(a: &Arguments, outcome: &Outcome, seconds: f64, list: Option<PathBuf>) {
    println!(
        "{:<24} {:>8} {:>9} {:>12} {:>12}",
        "style", "songs", "held out", "tokens", "notes"
    );
    let mut all = [0; 4];
    for (style, counts) in by_style(&outcome.songs) {
        println!(
            "{style:<24} {:>8} {:>9} {:>12} {:>12}",
            counts[0], counts[1], counts[2], counts[3]
        );
        all.iter_mut().zip(counts).for_each(|(a, b)| *a += b);
    }
    println!(
        "{:<24} {:>8} {:>9} {:>12} {:>12}",
        "all", all[0], all[1], all[2], all[3]
    );
    for (reason, count) in outcome.skipped_by_reason() {
        println!("skipped: {count} {reason}");
    }
    if let Some(list) = list {
        println!("each skipped file: {}", list.display());
    }
    if outcome.resumed > 0 {
        println!("{} files had been done before", outcome.resumed);
    }
    let files = outcome.songs.len() + outcome.skipped.len() - outcome.resumed;
    println!(
        "{}: {files} files in {seconds:.1} s, {:.0} files/s",
        a.output.display(),
        files as f64 / seconds.max(1e-3)
    );
}
