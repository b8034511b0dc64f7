//! The state as hosts save and load it.

use std::fs;
use std::process::Command;

use continuo_tests::check::{self, Placed};
use continuo_tests::host::{Format, Mode};
use continuo_tests::lab;
use continuo_tests::player::{Player, Setup, TrackNote};
use continuo_tests::project::{self, write};
use continuo_tests::report::Report;
use continuo_tests::scene::{self, STEPS_PER_BEAT};
use serde_json::{Value, json};

/// Where the second phrase begins, a bar line.
const AGAIN: f64 = 36.0;
/// Where the tests end.
const LATE: f64 = 54.0;

/// The opening, and two bars from [`AGAIN`] on.
fn notes() -> Vec<TrackNote> {
    let mut notes = scene::opening();
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

/// A host that has heard the opening, let the plugin play on, and stopped.
fn stopped(format: Format, seed: u32) -> Player {
    let mut player = scene::stage(format, scene::any_setup(), seed, &notes()).unwrap();
    player.play_to(scene::END).unwrap();
    player.stand(1_000).unwrap();
    player
}

/// Plays the second phrase, and gives what the plugin answers to it.
fn answer(player: &mut Player) -> Vec<Placed> {
    player.jump(AGAIN);
    player.stand(1_000).unwrap();
    let from = player.now();
    player.play_to(LATE).unwrap();
    let end = player.now();
    player.stand(1_000).unwrap();
    let notes = check::pair(player.sent()).unwrap();
    let notes: Vec<_> = notes.into_iter().filter(|note| note.on >= from).collect();
    check::place(&notes, player.clock(), STEPS_PER_BEAT, end).unwrap()
}

/// A new instance of the same plugin in the same project.
fn reopened(format: Format, state: &[u8]) -> Player {
    let mut plugin = lab::load(format).unwrap();
    plugin.load(state).unwrap();
    let mut player = Player::new(plugin, scene::any_setup(), &notes()).unwrap();
    player.stand(1_000).unwrap();
    player
}

#[test]
fn the_next_answer_is_that_of_the_instance_that_was_never_closed() {
    for format in Format::ALL {
        let mut mattered = false;
        for seed in [1, 2, 3] {
            let mut open = stopped(format, seed);
            let state = open.plugin().save().unwrap();
            let never_closed = answer(&mut open);
            assert!(!never_closed.is_empty(), "{format:?}, seed {seed}");

            let closed = answer(&mut reopened(format, &state));
            assert_eq!(closed, never_closed, "{format:?}, seed {seed}");

            // The same parameters without the memory.
            let mut fresh = scene::stage(format, scene::any_setup(), seed, &notes()).unwrap();
            mattered |= answer(&mut fresh) != never_closed;
        }
        assert!(
            mattered,
            "{format:?}: the memory made no difference to any answer"
        );
    }
}

#[test]
fn loads_into_an_instance_that_has_another_past() {
    for format in Format::ALL {
        for seed in [2, 4, 5, 9] {
            let state = stopped(format, seed).plugin().save().unwrap();
            let expected = answer(&mut reopened(format, &state));
            let mut player = scene::stage(format, scene::any_setup(), 9, &notes()).unwrap();
            // It stands at the very beginning, before all that is in the state.
            player.plugin().load(&state).unwrap();
            assert_eq!(answer(&mut player), expected, "{format:?}, seed {seed}");

            let mut player = scene::stage(format, scene::any_setup(), 9, &notes()).unwrap();
            // In the midst of what it plays there.
            player.play_to(scene::ENTRY + 2.2).unwrap();
            player.plugin().load(&state).unwrap();
            player.play_to(scene::ENTRY + 3.0).unwrap();
            player.stand(1_000).unwrap();
            check::pair(player.sent()).unwrap();
            // It has been told another past since; load once more, standing still.
            player.plugin().load(&state).unwrap();
            assert_eq!(answer(&mut player), expected, "{format:?}, seed {seed}");
        }
    }
}

fn read(format: Format, state: &[u8]) -> Value {
    project::read(format, state).unwrap()
}

/// What is kept beside the parameters.
fn session(format: Format, state: &[u8]) -> Value {
    project::session(format, state).unwrap()
}

#[test]
fn what_is_loaded_is_saved_again_whether_or_not_it_ever_ran() {
    for format in Format::ALL {
        let state = stopped(format, 5).plugin().save().unwrap();
        let kept = session(format, &state);
        assert_eq!(kept["version"], 1);
        let remembered = kept["session"]["timeline"]["notes"]
            .as_array()
            .unwrap()
            .len();
        assert!(
            remembered > scene::opening().len(),
            "{format:?}: {remembered} notes"
        );

        let mut idle = lab::load(format).unwrap();
        idle.load(&state).unwrap();
        assert_eq!(
            session(format, &idle.save().unwrap()),
            kept,
            "{format:?}, never run"
        );

        let mut player = reopened(format, &state);
        let again = player.plugin().save().unwrap();
        assert_eq!(session(format, &again), kept, "{format:?}, run");
        assert_eq!(
            read(format, &again)["params"],
            read(format, &state)["params"]
        );
        player.plugin().deactivate().unwrap();
        let after = player.plugin().save().unwrap();
        assert_eq!(
            session(format, &after),
            kept,
            "{format:?}, no longer active"
        );
    }
}

/// A project is loaded, played to at once and saved at once, before there was time for its model
/// or its memory: the save has all of it.
#[test]
fn a_save_while_it_loads_has_what_was_loaded_and_what_was_heard_since() {
    for format in Format::ALL {
        let state = stopped(format, 6).plugin().save().unwrap();
        let kept = session(format, &state);
        let loaded = kept["session"]["timeline"]["notes"].as_array().unwrap();
        let mut plugin = lab::load(format).unwrap();
        plugin.load(&state).unwrap();
        let setup = Setup {
            mode: Mode::Realtime,
            ..scene::any_setup()
        };
        let mut player = Player::new(plugin, setup, &notes()).unwrap();
        player.jump(AGAIN);
        player.play_to(AGAIN + 5.9).unwrap();
        let saved = player.plugin().save().unwrap();
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
        // And twice in a row, the second in place of the first.
        player.plugin().load(&state).unwrap();
        player.plugin().load(&state).unwrap();
        let again = player.plugin().save().unwrap();
        assert_eq!(session(format, &again), kept, "{format:?}");
        player.finish().unwrap();
    }
}

/// A state with one part of it replaced.
fn with(format: Format, state: &[u8], part: &str, value: Value) -> Vec<u8> {
    project::with(format, state, part, value).unwrap()
}

#[test]
fn survives_whatever_a_project_holds() {
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
        // Every parameter of every wrong kind and size.
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
            let mut player =
                scene::stage(format, scene::any_setup(), 1, &scene::opening()).unwrap();
            // One of them turns the sound up. A host goes on when a state is refused.
            player.listen();
            let taken = player.plugin().load(state);
            player.set(&[("thru", "On")]).unwrap();
            player
                .play_to(if n < 14 { scene::END } else { 2.0 })
                .unwrap();
            player.stand(1_000).unwrap();
            let notes = check::pair(player.sent()).unwrap();
            assert!(!notes.is_empty(), "{format:?}, state {n}: {taken:?}");
            let loudest = player.sound().into_iter().flatten();
            let loudest = loudest.fold(0.0f32, |loudest, s| loudest.max(s.abs()));
            assert!(loudest <= 1.0, "{format:?}, state {n}: {loudest}");
        }
    }
}

