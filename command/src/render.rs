//! Command `continuo render FILE -o OUT.wav`: renders a MIDI file as sound.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use continuo_cli::{Force, Progress, number, one_result_on_standard_output, print, report};
use continuo_files::{Output, Replace, kind};
use continuo_score::Vocabulary;
use continuo_score::midi::Pedal;
use continuo_synth::wav::{self as wav, Rendered};

use super::input_selection::InputSelection;
use super::inputs::text;

/// Render a MIDI file with the plugin's preview sound as a WAV file
///
/// An electric piano plays, with a bass sound for the tracks that play a bass and a drum kit for
/// the drums. The tempo is the file's own. The sound ends with the last bar that has a note, or up
/// to 5 seconds later when all notes have faded. The WAV file is stereo with 16 bits.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to play, or a recording (WAV, FLAC), of which the notes are played
    file: PathBuf,
    /// WAV file to write
    #[arg(short, long)]
    output: PathBuf,
    /// Sample rate in Hz
    #[arg(long, default_value_t = 48_000,
        value_parser = number(8_000u32, 192_000))]
    rate: u32,
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
    let output = Output::check(&args.output, &kind::WAV, args.force.replace())?;
    one_result_on_standard_output(args.json, &output, "the sound")?;
    ensure!(
        !output.is_file(&args.file) || args.force.replace() == Replace::Any,
        "{}: is the input, and the recording would be lost; name another file (or --force)",
        args.file.display()
    );
    let steps = Vocabulary::continuo().steps_per_beat;
    let chosen = args.selection.read(&args.file, Pedal::Lengthen, steps)?;
    super::warn(&chosen.name, &chosen.file.warnings);
    let (file, ticks) = (&chosen.file, chosen.ticks());
    ensure!(
        !file.notes.is_empty(),
        "{}: has no notes to play",
        chosen.name.display()
    );
    let seconds = wav::seconds(file, &ticks);
    let progress = Progress::new("rendering", "s", seconds as u64);
    let mut tell = |share: f64| progress.set((share * seconds) as u64, seconds as u64);
    let rendered = wav::write_wav(file, ticks, &output, args.rate, &mut tell)?;
    drop(progress);
    let Rendered {
        seconds,
        notes,
        drums,
        peak,
    } = rendered;
    if args.json {
        let report = serde_json::json!({
            "input": text(&args.file), "output": text(&args.output), "rate": args.rate,
            "seconds": seconds, "notes": notes, "drums": drums, "drums_left_out": 0, "peak": peak,
        });
        print(&format!("{report:#}\n"))
    } else {
        let drums = match drums {
            0 => String::new(),
            some => format!(", {some} drum hits"),
        };
        let line = format!("{}: {seconds:.1} s, {notes} notes{drums}\n", output.name());
        report(&output, &line)
    }
}
