//! Saving and loading of the state by hosts.

use std::fs;
use std::process::Command;

use continuo_tests::artifacts;
use continuo_tests::assertions::{self, GridNote};
use continuo_tests::daw::{Daw, Setup, TrackNote};
use continuo_tests::health_report::HealthReport;
use continuo_tests::host::{Format, Mode};
use continuo_tests::scenario::{self, STEPS_PER_BEAT};
use continuo_tests::state_file::{self, write};
use serde_json::{Value, json};

/// Start of the second phrase in beats, a bar line.
const AGAIN: f64 = 36.0;
/// End of the tests in beats.
const LATE: f64 = 54.0;

/// Returns the notes of the opening, and of two bars from [`AGAIN`] on.
fn notes() -> Vec<TrackNote> {
    let mut notes = scenario::opening();
    for (n, key) in [67, 71, 74, 72, 69, 66].into_iter().enumerate() {
        let start = AGAIN + n as f64;
        notes.push(TrackNote {
            start,
            end: start + 0.75,
            key,
            velocity: 0.7,
        });
    }
    notes
}

/// Returns a host that has played the opening, let the plugin continue, and stopped.
fn stopped(format: Format, seed: u32) -> Daw {
    let mut daw = scenario::start(format, scenario::default_setup(), seed, &notes()).unwrap();
    daw.play_to(scenario::END).unwrap();
    daw.run_stopped(1_000).unwrap();
    daw
}

/// Plays the second phrase, and returns the plugin's answer.
fn answer(daw: &mut Daw) -> Vec<GridNote> {
    daw.seek(AGAIN);
    daw.run_stopped(1_000).unwrap();
    let from = daw.now();
    daw.play_to(LATE).unwrap();
    let end = daw.now();
    daw.run_stopped(1_000).unwrap();
    let notes = assertions::pair_notes(daw.sent()).unwrap();
    let notes: Vec<_> = notes.into_iter().filter(|note| note.on >= from).collect();
    assertions::place_on_grid(&notes, daw.clock(), STEPS_PER_BEAT, end).unwrap()
}

/// Returns a new instance with a saved state.
fn reopened(format: Format, state: &[u8]) -> Daw {
    let mut plugin = artifacts::load(format).unwrap();
    plugin.load(state).unwrap();
    let mut daw = Daw::new(plugin, scenario::default_setup(), &notes()).unwrap();
    daw.run_stopped(1_000).unwrap();
    daw
}

#[test]
fn reopened_instance_answers_like_one_never_closed() {
    for format in Format::ALL {
        let mut mattered = false;
        for seed in [1, 2, 3] {
            let mut open = stopped(format, seed);
            let state = open.plugin().save().unwrap();
            let never_closed = answer(&mut open);
            assert!(!never_closed.is_empty(), "{format:?}, seed {seed}");

            let closed = answer(&mut reopened(format, &state));
            assert_eq!(closed, never_closed, "{format:?}, seed {seed}");

            // An instance with the same parameters and without the memory.
            let mut fresh =
                scenario::start(format, scenario::default_setup(), seed, &notes()).unwrap();
            mattered |= answer(&mut fresh) != never_closed;
        }
        assert!(
            mattered,
            "{format:?}: the memory made no difference to any answer"
        );
    }
}

#[test]
fn loading_replaces_the_session_of_a_used_instance() {
    for format in Format::ALL {
        for seed in [2, 4, 5, 9] {
            let state = stopped(format, seed).plugin().save().unwrap();
            let expected = answer(&mut reopened(format, &state));
            let mut daw = scenario::start(format, scenario::default_setup(), 9, &notes()).unwrap();
            // The playhead is at the very beginning, before all notes of the state.
            daw.plugin().load(&state).unwrap();
            assert_eq!(answer(&mut daw), expected, "{format:?}, seed {seed}");

            let mut daw = scenario::start(format, scenario::default_setup(), 9, &notes()).unwrap();
            // The state is loaded in the middle of an answer.
            daw.play_to(scenario::ENTRY + 2.2).unwrap();
            daw.plugin().load(&state).unwrap();
            daw.play_to(scenario::ENTRY + 3.0).unwrap();
            daw.run_stopped(1_000).unwrap();
            assertions::pair_notes(daw.sent()).unwrap();
            // The session has changed since; the state is loaded again, with the transport stopped.
            daw.plugin().load(&state).unwrap();
            assert_eq!(answer(&mut daw), expected, "{format:?}, seed {seed}");
        }
    }
}

