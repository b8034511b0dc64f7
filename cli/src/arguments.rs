//! Parsing of the command line, and the options that both programs share.

use std::io::{self, ErrorKind, Write};

use clap::{ArgAction, ArgMatches, Command};

use crate::note;

/// Parses the command line of a program. A wrong command line ends the process with status 2.
/// `--help` and `--version` end it with status 0, or 1 if they cannot be written.
pub fn matches(program: Command) -> ArgMatches {
    match with_negative_numbers(program).try_get_matches() {
        Ok(matches) => matches,
        Err(said) => refuse(&said),
    }
}

/// Prints clap's message about a command line, and ends the process with clap's exit status, or
/// with 1 if `--help` or `--version` cannot be written.
pub fn refuse(said: &clap::Error) -> ! {
    let printed = said.print().and_then(|()| io::stdout().flush());
    let status = match printed {
        Err(why) if !said.use_stderr() && why.kind() != ErrorKind::BrokenPipe => {
            note(format_args!("cannot write to standard output: {why}"));
            1
        }
        _ => said.exit_code(),
    };
    std::process::exit(status)
}

/// Lets an option accept `-1` as its value, so that its parser refuses the number with a clear
/// message.
fn with_negative_numbers(program: Command) -> Command {
    let takes_value = |arg: &clap::Arg| {
        matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !arg.is_positional()
    };
    program
        .mut_args(|arg| match takes_value(&arg) {
            true => arg.allow_negative_numbers(true),
            false => arg,
        })
        .mut_subcommands(with_negative_numbers)
}

/// The option `--pedal`.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct PedalOption {
    /// Whether notes sound on while the sustain pedal is down [default: on for `continue`, `fill` and
    /// `render` of continuo, off for all other commands]
    #[arg(long, value_name = "on|off", value_parser = switch, num_args = 0..=1,
        require_equals = true, default_missing_value = "on")]
    pedal: Option<bool>,
}

impl PedalOption {
    /// Whether the pedal is read; `default` applies if the command line does not name the option.
    pub fn is_on_or(self, default: bool) -> bool {
        self.pedal.unwrap_or(default)
    }
}

/// Parses `on` or `off`.
///
/// # Errors
/// Fails if the text is neither.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    fn parsed(words: &[&str]) -> Result<ArgMatches, String> {
        let number = clap::Arg::new("number").long("number");
        let number = number.value_parser(crate::at_least(1u32));
        let inner = PedalOption::augment_args(Command::new("inner").arg(number));
        let program = with_negative_numbers(Command::new("program").subcommand(inner));
        let parsed = program.try_get_matches_from([&["program", "inner"], words].concat());
        parsed.map_err(|said| said.to_string())
    }

    #[test]
    fn negative_number_is_a_value() {
        let said = parsed(&["--number", "-1"]).unwrap_err();
        assert!(
            said.contains("at least 1") && said.contains("'-1'"),
            "{said}"
        );
        assert!(parsed(&["--number", "-x"]).is_err());
    }

    #[test]
    fn pedal_is_on_off_or_the_default_of_the_command() {
        let pedal = |words: &[&str]| {
            let matches = parsed(words).unwrap();
            let (_, inner) = matches.subcommand().unwrap();
            PedalOption::from_arg_matches(inner).unwrap()
        };
        assert!(pedal(&[]).is_on_or(true) && !pedal(&[]).is_on_or(false));
        assert!(pedal(&["--pedal"]).is_on_or(false));
        assert!(pedal(&["--pedal=on"]).is_on_or(false));
        assert!(!pedal(&["--pedal=off"]).is_on_or(true));
        assert!(parsed(&["--pedal=loud"]).is_err() && parsed(&["--pedal", "off"]).is_err());
    }
}
