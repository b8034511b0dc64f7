//! A model with parts, from its training to a band on several channels.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use continuo_score::midi::{self, MidiFile};
use continuo_score::{Drums, Note, Part, Score, Vocabulary, midi_tracks};
use continuo_tests::artifacts;
use continuo_tests::assertions::{self, PairedNote};
use continuo_tests::daw::{Blocks, Daw, Setup, track};
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, STEPS_PER_BEAT};
use continuo_tests::state_file;

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
    let drums = |score: &Score| -> Vec<Note> {
        let notes = score.notes.iter().copied();
        notes.filter(|note| note.part == Part::Drums).collect()
    };
    assert_eq!(drums(&before), drums(&after));
}

/// `eval --merge` reads a band as a model without parts does.
#[test]
fn eval_reads_a_band_as_one_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let band = scenario::band();
    band.to_midi().write_file(&folder.join("in.mid")).unwrap();
    let notes = |more: &[&str]| {
        let line = [&["eval", "in.mid", "--quick", "--json"], more].concat();
        report(&line, folder)["cells"][0]["all"]["notes"].clone()
    };
    let file = midi::read_file(&folder.join("in.mid")).unwrap();
    let of = |score: Score, vocabulary| score.quantise(&vocabulary).notes.len();
    let merged = Score::from_midi(&file, STEPS_PER_BEAT, Drums::Drop);
    let parts = Score::from_midi_parts(&file, STEPS_PER_BEAT);
    assert_eq!(notes(&["--merge"]), of(merged, Vocabulary::continuo()));
    assert_eq!(notes(&[]), of(parts, Vocabulary::band()));
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
/// sample. Blocks of another length give the same notes on the same samples.
#[test]
fn plugin_plays_the_chosen_parts_on_their_channels() {
    model();
    let mut minuet = continuo_score::tune::minuet();
    minuet.notes.retain(|note| note.start < 12 * STEPS_PER_BEAT);
    for format in Format::ALL {
        let play = |plays: &[(&str, &str)], block: u32| {
            let plugin = format.load(&artifacts::bundle(format).unwrap()).unwrap();
            let setup = Setup {
                blocks: Blocks::Fixed(block),
                ..scenario::default_setup()
            };
            let mut daw = scenario::start_with(plugin, setup, 1, &track(&minuet)).unwrap();
            daw.set(&[("temp", "1.5"), ("out_ch", "1"), ("out_bass", "3")])
                .unwrap();
            daw.set(plays).unwrap();
            daw.play_to(63.0).unwrap();
            let now = daw.now();
            daw.run_stopped(1000).unwrap();
            let notes = assertions::pair_notes(daw.sent()).unwrap();
            assertions::place_on_grid(&notes, daw.clock(), STEPS_PER_BEAT, now).unwrap();
            let channels = daw.sent().iter().map(|sent| sent.event.channel);
            (channels.collect::<BTreeSet<u8>>(), notes)
        };
        let rhythm = [("play_bass", "On"), ("play_drums", "On")];
        let (channels, sent) = play(&rhythm, 512);
        assert_eq!(channels, [2, DRUM_CHANNEL].into(), "{format:?}");
        assert_eq!(play(&rhythm, 96).1, sent, "{format:?}");
        assert_eq!(
            play(&[("play_keys", "On")], 512).0,
            [0].into(),
            "{format:?}"
        );
        // Nothing chosen: it plays what it hears, a keyboard, and as much of it as the model likes,
        // which may be nothing.
        let (channels, _) = play(&[], 512);
        assert!(channels.is_subset(&[0].into()), "{format:?}: {channels:?}");
    }
}

/// Notes of a part in a file, from a step on.
fn notes_of(file: &Path, part: Part, from: u32) -> Vec<Note> {
    let score = Score::from_midi_parts(&midi::read_file(file).unwrap(), STEPS_PER_BEAT);
    let notes = score.notes.into_iter();
    notes
        .filter(|note| note.part == part && note.start >= from)
        .collect()
}

