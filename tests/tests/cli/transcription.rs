//! Recordings: `continuo transcribe`, and the other commands that read them. The tests that listen are
//! skipped where basic-pitch's model is missing.

use std::fs;
use std::path::Path;

use continuo_files::{ear_model, onnx_runtime};
use continuo_score::midi::{self, MidiFile};
use continuo_tests::artifacts;
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

/// Renders `in.mid` in a folder as `in.wav`, and returns that path.
fn rendered(folder: &Path, input: &str) -> String {
    let sound = path(folder, "in.wav");
    let done = continuo(&["render", input, "-o", &sound, "--rate", "44100"]);
    assert!(done.status.success());
    sound
}

/// Runs a command that must succeed, and returns standard output and standard error.
fn run(arguments: &[&str]) -> (String, String) {
    let done = continuo(arguments);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments:?}: {said}");
    (String::from_utf8_lossy(&done.stdout).into_owned(), said)
}

#[test]
fn rendered_tune_comes_back_as_notes_in_its_tempo() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (minuet, input, output) = minuet_in(folder.path());
    let sound = rendered(folder.path(), &input);
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
    let text = path(folder.path(), "text.wav");
    fs::write(&text, "no sound").unwrap();
    for (input, about) in [
        (&input, "in.mid: a MIDI file, which has its notes already"),
        (&text, "convert it to WAV or FLAC"),
    ] {
        let done = continuo(&["transcribe", input, "-o", &output]);
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(&**input) && said.contains(about), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(fs::metadata(&output).is_err());
    }
}

#[test]
fn missing_model_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (_, input, output) = minuet_in(folder.path());
    let sound = rendered(folder.path(), &input);
    let done = continuo(&["transcribe", &sound, "-o", &output, "--ear", "gone.onnx"]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no file gone.onnx") && said.contains("cargo xtask ear"),
        "{said}"
    );
}

#[test]
fn recording_is_continued_as_its_transcription_and_an_answer() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (minuet, input, output) = minuet_in(folder.path());
    let sound = rendered(folder.path(), &input);
    let transcript = path(folder.path(), "transcript.mid");
    let bpm = minuet.tempos.bpm(0).to_string();
    let beat = ["--bpm", &bpm, "--first-beat", "0"];
    run(&[&["transcribe", &sound, "-o", &transcript][..], &beat].concat());
    let heard = midi::read_file(Path::new(&transcript)).unwrap();
    // The content decides, whatever the name.
    let misnamed = path(folder.path(), "song.mid");
    fs::rename(&sound, &misnamed).unwrap();
    let arguments = ["continue", &misnamed, "-o", &output, "--bars", "2"];
    let (_, said) = run(&[&arguments[..], &beat].concat());
    let both = midi::read_file(Path::new(&output)).unwrap();
    let (first, answer): (Vec<_>, Vec<_>) = both.notes.into_iter().partition(|note| note.track < 2);
    assert!(first == heard.notes, "{said}");
    assert!(!answer.is_empty() && both.tracks.len() == 3, "{said}");
    let last = first.iter().map(|note| note.start).max().unwrap();
    assert!(answer.iter().all(|note| note.start > last));
    assert!((60e6 / f64::from(both.tempos[0].1) - minuet.tempos.bpm(0)).abs() < 0.01);

    let mut piped = artifacts::command("continuo").unwrap();
    piped.args(["continue", "-", "-o", "-", "--bars", "2"]);
    piped.args(beat).stdin(fs::File::open(&misnamed).unwrap());
    let done = piped.output().unwrap();
    assert!(done.status.success());
    assert_eq!(done.stdout, fs::read(&output).unwrap());
}

#[test]
fn recordings_are_read_wherever_midi_files_are() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let (minuet, input, output) = minuet_in(folder.path());
    // Eight bars, since each command listens to them.
    let eight = minuet.ended_at(8 * 36).to_midi();
    eight.write_file(Path::new(&input)).unwrap();
    let sound = rendered(folder.path(), &input);
    let (report, _) = run(&["inspect", &sound, "--json", "--bpm", "100"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(report["notes"].as_array().unwrap().len() > 25);
    assert!((report["tempos"][0]["bpm"].as_f64().unwrap() - 100.0).abs() < 0.01);
    run(&["view", &sound, "-o", &at("roll.png")]);
    run(&["notate", &sound, "-o", &at("page.musicxml")]);
    run(&["render", &sound, "-o", &at("again.wav")]);
    assert!(!run(&["tokens", &sound]).0.is_empty());
    run(&["fill", &sound, "--bars", "3", "-o", &output]);

    // A folder that is learned may have both; one that is measured has only its MIDI files read.
    let learned = folder.path().join("learned");
    fs::create_dir(&learned).unwrap();
    fs::rename(&sound, learned.join("a.wav")).unwrap();
    fs::copy(&input, learned.join("b.mid")).unwrap();
    let learned = learned.display().to_string();
    let eval = |arguments: &[&str]| -> Value {
        let arguments = [&["eval", "--quick", "--json"], arguments].concat();
        serde_json::from_str(&run(&arguments).0).unwrap()
    };
    let loss = |report: &Value| report["cells"][0]["suffix"]["nats"].as_f64().unwrap();
    let (without, with) = (eval(&[&learned]), eval(&[&input, "--learn", &learned]));
    assert_eq!(
        (&without["pieces"], &with["pieces"]),
        (&1.into(), &1.into())
    );
    assert!(loss(&with) < loss(&without));
    let arguments = [
        "continue",
        &input,
        "--bars",
        "2",
        "-o",
        &at("c.mid"),
        "--json",
    ];
    let (report, _) = run(&[&arguments[..], &["--learn", &learned]].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["learned_files"], 2);
}

#[test]
fn beat_of_a_recording_changes_nothing_of_a_midi_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_, input, _) = minuet_in(folder.path());
    let (with, said) = run(&["tokens", &input, "--first-beat", "3", "--bpm", "90"]);
    let (without, silent) = run(&["tokens", &input]);
    assert_eq!(with, without);
    assert!(
        said.contains("in.mid: --bpm and --first-beat are for recordings"),
        "{said}"
    );
    assert_eq!((said.lines().count(), silent.as_str()), (1, ""));
}

#[test]
fn files_of_another_kind_are_refused_with_what_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let song = path(folder.path(), "song.wav");
    for (bytes, kind) in [(&b"ID3\x04"[..], "an MP3 file"), (b"OggS\0", "an Ogg file")] {
        fs::write(&song, bytes).unwrap();
        let done = continuo(&["inspect", &song]);
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        for part in ["song.wav", "not a MIDI, WAV or FLAC file", kind] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[test]
fn rendering_does_not_replace_the_recording_that_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (_, input, _) = minuet_in(folder.path());
    let sound = rendered(folder.path(), &input);
    let before = fs::read(&sound).unwrap();
    let done = continuo(&["render", &sound, "-o", &sound]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("in.wav: is the input"), "{said}");
    assert!(fs::read(&sound).unwrap() == before);
}

#[test]
fn view_of_notation_names_the_command_and_the_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (_, input, _) = minuet_in(folder.path());
    let page = path(folder.path(), "page.svg");
    let done = continuo(&["view", &input, "--notation", "-o", &page]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    for part in ["continuo notate", "page.musicxml", "MuseScore", "verovio"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(fs::metadata(&page).is_err());
}
