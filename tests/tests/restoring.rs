//! Playing while a large project is restored, in real time: no loaded note and no input is lost, and no
//! cleared note comes back.

use continuo_tests::daw::{Daw, Setup, TrackNote};
use continuo_tests::host::{Format, Mode};
use continuo_tests::{artifacts, assertions, scenario, state_file};
use serde_json::{Value, json};

/// Number of notes of the project, and its end in quarter notes.
const NOTES: usize = 20_000;
const END: f64 = NOTES as f64 / 4.0;

/// Returns the player's notes: one a beat from [`END`] on, and one near the beginning. The project has
/// no notes on these keys.
fn track() -> Vec<TrackNote> {
    let note = |n: u8, start: f64| TrackNote {
        start,
        end: start + 0.5,
        key: 100 + n,
        velocity: 0.7,
    };
    let mut notes: Vec<_> = (0..20).map(|n| note(n, END + f64::from(n))).collect();
    notes.push(note(27, 2.1));
    notes
}

/// Returns a host that has just loaded the project and stands at its end.
fn opened(format: Format) -> Daw {
    let mut plugin = artifacts::load(format).unwrap();
    let empty = plugin.save().unwrap();
    let session = state_file::long_session(NOTES);
    plugin
        .load(&state_file::with_session(format, &empty, &session).unwrap())
        .unwrap();
    let setup = Setup {
        mode: Mode::Realtime,
        ..scenario::default_setup()
    };
    let mut daw = Daw::new(plugin, setup, &track()).unwrap();
    daw.set(&[("thru", "Off"), ("mode", "Free")]).unwrap();
    daw.seek(END);
    daw
}

/// Returns the player's notes in a saved state, before and ahead of the playhead: the number of the
/// project's notes, and the keys of later ones.
fn saved(format: Format, daw: &mut Daw) -> (usize, Vec<u64>) {
    let state = daw.plugin().save().unwrap();
    let timeline = state_file::session(format, &state).unwrap()["session"]["timeline"].clone();
    let list = |name: &str| timeline[name].as_array().cloned().unwrap_or_default();
    let notes = [list("notes"), list("later")].concat();
    let heard = notes.iter().filter(|note| note[5] != json!(-1));
    let keys: Vec<u64> = heard.filter_map(|note| note[3].as_u64()).collect();
    let (mut since, loaded): (Vec<u64>, Vec<u64>) = keys.into_iter().partition(|&key| key >= 100);
    since.sort_unstable();
    (loaded.len(), since)
}

/// Returns the keys of the first `count` notes of the track.
fn first(count: u64) -> Vec<u64> {
    (100..100 + count).collect()
}

/// Plays on until the plugin plays, stops, and asserts that no note hangs.
fn plays(daw: &mut Daw, from: f64) {
    let began = std::time::Instant::now();
    let before = daw.sent().len();
    let mut beat = from;
    while daw.sent().len() == before {
        assert!(began.elapsed().as_secs() < 60, "it never answers");
        beat += 1.0;
        daw.play_to(beat).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    daw.run_stopped(1_000).unwrap();
    assertions::pair_notes(daw.sent()).unwrap();
}

#[test]
fn clear_during_a_restore_keeps_later_notes_alone() {
    for format in Format::ALL {
        let mut daw = opened(format);
        daw.play_to(END + 1.9).unwrap();
        assert_eq!(saved(format, &mut daw), (NOTES, first(2)), "{format:?}");
        daw.set(&[("clear", "On")]).unwrap();
        daw.play_to(END + 1.95).unwrap();
        assert_eq!(saved(format, &mut daw), (0, vec![]), "{format:?}");
        daw.set(&[("clear", "Off")]).unwrap();
        daw.play_to(END + 4.9).unwrap();
        assert_eq!(saved(format, &mut daw), (0, vec![102, 103, 104]));
        plays(&mut daw, END + 5.0);
        let (loaded, since) = saved(format, &mut daw);
        assert!(
            loaded == 0 && since.starts_with(&[102, 103, 104]),
            "{format:?}"
        );
        daw.finish().unwrap();
    }
}

#[test]
fn jump_far_back_during_a_restore_replaces_only_notes_played_over() {
    for format in Format::ALL {
        let mut daw = opened(format);
        daw.play_to(END + 1.9).unwrap();
        daw.seek(2.0);
        daw.play_to(2.7).unwrap();
        // The project has two notes on every half beat.
        let mut keys = first(2);
        keys.push(127);
        assert_eq!(
            saved(format, &mut daw),
            (NOTES - 4, keys.clone()),
            "{format:?}"
        );
        // A jump ahead into the middle of the project: its notes are in memory again.
        daw.seek(END / 2.0);
        daw.play_to(END / 2.0 + 0.2).unwrap();
        assert_eq!(saved(format, &mut daw), (NOTES - 6, keys), "{format:?}");
        plays(&mut daw, END / 2.0 + 1.0);
        daw.finish().unwrap();
    }
}

#[test]
fn change_of_model_during_a_restore_keeps_all_notes() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    artifacts::copy_folder(&artifacts::model().unwrap(), &other).unwrap();
    for format in Format::ALL {
        let mut daw = opened(format);
        daw.play_to(END + 1.9).unwrap();
        // The editor changes the model in this way, and so does a host that loads a preset.
        for (count, model) in [(3, json!(other)), (5, Value::Null), (7, json!("nowhere"))] {
            let state = daw.plugin().save().unwrap();
            let mut session = state_file::session(format, &state).unwrap();
            session["model"] = model;
            let state = state_file::with_session(format, &state, &session).unwrap();
            daw.plugin().load(&state).unwrap();
            assert_eq!(saved(format, &mut daw), (NOTES, first(count - 1)));
            let beat = END + count as f64 - 0.1;
            daw.play_to(beat).unwrap();
            assert_eq!(saved(format, &mut daw), (NOTES, first(count)), "{format:?}");
            daw.play_to(beat + 1.0).unwrap();
        }
        plays(&mut daw, END + 9.0);
        daw.finish().unwrap();
    }
}
