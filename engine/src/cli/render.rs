//! `continuo render FILE -o OUT.wav`: a MIDI file as sound.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use continuo_cli::{Force, Progress, note, print};
use continuo_files::{Output, kind};
use continuo_score::midi::{self, Pedal, ReadOptions};
use continuo_synth::wav::{self, Rendered};

use super::inputs::text;

/// Play a MIDI file on the plugin's electric piano into a WAV file
///
/// At the file's own tempo, with its sustain pedal; drums are left out. Stereo, 16 bits.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to play
    file: PathBuf,
    /// WAV file to write
    #[arg(short, long)]
    output: PathBuf,
    /// Samples a second
    #[arg(long, default_value_t = 48_000, value_parser = clap::value_parser!(u32).range(8_000..=192_000))]
    rate: u32,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    force: Force,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let output = Output::check(&args.output, &kind::WAV, args.force.replace())?;
    ensure!(
        !(args.json && output.is_standard()),
        "--json: standard output holds the sound; name a file for one of the two"
    );
    let pedal = Pedal::Lengthen;
    let file = midi::read_file_with(&args.file, &ReadOptions { pedal })?;
    super::warn(&args.file, &file.warnings);
    let progress = Progress::new("rendering", "s", file.seconds() as u64);
    let seconds = file.seconds();
    let mut tell = |share: f64| progress.set((share * seconds) as u64, seconds as u64);
    let rendered = wav::write_wav(&file, &output, args.rate, &mut tell)?;
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
            "seconds": seconds, "notes": notes, "drums_left_out": drums, "peak": peak,
        });
        print(&format!("{report:#}\n"))
    } else {
        let drums = match drums {
            0 => String::new(),
            some => format!(", {some} drum notes left out"),
        };
        let line = format!("{}: {seconds:.1} s, {notes} notes{drums}", output.name());
        if output.is_standard() {
            note(line);
            return Ok(());
        }
        print(&(line + "\n"))
    }
}
