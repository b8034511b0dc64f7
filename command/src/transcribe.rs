//! Command `continuo transcribe IN.wav -o OUT.mid`: finds the notes of a recording.

use std::path::PathBuf;

use anyhow::Result;
use continuo_cli::{
    Force, Progress, above, at_least, note, number, one_result_on_standard_output, print, report,
};
use continuo_ear::{AudioFile, Beat, EarModel, Note, Settings, Transcript, find_beat, transcribe};
use continuo_engine::Runtime;
use continuo_files::{Output, ear_model, kind, onnx_runtime};
use continuo_score::TimeSignature;
use continuo_score::midi::{MidiFile, MidiNote, Text};

use super::inputs::text;

/// Tempo of a file whose tempo is not found, in beats a minute.
const PLAIN_TEMPO: f64 = 120.0;
/// Ticks in a quarter note of the file. 960 ticks are 0.5 ms at 120 beats a minute.
const TICKS: u32 = 960;
/// Beats before the first one up to which a note counts as played early.
const EARLY: f64 = 0.1;
/// Beats in a bar of the file.
const BEATS: f64 = 4.0;

/// Find the notes of a recording and write them as a MIDI file
///
/// Reads WAV and FLAC, mixes all channels to one, and finds the notes of any pitched instrument with
/// basic-pitch's model; drums are not found. The tempo is taken as constant. It is found by the
/// autocorrelation of the onsets, and can be wrong by a factor of 2: --bpm sets it. The first beat is
/// the start of a bar of 4/4.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// WAV or FLAC file to listen to
    file: PathBuf,
    /// MIDI file to write
    #[arg(short, long)]
    output: PathBuf,
    /// Tempo in beats a minute [default: found, or 120]
    #[arg(long, value_name = "N", value_parser = number(10.0, 600.0))]
    bpm: Option<f64>,
    /// Time of the first beat in seconds [default: found]
    #[arg(long, value_name = "SECONDS", value_parser = at_least(0.0))]
    first_beat: Option<f64>,
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
    let library = onnx_runtime::find(args.runtime.as_deref())?;
    let model = ear_model::find(args.ear.as_deref(), Some(&library))?;
    let file = AudioFile::open(&args.file)?;
    let model = EarModel::load(Runtime::load(&library)?.environment(), &model)?;
    let settings = Settings {
        sensitivity: args.sensitivity,
        shortest: args.shortest,
        ..Settings::default()
    };
    let all = file.seconds().unwrap_or(0.0) as u64;
    let progress = Progress::new("listening", "s", all);
    let mut tell = |done: f64| progress.set(done as u64, all.max(done as u64));
    let heard = transcribe(file, model, &settings, &mut tell)?;
    drop(progress);
    warn(args, &heard);
    let found = find_beat(&heard.notes, args.bpm);
    let found_tempo = args.bpm.is_none() && found.is_some();
    let bpm = args
        .bpm
        .or(found.map(|beat| beat.bpm))
        .unwrap_or(PLAIN_TEMPO);
    if args.bpm.is_none() && found.is_none() && !heard.notes.is_empty() {
        note(format_args!(
            "continuo: {}: too few notes to find a tempo; writing {PLAIN_TEMPO} beats a minute \
             (--bpm sets it)",
            args.file.display()
        ));
    }
    let found_first = found.map_or(0.0, |beat| beat.first);
    let first = args.first_beat.unwrap_or(found_first);
    output.write(&midi(&heard.notes, &Beat { bpm, first }).to_bytes()?)?;
    if args.json {
        let notes: Vec<_> = heard.notes.iter().map(json_note).collect();
        let report = serde_json::json!({
            "input": text(&args.file), "output": text(&args.output), "rate": heard.rate,
            "channels": heard.channels, "seconds": heard.seconds, "bpm": bpm,
            "bpm_found": found_tempo, "first_beat": first, "notes": notes,
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

/// Prints what is odd about the recording.
fn warn(args: &Args, heard: &Transcript) {
    let name = args.file.display();
    if heard.notes.is_empty() {
        note(format_args!(
            "continuo: {name}: no notes found; a greater --sensitivity finds more"
        ));
    }
    if heard.repaired_samples > 0 {
        let count = heard.repaired_samples;
        note(format_args!(
            "continuo: {name}: {count} samples are no numbers and were read as silence"
        ));
    }
    if heard.damaged_packets > 0 {
        let count = heard.damaged_packets;
        note(format_args!(
            "continuo: {name}: {count} damaged packets were read as silence"
        ));
    }
}

fn json_note(note: &Note) -> serde_json::Value {
    serde_json::json!({
        "onset": note.onset, "end": note.end, "pitch": note.pitch, "velocity": note.velocity,
        "confidence": note.confidence,
    })
}

/// Returns the notes as a MIDI file whose bars begin at the first beat. Notes before it are in the
/// bars before.
fn midi(notes: &[Note], beat: &Beat) -> MidiFile {
    let beats = |seconds: f64| (seconds - beat.first) * beat.bpm / 60.0;
    // Notes that are only played early are no pickup; they move to the first beat.
    let early = notes.first().map_or(0.0, |note| -beats(note.onset));
    let pickup = if early > EARLY { early } else { 0.0 };
    let lead = (pickup / BEATS).ceil() * BEATS;
    let tick = |seconds: f64| ((beats(seconds) + lead).max(0.0) * f64::from(TICKS)).round() as u64;
    let notes: Vec<MidiNote> = notes
        .iter()
        .map(|note| MidiNote {
            start: tick(note.onset),
            end: tick(note.end).max(tick(note.onset) + 1),
            pitch: note.pitch,
            velocity: note.velocity,
            channel: 0,
            track: 0,
        })
        .collect();
    MidiFile {
        format: 1,
        ticks_per_beat: TICKS,
        end: notes.iter().map(|note| note.end).max().unwrap_or(0),
        notes,
        tempos: vec![(0, (60e6 / beat.bpm).round() as u32)],
        time_signatures: vec![(0, TimeSignature::COMMON)],
        tracks: vec![Text::from("transcription")],
        ..MidiFile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::midi::read_bytes;

    fn note(onset: f64) -> Note {
        Note {
            onset,
            end: onset + 0.5,
            pitch: 60,
            velocity: 80,
            confidence: 0.8,
            decided: 0.0,
        }
    }

    #[test]
    fn first_beat_is_the_start_of_a_bar_and_a_pickup_comes_before() {
        let beat = Beat {
            bpm: 120.0,
            first: 1.0,
        };
        let starts = |notes: &[Note]| -> Vec<u64> {
            let file = midi(notes, &beat);
            let read = read_bytes(&file.to_bytes().unwrap()).unwrap();
            assert_eq!(read.tempos, [(0, 500_000)]);
            read.notes.iter().map(|note| note.start).collect()
        };
        assert_eq!(starts(&[note(1.0), note(1.5)]), [0, 960]);
        assert_eq!(starts(&[note(0.98), note(1.5)]), [0, 960]);
        assert_eq!(starts(&[note(0.5), note(1.0)]), [3 * 960, 4 * 960]);
        assert_eq!(starts(&[]), [0; 0]);
    }
}
