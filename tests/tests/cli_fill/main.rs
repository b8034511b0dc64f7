//! `continuo fill` on real-world files: the notes of some bars are replaced, and all else stays.

#[path = "../cli_continue/fixtures.rs"]
mod fixtures;

use std::path::Path;
use std::process::{Output, Stdio};

use continuo_score::midi::{self, MidiFile, MidiNote};

use fixtures::{Folder, TICKS, command, file, ticks, track, tune};

/// Ticks in a bar of 4/4.
const BAR: u64 = 4 * TICKS as u64;

fn continuo(input: &Path, output: &Path, more: &[&str]) -> Output {
    let mut command = command("fill", input);
    command.arg("-o").arg(output).arg("--json").args(more);
    command.output().unwrap()
}

/// Returns the report and the written file with its bytes. Nothing is said to standard error.
fn filled(input: &Path, output: &Path, more: &[&str]) -> (serde_json::Value, MidiFile, Vec<u8>) {
    let done = continuo(input, output, more);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{said}");
    assert!(!said.contains("continuo: "), "{said}");
    let report = serde_json::from_slice(&done.stdout).unwrap();
    let bytes = std::fs::read(output).unwrap();
    (report, midi::read_bytes(&bytes).unwrap(), bytes)
}

fn refused(input: &Path, output: &Path, more: &[&str], code: i32, word: &str) {
    let done = continuo(input, output, more);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(code), "{more:?}: {said}");
    assert!(said.contains(word), "{more:?}: {said}");
}

#[test]
fn drums_stay_whatever_their_channel() {
    let folder = Folder::new();
    let drums = [&b"\0\xff\x03\x05Drums"[..], &tune(16, 0)].concat();
    let before = file(&[track(&tune(16, 0)), track(&drums)]);
    let input = folder.write("in.mid", &before);
    let (report, read, _) = filled(&input, &folder.path("out.mid"), &["--bars", "2"]);
    let of = |file: &MidiFile, track| -> Vec<MidiNote> {
        let notes = file.notes.iter().copied();
        notes.filter(|note| note.track == track).collect()
    };
    let before = midi::read_bytes(&before).unwrap();
    assert_eq!(of(&read, 1), of(&before, 1));
    assert_ne!(of(&read, 0), of(&before, 0));
    assert_eq!(report["removed_notes"], 4);
}

#[test]
fn every_byte_outside_of_the_bars_is_kept() {
    let folder = Folder::new();
    let conductor = b"\0\xff\x03\x04Song\0\xff\x51\x03\x09\x27\xc0";
    let start = [
        &b"\0\xff\x03\x06\x83\x73\x83\x41\x83\x6d\0\xc0\x28\0\xb0\x07\x5a\0\xf0\x03\x41\x10\xf7"[..],
        &tune(8, 0),
    ]
    .concat();
    let lyric = b"\0\xff\x05\x02la";
    let end = [&tune(16, 0)[..], &ticks(300), &[0xb0, 64, 0]].concat();
    let body = [&start[..], &tune(8, 0), lyric, &end].concat();
    let bass = track(&tune(16, 1));
    let before = file(&[track(conductor), track(&body), bass.clone()]);
    let input = folder.write("in.mid", &before);
    let (report, read, after) = filled(
        &input,
        &folder.path("out.mid"),
        &["--bars", "3-4", "--channels", "1"],
    );
    assert_eq!(
        (&report["removed_notes"], &report["from_bar"]),
        (&8.into(), &3.into())
    );
    // The header, the conductor and all before the bars; all after them, and the other track.
    let prefix = before.len() - bass.len() - 4 - end.len() - lyric.len() - tune(8, 0).len();
    let head = 22 + conductor.len() + 4;
    assert_eq!(after[..head + 4], before[..head + 4]);
    assert_eq!(after[head + 8..prefix], before[head + 8..prefix]);
    let suffix = [&end[..], b"\0\xff\x2f\0", &bass].concat();
    assert!(after.ends_with(&suffix), "the bars after, and the bass");
    let tail = &after[prefix..after.len() - suffix.len()];
    assert!(tail.windows(5).any(|bytes| bytes == &lyric[1..]));
    let old = midi::read_bytes(&before).unwrap();
    let outside = |file: &MidiFile| -> Vec<MidiNote> {
        let inside = |n: &MidiNote| n.channel == 0 && (2 * BAR..4 * BAR).contains(&n.start);
        file.notes.iter().filter(|n| !inside(n)).copied().collect()
    };
    assert_eq!(outside(&read), outside(&old));
    assert_eq!((read.end, &read.tempos), (old.end, &old.tempos));
    let ours = read.notes.len() - outside(&read).len();
    assert_eq!(report["played_notes"], ours);
    assert!(ours > 0);
}

#[test]
fn the_seed_and_the_candidates_decide_the_notes() {
    let folder = Folder::new();
    let input = folder.write("in.mid", &file(&[track(&tune(32, 0))]));
    let notes = |more: &[&str]| {
        let more = [&["--bars", "4"], more].concat();
        let (report, read, _) = filled(&input, &folder.path("out.mid"), &more);
        (
            read.notes,
            report["following_nats_a_note"].as_f64().unwrap(),
        )
    };
    let (eight, least) = notes(&[]);
    assert_eq!(
        notes(&["--candidates", "8", "--seed", "1"]),
        (eight.clone(), least)
    );
    let (_, first) = notes(&["--candidates", "1"]);
    assert!(least <= first, "{least}, {first}");
    assert_ne!(notes(&["--seed", "2"]).0, eight);
}

