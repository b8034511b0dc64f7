//! Command `continuo notate FILE -o FILE.musicxml`: writes a MIDI file as notation.

use std::path::PathBuf;

use anyhow::{Context, Result};
use continuo_cli::{Force, one_result_on_standard_output, print, report};
use continuo_files::{Output, kind};
use continuo_notation::{NotationError, Options};
use continuo_score::Vocabulary;
use continuo_score::midi::Pedal;

use super::input_selection::InputSelection;
use super::inputs::text;

/// Write a MIDI file as notation (MusicXML)
///
/// Notes are written on a grid of 12 steps a beat: down to 16ths, triplets and 32nds of triplets. Each
/// part that plays has a staff of its own: lead, keys, chords, bass and drums, as `inspect` names them.
/// The keys have two, divided into hands. Above the staves are the tempo and the chords, below them
/// the dynamics. MuseScore and most other notation programs open the file, and `verovio FILE` draws it
/// as SVG.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to write as notation, or a recording (WAV, FLAC)
    file: PathBuf,
    /// MusicXML file to write
    #[arg(short, long)]
    output: PathBuf,
    /// Title above the music [default: the file's name]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Print a report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    selection: InputSelection,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let output = Output::check(&args.output, &kind::MUSICXML, args.force.replace())?;
    one_result_on_standard_output(args.json, &output, "the notation")?;
    let vocabulary = Vocabulary::band();
    let steps = vocabulary.steps_per_beat;
    let chosen = args.selection.read(&args.file, Pedal::Ignore, steps)?;
    super::warn(&chosen.name, &chosen.file.warnings);
    let stem = chosen.name.file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    let options = Options {
        title: args.title.as_deref().unwrap_or(&stem),
        first_bar: chosen.first_bar,
    };
    let score = chosen.score_for(&vocabulary);
    let mut draft = output.begin()?;
    let written = match continuo_notation::write(&score, &options, &mut draft) {
        Ok(written) => written,
        Err(why @ NotationError::Io(_)) => return Err(why).with_context(|| output.name()),
        Err(why) => return Err(why).with_context(|| chosen.name.display().to_string()),
    };
    draft.finish()?;
    let key = written.key.map(|key| key.to_string());
    if args.json {
        let report = serde_json::json!({
            "input": text(&args.file), "output": text(&args.output), "key": key,
            "parts": written.parts, "bars": written.bars, "pickup": written.has_pickup,
            "notes": written.notes,
        });
        return print(&format!("{report:#}\n"));
    }
    let count = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let line = format!(
        "{}: {}, {}, {}{}; MuseScore opens it, `verovio` draws it\n",
        output.name(),
        count(written.bars, "bar"),
        count(written.notes, "note"),
        count(written.parts, "part"),
        key.map_or_else(String::new, |key| format!(", in {key}")),
    );
    report(&output, &line)
}
