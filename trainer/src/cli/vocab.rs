//! `continuo-trainer vocab`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use continuo_score::Vocabulary;
use continuo_trainer::corpus::Corpus;
use continuo_trainer::files::Staged;
use continuo_trainer::{encode, vocab};
use indicatif::{ProgressBar, ProgressStyle};

use super::folders;

/// Learn merged tokens: a vocabulary for `encode --vocabulary`.
///
/// Byte-pair encoding finds the pairs of tokens that most often stand side by side, across
/// steps and bars too, and makes each one token, until there are as many ids as asked for.
/// Held-out songs are not learnt from, and measured apart.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A corpus made by `encode`, or folders of MIDI files.
    #[arg(required = true, value_name = "FOLDER|CORPUS")]
    songs: Vec<PathBuf>,
    /// Ids of the vocabulary, base tokens and merged ones together.
    #[arg(long, value_name = "N")]
    ids: usize,
    /// The vocabulary to write, as JSON.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The base tokens for folders: continuo or midigen. A corpus has its own.
    #[arg(long, default_value = "continuo")]
    preset: String,
    /// Share of songs of folders not learnt from; `encode` with the same share and seed holds
    /// out the same.
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
    // Dropped in this order's reverse: the file goes once nothing is mapped.
    let (_staged, corpus) = corpus(a)?;
    let begun = Instant::now();
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{spinner} {elapsed}  {msg}")?)
        .with_message(format!(
            "learning {} ids from {} songs",
            a.ids,
            corpus.songs.len()
        ));
    bar.enable_steady_tick(Duration::from_millis(200));
    let learnt = vocab::learn(&corpus, a.ids);
    bar.finish_and_clear();
    let learnt = learnt?;
    let seconds = begun.elapsed().as_secs_f64();
    write(&a.output, &learnt).with_context(|| a.output.display().to_string())?;

    let [training, held_out] = [false, true].map(|held_out| counts(&corpus, &learnt, held_out));
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
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        println!(
            "{:<10} {:>8} {:>12} {:>20} {:>20}",
            "", "songs", "notes", "base tokens/note", "tokens/note"
        );
        for (name, [songs, notes, base, merged]) in [("training", training), ("held out", held_out)]
        {
            let (base, merged) = (a_note(base, notes), a_note(merged, notes));
            println!("{name:<10} {songs:>8} {notes:>12} {base:>20.3} {merged:>20.3}");
        }
        println!(
            "{}: {} ids, the longest of {longest} base tokens, learnt in {seconds:.1} s",
            a.output.display(),
            learnt.size(),
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The corpus named, or one of the folders named, and the file that one is in meanwhile.
fn corpus(a: &Arguments) -> anyhow::Result<(Option<Staged>, Corpus)> {
    if let [file] = &a.songs[..]
        && file.is_file()
    {
        return Ok((None, Corpus::open(file)?));
    }
    // Removed when dropped, never put in its place.
    let staged = Staged::file(&a.output.with_extension("corpus"));
    let options = encode::Options {
        folders: &a.songs,
        output: staged.temporary(),
        vocabulary: folders::preset(&a.preset)?,
        held_out: a.held_out,
        seed: a.seed,
    };
    folders::encode(&options)?;
    let corpus = Corpus::open(staged.temporary())?;
    Ok((Some(staged), corpus))
}

fn write(path: &Path, vocabulary: &Vocabulary) -> std::io::Result<()> {
    let staged = Staged::file(path);
    std::fs::write(staged.temporary(), vocabulary.to_json() + "\n")?;
    staged.keep()
}

/// Songs, notes, base tokens and tokens of the songs held out, or of the others.
fn counts(corpus: &Corpus, vocabulary: &Vocabulary, held_out: bool) -> [u64; 4] {
    let mut counts = [0; 4];
    for (song, info) in corpus.songs.iter().enumerate() {
        if info.held_out == held_out {
            let base = vocab::base_ids(corpus, song);
            let tokens = base.len() as u64;
            let merged = vocabulary.merge(base).len() as u64;
            let more = [1, info.notes, tokens, merged];
            counts.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
        }
    }
    counts
}
