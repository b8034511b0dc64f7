//! The model hears synthetic sound. These tests want ONNX Runtime and basic-pitch's model
//! (`cargo xtask runtime`, `cargo xtask ear`) and are skipped where those are missing.

use std::f32::consts::TAU;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::OnceLock;

use continuo_ear::{AudioFile, EarError, EarModel, Listener, Note, Settings, transcribe};
use continuo_files::{ear_model, onnx_runtime};
use ort::environment::Environment;

/// Loads the model, or says why the test is skipped.
fn model() -> Option<EarModel> {
    let (environment, path) = found()?;
    Some(EarModel::load(environment, path).unwrap())
}

/// The one environment of this process, and the model's path.
fn found() -> Option<&'static (Environment, PathBuf)> {
    static FOUND: OnceLock<Result<(Environment, PathBuf), String>> = OnceLock::new();
    let search = || {
        let library = onnx_runtime::find(None).map_err(|e| e.to_string())?;
        let path = ear_model::find(None, Some(&library)).map_err(|e| e.to_string())?;
        let library = std::path::absolute(library).unwrap();
        Ok((ort::init_from(library).unwrap().build().unwrap(), path))
    };
    let found = FOUND.get_or_init(search).as_ref();
    found.inspect_err(|why| eprintln!("skipped: {why}")).ok()
}

/// A note of the test music: onset, length in seconds, pitch.
type Played = (f32, f32, u8);

/// C major up and a chord.
const MUSIC: [Played; 8] = [
    (0.5, 0.45, 60),
    (1.0, 0.45, 62),
    (1.5, 0.45, 64),
    (2.0, 0.45, 65),
    (2.5, 0.45, 67),
    (3.25, 1.2, 48),
    (3.25, 1.2, 64),
    (3.25, 1.2, 67),
];

/// Renders notes as plucked tones with eight partials.
fn play(music: &[Played], rate: u32, seconds: f32) -> Vec<f32> {
    let mut sound = vec![0.0; (seconds * rate as f32) as usize];
    for &(onset, length, pitch) in music {
        let hz = 440.0 * ((f32::from(pitch) - 69.0) / 12.0).exp2();
        let first = (onset * rate as f32) as usize;
        for (at, sample) in sound[first..].iter_mut().enumerate() {
            let t = at as f32 / rate as f32;
            if t > length {
                break;
            }
            let envelope = (t / 0.004).min(1.0) * ((length - t) / 0.03).min(1.0) * (-t).exp();
            for partial in 1..=8u8 {
                let partial = f32::from(partial);
                if partial * hz < 0.45 * rate as f32 {
                    *sample += 0.12 * envelope / partial.powf(1.5) * (TAU * partial * hz * t).sin();
                }
            }
        }
    }
    sound
}

/// Gives samples in blocks to a listener and returns all its notes.
fn hear(listener: &mut Listener, samples: &[f32], block: usize) -> Vec<Note> {
    let mut notes = Vec::new();
    for block in samples.chunks(block) {
        notes.extend(listener.push(block).unwrap());
    }
    notes.extend(listener.finish().unwrap());
    notes
}

fn listener(model: EarModel, rate: u32) -> Listener {
    Listener::new(model, rate, &Settings::default()).unwrap()
}

/// Asserts that all of [`MUSIC`] was found, with few other notes.
fn assert_music(notes: &[Note], about: &str) {
    for (onset, length, pitch) in MUSIC {
        let (onset, length) = (f64::from(onset), f64::from(length));
        let found = notes
            .iter()
            .find(|note| note.pitch == pitch && (note.onset - onset).abs() < 0.05);
        let note = found.unwrap_or_else(|| panic!("{about}: no {pitch} at {onset}: {notes:?}"));
        let lasts = note.end - note.onset;
        assert!(
            (0.4 * length..1.6 * length).contains(&lasts),
            "{about}: {note:?}"
        );
        assert!((1..=127).contains(&note.velocity));
        assert!((0.3..=1.0).contains(&note.confidence), "{about}: {note:?}");
    }
    assert!(notes.len() <= MUSIC.len() + 5, "{about}: {notes:?}");
}

#[test]
fn music_is_found_at_every_sample_rate() {
    for rate in [8_000, 22_050, 44_100, 48_000, 192_000] {
        let Some(model) = model() else { return };
        let mut listener = listener(model, rate);
        let notes = hear(&mut listener, &play(&MUSIC, rate, 5.0), 4_096);
        assert_music(&notes, &format!("{rate} Hz"));
    }
}

#[test]
fn block_size_does_not_change_the_notes() {
    let Some(model) = model() else { return };
    let mut listener = listener(model, 48_000);
    let sound = play(&MUSIC, 48_000, 5.0);
    let whole = hear(&mut listener, &sound, sound.len());
    for block in [64, 441, 30_000] {
        assert_eq!(
            hear(&mut listener, &sound, block),
            whole,
            "blocks of {block}"
        );
    }
}

