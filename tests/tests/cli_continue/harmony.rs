//! Chords that an answer follows, and chords that `inspect` names.

use std::path::PathBuf;

use continuo_score::chord::Chord;
use continuo_score::{Drums, Score, midi, tune};

use crate::fixtures::{Folder, command};

/// Steps of a bar of the tune.
const BAR: u32 = 48;

/// Returns a file with four bars of triads, C F G Am.
fn triads(folder: &Folder) -> PathBuf {
    let bars = "C3+E3+G3+C4:4 | F3+A3+C4+F4:4 | G3+B3+D4+G4:4 | A2+E3+A3+C4:4";
    let score = tune::parse(bars, 12).unwrap();
    folder.write("triads.mid", &score.to_midi().to_bytes().unwrap())
}

/// Returns the notes of the answer, from step 0 on.
fn answer(folder: &Folder, more: &[&str]) -> Score {
    let (input, output) = (triads(folder), folder.path("out.mid"));
    let mut command = command("continue", &input);
    command
        .args(["--only", "--force", "--bars", "8", "-o"])
        .arg(&output);
    let done = command.args(more).output().unwrap();
    assert!(done.status.success(), "{more:?}: {done:?}");
    let file = midi::read_bytes(&std::fs::read(output).unwrap()).unwrap();
    Score::from_midi(&file, 12, Drums::Drop)
}

#[test]
fn a_locked_answer_plays_the_loops_chords_alone() {
    let folder = Folder::new();
    for (bars, chords) in [("2", vec!["G", "Am"]), ("4", vec!["C", "F", "G", "Am"])] {
        let harmony = format!("loop:{bars}");
        let locked = ["--harmony", &harmony, "--chord-pull", "1", "--seed", "3"];
        let score = answer(&folder, &locked);
        assert!(score.notes.len() > 8, "{} notes", score.notes.len());
        for note in &score.notes {
            let name = chords[(note.start / BAR) as usize % chords.len()];
            let chord: Chord = name.parse().unwrap();
            assert!(
                chord.contains(note.pitch),
                "{bars} bars: {note:?} under {name}"
            );
        }
        assert_eq!(answer(&folder, &locked), score, "the same seed");
    }
    // A loop without a pull is no loop.
    let free = answer(&folder, &["--seed", "3"]);
    let unpulled = ["--harmony", "loop:4", "--chord-pull", "0", "--seed", "3"];
    assert_eq!(answer(&folder, &unpulled), free);
}

#[test]
fn inspect_names_the_chords() {
    let folder = Folder::new();
    let input = triads(&folder);
    let said = |more: &[&str]| {
        let done = command("inspect", &input).args(more).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(said(&["--chords"]).ends_with("| C | F | G | Am |\n"));
    assert!(!said(&[]).contains("| C |"));
    let report: serde_json::Value = serde_json::from_str(&said(&["--chords", "--json"])).unwrap();
    let harmony = &report["harmony"];
    assert_eq!(harmony["key"], "C major");
    let last = &harmony["chords"][3];
    assert_eq!(
        (&last["chord"], &last["bar"], &last["start"]),
        (&"Am".into(), &4.into(), &(3 * 4 * 480).into())
    );
    let plain: serde_json::Value = serde_json::from_str(&said(&["--json"])).unwrap();
    assert!(plain.get("harmony").is_none());
}
