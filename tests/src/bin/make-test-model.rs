//! Makes the test model with the trainer's commands, from the minuet in twelve keys, alone or as a band.
//!
//! The model is tiny and trained for 200 steps: tests check when notes sound, not which.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use continuo_score::tune;
use continuo_tests::scenario;

/// Makes the test model, unless it is newer than the trainer and this program.
#[derive(Parser)]
struct Options {
    /// The program continuo-trainer
    #[arg(long)]
    trainer: PathBuf,
    /// ONNX Runtime's library, for the trainer's check of its export
    #[arg(long)]
    runtime: PathBuf,
    /// With a kNN memory, and therefore two graphs instead of one
    #[arg(long)]
    knn: bool,
    /// Size of a vocabulary with merged tokens [default: base tokens only]
    #[arg(long)]
    ids: Option<usize>,
    /// With parts: the minuet as a band of lead, bass and drums
    #[arg(long, conflicts_with = "ids")]
    band: bool,
    /// Model directory to make; a folder beside it holds intermediate files
    #[arg(long)]
    out: PathBuf,
}

fn main() {
    if let Err(error) = run(&Options::parse()) {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> Result<()> {
    if is_fresh(options) {
        return Ok(());
    }
    let work = options.out.with_extension("work");
    remove(&work)?;
    let (songs, corpus) = (work.join("songs"), work.join("corpus"));
    let (checkpoints, model) = (work.join("checkpoints"), work.join("model"));
    write_songs(&songs, options.band)?;

    let path = |path: &PathBuf| path.display().to_string();
    let run = |words: &[&str], paths: &[(&str, &PathBuf)]| {
        let mut command = Command::new(&options.trainer);
        command.args(words);
        for (option, value) in paths {
            command
                .args((!option.is_empty()).then_some(option))
                .arg(value);
        }
        let status = command
            .status()
            .with_context(|| format!("{}", options.trainer.display()))?;
        ensure!(
            status.success(),
            "{} {} failed",
            path(&options.trainer),
            words.join(" ")
        );
        Ok(())
    };
    let mut encode = vec![("", &songs), ("--output", &corpus)];
    let vocabulary = work.join("vocabulary.json");
    if let Some(ids) = options.ids {
        let ids = ids.to_string();
        let learn = ["vocab", "--held-out", "0.2", "--ids", &ids];
        run(&learn, &[("", &songs), ("--output", &vocabulary)])?;
        encode.push(("--vocabulary", &vocabulary));
    }
    let mut words = vec!["encode", "--held-out", "0.2"];
    if options.band {
        words.extend(["--preset", "band"]);
    }
    run(&words, &encode)?;
    let mut train = vec!["train", "--preset", "tiny", "--steps", "200"];
    train.extend(["--threads", "1"]);
    if !options.knn {
        train.push("--without-knn");
    }
    run(&train, &[("--corpus", &corpus), ("--output", &checkpoints)])?;
    run(
        &["export", "--name", "test", "--variants", "plain,cpu,gpu"],
        &[
            ("--checkpoint", &checkpoints),
            ("--corpus", &corpus),
            ("--runtime", &options.runtime),
            ("--output", &model),
        ],
    )?;
    remove(&options.out)?;
    fs::rename(&model, &options.out)
        .with_context(|| format!("cannot move the test model to {}", options.out.display()))
}

/// Whether the model is newer than the trainer and this program.
fn is_fresh(options: &Options) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let made = modified(&options.out.join("model.json"));
    let own = std::env::current_exe()
        .ok()
        .and_then(|path| modified(&path));
    made.is_some() && made > modified(&options.trainer) && made > own
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Writes the minuet in twelve keys as MIDI files.
fn write_songs(folder: &Path, band: bool) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let minuet = if band {
        scenario::band()
    } else {
        tune::minuet()
    };
    for shift in 0..12i8 {
        let song = minuet
            .transposed(shift - 6)
            .context("the transposed minuet exceeds the MIDI range")?;
        song.to_midi()
            .write_file(&folder.join(format!("minuet-{shift:02}.mid")))?;
    }
    Ok(())
}