#[test]
fn notes_arrive_within_the_latency_after_their_end() {
    let Some(model) = model() else { return };
    let mut listener = listener(model, 48_000);
    let mut at = 0.0;
    for block in play(&MUSIC, 48_000, 7.0).chunks(480) {
        at += 0.01;
        for note in listener.push(block).unwrap() {
            let late = at - note.end;
            assert!(
                late < Listener::latency() + 0.35,
                "{note:?} came {late} s after its end"
            );
        }
    }
    assert_eq!(listener.finish().unwrap(), []);
}

#[test]
fn silence_and_the_faintest_noise_have_no_notes() {
    let Some(model) = model() else { return };
    let mut listener = listener(model, 48_000);
    assert_eq!(hear(&mut listener, &[], 1), []);
    assert_eq!(hear(&mut listener, &[0.0; 1], 1), []);
    assert_eq!(hear(&mut listener, &[0.0; 240_000], 4_096), []);
    let faint: Vec<f32> = play(&MUSIC, 48_000, 5.0)
        .iter()
        .map(|it| it * 1e-3)
        .collect();
    assert_eq!(hear(&mut listener, &faint, 4_096), []);
}

#[test]
fn samples_that_are_no_numbers_are_silence() {
    let Some(model) = model() else { return };
    let mut listener = listener(model, 48_000);
    let mut sound = play(&MUSIC, 48_000, 5.0);
    for at in (0..sound.len()).step_by(20_000) {
        sound[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][at % 3];
    }
    let mut notes = Vec::new();
    for block in sound.chunks(1_000) {
        notes.extend(listener.push(block).unwrap());
    }
    assert_eq!(listener.repaired_samples(), 12);
    notes.extend(listener.finish().unwrap());
    assert_eq!(listener.repaired_samples(), 0);
    assert!(notes.len() >= 6, "{notes:?}");
    assert_eq!(hear(&mut listener, &[f32::NAN; 100_000], 4_096), []);
}

#[test]
fn clipped_and_very_loud_music_is_found() {
    let Some(model) = model() else { return };
    let mut listener = listener(model, 44_100);
    let sound = play(&MUSIC, 44_100, 5.0);
    let clipped: Vec<f32> = sound.iter().map(|it| (it * 6.0).clamp(-1.0, 1.0)).collect();
    let notes = hear(&mut listener, &clipped, 4_096);
    let is_found = |&(onset, _, pitch): &Played| {
        let onset = f64::from(onset);
        let near = |note: &&Note| note.pitch == pitch && (note.onset - onset).abs() < 0.05;
        notes.iter().find(near).is_some()
    };
    assert!(
        MUSIC.iter().filter(|note| is_found(note)).count() >= 7,
        "{notes:?}"
    );
    let loud: Vec<f32> = sound.iter().map(|it| it * 30.0).collect();
    assert_music(&hear(&mut listener, &loud, 4_096), "30 times as loud");
}

#[test]
fn file_and_stream_have_the_same_notes() {
    let (Some(first), Some(second)) = (model(), model()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("music.wav");
    let sound = play(&MUSIC, 48_000, 5.0);
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 48_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for sample in &sound {
        writer.write_sample(*sample).unwrap();
        writer.write_sample(*sample).unwrap();
    }
    writer.finalize().unwrap();
    let mut done = 0.0;
    let mut progress = |at| {
        done = at;
        ControlFlow::Continue(())
    };
    let file = AudioFile::open(&path).unwrap();
    let heard = transcribe(file, first, &Settings::default(), &mut progress).unwrap();
    let mut live = hear(&mut listener(second, 48_000), &sound, 512);
    live.sort_by(|a, b| a.onset.total_cmp(&b.onset).then(a.pitch.cmp(&b.pitch)));
    assert_eq!(heard.notes, live);
    assert_eq!((heard.rate, heard.channels), (48_000, 2));
    assert!((heard.seconds - 5.0).abs() < 1e-9 && (done - 5.0).abs() < 1e-9);
    assert_music(&heard.notes, "file");
}

#[test]
fn transcription_stops_where_its_caller_stops_it() {
    let Some(model) = model() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..8_000 * 600).for_each(|_| writer.write_sample(0i16).unwrap());
    writer.finalize().unwrap();
    let file = AudioFile::open(&path).unwrap();
    let mut last = 0.0;
    let mut stop = |at| {
        last = at;
        match at > 1.0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let stopped = transcribe(file, model, &Settings::default(), &mut stop).unwrap_err();
    assert!(matches!(stopped, EarError::Stopped), "{stopped}");
    assert!((1.0..2.0).contains(&last), "{last}");
}

#[test]
fn other_models_are_refused_with_the_remedy() {
    let Some((environment, _)) = found() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.onnx");
    for content in [None, Some("no model")] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let error = EarModel::load(environment, &path).err().unwrap();
        assert!(matches!(error, EarError::Model { .. }));
        let text = error.to_string();
        for part in ["other.onnx", "cargo xtask ear"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
