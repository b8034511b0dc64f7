//! `continuo-trainer eval`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use burn::tensor::Device;
use continuo_trainer::checkpoint::Checkpoint;
use continuo_trainer::corpus::Corpus;
use continuo_trainer::eval::{self, Evaluation, Measure};
use indicatif::{ProgressBar, ProgressStyle};

/// Measure a checkpoint on the corpus's held-out songs.
///
/// Prints nats per token and per note, by style, against two baselines: every token as likely
/// as it is in the training songs (unigram), and all tokens alike (uniform). Songs are read
/// from their first note to their last with the memory a player has.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A training's folder (its newest checkpoint is measured), or one checkpoint step-….
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// The corpus, made by `encode`.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// Print the result as JSON, as `export --held-out-json` reads it.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let checkpoint = Checkpoint::open(&a.checkpoint)?;
    let corpus = Corpus::open(&a.corpus)?;
    corpus
        .fits(&checkpoint.vocabulary, &checkpoint.config.shape.sizes)
        .map_err(anyhow::Error::msg)?;
    let model = checkpoint.model(&Device::flex())?;
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} tokens  {per_sec}  {eta} to go",
    )?);
    let evaluation = eval::evaluate(&model, &corpus, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let Some(evaluation) = evaluation else {
        bail!(
            "{}: no held-out songs to measure on; encode with --held-out 0.03 or more",
            a.corpus.display()
        );
    };
    if a.json {
        println!("{}", serde_json::to_string_pretty(&evaluation)?);
    } else {
        println!("{}", checkpoint.path.display());
        print(&evaluation);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(evaluation: &Evaluation) {
    println!(
        "{:<24} {:>6} {:>9} {:>8}   {:^24}   {:^24}",
        "", "", "", "", "nats per token", "nats per note"
    );
    println!(
        "{:<24} {:>6} {:>9} {:>8}   {:>7} {:>8} {:>7}   {:>7} {:>8} {:>7}",
        "style",
        "songs",
        "tokens",
        "notes",
        "model",
        "unigram",
        "uniform",
        "model",
        "unigram",
        "uniform"
    );
    let line = |name: &str, m: &Measure| {
        let sums = [m.nats, m.unigram_nats, m.uniform_nats];
        let [t, n] = [sums.map(|s| m.per_token(s)), sums.map(|s| m.per_note(s))];
        println!(
            "{name:<24} {:>6} {:>9} {:>8}   {:>7.3} {:>8.3} {:>7.3}   {:>7.2} {:>8.2} {:>7.2}",
            m.songs, m.tokens, m.notes, t[0], t[1], t[2], n[0], n[1], n[2]
        );
    };
    for (style, measure) in &evaluation.styles {
        line(style, measure);
    }
    line("all", &evaluation.all);
    for (kind, k) in &evaluation.kinds {
        let mean = k.nats / k.tokens.max(1) as f64;
        println!(
            "  {kind:<22} {:>6} {:>9} {:>8}   {mean:>7.3}",
            "", k.tokens, ""
        );
    }
}
