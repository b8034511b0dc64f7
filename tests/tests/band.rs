//! A model with parts, from its training to a band on several channels.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use continuo_score::midi::{self, MidiFile};
use continuo_score::{Drums, Part, Score, midi_tracks};
use continuo_tests::artifacts;
use continuo_tests::assertions;
use continuo_tests::daw::track;
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, STEPS_PER_BEAT};

/// Channel 10, counted from 0.
const DRUM_CHANNEL: u8 = 9;

/// Makes the model once per process, with the trainer's commands, and makes plugins load it.
fn model() -> &'static Path {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let model = artifacts::make_model(folder.path(), &["--band"]).unwrap();
        // SAFETY: every test calls this before it loads a plugin, and no other thread of this process
        // reads the environment before that.
        unsafe { std::env::set_var("CONTINUO_MODEL", &model) };
        (folder, model)
    });
    &made.1
}

fn continuo(arguments: &[&str], folder: &Path) -> Output {
    artifacts::command("continuo")
        .unwrap()
        .args(arguments)
        .current_dir(folder)
        .env("CONTINUO_MODEL", model())
        .output()
        .unwrap()
}

/// Runs the command, which must succeed. Returns its report.
fn report(arguments: &[&str], folder: &Path) -> serde_json::Value {
    let done = continuo(arguments, folder);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The parts of the tracks of a file, each with the channels that it uses.
fn parts(file: &MidiFile, from_track: u16) -> Vec<(Part, u8)> {
    midi_tracks(file, STEPS_PER_BEAT, Drums::Keep)
        .iter()
        .filter(|track| track.track >= from_track)
        .map(|track| (track.part, track.channel))
        .collect()
}

#[test]
fn continue_adds_a_track_for_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let band = scenario::band();
    band.to_midi().write_file(&folder.join("in.mid")).unwrap();
    let before = midi::read_file(&folder.join("in.mid")).unwrap();
    let tracks = before.tracks.len() as u16;
    let said = report(
        &[
            "continue", "in.mid", "-o", "out.mid", "--bars", "4", "--json",
        ],
        folder,
    );
    let after = midi::read_file(&folder.join("out.mid")).unwrap();
    let added = parts(&after, tracks);
    let added_parts: BTreeSet<Part> = added.iter().map(|track| track.0).collect();
    assert_eq!(added_parts, [Part::Lead, Part::Bass, Part::Drums].into());
    // Every part but the drums has a channel of its own, which nothing before it used.
    let used: BTreeSet<u8> = before.notes.iter().map(|note| note.channel).collect();
    for (part, channel) in &added {
        match part {
            Part::Drums => assert_eq!(*channel, DRUM_CHANNEL),
            _ => assert!(!used.contains(channel), "{part} on {channel}"),
        }
    }
    for (part, notes) in said["parts"].as_object().unwrap() {
        assert!(notes.as_u64().unwrap() > 0, "{part}");
    }
    // All notes of the input stay.
    let both = Score::from_midi_parts(&after, STEPS_PER_BEAT);
    let heard = both.notes.iter().filter(|note| note.start < band.length);
    assert_eq!(heard.count(), band.notes.len());

    // One part alone, and alone in a file.
    let bass = ["--parts", "bass", "--bars", "4", "--json"];
    let said = report(
        &[&["continue", "in.mid", "-o", "bass.mid"], &bass[..]].concat(),
        folder,
    );
    assert_eq!(said["parts"].as_object().unwrap().len(), 1);
    let tempo = [
        "continue",
        "in.mid",
        "-o",
        "tempo.mid",
        "--only",
        "--bpm",
        "90",
    ];
    report(&[&tempo[..], &["--bars", "4", "--json"]].concat(), folder);
    let tempos = midi::read_file(&folder.join("tempo.mid")).unwrap().tempos;
    assert_eq!(tempos, [(0, 666_667)], "one track has the tempo");
    let only = ["continue", "in.mid", "-o", "only.mid", "--only"];
    let said = report(&[&only[..], &["--bars", "4", "--json"]].concat(), folder);
    let alone = midi::read_file(&folder.join("only.mid")).unwrap();
    assert_eq!(
        alone.notes.len() as u64,
        said["played_notes"].as_u64().unwrap()
    );
    let alone = parts(&alone, 0);
    let channels: BTreeSet<u8> = alone.iter().map(|track| track.1).collect();
    assert_eq!(channels.len(), alone.len(), "each part has its channel");
    assert!(channels.contains(&DRUM_CHANNEL));
}

