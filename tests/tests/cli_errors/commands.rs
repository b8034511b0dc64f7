//! A table of every command of both programs, with example arguments.

use continuo_tests::artifacts;

/// Kind of a command's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    Nothing,
    Midi,
    /// A recording.
    Sound,
    /// A folder of MIDI files.
    Folder,
    Corpus,
}

/// Kind of a command's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Makes {
    /// Standard output only.
    Nothing,
    File,
    Folder,
}

/// A command of a program.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) program: &'static str,
    pub(crate) command: &'static str,
    pub(crate) reads: Reads,
    pub(crate) makes: Makes,
    /// Whether the command has the option `--json`.
    pub(crate) json: bool,
    /// Other arguments, with `{in}` and `{out}` for input and output.
    arguments: &'static str,
}

const fn row(
    program: &'static str,
    command: &'static str,
    reads: Reads,
    makes: Makes,
    json: bool,
    arguments: &'static str,
) -> Row {
    Row {
        program,
        command,
        reads,
        makes,
        json,
        arguments,
    }
}

const PLAYER: &str = "continuo";
const TRAINER: &str = "continuo-trainer";

/// All commands. A command without a row fails `every_command_has_a_row_in_the_table`.
pub(crate) const ROWS: &[Row] = &[
    row(
        PLAYER,
        "bench",
        Reads::Nothing,
        Makes::Nothing,
        true,
        "--notes 20 --tokens 4",
    ),
    row(
        PLAYER,
        "continue",
        Reads::Midi,
        Makes::File,
        true,
        "{in} -o {out} --bars 2",
    ),
    row(
        PLAYER,
        "eval",
        Reads::Midi,
        Makes::Nothing,
        true,
        "{in} --quick",
    ),
    row(
        PLAYER,
        "fill",
        Reads::Midi,
        Makes::File,
        true,
        "{in} -o {out} --bars 2-3 --candidates 2",
    ),
    row(PLAYER, "inspect", Reads::Midi, Makes::Nothing, true, "{in}"),
    row(
        PLAYER,
        "notate",
        Reads::Midi,
        Makes::File,
        true,
        "{in} -o {out}",
    ),
    row(
        PLAYER,
        "pages",
        Reads::Nothing,
        Makes::Nothing,
        false,
        "--completion bash",
    ),
    row(
        PLAYER,
        "render",
        Reads::Midi,
        Makes::File,
        true,
        "{in} -o {out} --rate 8000",
    ),
    row(
        PLAYER,
        "transcribe",
        Reads::Sound,
        Makes::File,
        true,
        "{in} -o {out}",
    ),
    row(PLAYER, "tokens", Reads::Midi, Makes::Nothing, false, "{in}"),
    row(
        PLAYER,
        "view",
        Reads::Midi,
        Makes::File,
        false,
        "{in} -o {out}",
    ),
    row(
        TRAINER,
        "vocab",
        Reads::Folder,
        Makes::File,
        true,
        "{in} -o {out} --ids 350",
    ),
    row(
        TRAINER,
        "encode",
        Reads::Folder,
        Makes::File,
        true,
        "{in} -o {out}",
    ),
    row(
        TRAINER,
        "songs",
        Reads::Corpus,
        Makes::Nothing,
        true,
        "{in}",
    ),
    row(
        TRAINER,
        "train",
        Reads::Corpus,
        Makes::Folder,
        false,
        "--corpus {in} -o {out} --preset tiny --steps 2 --threads 1",
    ),
    row(
        TRAINER,
        "average",
        Reads::Nothing,
        Makes::Folder,
        false,
        "trained trained -o {out}",
    ),
    row(
        TRAINER,
        "eval",
        Reads::Corpus,
        Makes::Nothing,
        true,
        "--corpus {in} --checkpoint trained --quick",
    ),
    row(
        TRAINER,
        "export",
        Reads::Corpus,
        Makes::Folder,
        true,
        "--corpus {in} --checkpoint trained -o {out}",
    ),
    row(
        TRAINER,
        "pages",
        Reads::Nothing,
        Makes::Nothing,
        false,
        "--man encode",
    ),
];

/// The commands that can run here: without basic-pitch's model, none that reads recordings.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    let hears = artifacts::use_ear_model().unwrap();
    ROWS.iter()
        .filter(move |row| hears || row.reads != Reads::Sound)
}

impl Row {
    /// Returns the fixture of the command's input.
    pub(crate) fn input(&self) -> &'static str {
        match self.reads {
            Reads::Nothing => "",
            Reads::Midi => "song.mid",
            Reads::Sound => "song.wav",
            Reads::Folder => "songs",
            Reads::Corpus => "songs.corpus",
        }
    }

    /// Whether the input can come from a pipe.
    pub(crate) fn pipes_in(&self) -> bool {
        matches!(self.reads, Reads::Midi | Reads::Sound | Reads::Corpus)
    }

    /// Returns the arguments of the command with an input and an output.
    pub(crate) fn with(&self, input: &str, output: &str) -> Vec<String> {
        let words = self.arguments.split_whitespace().map(|word| match word {
            "{in}" => input.to_string(),
            "{out}" => output.to_string(),
            word => word.to_string(),
        });
        std::iter::once(self.command.to_string())
            .chain(words)
            .collect()
    }
}
