//! The commands of `continuo`. Errors go to standard error as one line; exit code 1 is a
//! failure, 2 a wrong command line.

mod bandwidth;
mod bench;
mod continuation;
mod continue_;
mod eval;
mod hearing;
mod inspect;
mod render;
mod tokens;
mod view;

use std::io::{ErrorKind, Write};
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
    Bench(bench::Args),
    Continue(continue_::Args),
    Eval(eval::Args),
    Inspect(inspect::Args),
    Render(render::Args),
    Tokens(tokens::Args),
    View(view::Args),
}

/// Runs the command line.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Continue(args) => continue_::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Tokens(args) => tokens::run(&args),
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

/// Prints to standard output. Whoever reads may stop reading (`continuo tokens x | head`).
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says on standard error which devices were asked for and could not be had.
fn tell_refusals(model: &continuo_engine::Model) {
    for refusal in model.refusals() {
        eprintln!("continuo: not on {refusal}; running on {}", model.device());
    }
}
