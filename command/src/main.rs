//! `continuo`: the engine from the shell.

fn main() -> std::process::ExitCode {
    continuo_command::run()
}
