//! `continuo-trainer eval`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use burn::tensor::Device;
use continuo_cli::{Progress, print};
use continuo_trainer::checkpoint::Checkpoint;
use continuo_trainer::corpus::Corpus;
use continuo_trainer::eval::cells::{Cell, Sum};
use continuo_trainer::eval::{self, Evaluation, Measure};

/// Measure a checkpoint on the corpus's held-out songs.
///
/// Prints nats per token and per note, by style, against two baselines: every token as likely
/// as it is in the training songs (unigram), and all tokens alike (uniform). Songs are read
/// from their first note to their last with the memory a player has.
///
/// Then what each memory is worth: the same without the XL memory (a song falls into segments
/// of one window, and a token sees those of its own segment only), without the kNN memory (its
/// gate is shut: recall 0), and without both, by length of the pieces; what can be recalled is
/// the same with and without XL memory. Tokens a second are those of one core, on this
/// machine, at the time.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A training's folder (its newest checkpoint is measured), or one checkpoint step-….
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// The corpus, made by `encode`.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// Only with all memories: a quarter of the work.
    #[arg(long)]
    quick: bool,
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
    let progress = Progress::new("measuring", "tokens", 0);
    let evaluation = eval::evaluate(&model, &corpus, !a.quick, |done, all| {
        progress.set(done, all);
    });
    drop(progress);
    let Some(evaluation) = evaluation else {
        bail!(
            "{}: no held-out songs to measure on; encode with --held-out 0.03 or more",
            a.corpus.display()
        );
    };
    print(&match a.json {
        true => serde_json::to_string_pretty(&evaluation)? + "\n",
        false => format!("{}\n{}", checkpoint.path.display(), table(&evaluation)),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn table(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    text += &format!(
        "{:<24} {:>6} {:>9} {:>8}   {:^24}   {:^24}\n",
        "", "", "", "", "nats per token", "nats per note"
    );
    text += &format!(
        "{:<24} {:>6} {:>9} {:>8}   {:>7} {:>8} {:>7}   {:>7} {:>8} {:>7}\n",
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
    let line = |text: &mut String, name: &str, m: &Measure| {
        let sums = [m.nats, m.unigram_nats, m.uniform_nats];
        let [t, n] = [sums.map(|s| m.per_token(s)), sums.map(|s| m.per_note(s))];
        *text += &format!(
            "{name:<24} {:>6} {:>9} {:>8}   {:>7.3} {:>8.3} {:>7.3}   {:>7.2} {:>8.2} {:>7.2}\n",
            m.songs, m.tokens, m.notes, t[0], t[1], t[2], n[0], n[1], n[2]
        );
    };
    for (style, measure) in &evaluation.styles {
        line(&mut text, style, measure);
    }
    line(&mut text, "all", &evaluation.all);
    for (kind, k) in &evaluation.kinds {
        let mean = k.nats / k.tokens.max(1) as f64;
        text += &format!(
            "  {kind:<22} {:>6} {:>9} {:>8}   {mean:>7.3}\n",
            "", k.tokens, ""
        );
    }
    text + &cells(&evaluation.cells)
}

fn cells(cells: &[Cell]) -> String {
    let mut text = String::new();
    let Some(first) = cells.first() else {
        return text;
    };
    let on = |on| if on { "on" } else { "off" };
    let title = |c: &Cell| format!("XL {}, kNN {}", on(c.xl), on(c.knn));
    text += &format!(
        "\n{:<24} {:>6} {:>9}   nats per token | per note\n",
        "", "", ""
    );
    text += &format!("{:<24} {:>6} {:>9}", "piece", "songs", "tokens");
    for cell in cells {
        text += &format!("   {:>15}", title(cell));
    }
    text.push('\n');
    let line = |text: &mut String, name: &str, of: &Sum, sums: Vec<Sum>| {
        *text += &format!("{name:<24} {:>6} {:>9}", of.songs, of.tokens);
        for sum in sums {
            *text += &format!(
                "   {:>6.3} | {:>6.2}",
                sum.nats_per_token, sum.nats_per_note
            );
        }
        text.push('\n');
    };
    for (i, length) in first.lengths.iter().enumerate() {
        let name = match length.up_to {
            Some(most) => format!("up to {most} tokens"),
            None => "longer".to_owned(),
        };
        let sums = cells.iter().map(|c| c.lengths[i].songs).collect();
        line(&mut text, &name, &length.songs, sums);
    }
    line(
        &mut text,
        "all",
        &first.all,
        cells.iter().map(|c| c.all).collect(),
    );
    text += &format!("{:<41}", "tokens a second");
    for cell in cells {
        text += &format!("   {:>15.0}", cell.all.tokens_per_second);
    }
    text.push('\n');
    text
}