#[test]
fn held_notes_stay_and_new_ones_end_with_the_bars() {
    let folder = Folder::new();
    // A note from the second bar is held to the fourth; one of the third is held into the fifth.
    let held = [
        &tune(7, 0)[..],
        &[0, 0x90, 36, 70],
        &ticks(960),
        &[0x90, 40, 70],
        &[0x80 | 30, 0, 0x80, 36, 64],
        &[0x80 | 30, 0, 0x80, 40, 64],
        &tune(8, 0),
    ]
    .concat();
    let input = folder.write("in.mid", &file(&[track(&held)]));
    let old = midi::read(&std::fs::read(&input).unwrap(), &Default::default()).unwrap();
    let long: Vec<MidiNote> = old.notes.iter().filter(|n| n.pitch < 48).copied().collect();
    assert_eq!(long.len(), 2);
    for seed in ["1", "2", "3"] {
        let more = ["--bars", "3-4", "--seed", seed, "--candidates", "2"];
        let (_, read, _) = filled(&input, &folder.path("out.mid"), &more);
        assert!(read.notes.contains(&long[0]), "it begins before the bars");
        assert!(!read.notes.contains(&long[1]), "it begins in the bars");
        let new = read.notes.iter().filter(|n| !old.notes.contains(n));
        for note in new {
            assert!(note.start >= 2 * BAR && note.end <= 4 * BAR, "{note:?}");
            assert!(note.pitch != 36 || note.start >= long[0].end, "{note:?}");
        }
    }
}

/// The right hand is on the first track, the left hand two octaves lower on the second.
#[test]
fn new_notes_of_several_tracks_go_to_the_nearest_one() {
    let folder = Folder::new();
    let input = folder.write("in.mid", &file(&[track(&tune(32, 5)), track(&tune(32, 0))]));
    let more = ["--bars", "5-6", "--candidates", "2", "--temperature", "1.5"];
    let (_, read, _) = filled(&input, &folder.path("out.mid"), &more);
    let new = read
        .notes
        .iter()
        .filter(|n| (4 * BAR..6 * BAR).contains(&n.start));
    let mut both = [0, 0];
    for note in new {
        both[usize::from(note.track)] += 1;
        assert_eq!(note.channel, if note.track == 0 { 5 } else { 0 });
        if note.pitch >= 72 || note.pitch <= 56 {
            assert_eq!(note.track == 0, note.pitch >= 72, "{note:?}");
        }
    }
    assert!(both[0] + both[1] > 0, "{both:?}");
    // Only what is chosen is replaced, and only there are new notes.
    let more = ["--bars", "5-6", "--candidates", "2", "--tracks", "1"];
    let (report, read, after) = filled(&input, &folder.path("out.mid"), &more);
    assert_eq!(report["removed_notes"], 8);
    assert!(after[14..].starts_with(&track(&tune(32, 5))));
    assert_eq!(read.notes.iter().filter(|n| n.track == 0).count(), 32);
}

#[test]
fn standard_input_is_filled_to_standard_output() {
    let folder = Folder::new();
    let input = folder.write("in.mid", &file(&[track(&tune(16, 0))]));
    let mut command = command("fill", Path::new("-"));
    command.args(["--bars", "1", "--candidates", "2"]);
    command.stdin(Stdio::from(std::fs::File::open(&input).unwrap()));
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let named = folder.path("out.mid");
    filled(&input, &named, &["--bars", "1", "--candidates", "2"]);
    assert_eq!(done.stdout, std::fs::read(named).unwrap());
    assert!(String::from_utf8_lossy(&done.stderr).contains("notes for 4 in bar 1"));
}

#[test]
fn mistakes_are_named() {
    let folder = Folder::new();
    let input = folder.write("in.mid", &file(&[track(&tune(16, 0))]));
    let output = folder.path("out.mid");
    refused(
        &input,
        &output,
        &["--bars", "4-5"],
        1,
        "ends at bar 4, before bar 5",
    );
    refused(&input, &output, &["--bars", "4-3"], 2, "counts backwards");
    refused(&input, &output, &["--bars", "0"], 2, "bar number");
    refused(&input, &output, &[], 2, "--bars");
    refused(
        &input,
        &output,
        &["--bars", "1", "--candidates", "0"],
        2,
        "--candidates",
    );
    refused(
        &input,
        &output,
        &["--bars", "1", "--channels", "3"],
        1,
        "no pitches to go by",
    );
    refused(&input, &input, &["--bars", "1"], 1, "is the input");
    let drums = folder.write("drums.mid", &file(&[track(&tune(16, 9))]));
    refused(
        &drums,
        &output,
        &["--bars", "1"],
        1,
        "leaves drums as they are",
    );
    assert!(!output.exists());
    let (..) = filled(&input, &input, &["--bars", "1", "--force"]);
}
