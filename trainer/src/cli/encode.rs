//! Command `continuo-trainer encode`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use continuo_cli::{Force, one_result_on_standard_output, report};
use continuo_files::{Output, ScratchFolder};
use continuo_trainer::data::encode::{EncodeOptions, EncodeOutcome, Merge, by_style};
use continuo_trainer::data::file_kinds::{CORPUS, SKIPPED, SKIPPED_COLUMNS};

use super::encoding::{self, SongSelection};

/// Encode folders of MIDI files into one corpus file.
///
/// Files are searched recursively and encoded in parallel. Broken and empty files, songs of
/// fewer than 16 or more than 100,000 notes, and duplicates (also in another key or at another
/// tempo) are left out; the command prints their numbers by reason, and FILE.skipped.tsv lists
/// each of them. Versions of one piece are all held out or all not. Drums are left out unless
/// the vocabulary has parts, and notes end where their keys are released, unless --pedal is given. The same command resumes an interrupted encoding.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folders of MIDI files (.mid, .midi, .kar, .rmi). Each subfolder is a style of its own, and
    /// `train` balances styles.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Corpus to write; `-` writes it to standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Vocabulary: continuo (with velocity, 12 steps a beat), band (the same with the parts keys,
    /// lead, chords, bass and drums) or midigen.
    #[arg(long, default_value = "continuo")]
    preset: String,
    /// A vocabulary.json instead of a preset: with merged tokens from `vocab`, or of a model.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    vocabulary: Option<PathBuf>,
    /// Encode each keyboard solo a second time, divided into parts: its top line as the lead, its
    /// lowest notes as the bass, the rest as the chords; of half of them only the lead or the bass leaves
    /// the keys. Needs a vocabulary with parts.
    #[arg(long)]
    divide: bool,
    /// Encode each song of several parts as one keyboard part, without its drums: besides the song
    /// itself (also, the default), or instead of it (only). Needs a vocabulary with parts.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "also")]
    merge: Option<Merge>,
    /// Encode each song without drums once more, with a drum track from this folder laid under it, of
    /// those with the song's time signature; a keyboard solo divided, with --divide. Needs a vocabulary
    /// with parts. May be given several times.
    #[arg(long, value_name = "FOLDER")]
    grooves: Vec<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SongSelection,
    #[command(flatten)]
    force: Force,
}

