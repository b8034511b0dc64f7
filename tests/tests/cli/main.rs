//! The `continuo` command from end to end.

mod errors;
mod measuring;
mod transcription;

use std::path::Path;
use std::process::Output;

use continuo_score::{Drums, Note, Score, TokenSequence, Vocabulary, midi, tune};
use continuo_tests::artifacts;

fn continuo(arguments: &[&str]) -> Output {
    artifacts::command("continuo")
        .unwrap()
        .args(arguments)
        .output()
        .unwrap()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// Writes the minuet to `in.mid` in `folder`. Returns it, that path, and the path of `out.mid`.
fn minuet_in(folder: &Path) -> (Score, String, String) {
    let (input, output) = (path(folder, "in.mid"), path(folder, "out.mid"));
    let minuet = tune::minuet();
    minuet.to_midi().write_file(Path::new(&input)).unwrap();
    (minuet, input, output)
}

#[test]
fn continue_appends_whole_bars_in_tempo_and_time_signature_of_the_tune() {
    let folder = tempfile::tempdir().unwrap();
    let (minuet, input, output) = minuet_in(folder.path());
    let run = |seed: &str| {
        let done = continuo(&[
            "continue", &input, "-o", &output, "--bars", "4", "--seed", seed, "--json",
        ]);
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(
            (&report["from_bar"], &report["heard_notes"]),
            (&17.into(), &minuet.notes.len().into())
        );
        midi::read_file(Path::new(&output)).unwrap()
    };
    let file = run("1");
    assert!(
        file.warnings.is_empty(),
        "nothing is left open: {:?}",
        file.warnings
    );
    let both = Score::from_midi(&file, 12, Drums::Drop);
    assert_eq!(both.time_signatures, minuet.time_signatures);
    // The file stores a tempo as microseconds a beat.
    assert!((both.tempos.bpm(0) - minuet.tempos.bpm(0)).abs() < 1e-3);
    assert_eq!(both.length, minuet.length + 4 * 36);
    let (heard, played): (Vec<&Note>, Vec<&Note>) =
        both.notes.iter().partition(|n| n.start < minuet.length);
    assert!(
        heard.into_iter().eq(&minuet.notes),
        "what was there stays as it was"
    );
    assert_eq!(played[0].start, minuet.length, "it begins on the bar line");
    assert_eq!(run("1"), file, "the same seed");
    assert_ne!(run("2"), file, "another seed");

    let picture = path(folder.path(), "roll.png");
    assert!(
        continuo(&["view", &output, "-o", &picture])
            .status
            .success()
    );
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn inspect_and_tokens_print_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (minuet, input, _) = minuet_in(folder.path());
    let said = |arguments: &[&str]| {
        let done = continuo(arguments);
        assert!(
            done.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap()
    };
    let report: serde_json::Value =
        serde_json::from_str(&said(&["inspect", &input, "--json"])).unwrap();
    assert_eq!(report["bars"], 16);
    assert_eq!(
        report["notes"].as_array().map(Vec::len),
        Some(minuet.notes.len())
    );
    assert!(said(&["inspect", &input]).contains("3/4"));

    for vocabulary in [Vocabulary::continuo(), Vocabulary::midigen()] {
        let file = path(folder.path(), "vocabulary.json");
        std::fs::write(&file, vocabulary.to_json()).unwrap();
        let on_its_grid = Score::from_midi(
            &midi::read_file(Path::new(&input)).unwrap(),
            vocabulary.steps_per_beat,
            Drums::Drop,
        );
        let ids = TokenSequence::encode(&on_its_grid, &vocabulary).ids(&vocabulary);
        let expected = ids.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
        let by_name = said(&["tokens", &input, "--ids", "--preset", vocabulary.name()]);
        assert_eq!(by_name.trim(), expected);
        assert_eq!(
            said(&["tokens", &input, "--ids", "--vocabulary", &file]),
            by_name
        );
    }
    assert!(said(&["tokens", &input]).contains("<sos> n74 d12 v10 n62 d24 v8"));
}

#[test]
fn rendered_sound_is_as_long_as_the_music() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let (input, output) = (at("in.mid"), at("out.wav"));
    let mut minuet = tune::minuet().until(144);
    minuet.tempos = continuo_score::TempoMap::new(vec![(0, 90.0), (72, 180.0)]);
    minuet.to_midi().write_file(Path::new(&input)).unwrap();
    let done = continuo(&["render", &input, "-o", &output, "--rate", "22050", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["notes"], minuet.notes.len());
    // Six beats at 90 BPM, six at 180, and the release of the last chord.
    let seconds = report["seconds"].as_f64().unwrap();
    assert!((6.0..8.0).contains(&seconds), "{seconds}");
    let frames = (std::fs::metadata(&output).unwrap().len() - 44) as f64 / 4.0;
    assert_eq!(frames, seconds * 22_050.0);
    assert!(report["peak"].as_f64().unwrap() > 0.05);
    fails(&["render", &at("no.mid"), "-o", &output], "no.mid");
    fails(&["render", &input, "-o", &at("no/out.wav")], "out.wav");
}

#[test]
fn notation_has_the_title_and_the_chosen_bars() {
    let folder = tempfile::tempdir().unwrap();
    let (minuet, input, _) = minuet_in(folder.path());
    let output = path(folder.path(), "out.musicxml");
    let done = continuo(&["notate", &input, "-o", &output, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["notes"], minuet.notes.len());
    assert_eq!(
        (&report["key"], &report["bars"]),
        (&"G major".into(), &16.into())
    );
    let xml = std::fs::read_to_string(&output).unwrap();
    assert!(
        xml.contains("<work-title>in</work-title>"),
        "the file's name"
    );
    assert_eq!(xml.matches("<measure ").count(), 16);
    // Only the last bars, with their own numbers and another title; the file is replaced.
    let line = [
        "notate", &input, "-o", &output, "--last", "4", "--title", "A & B",
    ];
    let done = continuo(&line);
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(
        said.contains("4 bars") && said.contains("MuseScore"),
        "{said}"
    );
    let xml = std::fs::read_to_string(&output).unwrap();
    assert!(xml.contains("<work-title>A &amp; B</work-title>"));
    assert!(xml.contains("<measure number=\"13\">") && !xml.contains("number=\"17\""));
    // Without an output name's help, MusicXML goes to standard output.
    let done = continuo(&["notate", &input, "-o", "-"]);
    assert!(done.stdout.starts_with(b"<?xml"));
    fails(
        &["notate", &input, "-o", &path(folder.path(), "out.mxl")],
        "out.mxl",
    );
}

#[test]
fn continue_keeps_range_scale_and_voice_limits() {
    let folder = tempfile::tempdir().unwrap();
    let (minuet, input, output) = minuet_in(folder.path());
    let line = format!(
        "continue {input} -o {output} --bars 12 --scale auto --range C4..C5 --polyphony 1 \
         --density 2 --longest 1 --velocity 50..60 --temperature 1.5 --json"
    );
    let done = continuo(&line.split_whitespace().collect::<Vec<_>>());
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["heard_scale"], "G major");
    let both = Score::from_midi(
        &midi::read_file(Path::new(&output)).unwrap(),
        12,
        Drums::Drop,
    );
    let played = both.notes.iter().filter(|n| n.start >= minuet.length);
    let played: Vec<&Note> = played.collect();
    assert!(played.len() > 4);
    for note in &played {
        assert!((60..=72).contains(&note.pitch), "{note:?}");
        assert!(
            [7, 9, 11, 0, 2, 4, 6].contains(&(note.pitch % 12)),
            "{note:?}"
        );
        assert!(note.length <= 12, "{note:?}");
        assert!((50..=60).contains(&note.velocity), "{note:?}");
    }
    let one_by_one = played.windows(2).all(|w| w[0].end() <= w[1].start);
    assert!(one_by_one, "one note at a time");
}

/// Asserts exit code 1 and one line on standard error that contains `about`, without a panic.
fn fails(arguments: &[&str], about: &str) {
    let done = continuo(arguments);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{arguments:?}: {said}");
    // A busy machine may also show the progress of loading.
    let lines = said
        .trim()
        .lines()
        .filter(|line| !line.ends_with(" so far"));
    assert_eq!(lines.count(), 1, "{arguments:?}: {said}");
    assert!(
        said.contains(about) && !said.contains("panicked"),
        "{arguments:?}: {said}"
    );
}
