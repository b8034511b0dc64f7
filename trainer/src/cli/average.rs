//! Command `continuo-trainer average`.

use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::Device;
use continuo_cli::{Force, print};
use continuo_trainer::train::checkpoint::{Checkpoint, CheckpointError, average};

/// Average the parameters of a training with those of the model that it started from.
///
/// The average is often better than either: it forgets less of what the first model knew. A model
/// that is named twice counts twice. If a model has no parts of a band and another one has, the rows
/// of the parts are the other's.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Trainings (the newest checkpoint of each), checkpoints step-…, or model directories.
    #[arg(required = true, num_args = 2.., value_name = "DIR")]
    checkpoints: Vec<PathBuf>,
    /// Folder for the average, a checkpoint for `eval`, `export` and `train --from`.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    force: Force,
}

/// Runs the command.
///
/// # Errors
/// A model cannot be read, their shapes differ, or the output cannot be written.
pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let checkpoints = a.checkpoints.iter().map(|path| Checkpoint::open(path));
    let checkpoints = checkpoints.collect::<Result<Vec<_>, CheckpointError>>()?;
    average(&checkpoints, &a.output, a.force.replace(), &Device::flex())?;
    print(&format!(
        "{}: the average of {}\n",
        a.output.display(),
        checkpoints.len()
    ))?;
    Ok(ExitCode::SUCCESS)
}
