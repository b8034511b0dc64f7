//! A folder with inputs of the commands, and the programs.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use continuo_score::tune;
use continuo_tests::artifacts;
use tempfile::TempDir;

use crate::commands::Row;

/// Songs, a corpus of them and a training, made once per process.
static FIXTURES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let minuet = tune::minuet();
    minuet.to_midi().write_file(&at("song.mid")).unwrap();
    // Two bars as sound.
    let bars = minuet.until(72).to_midi();
    bars.write_file(&at("bars.mid")).unwrap();
    let line = "render bars.mid -o song.wav --rate 22050";
    let done = command("continuo", folder.path())
        .args(line.split(' '))
        .output();
    assert!(done.unwrap().status.success(), "{line}");
    fs::remove_file(at("bars.mid")).unwrap();
    fs::create_dir(at("songs")).unwrap();
    for number in 0..6u32 {
        // Each song differs: the minuet from another bar on.
        let mut song = minuet.clone();
        song.notes.retain(|note| note.start >= number * 36);
        song.notes.iter_mut().for_each(|note| {
            note.start -= number * 36;
            note.pitch = note
                .pitch
                .wrapping_add((note.start * number / 36) as u8 % 5);
        });
        song.length = 0;
        song.normalise();
        let path = at(&format!("songs/{number}.mid"));
        song.to_midi().write_file(&path).unwrap();
    }
    for line in [
        "encode songs -o songs.corpus --held-out 0.3",
        "train --corpus songs.corpus -o trained --preset tiny --steps 2 --threads 1",
    ] {
        let done = command("continuo-trainer", folder.path())
            .args(line.split(' '))
            .output()
            .unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    }
    folder
});

fn command(program: &str, folder: &Path) -> Command {
    let mut command = artifacts::command(program).unwrap();
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Returns the commands that a program lists in its help.
pub(crate) fn listed(program: &str) -> Vec<String> {
    let done = command(program, Path::new(".")).arg("--help").output();
    let text = String::from_utf8(done.unwrap().stdout).unwrap();
    let lines = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_string)
        .collect()
}

/// Returns the options with a value that a command lists in its help.
pub(crate) fn options(row: &Row) -> Vec<String> {
    let done = command(row.program, Path::new("."))
        .args([row.command, "--help"])
        .output();
    let text = String::from_utf8(done.unwrap().stdout).unwrap();
    let words = text.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("-o, ").unwrap_or(line);
        let (option, rest) = line.split_once(' ')?;
        (option.starts_with("--") && rest.starts_with(['<', '['])).then(|| option.to_string())
    });
    words.collect()
}

/// A copy of the fixtures.
pub(crate) struct Fixture {
    folder: TempDir,
    before: Vec<String>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        artifacts::copy_folder(FIXTURES.path(), folder.path()).unwrap();
        let mut fixture = Self {
            folder,
            before: Vec::new(),
        };
        fixture.before = fixture.names();
        fixture
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    /// Returns all names in the folder, with hidden ones.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|n| n.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Returns the content of a file, or of each file in a folder; empty if neither exists.
    pub(crate) fn contents(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        fn add(path: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
            if let Ok(entries) = fs::read_dir(path) {
                let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
                paths.sort();
                paths.iter().for_each(|path| add(path, all));
            } else if let Ok(bytes) = fs::read(path) {
                all.push((path.into(), bytes));
            }
        }
        let mut all = Vec::new();
        add(&self.at(name), &mut all);
        all
    }

    /// Asserts that no file was made, and that the fixtures and the files beside them are unchanged.
    #[track_caller]
    pub(crate) fn is_unchanged(&self) {
        for (path, bytes) in self.contents("") {
            let name = path.strip_prefix(self.folder()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let fixture = fs::read(FIXTURES.path().join(name));
            let same = fixture.is_ok_and(|fixture| fixture == bytes);
            assert!(
                same || text == crate::LETTER,
                "{}: changed or left",
                name.display()
            );
        }
        for name in &self.before {
            assert!(self.at(name).exists(), "{name} is gone");
        }
    }

    /// Removes everything but the fixtures.
    pub(crate) fn clean(&self) {
        for entry in fs::read_dir(self.folder()).unwrap() {
            let (path, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
            if !self.before.iter().any(|before| name == before.as_str()) {
                fs::remove_file(&path)
                    .or_else(|_| fs::remove_dir_all(&path))
                    .unwrap();
            }
        }
    }

    pub(crate) fn run(&self, row: &Row, arguments: &[impl AsRef<OsStr>]) -> Output {
        let mut command = command(row.program, self.folder());
        command.args(arguments).output().unwrap()
    }

    pub(crate) fn start(
        &self,
        row: &Row,
        arguments: &[String],
        input: Stdio,
        output: Stdio,
    ) -> Child {
        command(row.program, self.folder())
            .args(arguments)
            .stdin(input)
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs a command with a file size limit of 0, as on a full disk.
    #[cfg(unix)]
    pub(crate) fn run_on_full_disk(&self, row: &Row, arguments: &[String]) -> Output {
        let mut shell = command("continuo", self.folder());
        shell = {
            let mut sh = Command::new("sh");
            sh.current_dir(self.folder()).stdin(Stdio::null());
            for (name, value) in shell.get_envs() {
                sh.env(name, value.unwrap_or_default());
            }
            sh
        };
        let program = artifacts::program(row.program).unwrap();
        shell
            .arg("-c")
            .arg("trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"")
            .arg(program)
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Asserts that a command fails with status 1 and one line that contains `about`.
    #[track_caller]
    pub(crate) fn fails(&self, row: &Row, arguments: &[String], about: &str) {
        let done = self.run(row, arguments);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {done:?}");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 1, "{arguments:?}: {said}");
        let begins = said.starts_with(&format!("{}: ", row.program));
        assert!(begins && said.contains(about), "{arguments:?}: {said}");
        assert!(done.stdout.is_empty(), "{arguments:?}: {done:?}");
    }
}
