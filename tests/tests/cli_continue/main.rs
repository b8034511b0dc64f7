//! `continuo continue` on real-world files: their content stays, and the answer starts at the bar line
//! where a player would enter.

mod fixtures;
mod harmony;
mod selection;

use std::path::Path;
use std::process::Output;

use continuo_score::midi::{self, MidiFile};

use fixtures::{Folder, TICKS, command, file, ticks, track, tune};

fn continuo(input: &Path, output: &Path, more: &[&str]) -> Output {
    let mut command = command("continue", input);
    command.arg("-o").arg(output);
    if !more.contains(&"--bars") {
        command.args(["--bars", "2"]);
    }
    command.arg("--json").args(more).output().unwrap()
}

/// Returns the report, the written file with its bytes, and standard error.
fn continued(
    input: &Path,
    output: &Path,
    more: &[&str],
) -> (serde_json::Value, MidiFile, Vec<u8>, String) {
    let done = continuo(input, output, more);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{said}");
    let said = said.lines().filter(|line| line.starts_with("continuo: "));
    let said = said.collect::<Vec<_>>().join("\n");
    let report = serde_json::from_slice(&done.stdout).unwrap();
    let bytes = std::fs::read(output).unwrap();
    (report, midi::read_bytes(&bytes).unwrap(), bytes, said)
}

#[test]
fn continue_keeps_every_byte_and_appends_one_track() {
    let conductor = b"\0\xff\x03\x04Song\0\xff\x58\x04\x03\x02\x18\x08\0\xff\x59\x02\xfd\0\0\xff\x51\x03\x09\x27\xc0";
    let marker = [&ticks(1440)[..], b"\xff\x06\x05Verse"].concat();
    let violin = [
        &b"\0\xff\x03\x06\x83\x73\x83\x41\x83\x6d\0\xc0\x28\0\xb0\x07\x5a\0\xb0\x40\x7f\0\xe0\0\x50"[..],
        b"\0\xff\x05\x02la\0\xf0\x03\x41\x10\xf7",
        &tune(12, 0),
        &[0, 0xb0, 64, 0],
    ]
    .concat();
    let bass = [&b"\0\xc1\x20"[..], &tune(12, 1)].concat();
    let mut before = file(&[
        track(&[&conductor[..], &marker].concat()),
        track(&violin),
        track(&bass),
    ]);
    let folder = Folder::new();
    let mut last_bar = 4;
    for more in 1..=3 {
        let input = folder.write("in.mid", &before);
        let (report, read, after, said) = continued(&input, &folder.path("out.mid"), &[]);
        assert_eq!(said, "");
        let from_bar = report["from_bar"].as_u64().unwrap();
        assert!(from_bar > last_bar, "after what was played before");
        last_bar = from_bar;
        assert!(
            after[14..].starts_with(&before[14..]),
            "the tracks that were there"
        );
        assert_eq!((&after[..11], after[11]), (&before[..11], 3 + more));
        let added = &after[before.len()..];
        assert_eq!(added.windows(4).filter(|w| w == b"MTrk").count(), 1);
        // The file gets no second conductor track: tempo and time signature stay as they are.
        assert!(
            !added
                .windows(2)
                .any(|w| w == [0xff, 0x51] || w == [0xff, 0x58])
        );
        // The track has the violin's name, volume and program, on a channel of its own.
        let channel = 2 + more - 1;
        assert_eq!(&added[8..18], b"\0\xff\x03\x06\x83\x73\x83\x41\x83\x6d");
        assert_eq!(
            &added[18..25],
            [0, 0xb0 | channel, 7, 90, 0, 0xc0 | channel, 40]
        );
        let ours = read.notes.iter().filter(|n| n.channel == channel);
        let starts: Vec<u64> = ours.map(|n| n.start).collect();
        let from = 3 * (from_bar - 1) * u64::from(TICKS);
        assert!(starts.iter().all(|&start| start >= from) && starts.len() > 1);
        before = after;
    }
}

#[test]
fn file_type_0_becomes_type_1_with_a_notice() {
    let folder = Folder::new();
    let mut bytes = file(&[track(&tune(8, 0))]);
    bytes[9] = 0;
    let (_, read, after, said) = continued(
        &folder.write("in.mid", &bytes),
        &folder.path("out.mid"),
        &[],
    );
    assert_eq!((read.format, read.tracks.len()), (1, 2));
    assert!(after[14..].starts_with(&bytes[14..]));
    assert!(said.contains("type is 1 now"), "{said}");
}

