//! `continuo transcribe`. The tests that listen are skipped where basic-pitch's model is missing.

use std::fs;
use std::path::Path;

use continuo_files::{ear_model, onnx_runtime};
use continuo_score::midi::{self, MidiFile};
use serde_json::Value;

use super::{continuo, minuet_in, path};

/// Whether basic-pitch's model is there. Says why a test is skipped.
fn is_there() -> bool {
    let library = onnx_runtime::find(None).ok();
    let found = ear_model::find(None, library.as_deref());
    if let Err(reason) = &found {
        eprintln!("skipped: {reason}");
    }
    found.is_ok()
}

/// Onsets in seconds and pitches of a file.
fn onsets(file: &MidiFile) -> Vec<(f64, u8)> {
    let ticks = f64::from(file.ticks_per_beat);
    let beat = f64::from(file.tempos[0].1) / 1e6;
    let onset = |note: &midi::MidiNote| (note.start as f64 / ticks * beat, note.pitch);
    file.notes.iter().map(onset).collect()
}

#[test]
fn rendered_tune_comes_back_as_notes_in_its_tempo() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (minuet, input, output) = minuet_in(folder.path());
    let sound = path(folder.path(), "in.wav");
    assert!(
        continuo(&["render", &input, "-o", &sound, "--rate", "44100"])
            .status
            .success()
    );
    let bpm = minuet.tempos.bpm(0).to_string();
    let done = continuo(&[
        "transcribe",
        &sound,
        "-o",
        &output,
        "--bpm",
        &bpm,
        "--first-beat",
        "0",
        "--sensitivity",
        "0.3",
        "--json",
    ]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let played = onsets(&midi::read_file(Path::new(&input)).unwrap());
    let heard = onsets(&midi::read_file(Path::new(&output)).unwrap());
    assert_eq!(report["notes"].as_array().unwrap().len(), heard.len());
    assert_eq!(report["bpm_found"], false);
    let is_heard = |&&(onset, pitch): &&(f64, u8)| {
        heard
            .iter()
            .any(|&(at, other)| other == pitch && (at - onset).abs() < 0.05)
    };
    let found = played.iter().filter(is_heard).count();
    assert!(
        found * 10 >= played.len() * 8,
        "{found} of {}",
        played.len()
    );
    assert!(
        heard.len() * 10 <= played.len() * 13,
        "{} notes",
        heard.len()
    );
}

#[test]
fn file_that_is_no_sound_is_refused_and_nothing_is_written() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, input, output) = minuet_in(folder.path());
    let done = continuo(&["transcribe", &input, "-o", &output]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("in.mid") && said.contains("convert it to WAV or FLAC"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(fs::metadata(&output).is_err());
}

#[test]
fn missing_model_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (_, input, output) = minuet_in(folder.path());
    let done = continuo(&["transcribe", &input, "-o", &output, "--ear", "gone.onnx"]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no file gone.onnx") && said.contains("cargo xtask ear"),
        "{said}"
    );
}
