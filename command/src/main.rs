//! The program `continuo`: the engine on the command line.

fn main() -> std::process::ExitCode {
    continuo_command::run()
}
