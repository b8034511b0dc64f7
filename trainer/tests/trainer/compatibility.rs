//! Files written by version 0.1, before names changed, are still read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::train::checkpoint::Checkpoint;
use continuo_trainer::train::{Ending, Start, TrainEvent, train};

use crate::fixtures;

/// A training of 12 steps: its corpus, its checkpoint after 6 steps, and all its losses.
fn old_files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/version-0.1")
}

/// Copies the old training into `folder`, because resuming writes to it.
fn copy_training(folder: &Path) -> PathBuf {
    let (from, to) = (old_files().join("training"), folder.join("training"));
    let step = "step-00000006";
    fs::create_dir_all(to.join(step)).unwrap();
    fs::copy(from.join("losses.csv"), to.join("losses.csv")).unwrap();
    for entry in fs::read_dir(from.join(step)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(step).join(entry.file_name())).unwrap();
    }
    to
}

/// Steps and losses of a `losses.csv`.
fn losses(path: &Path) -> Vec<(u64, f64)> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let columns: Vec<_> = line.split(',').collect();
        (columns[0].parse().unwrap(), columns[3].parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn old_checkpoint_continues_with_the_old_losses() {
    let folder = tempfile::tempdir().unwrap();
    let output = copy_training(folder.path());
    let corpus = Corpus::open(&old_files().join("songs.corpus")).unwrap();
    let stop = AtomicBool::new(false);
    let start = Start::Resume { budget: None };
    let mut found = Vec::new();
    let ending = train(
        &fixtures::options(&corpus, &output, start, &stop),
        |event| {
            if let TrainEvent::Step(metrics) = event {
                found.push((metrics.steps, metrics.loss));
            }
        },
    );
    assert_eq!(ending.unwrap(), Ending::Done);
    let expected = losses(&old_files().join("losses.csv"));
    assert_eq!(found.len(), 6);
    for ((step, loss), (old_step, old_loss)) in found.iter().zip(&expected[6..]) {
        assert_eq!(step, old_step);
        // Processors round differently.
        assert!(
            (loss - old_loss).abs() < 1e-4,
            "step {step}: {loss}, {old_loss}"
        );
    }
    assert_eq!(losses(&output.join("losses.csv")).len(), 12);
}

/// A checkpoint that is saved unchanged has the same keys and values as before.
#[test]
fn keys_of_training_json_are_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let output = copy_training(folder.path());
    let checkpoint = Checkpoint::open(&output).unwrap();
    for (name, value) in [
        (
            "training.json",
            serde_json::to_value(checkpoint.state().unwrap()).unwrap(),
        ),
        (
            "config.json",
            serde_json::to_value(&checkpoint.config).unwrap(),
        ),
    ] {
        let old = fs::read_to_string(checkpoint.path.join(name)).unwrap();
        let old: serde_json::Value = serde_json::from_str(&old).unwrap();
        assert_eq!(value, old, "{name}");
    }
}

#[test]
fn old_option_names_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = old_files().join("songs.corpus");
    let output = Command::new(env!("CARGO_BIN_EXE_continuo-trainer"))
        .args(
            "train -o m --preset tiny --steps 1 --group 2 --accumulate 2 --without pitch"
                .split(' '),
        )
        .arg("--corpus")
        .arg(corpus)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let state = Checkpoint::open(&folder.path().join("m"))
        .unwrap()
        .state()
        .unwrap();
    assert_eq!(
        (state.config.micro_batch, state.config.accumulation_steps),
        (2, 2)
    );
    assert!(state.config.ablation.pitch);
}
