//! The commands of `continuo`. An error goes to standard error as one line. Exit status 1 is a
//! failure, 2 a wrong command line, 130 an interrupt.

mod bandwidth;
mod bench;
mod continuation;
mod continue_;
mod eval;
mod fill;
mod generation;
mod input_selection;
mod inputs;
mod inspect;
mod music_file;
mod notate;
pub mod options;
mod render;
mod tokens;
mod transcribe;
mod view;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::options::{ComputeOptions, ModelPaths};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use continuo_cli::{Pages, Progress, note};
use continuo_engine::{Model, Runtime};

#[derive(Parser)]
#[command(
    name = "continuo",
    version,
    about = "Continuo from the shell: plays on from MIDI files",
    after_help = "Wherever a file is named, `-` is standard input or standard output."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Args),
    Continue(continue_::Args),
    Eval(eval::Args),
    Fill(fill::Args),
    Inspect(inspect::Args),
    Notate(notate::Args),
    Pages(Pages),
    Render(render::Args),
    Tokens(tokens::Args),
    Transcribe(transcribe::Args),
    View(view::Args),
}

/// Runs the command line.
pub fn run() -> ExitCode {
    let matches = continuo_cli::matches(Cli::command());
    let mut command = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli.command,
        Err(said) => continuo_cli::refuse(&said),
    };
    if let Some((_, matches)) = matches.subcommand() {
        match &mut command {
            Command::Continue(args) => args.disentangle(matches),
            Command::Eval(args) => args.disentangle(matches),
            Command::Fill(args) => args.disentangle(matches),
            _ => {}
        }
    }
    continuo_cli::catch_interrupts(false);
    let result = match command {
        Command::Bench(args) => bench::run(&args),
        Command::Continue(args) => continue_::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Fill(args) => fill::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Notate(args) => notate::run(&args),
        Command::Pages(args) => args.run(Cli::command()),
        Command::Render(args) => render::run(&args),
        Command::Tokens(args) => tokens::run(&args),
        Command::Transcribe(args) => transcribe::run(&args),
        Command::View(args) => view::run(&args),
    };
    continuo_cli::end("continuo", result.map(|()| ExitCode::SUCCESS))
}

/// Loads the model of a command. Reports requested devices that are not available to standard
/// error.
///
/// # Errors
/// Fails if the name of a device is unknown, or if ONNX Runtime or the model is not found or cannot
/// be loaded.
pub fn load(places: &ModelPaths, compute: &ComputeOptions) -> anyhow::Result<Arc<Model>> {
    let (library, options) = (places.runtime_library()?, compute.model_options()?);
    let progress = Progress::spinner("loading the model");
    let runtime = Runtime::load(&library)?;
    let model = Model::load(runtime, &places.model_directory()?, &options)?;
    drop(progress);
    for refusal in model.unavailable_devices() {
        note(format_args!(
            "continuo: not on {refusal}; running on {}",
            model.device()
        ));
    }
    Ok(model)
}

/// Prints the warnings about a MIDI file to standard error.
fn warn(file: &Path, warnings: &[String]) {
    for warning in warnings {
        note(format_args!("continuo: {}: {warning}", file.display()));
    }
}
