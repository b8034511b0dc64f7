//! Command line of the trainer.

mod allocator;
mod average;
mod encode;
mod encoding;
mod eval;
mod export;
mod songs;
mod train;
mod vocab;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use continuo_cli::Pages;

/// Makes models for Continuo from folders of MIDI files.
///
/// encode makes a corpus from the files, and train makes a checkpoint from the corpus. eval
/// measures a checkpoint on songs that it was not trained on, and export writes the model directory
/// that the plugin plays. Optional are vocab, which learns merged tokens, and average, which averages
/// a fine-tuned network with the one before.
#[derive(Parser)]
#[command(
    version,
    name = "continuo-trainer",
    after_help = "For a file, `-` means standard input or standard output."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Vocab(vocab::Arguments),
    Encode(encode::Arguments),
    Songs(songs::Arguments),
    Train(Box<train::Arguments>),
    Average(average::Arguments),
    Eval(eval::Arguments),
    Export(export::Arguments),
    Pages(Pages),
}

pub(crate) fn main() -> ExitCode {
    allocator::keep_freed_memory();
    let matches = continuo_cli::matches(Arguments::command());
    let command = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments.command,
        Err(said) => continuo_cli::refuse(&said),
    };
    // A training saves a checkpoint before it ends.
    let stop = continuo_cli::catch_interrupts(matches!(command, Command::Train(_)));
    let result = match command {
        Command::Vocab(arguments) => vocab::run(&arguments),
        Command::Encode(arguments) => encode::run(&arguments),
        Command::Songs(arguments) => songs::run(&arguments),
        Command::Train(arguments) => train::run(&arguments, stop),
        Command::Average(arguments) => average::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Pages(arguments) => arguments
            .run(Arguments::command())
            .map(|()| ExitCode::SUCCESS),
    };
    continuo_cli::end("continuo-trainer", result)
}