/// A part that the file has not gets a sound of its own.
#[test]
fn pianist_gets_bass_and_drums() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let minuet = continuo_score::tune::minuet();
    minuet.to_midi().write_file(&folder.join("in.mid")).unwrap();
    let before = std::fs::read(folder.join("in.mid")).unwrap();
    let line = "continue in.mid -o out.mid --bars 8 --parts bass,drums --temperature 1.5 --json";
    let said = report(&line.split(' ').collect::<Vec<_>>(), folder);
    let after = std::fs::read(folder.join("out.mid")).unwrap();
    // Behind the header, every byte of the input stays.
    assert_eq!(after[14..before.len()], before[14..]);
    let file = midi::read_bytes(&after).unwrap();
    let played = said["parts"].as_object().unwrap();
    for (name, program) in [("bass", Some(33)), ("drums", None)] {
        if !played.contains_key(name) {
            continue;
        }
        let title = match name {
            "bass" => "Bass",
            _ => "Drums",
        };
        let track = file
            .tracks
            .iter()
            .position(|t| t.as_bytes() == title.as_bytes());
        let track = track.unwrap_or_else(|| panic!("{name}: {:?}", file.tracks)) as u16;
        let programs = file.programs.iter().filter(|p| p.track == track);
        assert_eq!(programs.map(|p| p.program).next(), program, "{name}");
    }
    assert!(!played.is_empty());
}

/// Bars of one part are filled, and nothing else is touched.
#[test]
fn fill_replaces_the_parts_that_were_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let band = scenario::band();
    band.to_midi().write_file(&folder.join("in.mid")).unwrap();
    report(
        &["fill", "in.mid", "-o", "out.mid", "--bars", "5-6", "--json"],
        folder,
    );
    let read = |name: &str| {
        Score::from_midi_parts(
            &midi::read_file(&folder.join(name)).unwrap(),
            STEPS_PER_BEAT,
        )
    };
    let (before, after) = (read("in.mid"), read("out.mid"));
    let bars = 4 * 36..6 * 36;
    let outside = |score: &Score| -> Vec<_> {
        let notes = score.notes.iter();
        notes
            .filter(|n| !bars.contains(&n.start))
            .copied()
            .collect()
    };
    assert_eq!(outside(&before), outside(&after));
    let inside = after.notes.iter().filter(|n| bars.contains(&n.start));
    let inside: BTreeSet<Part> = inside.map(|n| n.part).collect();
    let known: BTreeSet<Part> = before.notes.iter().map(|n| n.part).collect();
    assert!(!inside.is_empty() && inside.is_subset(&known), "{inside:?}");
}

#[test]
fn drums_alone_are_continued_by_drums() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut drums = scenario::band();
    drums.notes.retain(|note| note.part == Part::Drums);
    drums.to_midi().write_file(&folder.join("in.mid")).unwrap();
    let line = "continue in.mid -o out.mid --bars 4 --json";
    report(&line.split(' ').collect::<Vec<_>>(), folder);
    let file = midi::read_file(&folder.join("out.mid")).unwrap();
    assert!(file.notes.iter().all(|note| note.channel == DRUM_CHANNEL));
    assert!(
        file.notes
            .iter()
            .any(|note| note.start >= file.ticks_per_beat as u64 * 48)
    );
}

/// Each part that is played has its channel; the others do not sound, and every note lies on its
/// sample. A project and its bounce agree.
#[test]
fn plugin_plays_the_chosen_parts_on_their_channels() {
    model();
    let mut minuet = continuo_score::tune::minuet();
    minuet.notes.retain(|note| note.start < 12 * STEPS_PER_BEAT);
    for format in Format::ALL {
        let play = |plays: &[(&str, &str)], end: f64| {
            let plugin = format.load(&artifacts::bundle(format).unwrap()).unwrap();
            let setup = scenario::default_setup();
            let mut daw = scenario::start_with(plugin, setup, 1, &track(&minuet)).unwrap();
            daw.set(&[("temp", "1.5"), ("out_ch", "1"), ("out_bass", "3")])
                .unwrap();
            daw.set(plays).unwrap();
            daw.play_to(end).unwrap();
            let now = daw.now();
            daw.run_stopped(1000).unwrap();
            let notes = assertions::pair_notes(daw.sent()).unwrap();
            assertions::place_on_grid(&notes, daw.clock(), STEPS_PER_BEAT, now).unwrap();
            let channels = daw.sent().iter().map(|sent| sent.event.channel);
            (channels.collect::<BTreeSet<u8>>(), daw.sent().to_vec())
        };
        let rhythm = [("play_bass", "On"), ("play_drums", "On")];
        let (channels, sent) = play(&rhythm, 63.0);
        assert!(!channels.is_empty(), "{format:?}");
        let known = [2, DRUM_CHANNEL].into();
        assert!(channels.is_subset(&known), "{format:?}: {channels:?}");
        assert_eq!(play(&rhythm, 63.0).1, sent, "{format:?}: twice the same");
        // Nothing chosen: it plays what it hears, a keyboard.
        let (channels, _) = play(&[], 63.0);
        assert!(channels.is_subset(&[0].into()), "{format:?}: {channels:?}");
    }
}
