//! Options that choose the notes to read from a file, in every command that has them.

use std::path::Path;

use serde_json::Value;

use crate::fixtures::{Folder, TICKS, command, file, ticks, track, tune};

/// Returns the standard output of a command that succeeds.
fn said(name: &str, input: &Path, more: &[&str]) -> String {
    let done = command(name, input).args(more).output().unwrap();
    assert!(done.status.success(), "{name} {more:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

fn json(name: &str, input: &Path, more: &[&str]) -> Value {
    let more = [more, &["--json"]].concat();
    serde_json::from_str(&said(name, input, &more)).unwrap()
}

/// Returns a file with four bars on track 0, three on track 1, and drums on track 2 to the end of the
/// fourth bar.
fn band(folder: &Folder) -> std::path::PathBuf {
    let tracks = [tune(16, 0), tune(12, 1), tune(16, 9)].map(|events| track(&events));
    folder.write("band.mid", &file(&tracks))
}

#[test]
fn tracks_channels_and_last_bars_are_selected_in_every_command() {
    let folder = Folder::new();
    let input = band(&folder);
    let sound = folder.path("out.wav");
    let sound = sound.to_str().unwrap();
    // Options, and the notes that remain: with drums, and pitches alone.
    let cases: [(&[&str], u64, u64); 6] = [
        (&[], 44, 28),
        (&["--tracks", "1"], 12, 12),
        (&["--tracks=0,2"], 32, 16),
        (&["--channels", "1-2"], 28, 28),
        (&["--last", "1"], 8, 4),
        (&["--channels", "2", "--last", "2"], 8, 8),
    ];
    for (more, all, pitches) in cases {
        let inspected = json("inspect", &input, more);
        let notes = inspected["notes"].as_array().unwrap().len() as u64;
        assert_eq!(notes, all, "{more:?}");
        let tokens = said("tokens", &input, more);
        assert_eq!(tokens.matches(" n").count() as u64, pitches, "{more:?}");
        let rendered = json(
            "render",
            &input,
            &[more, &["-o", sound, "--rate", "8000"]].concat(),
        );
        assert_eq!(rendered["notes"], pitches, "{more:?}");
        let measured = json("eval", &input, &[more, &["--quick"]].concat());
        assert_eq!(measured["cells"][0]["all"]["notes"], pitches, "{more:?}");
    }
    // Bars keep their numbers, and sound and pictures begin with the first chosen bar.
    let tokens = said("tokens", &input, &["--last", "1"]);
    assert!(tokens.trim_start().starts_with("4.0 "), "{tokens}");
    let more = ["--last", "1", "-o", sound, "--rate", "8000"];
    let seconds = json("render", &input, &more)["seconds"].as_f64().unwrap();
    assert!(
        (2.0..3.0).contains(&seconds),
        "{seconds} s for a bar of two"
    );
    let picture = |more: &[&str]| {
        let output = folder.path("out.png");
        said(
            "view",
            &input,
            &[more, &["-o", output.to_str().unwrap()]].concat(),
        );
        std::fs::read(output).unwrap()
    };
    let whole = picture(&[]);
    for (more, ..) in &cases[1..] {
        assert!(picture(more) != whole, "{more:?}");
    }
}

#[test]
fn missing_tracks_and_channels_cannot_be_selected() {
    let folder = Folder::new();
    let input = band(&folder);
    let output = folder.path("out");
    let output = output.to_str().unwrap();
    let outputs = ["continue", "render", "view"];
    for name in ["continue", "eval", "inspect", "render", "tokens", "view"] {
        let refused = |more: &[&str], word: &str| {
            let mut command = command(name, &input);
            if outputs.contains(&name) {
                command.args(["-o", output, "--force"]);
            }
            let done = command.args(more).output().unwrap();
            let said = String::from_utf8(done.stderr).unwrap();
            assert!(
                !done.status.success() && said.contains(word),
                "{name}: {said}"
            );
        };
        refused(&["--tracks", "3"], "there is no track 3: they are 0 to 2");
        refused(&["--channels", "17"], "1 to 16");
        refused(&["--last", "0"], "--last");
        refused(&["--pedal=loud"], "on or off");
    }
    let mut drums = command("render", &input);
    drums.args(["--channels", "10", "-o", output, "--force"]);
    let said = String::from_utf8(drums.output().unwrap().stdout).unwrap();
    assert!(said.contains("0 notes, 16 drum hits"), "{said}");
}

#[test]
fn pedal_is_read_where_it_is_requested() {
    let folder = Folder::new();
    // A sixteenth that the pedal holds to the end of the first beat.
    let events = [
        &[0, 0xb0, 64, 127, 0, 0x90, 60, 80][..],
        &ticks(TICKS / 4),
        &[0x80, 60, 64],
        &ticks(TICKS / 4 * 3),
        &[0xb0, 64, 0],
        &tune(4, 0),
    ];
    let input = folder.write("in.mid", &file(&[track(&events.concat())]));
    let first = |name: &str, more: &[&str]| match name {
        "tokens" => said(name, &input, more).contains("n60 d12"),
        _ => json(name, &input, more)["notes"][0]["end"] == u64::from(TICKS),
    };
    for name in ["inspect", "tokens"] {
        assert!(
            first(name, &["--pedal"]) && first(name, &["--pedal=on"]),
            "{name}"
        );
        assert!(
            !first(name, &[]) && !first(name, &["--pedal=off"]),
            "{name}"
        );
    }
    let nats = |more: &[&str]| {
        let measured = json("eval", &input, &[more, &["--quick"]].concat());
        measured["cells"][0]["all"]["nats"].as_f64()
    };
    assert_eq!(nats(&[]), nats(&["--pedal=off"]));
    assert_ne!(nats(&[]), nats(&["--pedal"]));
    let output = |name: &str| folder.path(name).to_str().unwrap().to_string();
    let sound = |more: &[&str]| {
        let path = output("out.wav");
        said(
            "render",
            &input,
            &[more, &["-o", &path, "--rate", "8000"]].concat(),
        );
        std::fs::read(path).unwrap()
    };
    assert!(sound(&[]) == sound(&["--pedal"]) && sound(&[]) != sound(&["--pedal=off"]));
}

/// Returns a track that ends two hundred bars after its last note.
#[test]
fn silence_after_the_last_note_is_left_out() {
    let folder = Folder::new();
    let late = [&tune(15, 0)[..], &[0x83, 0x80, 0x00, 0xb0, 7, 1]].concat();
    let stops = folder.write("stops.mid", &file(&[track(&tune(15, 0))]));
    let waits = folder.write("waits.mid", &file(&[track(&late)]));
    // At most one bar of silence is added: the last bar is whole.
    let lines = |input: &Path| said("tokens", input, &[]).lines().count();
    assert_eq!(lines(&waits), lines(&stops));
    let output = |name: &str| folder.path(name).to_str().unwrap().to_string();
    let more = ["-o", &output("out.wav"), "--rate", "8000"];
    let seconds = json("render", &waits, &more)["seconds"].as_f64().unwrap();
    assert!((8.0..9.0).contains(&seconds), "{seconds}");
    let height = |input: &Path| {
        let path = output("out.png");
        said("view", input, &["-o", &path]);
        let png = std::fs::read(path).unwrap();
        u32::from_be_bytes(png[20..24].try_into().unwrap())
    };
    assert_eq!(height(&waits), height(&stops));
}