#[test]
fn answer_starts_on_the_bar_after_the_last_key_is_released() {
    let folder = Folder::new();
    let from_bar = |events: &[u8], more: &[&str]| {
        let input = folder.write("in.mid", &file(&[track(events)]));
        let (report, ..) = continued(&input, &folder.path("out.mid"), more);
        report["from_bar"].as_u64().unwrap()
    };
    let tune = tune(15, 0);
    let held = |until: u16| [&tune[..], &[0, 0x90, 64, 80], &ticks(until), &[0x80, 64, 0]].concat();
    assert_eq!(from_bar(&held(480), &[]), 5);
    assert_eq!(from_bar(&held(510), &[]), 5, "let go a little late");
    assert_eq!(from_bar(&held(720), &[]), 5, "half a beat late");
    assert_eq!(from_bar(&held(800), &[]), 6);
    // A note without an end, and two hundred empty bars after it.
    let stuck = [
        &tune[..],
        &[0, 0x90, 64, 80, 0x80 | 0x17, 0x80 | 0x38, 0, 0xb0, 7, 1],
    ]
    .concat();
    assert_eq!(from_bar(&stuck, &[]), 5);
    // The pedal is held beyond the keys.
    let pedal = [
        &[0, 0xb0, 64, 127][..],
        &held(480),
        &ticks(4000),
        &[0xb0, 64, 0],
    ]
    .concat();
    assert_eq!(from_bar(&pedal, &[]), 5);
    assert_eq!(from_bar(&pedal, &["--pedal=off"]), 5);
}

#[test]
fn drum_channels_set_by_messages_are_ignored() {
    let folder = Folder::new();
    let gs = b"\0\xf0\x0a\x41\x10\x42\x12\x40\x1a\x15\x02\x0f\xf7";
    let drums = [&gs[..], &tune(16, 10)].concat();
    let input = folder.write("in.mid", &file(&[track(&drums), track(&tune(8, 0))]));
    let output = folder.path("out.mid");
    let (report, ..) = continued(&input, &output, &[]);
    assert_eq!(
        (&report["heard_notes"], &report["from_bar"]),
        (&8.into(), &3.into())
    );
    let only_drums = folder.write("drums.mid", &file(&[track(&drums)]));
    let done = continuo(&only_drums, &output, &[]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("16 notes in all; this model has no parts and leaves drums out"),
        "{said}"
    );
}

#[test]
fn input_tracks_channels_and_bars_can_be_selected() {
    let folder = Folder::new();
    let input = folder.write("in.mid", &file(&[track(&tune(16, 0)), track(&tune(12, 1))]));
    let heard = |more: &[&str]| {
        let (report, read, ..) = continued(&input, &folder.path("out.mid"), more);
        assert_eq!(read.tracks.len(), 3, "what is not heard stays");
        let number = |name: &str| report[name].as_u64().unwrap();
        (number("heard_notes"), number("from_bar"))
    };
    assert_eq!(heard(&[]), (28, 5));
    assert_eq!(heard(&["--tracks", "1"]), (12, 4));
    assert_eq!(heard(&["--channels", "1"]), (16, 5));
    assert_eq!(heard(&["--last", "1"]), (4, 5));
    let refused = |more: &[&str], code, word: &str| {
        let done = continuo(&input, &folder.path("out.mid"), more);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{said}");
        assert!(said.contains(word), "{said}");
    };
    refused(
        &["--tracks", "2"],
        1,
        "there is no track 2: they are 0 to 1",
    );
    refused(&["--channels", "17"], 2, "1 to 16");
    refused(&["--channels", "3"], 1, "no notes to continue");
    refused(&["--last", "0"], 2, "--last");
}

