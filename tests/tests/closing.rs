//! Instances that are closed while they load: closing does not hang, no thread remains, and other
//! instances continue. The tests count the threads of their process and therefore have a file of their
//! own.

use std::time::{Duration, Instant};

use continuo_tests::daw::{Daw, Setup};
use continuo_tests::host::{Format, Mode};
use continuo_tests::{artifacts, assertions, scenario, state_file};
use serde_json::json;

/// Longest time for closing; shorter than any wait for a thread that does not respond.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Returns the number of the plugin's threads in this process.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    let names = tasks.filter_map(|task| name(task.ok()?).ok());
    names.filter(|name| name.starts_with("continuo")).count()
}

/// Returns 0 where the system does not list threads.
#[cfg(not(target_os = "linux"))]
fn threads() -> usize {
    0
}

/// Returns an instance in real time with this state, after `blocks` blocks.
fn opened(format: Format, state: &[u8], blocks: u64) -> Daw {
    let mut plugin = artifacts::load(format).unwrap();
    plugin.load(state).unwrap();
    let setup = Setup {
        mode: Mode::Realtime,
        ..scenario::default_setup()
    };
    let mut daw = Daw::new(plugin, setup, &scenario::opening()).unwrap();
    let blocks = blocks as f64 * 256.0 / 24_000.0;
    if blocks > 0.0 {
        daw.play_to(blocks).unwrap();
    }
    daw
}

fn close(daw: Daw, what: &str) {
    let began = Instant::now();
    daw.finish().unwrap();
    assert!(began.elapsed() < TIMEOUT, "{what}: {:?}", began.elapsed());
}

#[test]
fn instance_closed_while_loading_leaves_nothing_and_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let expected = scenario::play_on(format, scenario::default_setup(), 1).unwrap();
        // ONNX Runtime stays loaded, once for each bundle, and so do its threads, which have inherited
        // the name of the thread that loaded it.
        let before = threads();
        let empty = artifacts::load(format).unwrap().save().unwrap();
        let with = |session| state_file::with_session(format, &empty, &session).unwrap();
        let mut states = vec![
            ("a project", with(state_file::long_session(65_000))),
            ("an album", with(state_file::album(32_000, 0))),
        ];
        for number in 0..3 {
            let other = folder.path().join(format!("{format:?}{number}"));
            artifacts::copy_folder(&artifacts::model().unwrap(), &other).unwrap();
            let model = json!({ "version": 1, "model": other });
            states.push(("a model", with(model)));
        }
        // Each instance is alone: its thread ends with it, whatever it is working on.
        for (what, state) in &states {
            for blocks in [0, 3] {
                close(opened(format, state, blocks), what);
                assert_eq!(threads(), before, "{format:?}, {what}, {blocks} blocks");
            }
        }
        // Another instance plays meanwhile, and its notes do not change.
        let mut other =
            scenario::start(format, scenario::default_setup(), 1, &scenario::opening()).unwrap();
        let mut beat = 0.0;
        for (what, state) in states.iter().cycle().take(9) {
            let loading = opened(format, state, 3);
            beat += 3.0;
            other.play_to(beat).unwrap();
            close(loading, what);
        }
        assert_eq!(beat, scenario::END);
        let end = other.now();
        other.run_stopped(1_000).unwrap();
        let notes = assertions::pair_notes(other.sent()).unwrap();
        let placed =
            assertions::place_on_grid(&notes, other.clock(), scenario::STEPS_PER_BEAT, end)
                .unwrap();
        assert_eq!(placed, expected, "{format:?}");
        close(other, "the other one");
        assert_eq!(threads(), before, "{format:?}, after");
    }
}
