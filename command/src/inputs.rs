//! Finds and reads the files and folders that a command line names.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::ArgMatches;
use clap::error::ErrorKind;
use continuo_cli::{Progress, in_words, note};
use continuo_files::is_standard;
use continuo_score::midi;

/// Moves input files that `--learn` has taken back to `inputs`. `--learn` accepts any number of
/// files, so in `--learn A.mid IN.mid` it also takes the input. If the command line names no other
/// input, the input comes from the files after the first one of the last `--learn`: with `all`,
/// every one of them, otherwise the last. Ends the process with an error if there is no input.
pub(super) fn disentangle(
    inputs: &mut Vec<PathBuf>,
    learn: &mut Vec<PathBuf>,
    matches: &ArgMatches,
    all: bool,
) {
    if !inputs.is_empty() {
        return;
    }
    let groups = matches.get_occurrences::<PathBuf>("learn");
    let last = groups.and_then(Iterator::last).map_or(0, Iterator::count);
    let swallowed = if all {
        last.saturating_sub(1)
    } else {
        usize::from(last > 1)
    };
    inputs.extend(learn.drain(learn.len() - swallowed..));
    if inputs.is_empty() {
        let words = "no file is named besides those of --learn; name the input too\n";
        continuo_cli::refuse(&clap::Error::raw(ErrorKind::MissingRequiredArgument, words));
    }
}

/// Files of a folder that are wanted, by their extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// MIDI files.
    Midi,
    /// MIDI, WAV and FLAC files.
    Music,
}

/// Returns the named files, and the wanted files in the named folders in order of name. Prints the
/// number of files left out of a folder, with reasons, to standard error.
///
/// # Errors
/// Fails if a folder cannot be read or has no wanted files, or if standard input is named twice.
pub(super) fn find(named: &[PathBuf], wanted: Wanted) -> Result<Vec<PathBuf>> {
    let standard = named.iter().filter(|path| is_standard(path)).count();
    ensure!(
        standard <= 1,
        "standard input (-) is named {standard} times, and can be read only once"
    );
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let (found, what) = match wanted {
            Wanted::Midi => (midi::files_in(path, usize::MAX)?, "MIDI"),
            Wanted::Music => (midi::music_in(path, usize::MAX)?, "MIDI, WAV or FLAC"),
        };
        for line in found.summary(path) {
            note(format_args!("continuo: {line}"));
        }
        if found.files.is_empty() {
            bail!("{}: no {what} files in this folder", path.display());
        }
        files.extend(found.files);
    }
    Ok(files)
}

/// Greatest number of left-out files that are printed by name; the others are only counted.
const MOST_NAMED: usize = 12;

/// Reads files. Leaves out a file that cannot be read, and reports it on standard error.
///
/// # Errors
/// Fails if files are named and none of them can be read.
pub(super) fn read_all<T>(files: &[PathBuf], read: impl Fn(&Path) -> Result<T>) -> Result<Vec<T>> {
    let (mut all, mut refused) = (Vec::new(), Vec::new());
    let progress = Progress::new("reading", "files", files.len() as u64);
    for file in files {
        progress.add(1);
        match read(file) {
            Ok(one) => all.push(one),
            Err(why) => refused.push(why),
        }
    }
    drop(progress);
    if all.is_empty() && !refused.is_empty() {
        let first = refused.swap_remove(0);
        return Err(match files.len() {
            1 => first,
            count => first.context(format!("none of the {count} files can be read; the first")),
        });
    }
    for why in refused.iter().take(MOST_NAMED) {
        note(format_args!("continuo: left out: {}", in_words(why)));
    }
    if let Some(more @ 1..) = refused.len().checked_sub(MOST_NAMED) {
        note(format_args!("continuo: left out: {more} more"));
    }
    Ok(all)
}

/// Returns a path as UTF-8 text for JSON.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