#[test]
fn answer_keeps_the_last_tempo_unless_told_otherwise() {
    let folder = Folder::new();
    let slow = |micros: u32, wait: u16| {
        let [_, a, b, c] = micros.to_be_bytes();
        [&ticks(wait)[..], &[0xff, 0x51, 3, a, b, c]].concat()
    };
    let tempos = [
        slow(500_000, 0),
        slow(600_000, 12 * TICKS),
        slow(800_000, TICKS),
        slow(1_500_000, TICKS),
    ];
    let input = folder.write(
        "in.mid",
        &file(&[track(&tempos.concat()), track(&tune(16, 0))]),
    );
    let output = folder.path("out.mid");
    let from = 16 * u64::from(TICKS);
    let (_, read, _, said) = continued(&input, &output, &[]);
    assert_eq!(read.tempos.len(), 4);
    assert!(
        said.contains("from 120 to 40") && said.contains("--a-tempo"),
        "{said}"
    );
    let (_, read, _, said) = continued(&input, &output, &["--a-tempo"]);
    assert_eq!(
        (read.tempos.last(), said.as_str()),
        (Some(&(from, 500_000)), "")
    );
    let (_, read, ..) = continued(&input, &output, &["--bpm", "100"]);
    assert_eq!(read.tempos.last(), Some(&(from, 600_000)));
    let (_, read, ..) = continued(&input, &output, &["--only", "--a-tempo"]);
    assert_eq!(
        (read.tracks.len(), &read.tempos[..]),
        (1, &[(0, 500_000)][..])
    );
    assert!(read.notes.len() > 1 && read.notes.iter().all(|n| n.end <= 8 * u64::from(TICKS)));
    for wrong in [
        &["--bpm", "0"][..],
        &["--bpm", "NaN"],
        &["--bpm", "90", "--a-tempo"],
    ] {
        assert_eq!(
            continuo(&input, &output, wrong).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
}

#[test]
fn file_with_the_greatest_track_count_is_refused() {
    let folder = Folder::new();
    let mut tracks = vec![track(&[]); 65_535];
    tracks[0] = track(&tune(8, 0));
    let input = folder.write("in.mid", &file(&tracks));
    let output = folder.path("out.mid");
    let done = continuo(&input, &output, &[]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("65535 tracks") && said.contains("--only"),
        "{said}"
    );
    assert!(!output.exists());
    let (_, read, ..) = continued(&input, &output, &["--only"]);
    assert_eq!(read.tracks.len(), 1);
}

#[test]
fn contradicting_tracks_print_a_warning() {
    let folder = Folder::new();
    let metre = |n: u8| vec![0, 0xff, 0x58, 4, n, 2, 24, 8];
    let tracks = [3, 4].map(|n| track(&[metre(n), tune(12, n)].concat()));
    let input = folder.write("in.mid", &file(&tracks));
    let (report, _, _, said) = continued(&input, &folder.path("out.mid"), &[]);
    assert_eq!(report["from_bar"], 5, "in 3/4, as the first track has it");
    assert!(
        said.contains("contradict each other: 3/4 and 4/4"),
        "{said}"
    );
}

/// The input is a note of four bars: the model may rest after it, and with a density of 0 and a high
/// temperature it often does.
#[test]
fn answer_without_notes_fails_with_the_reason() {
    let folder = Folder::new();
    let long = [&[0, 0x90, 60, 80][..], &ticks(16 * TICKS), &[0x80, 60, 64]].concat();
    let input = folder.write("in.mid", &file(&[track(&long)]));
    let output = folder.write("out.mid", b"");
    let rested = (1..=100).find_map(|seed: u32| {
        let free = "--bars 1 --density 0 --temperature 3 --top-p 1 --seed";
        let seed = seed.to_string();
        let more: Vec<&str> = free.split(' ').chain([&*seed]).collect();
        let done = continuo(&input, &output, &more);
        (!done.status.success()).then_some(done)
    });
    let done = rested.expect("a rest among a hundred answers");
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(
        (done.status.code(), done.stdout.len()),
        (Some(1), 0),
        "{said}"
    );
    assert!(
        said.contains("in.mid: 0 notes were played in bar 5, so nothing is written"),
        "{said}"
    );
}

#[test]
fn files_to_learn_that_cannot_be_read_are_left_out_and_named() {
    let folder = Folder::new();
    let input = folder.write("in.mid", &file(&[track(&tune(16, 0))]));
    let output = folder.path("out.mid");
    folder.write("songs/good.mid", &file(&[track(&tune(16, 1))]));
    folder.write("songs/bad.mid", b"no music");
    let songs = folder.path("songs");
    let (report, _, _, said) = continued(&input, &output, &["--learn", songs.to_str().unwrap()]);
    assert_eq!(report["learned_files"], 1);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("left out") && said.contains("bad.mid"),
        "{said}"
    );
    let bad = folder.path("songs/bad.mid");
    let done = continuo(&input, &output, &["--learn", bad.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    // Standard input holds one file only.
    let done = continuo(Path::new("-"), &output, &["--learn", "-"]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("standard input"), "{said}");
}