#[test]
fn continue_keeps_the_limits_of_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let band = scenario::band();
    band.to_midi().write_file(&folder.join("in.mid")).unwrap();
    let line = "continue in.mid -o out.mid --bars 12 --temperature 1.3 --json";
    let line: Vec<&str> = line.split(' ').collect();
    let limits = ["--part-limit", "bass=E1..G2:1", "--part-limit", "drums=:1"];
    let inside = |note: &Note| (28..=43).contains(&note.pitch);
    let out = folder.join("out.mid");

    report(&line, folder);
    let bass = notes_of(&out, Part::Bass, band.length);
    assert!(bass.iter().any(|note| !inside(note)), "{bass:?}");

    report(&[&line[..], &limits, &["--force"]].concat(), folder);
    let notes = |part| notes_of(&out, part, band.length);
    let bass = notes(Part::Bass);
    assert!(!bass.is_empty() && bass.iter().all(inside), "{bass:?}");
    assert!(
        bass.windows(2).all(|pair| pair[0].end() <= pair[1].start),
        "one note at a time: {bass:?}"
    );
    let drums = notes(Part::Drums);
    assert!(
        drums.windows(2).all(|pair| pair[0].start < pair[1].start),
        "one hit a step: {drums:?}"
    );
    // The lead keeps its own range.
    let lead = notes(Part::Lead);
    assert!(lead.iter().any(|note| note.pitch > 60), "{lead:?}");
}

#[test]
fn part_limits_of_a_model_without_parts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let minuet = continuo_score::tune::minuet();
    minuet
        .to_midi()
        .write_file(&folder.path().join("in.mid"))
        .unwrap();
    for line in [
        "continue in.mid -o out.mid --part-limit bass=E1..G3",
        "fill in.mid -o out.mid --bars 2 --part-limit lead=:1",
    ] {
        let refused = artifacts::command("continuo")
            .unwrap()
            .args(line.split(' '))
            .current_dir(folder.path())
            .env("CONTINUO_MODEL", artifacts::model().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(
            said.contains("--part-limit: this model has no parts"),
            "{said}"
        );
    }
}

/// Channels of the lead and of the bass in the tests of limits, counted from 0.
const LEAD_CHANNEL: u8 = 0;
const BASS_CHANNEL: u8 = 2;

/// Returns an instance that plays lead and bass with a seed, after it has loaded `state`.
fn lead_and_bass(format: Format, state: Option<&[u8]>, seed: u32) -> Daw {
    model();
    let mut minuet = continuo_score::tune::minuet();
    minuet.notes.retain(|note| note.start < 12 * STEPS_PER_BEAT);
    let mut plugin = format.load(&artifacts::bundle(format).unwrap()).unwrap();
    if let Some(state) = state {
        plugin.load(state).unwrap();
    }
    let setup = scenario::default_setup();
    let mut daw = scenario::start_with(plugin, setup, seed, &track(&minuet)).unwrap();
    if state.is_none() {
        let band = [("play_lead", "On"), ("play_bass", "On"), ("out_bass", "3")];
        daw.set(&band).unwrap();
    }
    // The scenario has set its own temperatures, over those of the state too.
    daw.set(&[("temp", "1.5"), ("temp_rhythm", "1.2"), ("out_ch", "1")])
        .unwrap();
    // The host sends parameters with the next block.
    daw.run_stopped(1000).unwrap();
    daw
}

/// Plays the minuet and the answer to it, and stops. Returns the notes of the lead and of the bass.
fn answer(mut daw: Daw) -> [Vec<PairedNote>; 2] {
    daw.play_to(63.0).unwrap();
    daw.run_stopped(1000).unwrap();
    let notes = assertions::pair_notes(daw.sent()).unwrap();
    daw.finish().unwrap();
    [LEAD_CHANNEL, BASS_CHANNEL].map(|channel| {
        let notes = notes.iter().filter(|note| note.channel == channel);
        notes.copied().collect()
    })
}

