//! `continuo render FILE -o OUT.wav`: a MIDI file as sound.

use std::path::PathBuf;

use anyhow::Result;
use continuo_score::midi::{self, Pedal, Reading};
use continuo_voice::file::{self, Rendered};
use indicatif::{ProgressBar, ProgressStyle};

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
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let pedal = Pedal::Lengthen;
    let file = midi::read_file_with(&args.file, &Reading { pedal })?;
    for warning in &file.warnings {
        eprintln!("continuo: {}: {warning}", args.file.display());
    }
    let progress = ProgressBar::new(1_000);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent}%") {
        progress.set_style(style);
    }
    let mut tell = |share: f64| progress.set_position((share * 1e3) as u64);
    let rendered = file::write_wav(&file, &args.output, args.rate, &mut tell)?;
    progress.finish_and_clear();
    let Rendered {
        seconds,
        notes,
        drums,
        peak,
    } = rendered;
    if args.json {
        let report = serde_json::json!({
            "input": args.file, "output": args.output, "rate": args.rate,
            "seconds": seconds, "notes": notes, "drums_left_out": drums, "peak": peak,
        });
        super::print(&format!("{report:#}\n"))
    } else {
        let drums = match drums {
            0 => String::new(),
            some => format!(", {some} drum notes left out"),
        };
        let output = args.output.display();
        super::print(&format!("{output}: {seconds:.1} s, {notes} notes{drums}\n"))
    }
}
