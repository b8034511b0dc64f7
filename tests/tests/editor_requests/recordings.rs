//! Learning from recordings. These tests are skipped where the bundles have no ear.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use continuo::ear::transcribe;
use continuo::editor_link::EditorRequest;
use continuo::resources::find_ear;
use continuo_files::onnx_runtime::resources_beside;
use continuo_files::{Output, Replace, ear_model, kind};
use continuo_score::tune;
use continuo_synth::wav::write_wav;
use continuo_tests::artifacts;
use continuo_tests::host::Format;

use super::{instance, instance_of};

/// Returns the resources of the test bundle, if they have basic-pitch's model.
fn resources() -> Option<PathBuf> {
    let resources = resources_beside(&artifacts::bundle(Format::Clap).unwrap()).unwrap();
    if ear_model::find_bundled(std::slice::from_ref(&resources)).is_none() {
        eprintln!(
            "skipped: no {} in {}; run `cargo xtask test --prepare` with a network",
            ear_model::NAME,
            resources.display()
        );
        return None;
    }
    Some(resources)
}

/// Renders eight bars of the minuet, and returns the pitches of its notes.
fn render(path: &Path) -> Vec<u8> {
    let file = tune::minuet().ended_at(8 * 36).to_midi();
    let output = Output::check(path, &kind::WAV, Replace::SameKind).unwrap();
    write_wav(&file, 0..file.end, &output, 22_050, &mut |_| ()).unwrap();
    file.notes.iter().map(|note| note.pitch).collect()
}

/// Writes minutes of noise, which the ear needs long for.
fn write_noise(path: &Path, minutes: u32) {
    let (rate, samples) = (8_000, 8_000 * 60 * minutes);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + 2 * samples).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend([rate, 2 * rate].map(u32::to_le_bytes).concat());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((2 * samples).to_le_bytes());
    let mut state = 1u32;
    bytes.extend((0..samples).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 20) as i16 - 2_048).to_le_bytes()
    }));
    fs::write(path, bytes).unwrap();
}

#[test]
fn recording_is_learned_beside_a_midi_file() {
    if resources().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    tune::minuet().to_midi().write_file(&at("a.mid")).unwrap();
    let played = render(&at("b.wav"));
    fs::write(at("c.wav"), b"RIFF\0\0\0\0WAVE, and no more").unwrap();
    let instance = instance();
    let learn = EditorRequest::Learn(vec![folder.path().into()]);
    assert!(instance.editor.send(learn));
    assert_eq!(instance.names(2), ["a.mid", "b.wav"]);
    let saved = instance.saved();
    let notes = saved["session"]["learned"][1]["piece"]["notes"].as_array();
    let heard = notes.unwrap().iter().map(|note| note[2].as_u64().unwrap());
    let mut heard: Vec<u64> = heard.collect();
    // The ear takes some overtones of the electric piano for notes.
    assert!(heard.len() < 2 * played.len(), "{heard:?}");
    let count = played.len();
    let is_heard = |&pitch: &u8| {
        let found = heard.iter().position(|&other| other == u64::from(pitch));
        found.map(|at| heard.swap_remove(at)).is_some()
    };
    let found = played.iter().copied().filter(is_heard).count();
    assert!(found * 10 >= count * 8, "{found} of {count}");
}

#[test]
fn recording_that_cannot_be_heard_is_named_with_the_reason() {
    let Some(resources) = resources() else {
        return;
    };
    if std::env::var_os(ear_model::VARIABLE).is_some() {
        eprintln!("skipped: {} names a model", ear_model::VARIABLE);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let own = at("Continuo.clap");
    let copied = resources_beside(&own).unwrap();
    artifacts::copy_folder(&resources, &copied).unwrap();
    render(&at("a.wav"));
    fs::write(at("b.wav"), b"RIFF\0\0\0\0WAVE, and no more").unwrap();
    let refused = |name: &str, goes_on: bool| {
        transcribe(find_ear(Some(&own)), &at(name), &|| goes_on).unwrap_err()
    };
    let damaged = refused("b.wav", true);
    assert!(
        damaged.contains("b.wav") && damaged.contains("convert it to WAV or FLAC"),
        "{damaged}"
    );
    let stopped = refused("a.wav", false);
    assert!(
        stopped.contains("a.wav") && stopped.contains("stopped"),
        "{stopped}"
    );
    fs::remove_file(copied.join(ear_model::NAME)).unwrap();
    let missing = refused("a.wav", true);
    let copied = copied.display().to_string();
    for part in ["a.wav", ear_model::NAME, &copied, "cargo xtask bundle"] {
        assert!(missing.contains(part), "{part} in {missing}");
    }

    tune::minuet().to_midi().write_file(&at("c.mid")).unwrap();
    let instance = instance_of(&own);
    let paths = ["a.wav", "c.mid"].map(at).to_vec();
    assert!(instance.editor.send(EditorRequest::Learn(paths)));
    assert_eq!(instance.names(1), ["c.mid"]);
}

#[test]
fn forgetting_and_leaving_stop_a_long_recording() {
    if resources().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // The ear would need two minutes, and a file waits for the one before.
    write_noise(&at("long.wav"), 30);
    tune::minuet().to_midi().write_file(&at("a.mid")).unwrap();
    let instance = instance();
    let learn = |name: &str| {
        let learn = EditorRequest::Learn(vec![at(name)]);
        assert!(instance.editor.send(learn));
    };
    learn("a.mid");
    assert_eq!(instance.names(1), ["a.mid"]);
    let began = Instant::now();
    for _ in 0..2 {
        learn("long.wav");
        // The worker is in the midst of it.
        std::thread::sleep(Duration::from_secs(1));
        assert!(instance.editor.send(EditorRequest::Unlearn));
        assert!(instance.names(0).is_empty());
        learn("a.mid");
        assert_eq!(instance.names(1), ["a.mid"]);
    }
    learn("long.wav");
    std::thread::sleep(Duration::from_secs(1));
    drop(instance);
    let spent = began.elapsed();
    assert!(spent < Duration::from_secs(60), "{spent:?}");
}
