//! Output of commands: standard output, standard error, exit codes.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use continuo_files::{Output, Replace, WriteError};

/// The option `--force`.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct Force {
    /// Replace a read-only file or a file of another kind, or write under a name with another
    /// extension
    #[arg(long)]
    force: bool,
}

impl Force {
    /// Returns which existing files an output may replace.
    pub fn replace(self) -> Replace {
        Replace::forced(self.force)
    }
}

/// Prints a whole result to standard output. If the reader closes the pipe early (`| head`),
/// the process ends without a message and with exit status 0.
///
/// # Errors
/// Fails if standard output cannot be written, for example because the disk is full.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => {
            continuo_files::remove_scratch();
            std::process::exit(0)
        }
        printed => printed.context("cannot write to standard output"),
    }
}

/// Refuses `--json` if standard output holds the command's output already. `content` is the name of
/// that output, for example "the music".
///
/// # Errors
/// Fails if both would go to standard output.
pub fn one_result_on_standard_output(
    json: bool,
    output: &Output,
    content: &str,
) -> anyhow::Result<()> {
    ensure!(
        !(json && output.is_standard()),
        "--json: standard output holds {content}; name a file for one of the two"
    );
    Ok(())
}

/// Prints the report of a command with an output: to standard output, or to standard error if
/// standard output holds the output.
///
/// # Errors
/// Fails as [`print()`] does.
pub fn report(output: &Output, text: &str) -> anyhow::Result<()> {
    if output.is_standard() {
        note(text.trim_end());
        return Ok(());
    }
    print(text)
}

/// Prints a line to standard error. A closed standard error is not an error.
pub fn note(line: impl Display) {
    // No reader is left for a message.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Returns the exit status of a command. Prints an error as one line that begins with the program's
/// name and states each cause once.
pub fn end(program: &str, result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            note(format_args!("{program}: {}", in_words(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Formats an error and its causes on one line. Leaves out a cause that the error before it already
/// includes.
pub fn in_words(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    let forced = error.chain().any(|cause| {
        let refused = cause.downcast_ref::<WriteError>();
        refused.is_some_and(WriteError::yields_to_force)
    });
    if forced {
        line += " (--force writes it all the same)";
    }
    // Keeps the message on one line, whatever characters a file's name has.
    line.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_is_printed_once() {
        let cause = || io::Error::other("no space");
        let error = anyhow::Error::new(cause()).context("a.mid: no space");
        assert_eq!(in_words(&error), "a.mid: no space");
        let error = anyhow::Error::new(cause()).context("a\n.mid");
        assert_eq!(in_words(&error), "a .mid: no space");
    }

    #[test]
    fn force_is_named_only_where_it_helps() {
        let refused = |error: WriteError| in_words(&anyhow::Error::new(error));
        let read_only = refused(WriteError::ReadOnly("a.mid".into()));
        assert!(read_only.contains("--force"), "{read_only}");
        let folder = refused(WriteError::Folder("a".into()));
        assert!(!folder.contains("--force"), "{folder}");
    }
}