/// Runs the command.
///
/// # Errors
/// An input cannot be read or does not fit, or the output cannot be written.
pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let output = Output::check(&a.output, &CORPUS, a.force.replace())?;
    one_result_on_standard_output(a.json, &output, "the corpus")?;
    let list = list(a, &output)?;
    let vocabulary = match &a.vocabulary {
        Some(path) => encoding::vocabulary(path)?,
        None => encoding::preset(&a.preset)?,
    };
    for (given, option) in [
        (a.divide, "--divide"),
        (a.merge.is_some(), "--merge"),
        (!a.grooves.is_empty(), "--grooves"),
    ] {
        ensure!(
            !given || vocabulary.has_parts(),
            "{option}: the vocabulary has no parts; encode with --preset band"
        );
    }
    // A corpus is complete before its first byte enters a pipe.
    let scratch = match output.target() {
        Some(_) => None,
        None => Some(ScratchFolder::within(&std::env::temp_dir()).context("no scratch folder")?),
    };
    let scratch_file = scratch.as_ref().map(|s| s.path().join("songs.corpus"));
    let options = EncodeOptions {
        folders: &a.folders,
        output: scratch_file.as_deref().unwrap_or(&a.output),
        replace: a.force.replace(),
        vocabulary,
        divide: a.divide,
        merge: a.merge,
        grooves: &a.grooves,
        reading: a.selection.reading(),
        split: a.selection.split()?,
    };
    let start = std::time::Instant::now();
    let outcome = encoding::encode(&options)?;
    if let Some(file) = &scratch_file {
        send(file, &output)?;
    }
    let listed = match &list {
        Some(list) => list_skipped(list, &outcome)?,
        None => false,
    };
    let list = list.filter(|_| listed);
    let seconds = start.elapsed().as_secs_f64();
    let text = match a.json {
        true => as_json(&outcome)?,
        false => table(&output, &outcome, seconds, list),
    };
    report(&output, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Copies a corpus into a pipe.
fn send(corpus: &Path, output: &Output) -> anyhow::Result<()> {
    let mut draft = output.begin()?;
    let mut file = File::open(corpus)?;
    io::copy(&mut file, &mut draft).with_context(|| output.name())?;
    Ok(draft.finish()?)
}

/// FILE.skipped.tsv; `None` if the corpus is no file.
fn list(a: &Arguments, output: &Output) -> anyhow::Result<Option<Output>> {
    if output.target().is_none() {
        return Ok(None);
    }
    let mut name = a.output.clone().into_os_string();
    name.push(".skipped.tsv");
    Ok(Some(Output::check(
        Path::new(&name),
        &SKIPPED,
        a.force.replace(),
    )?))
}

/// Writes FILE.skipped.tsv, or removes an old one; whether it lists any file.
fn list_skipped(list: &Output, outcome: &EncodeOutcome) -> anyhow::Result<bool> {
    if outcome.skipped.is_empty() {
        // The list of an earlier run is wrong now; its kind was checked.
        if let Some(path) = list.target().filter(|path| path.exists()) {
            std::fs::remove_file(path).with_context(|| path.display().to_string())?;
        }
        return Ok(false);
    }
    let mut text = String::from(SKIPPED_COLUMNS);
    for s in &outcome.skipped {
        let path = s.path.to_string_lossy();
        text += &format!("{}\t{}\t{}\n", field(&path), s.reason, field(&s.detail));
    }
    list.write(text.as_bytes())?;
    Ok(true)
}

/// A field of the table: tabs and line ends are separators there.
fn field(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

fn as_json(outcome: &EncodeOutcome) -> anyhow::Result<String> {
    let songs = &outcome.songs;
    let sum =
        |f: fn(&continuo_trainer::data::corpus::Song) -> u64| songs.iter().map(f).sum::<u64>();
    let json = serde_json::json!({
        "songs": songs.len(),
        "held_out": songs.iter().filter(|s| s.held_out).count(),
        "tokens": sum(|s| s.tokens),
        "notes": sum(|s| s.notes),
        "skipped": outcome.skipped_by_reason(),
    });
    Ok(serde_json::to_string_pretty(&json)? + "\n")
}

fn table(output: &Output, outcome: &EncodeOutcome, seconds: f64, list: Option<Output>) -> String {
    let mut text = String::new();
    text += &format!(
        "{:<24} {:>8} {:>9} {:>12} {:>12}\n",
        "style", "songs", "held out", "tokens", "notes"
    );
    let mut all = [0; 4];
    for (style, counts) in by_style(&outcome.songs) {
        text += &format!(
            "{style:<24} {:>8} {:>9} {:>12} {:>12}\n",
            counts[0], counts[1], counts[2], counts[3]
        );
        all.iter_mut().zip(counts).for_each(|(a, b)| *a += b);
    }
    text += &format!(
        "{:<24} {:>8} {:>9} {:>12} {:>12}\n",
        "all", all[0], all[1], all[2], all[3]
    );
    for (reason, count) in outcome.skipped_by_reason() {
        text += &format!("skipped: {count} {reason}\n");
    }
    if let Some(list) = list {
        text += &format!("each skipped file: {}\n", list.name());
    }
    if all[0] > 0 && all[1] == 0 {
        text += "no song is held out, so the loss on held-out songs cannot be measured; encode with a \
                 larger --held-out, or with another --seed\n";
    }
    if outcome.resumed > 0 {
        text += &format!("{} files had been done before\n", outcome.resumed);
    }
    let files = outcome.songs.len() + outcome.skipped.len() - outcome.resumed;
    text += &format!(
        "{}: {files} files in {seconds:.1} s, {:.0} files/s\n",
        output.name(),
        files as f64 / seconds.max(1e-3)
    );
    text
}
