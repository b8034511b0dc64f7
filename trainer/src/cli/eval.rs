//! Command `continuo-trainer eval`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use burn::tensor::Device;
use continuo_cli::{Progress, print};
use continuo_score::Part;
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::eval::{self, Evaluation, Measure, MemoryAblation, PartLoss, SongSums};
use continuo_trainer::train::checkpoint::Checkpoint;

/// Measure a checkpoint on the corpus's held-out songs.
///
/// Prints the loss in nats per token and per note, by style, against two baselines: the token
/// frequencies of the training songs (unigram), and equal probabilities (uniform). Songs are read
/// from beginning to end with both memories, as in playing.
///
/// With a vocabulary that has parts, a table gives the loss of the notes of each part, without the
/// moves in time.
///
/// Another table shows the value of each memory: the loss without the XL memory (a song is cut
/// into segments of one window, and a token sees only its own segment), without the kNN memory
/// (recall 0), and without both, by length of the pieces. The XL memory does not change which
/// tokens can be recalled. Tokens a second are those of one core of this machine.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folder of a training (its newest checkpoint is measured), a checkpoint step-…, or a model
    /// directory.
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Corpus, made by `encode`.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// Measure only with both memories: a quarter of the work.
    #[arg(long)]
    quick: bool,
    /// Print the result as JSON, for `export --held-out-json`.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// An input cannot be read or does not fit, or the output cannot be written.
pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let checkpoint = Checkpoint::open(&a.checkpoint)?;
    let corpus = Corpus::open(&a.corpus)?;
    corpus
        .fits(&checkpoint.vocabulary, &checkpoint.config.model.shape.sizes)
        .map_err(anyhow::Error::msg)?;
    let model = checkpoint.model(&Device::flex())?;
    let progress = Progress::new("measuring", "tokens", 0);
    let evaluation = eval::evaluate(&model, &corpus, !a.quick, |done, all| {
        progress.set(done, all);
    });
    drop(progress);
    let Some(evaluation) = evaluation else {
        bail!(
            "{}: no held-out songs to measure on; encode with a larger --held-out, or with another --seed",
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
    for (name, group) in &evaluation.token_groups {
        let mean = group.nats / group.tokens.max(1) as f64;
        text += &format!(
            "  {name:<22} {:>6} {:>9} {:>8}   {mean:>7.3}\n",
            "", group.tokens, ""
        );
    }
    text + &part_table(&evaluation.parts) + &ablation_table(&evaluation.ablations)
}

fn part_table(parts: &BTreeMap<&'static str, PartLoss>) -> String {
    let mut text = String::new();
    if !parts.is_empty() {
        text += &format!(
            "\n{:<24} {:>6} {:>9} {:>8}   {:>7}\n",
            "part", "", "tokens", "notes", "nats per note"
        );
    }
    for part in Part::ALL {
        let Some(loss) = parts.get(part.name()) else {
            continue;
        };
        text += &format!(
            "{part:<24} {:>6} {:>9} {:>8}   {:>7.3}\n",
            "",
            loss.tokens,
            loss.notes,
            loss.per_note()
        );
    }
    text
}

fn ablation_table(ablations: &[MemoryAblation]) -> String {
    let mut text = String::new();
    let Some(first) = ablations.first() else {
        return text;
    };
    let on = |on| if on { "on" } else { "off" };
    let title = |a: &MemoryAblation| format!("XL {}, kNN {}", on(a.xl), on(a.knn));
    text += &format!(
        "\n{:<24} {:>6} {:>9}   nats per token | per note\n",
        "", "", ""
    );
    text += &format!("{:<24} {:>6} {:>9}", "piece", "songs", "tokens");
    for ablation in ablations {
        text += &format!("   {:>15}", title(ablation));
    }
    text.push('\n');
    let line = |text: &mut String, name: &str, of: &SongSums, sums: Vec<SongSums>| {
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
        let sums = ablations.iter().map(|c| c.lengths[i].songs).collect();
        line(&mut text, &name, &length.songs, sums);
    }
    line(
        &mut text,
        "all",
        &first.all,
        ablations.iter().map(|c| c.all).collect(),
    );
    text += &format!("{:<41}", "tokens a second");
    for ablation in ablations {
        text += &format!("   {:>15.0}", ablation.all.tokens_per_second);
    }
    text.push('\n');
    text
}