fn read(format: Format, state: &[u8]) -> Value {
    state_file::read(format, state).unwrap()
}

/// Returns the session of a state: everything besides the parameters.
fn session(format: Format, state: &[u8]) -> Value {
    state_file::session(format, state).unwrap()
}

#[test]
fn loaded_state_is_saved_again_before_and_after_running() {
    for format in Format::ALL {
        let state = stopped(format, 5).plugin().save().unwrap();
        let kept = session(format, &state);
        assert_eq!(kept["version"], 1);
        let remembered = kept["session"]["timeline"]["notes"]
            .as_array()
            .unwrap()
            .len();
        assert!(
            remembered > scenario::opening().len(),
            "{format:?}: {remembered} notes"
        );

        let mut idle = artifacts::load(format).unwrap();
        idle.load(&state).unwrap();
        assert_eq!(
            session(format, &idle.save().unwrap()),
            kept,
            "{format:?}, never run"
        );

        let mut daw = reopened(format, &state);
        let again = daw.plugin().save().unwrap();
        assert_eq!(session(format, &again), kept, "{format:?}, run");
        assert_eq!(
            read(format, &again)["params"],
            read(format, &state)["params"]
        );
        daw.plugin().deactivate().unwrap();
        let after = daw.plugin().save().unwrap();
        assert_eq!(
            session(format, &after),
            kept,
            "{format:?}, no longer active"
        );
    }
}

/// A project is loaded, played to at once and saved at once, before its model and its memory are ready:
/// the saved state has all notes.
#[test]
fn save_during_loading_keeps_loaded_and_new_notes() {
    for format in Format::ALL {
        let state = stopped(format, 6).plugin().save().unwrap();
        let kept = session(format, &state);
        let loaded = kept["session"]["timeline"]["notes"].as_array().unwrap();
        let mut plugin = artifacts::load(format).unwrap();
        plugin.load(&state).unwrap();
        let setup = Setup {
            mode: Mode::Realtime,
            ..scenario::default_setup()
        };
        let mut daw = Daw::new(plugin, setup, &notes()).unwrap();
        daw.seek(AGAIN);
        daw.play_to(AGAIN + 5.9).unwrap();
        let saved = daw.plugin().save().unwrap();
        let saved = session(format, &saved);
        let saved = saved["session"]["timeline"]["notes"].as_array().unwrap();
        assert_eq!(saved[..loaded.len()], loaded[..], "{format:?}");
        let keys = |notes: &[Value]| {
            let heard = notes.iter().filter(|note| note[5] != -1);
            heard
                .map(|note| note[3].as_u64().unwrap())
                .collect::<Vec<_>>()
        };
        let since = keys(&saved[loaded.len()..]);
        assert_eq!(since, [67, 71, 74, 72, 69, 66], "{format:?}");
        // Of two loads in a row, the second replaces the first.
        daw.plugin().load(&state).unwrap();
        daw.plugin().load(&state).unwrap();
        let again = daw.plugin().save().unwrap();
        assert_eq!(session(format, &again), kept, "{format:?}");
        daw.finish().unwrap();
    }
}

/// Returns a state with one part replaced.
fn with(format: Format, state: &[u8], part: &str, value: Value) -> Vec<u8> {
    state_file::with_value(format, state, part, value).unwrap()
}

