//! The commands of `continuo`. Errors go to standard error as one line; exit code 1 is a
//! failure, 2 a wrong command line.

mod continue_;
mod locate;
mod view;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "continuo",
    version,
    about = "Continuo from the shell: plays on from MIDI files"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Continue(continue_::Args),
    View(view::Args),
}

/// Runs the command line.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Continue(args) => continue_::run(&args),
        Command::View(args) => view::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("continuo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
