//! Command `continuo-trainer vocab`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use continuo_cli::{Force, Progress, number, one_result_on_standard_output, print, report};
use continuo_files::{Output, Replace, ScratchFolder};
use continuo_score::Vocabulary;
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::data::file_kinds::VOCABULARY;
use continuo_trainer::data::{encode, merges};

use super::encoding::{self, SongSelection};

/// Learn merged tokens: a vocabulary for `encode --vocabulary`.
///
/// Byte-pair encoding finds the most frequent pairs of adjacent tokens, also across steps and
/// bars, and makes each pair one token, until the vocabulary has --ids ids. It does not learn from
/// held-out songs; their figures are printed separately.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Corpus made by `encode`, or folders of MIDI files.
    #[arg(required = true, value_name = "FOLDER|CORPUS")]
    songs: Vec<PathBuf>,
    /// Number of ids, base tokens and merged tokens together.
    #[arg(long, value_name = "N", value_parser = number(1usize, 65_535))]
    ids: usize,
    /// Vocabulary to write, as JSON.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Base vocabulary for folders: continuo, band or midigen. A corpus has its own.
    #[arg(long, default_value = "continuo")]
    preset: String,
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
    let output = Output::check(&a.output, &VOCABULARY, a.force.replace())?;
    one_result_on_standard_output(a.json, &output, "the vocabulary")?;
    // Variables are dropped in reverse order: the mapped corpus before its folder.
    let (_scratch, corpus) = corpus(a, &output)?;
    let started = Instant::now();
    let progress = Progress::spinner(&format!(
        "learning {} ids from {} songs",
        a.ids,
        corpus.songs.len()
    ));
    let learnt = merges::learn(&corpus, a.ids, |left| progress.expect(left))?;
    drop(progress);
    let seconds = started.elapsed().as_secs_f64();
    output.write((learnt.to_json() + "\n").as_bytes())?;

    let progress = Progress::new("measuring", "songs", corpus.songs.len() as u64);
    let measure = |held_out| counts(&corpus, &learnt, held_out, &progress);
    let [training, held_out] = [false, true].map(measure);
    drop(progress);
    let longest = (0..learnt.size() as u16)
        .map(|id| learnt.expand(id).len())
        .max();
    let longest = longest.unwrap_or(1);
    let a_note = |tokens: u64, notes: u64| tokens as f64 / notes.max(1) as f64;
    if a.json {
        let part = |[songs, notes, base, merged]: [u64; 4]| {
            serde_json::json!({
                "songs": songs, "notes": notes, "base_tokens": base, "tokens": merged,
                "base_tokens_per_note": a_note(base, notes), "tokens_per_note": a_note(merged, notes),
            })
        };
        let json = serde_json::json!({
            "ids": learnt.size(), "merges": learnt.merges().len(),
            "longest_merged_token": longest, "seconds": seconds,
            "training": part(training), "held_out": part(held_out),
        });
        print(&(serde_json::to_string_pretty(&json)? + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!(
        "{:<10} {:>8} {:>12} {:>20} {:>20}\n",
        "", "songs", "notes", "base tokens/note", "tokens/note"
    );
    for (name, [songs, notes, base, merged]) in [("training", training), ("held out", held_out)] {
        let (base, merged) = (a_note(base, notes), a_note(merged, notes));
        text += &format!("{name:<10} {songs:>8} {notes:>12} {base:>20.3} {merged:>20.3}\n");
    }
    text += &format!(
        "{}: {} ids, the longest of {longest} base tokens, learnt in {seconds:.1} s\n",
        output.name(),
        learnt.size(),
    );
    report(&output, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The given corpus, or a new one of the given folders and its scratch folder.
fn corpus(a: &Arguments, output: &Output) -> anyhow::Result<(Option<ScratchFolder>, Corpus)> {
    if let [file] = &a.songs[..]
        && !file.is_dir()
    {
        return Ok((None, Corpus::open(file)?));
    }
    // Beside the output, where space is likely; a pipe has no folder.
    let folder = output.target().and_then(Path::parent);
    let folder = match folder {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        Some(folder) => folder.to_path_buf(),
        None => std::env::temp_dir(),
    };
    let scratch = ScratchFolder::within(&folder).with_context(|| folder.display().to_string())?;
    let path = scratch.path().join("songs.corpus");
    let options = encode::EncodeOptions {
        folders: &a.songs,
        output: &path,
        replace: Replace::SameKind,
        vocabulary: encoding::preset(&a.preset)?,
        divide: false,
        merge: None,
        grooves: &[],
        reading: a.selection.reading(),
        split: a.selection.split()?,
    };
    encoding::encode(&options).with_context(|| {
        let folder = folder.display();
        format!("cannot encode the songs into a temporary corpus in {folder}")
    })?;
    let corpus = Corpus::open(&path)?;
    Ok((Some(scratch), corpus))
}

/// Songs, notes, base tokens and tokens of the held-out songs, or of the others.
fn counts(
    corpus: &Corpus,
    vocabulary: &Vocabulary,
    held_out: bool,
    progress: &Progress,
) -> [u64; 4] {
    let mut counts = [0; 4];
    for (song, info) in corpus.songs.iter().enumerate() {
        if info.held_out == held_out {
            let base = merges::base_ids(corpus, song);
            let tokens = base.len() as u64;
            let merged = vocabulary.merge(base).len() as u64;
            let more = [1, info.notes, tokens, merged];
            counts.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
            progress.add(1);
        }
    }
    counts
}