#[test]
fn malformed_states_are_survived() {
    for format in Format::ALL {
        let state = stopped(format, 6).plugin().save().unwrap();
        let json = read(format, &state).to_string();
        let field = |text: &str| with(format, &state, "/fields/session", json!(text));
        let mut damaged = vec![
            Vec::new(),
            b"not a state".to_vec(),
            write(format, b"{}"),
            write(format, &json.as_bytes()[..json.len() / 2]),
            state[..state.len() - 1].to_vec(),
            field(""),
            field("{"),
            field("[1,2,3]"),
            field(r#"{"version":99,"session":{"now":1e308,"timeline":{"notes":[]}}}"#),
            field(r#"{"version":1,"session":{"now":-1e308,"timeline":{"steps_per_beat":0}}}"#),
            with(format, &state, "/fields", json!({})),
            with(format, &state, "/fields", json!({ "unknown": "1" })),
            with(
                format,
                &state,
                "/params",
                json!({ "no such": { "f32": 0.5 } }),
            ),
            with(format, &state, "/version", json!("999.0.0")),
        ];
        // Every parameter gets values of every wrong type and size.
        for id in read(format, &state)["params"].as_object().unwrap().keys() {
            for value in [
                json!({ "f32": 1e30 }),
                json!({ "i32": -5 }),
                json!({ "string": "nonsense" }),
                json!({ "bool": true }),
                json!(0.5),
            ] {
                damaged.push(with(format, &state, &format!("/params/{id}"), value));
            }
        }
        for (n, state) in damaged.iter().enumerate() {
            let mut daw =
                scenario::start(format, scenario::default_setup(), 1, &scenario::opening())
                    .unwrap();
            // One of the states turns the sound on. A host continues after a refused state.
            daw.record_audio();
            let taken = daw.plugin().load(state);
            daw.set(&[("thru", "On")]).unwrap();
            daw.play_to(if n < 14 { scenario::END } else { 2.0 })
                .unwrap();
            daw.run_stopped(1_000).unwrap();
            let notes = assertions::pair_notes(daw.sent()).unwrap();
            assert!(!notes.is_empty(), "{format:?}, state {n}: {taken:?}");
            let loudest = daw.recorded_audio().into_iter().flatten();
            let loudest = loudest.fold(0.0f32, |loudest, s| loudest.max(s.abs()));
            assert!(loudest <= 1.0, "{format:?}, state {n}: {loudest}");
        }
    }
}

/// Plays in a process of its own with a state. Returns the health report.
fn report(format: Format, state: &[u8]) -> HealthReport {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("state"), state).unwrap();
    let mut host = Command::new(env!("CARGO_BIN_EXE_play"));
    host.arg(artifacts::bundle(format).unwrap())
        .arg("--load")
        .arg(at("state"));
    host.env("CONTINUO_MODEL", artifacts::model().unwrap());
    host.env_remove("CONTINUO_RESOURCES");
    host.env("CONTINUO_REPORT", at("report.json"));
    let output = host.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("panicked"),
        "{said}"
    );
    HealthReport::read(&at("report.json")).unwrap()
}

#[test]
fn malformed_state_is_reported_and_the_plugin_plays() {
    for format in Format::ALL {
        let state = stopped(format, 7).plugin().save().unwrap();
        assert_eq!(report(format, &state).problem(), None);
        let field = |kept: Value| state_file::with_session(format, &state, &kept).unwrap();
        let mut gone = session(format, &state);
        gone["model"] = json!("no such folder/model");
        let mut newer = session(format, &state);
        newer["version"] = json!(2);
        let cases = [
            (field(gone), "no such folder"),
            (field(newer), "newer"),
            (field(json!({ "session": 1 })), "damaged"),
            (
                with(format, &state, "/fields/session", json!("{")),
                "damaged",
            ),
        ];
        for (state, what) in cases {
            let report = report(format, &state);
            let problem = report.problem().unwrap_or_default();
            assert!(
                problem.contains(what) && !problem.contains('\n'),
                "{format:?}: {problem:?}"
            );
            assert!(
                report.model.is_some() && report.played > 0,
                "{format:?}: {report:?}"
            );
        }
    }
}

#[test]
fn chosen_model_is_saved_and_used() {
    // The same files with another name in the manifest: the report then shows which folder was loaded.
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    artifacts::copy_folder(&artifacts::model().unwrap(), &other).unwrap();
    let manifest = other.join("model.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    json["name"] = json!("the other one");
    fs::write(&manifest, json.to_string()).unwrap();

    let format = Format::Clap;
    let state = stopped(format, 8).plugin().save().unwrap();
    let mut kept = session(format, &state);
    kept["model"] = json!(other);
    let state = state_file::with_session(format, &state, &kept).unwrap();
    let report = report(format, &state);
    assert_eq!(
        (report.problem(), report.model.as_deref()),
        (None, Some("the other one"))
    );

    // A model change at run time: the same weights and the same memory give the same answer.
    let mut daw = stopped(format, 8);
    let expected = answer(&mut stopped(format, 8));
    daw.plugin().load(&state).unwrap();
    assert_eq!(answer(&mut daw), expected);
}
