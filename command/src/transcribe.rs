//! Command `continuo transcribe IN.wav -o OUT.mid`: finds the notes of a recording.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use continuo_cli::{Force, above, note, number, one_result_on_standard_output, print, report};
use continuo_ear::{AudioFile, Note, Settings, TempoSource};
use continuo_files::{Output, kind};

use super::inputs::text;
use super::music_file::{BeatOptions, Hearing};

/// Find the notes of a recording and write them as a MIDI file
///
/// Reads WAV and FLAC, mixes all channels to one, and finds the notes of any pitched instrument with
/// basic-pitch's model; drums are not found. The tempo is taken as constant. It is found by the
/// autocorrelation of the onsets, and can be wrong by a factor of 2, 3/2 or 4/3: --bpm sets it. The first beat is
/// the start of a bar of 4/4.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// WAV or FLAC file to listen to
    file: PathBuf,
    /// MIDI file to write
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    beat: BeatOptions,
    /// Sensitivity from 0 to 1: more finds more notes, and more wrong ones
    #[arg(long, value_name = "X", default_value_t = 0.5, value_parser = number(0.0f32, 1.0))]
    sensitivity: f32,
    /// Shortest note in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::default().shortest,
        value_parser = above(0.0))]
    shortest: f64,
    /// ONNX Runtime's library [env: CONTINUO_RUNTIME] [default: beside the command, or
    /// target/runtime]
    #[arg(long, value_name = "FILE")]
    runtime: Option<PathBuf>,
    /// File of basic-pitch's model [env: CONTINUO_EAR] [default: beside the runtime or the command]
    #[arg(long, value_name = "FILE")]
    ear: Option<PathBuf>,
    /// Print the notes and a report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    force: Force,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let output = Output::check(&args.output, &kind::MIDI, args.force.replace())?;
    one_result_on_standard_output(args.json, &output, "the music")?;
    let hearing = Hearing {
        beat: args.beat.clone(),
        settings: Settings {
            sensitivity: args.sensitivity,
            shortest: args.shortest,
            ..Settings::default()
        },
        runtime: args.runtime.clone(),
        model: args.ear.clone(),
    };
    ensure!(
        !kind::is_midi_file(&args.file),
        "{}: a MIDI file, which has its notes already; transcribe a recording (WAV, FLAC)",
        args.file.display()
    );
    let (heard, made) = hearing.transcribe(&args.file, AudioFile::open(&args.file)?)?;
    if heard.notes.is_empty() {
        note(format_args!(
            "continuo: {}: no notes found; a greater --sensitivity finds more",
            args.file.display()
        ));
    }
    output.write(&made.file.to_bytes()?)?;
    let (bpm, first) = (made.beat.bpm, made.beat.first);
    if args.json {
        let notes: Vec<_> = heard.notes.iter().map(json_note).collect();
        let report = serde_json::json!({
            "input": text(&args.file), "output": text(&args.output), "rate": heard.rate,
            "channels": heard.channels, "seconds": heard.seconds, "bpm": bpm,
            "bpm_found": made.tempo == TempoSource::Found, "first_beat": first, "notes": notes,
        });
        return print(&format!("{report:#}\n"));
    }
    let line = format!(
        "{}: {:.1} s, {} notes, {bpm:.1} beats a minute, first beat at {first:.2} s\n",
        output.name(),
        heard.seconds,
        heard.notes.len(),
    );
    report(&output, &line)
}

fn json_note(note: &Note) -> serde_json::Value {
    serde_json::json!({
        "onset": note.onset, "end": note.end, "pitch": note.pitch, "velocity": note.velocity,
        "confidence": note.confidence,
    })
}
