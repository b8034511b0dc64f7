//! `continuo`: the engine from the shell.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