/// Plays in a process of its own, with a state. Gives the report.
fn report(format: Format, state: &[u8]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("state"), state).unwrap();
    let mut host = Command::new(env!("CARGO_BIN_EXE_play"));
    host.arg(lab::bundle(format).unwrap())
        .arg("--load")
        .arg(at("state"));
    host.env("CONTINUO_MODEL", lab::model().unwrap());
    host.env_remove("CONTINUO_RESOURCES");
    host.env("CONTINUO_REPORT", at("report.json"));
    let output = host.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("panicked"),
        "{said}"
    );
    Report::read(&at("report.json")).unwrap()
}

#[test]
fn says_what_was_wrong_and_plays() {
    for format in Format::ALL {
        let state = stopped(format, 7).plugin().save().unwrap();
        assert_eq!(report(format, &state).problem(), None);
        let field = |kept: Value| project::with_session(format, &state, &kept).unwrap();
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
fn plays_with_the_model_that_was_chosen() {
    // The same files under another name: what plays is told by where it was loaded from.
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    lab::copy(&lab::model().unwrap(), &other).unwrap();
    let manifest = other.join("model.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    json["name"] = json!("the other one");
    fs::write(&manifest, json.to_string()).unwrap();

    let format = Format::Clap;
    let state = stopped(format, 8).plugin().save().unwrap();
    let mut kept = session(format, &state);
    kept["model"] = json!(other);
    let state = project::with_session(format, &state, &kept).unwrap();
    let report = report(format, &state);
    assert_eq!(
        (report.problem(), report.model.as_deref()),
        (None, Some("the other one"))
    );

    // And while it runs: the same weights with the same memory give the same answer.
    let mut player = stopped(format, 8);
    let expected = answer(&mut stopped(format, 8));
    player.plugin().load(&state).unwrap();
    assert_eq!(answer(&mut player), expected);
}