#[test]
fn bass_stays_within_its_limits_while_the_lead_does_not() {
    for format in Format::ALL {
        let (mut sounded, mut free) = (0, 0);
        for seed in 1..=6 {
            let mut daw = lead_and_bass(format, None, seed);
            daw.set(&[
                ("low_bass", "E1"),
                ("high_bass", "G2"),
                ("voices_bass", "1"),
            ])
            .unwrap();
            let [lead, bass] = answer(daw);
            let inside = |note: &PairedNote| (28..=43).contains(&note.key);
            assert!(bass.iter().all(inside), "{format:?}: {bass:?}");
            let alone = bass.windows(2).all(|pair| pair[0].off <= pair[1].on);
            assert!(alone, "{format:?}: {bass:?}");
            free += lead.iter().filter(|note| !inside(note)).count();
            sounded += bass.len();
        }
        assert!(sounded > 7, "{format:?}: {sounded} notes of the bass");
        assert!(
            free > 3,
            "{format:?}: {free} notes of the lead beyond the bass"
        );
    }
}

/// Limits that contradict each other leave notes: the part's own range applies where it does not meet that of
/// all parts, and its ends can have either order.
#[test]
fn contradicting_limits_of_a_part_end_in_its_own_range() {
    for format in Format::ALL {
        let mut sounded = 0;
        for seed in [1, 2, 3] {
            let mut daw = lead_and_bass(format, None, seed);
            daw.set(&[("low", "C5"), ("high", "C6"), ("voices", "2")])
                .unwrap();
            daw.set(&[
                ("low_bass", "G2"),
                ("high_bass", "E1"),
                ("voices_bass", "16"),
            ])
            .unwrap();
            let [lead, bass] = answer(daw);
            let within = |note: &PairedNote| (28..=43).contains(&note.key);
            assert!(bass.iter().all(within), "{format:?}: {bass:?}");
            let within = |note: &PairedNote| (72..=84).contains(&note.key);
            assert!(lead.iter().all(within), "{format:?}: {lead:?}");
            sounded += bass.len();
        }
        assert!(sounded > 7, "{format:?}: {sounded} notes of the bass");
    }
}

/// A state of an earlier version lacks the limits of parts. It sounds as before, also in an instance that has
/// played with limits.
#[test]
fn states_without_limits_of_parts_sound_as_before() {
    for format in Format::ALL {
        let mut daw = lead_and_bass(format, None, 2);
        let state = daw.plugin().save().unwrap();
        daw.play_to(63.0).unwrap();
        let expected = daw.sent().to_vec();
        assert!(!expected.is_empty(), "{format:?}");

        let mut params = state_file::read(format, &state).unwrap()["params"].clone();
        let known = params.as_object_mut().unwrap();
        let all = known.len();
        known.retain(|id, _| {
            let limit = |prefix: &str| id.strip_prefix(prefix);
            let part = ["low_", "high_", "voices_"].into_iter().find_map(limit);
            part.is_none_or(|part| part.parse::<Part>().is_err())
        });
        assert_eq!(all - known.len(), 13);
        let earlier = state_file::with_value(format, &state, "/params", params).unwrap();

        let mut fresh = lead_and_bass(format, Some(&earlier), 2);
        fresh.play_to(63.0).unwrap();
        assert_eq!(fresh.sent(), expected, "{format:?}");

        let mut used = lead_and_bass(format, None, 2);
        used.set(&[
            ("high_bass", "C1"),
            ("voices_keys", "1"),
            ("low_keys", "C6"),
        ])
        .unwrap();
        used.run_stopped(1000).unwrap();
        used.plugin().load(&earlier).unwrap();
        let now = state_file::read(format, &used.plugin().save().unwrap()).unwrap();
        for (id, none) in [("high_bass", 127), ("voices_keys", 0), ("low_keys", 0)] {
            assert_eq!(
                now["params"][id],
                serde_json::json!({ "i32": none }),
                "{id}"
            );
        }
    }
}
