//! An instance without a host: what its editor and a main thread do to it while it plays.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use continuo::composer_thread::{Link, connect};
use continuo::editor_link::{Command, EditorLink};
use continuo::gate::Shared;
use continuo::messages::Settings;
use continuo::params::Mode;
use continuo::process::{Controls, Event, Host, Performer};
use continuo::state::State;
use continuo::transport::Reading;
use continuo_score::{Note, Score, tune};
use continuo_tests::artifacts;
use continuo_tests::assertions::{self, GridNote};
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, STEPS_PER_BEAT};
use serde_json::{Value, json};

/// An instance without a host, and with the editor's end of it.
struct Instance {
    editor: Arc<EditorLink>,
    kept: State,
    shared: Arc<Shared>,
    performer: Performer,
    link: Link,
}

fn instance() -> Instance {
    artifacts::use_test_model().unwrap();
    // What it needs lies beside the bundle.
    let own = artifacts::bundle(Format::Clap).unwrap();
    let (shared, kept) = (Arc::new(Shared::default()), State::default());
    let (editor, backstage) = EditorLink::new(shared.clone(), kept.clone());
    let (performer, link) = connect(Some(&own), &kept, shared.clone(), backstage).unwrap();
    Instance {
        editor,
        kept,
        shared,
        performer,
        link,
    }
}

impl Instance {
    /// What the project would keep.
    fn saved(&self) -> Value {
        serde_json::to_value(self.kept.save()).unwrap()
    }

    /// Names of the pieces the project would keep, once there are `count` of them.
    fn names(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        loop {
            let saved = self.saved();
            let pieces = saved["session"]["learned"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            // A model being loaded answers late.
            if pieces.len() == count && !saved["session"].is_null() {
                let name = |piece: &Value| piece["name"].as_str().unwrap().to_string();
                return pieces.iter().map(name).collect();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{saved}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Chords up and down, in a folder: nothing like the minuet.
fn files() -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let mut score = Score::new(STEPS_PER_BEAT);
    for step in 0..200 {
        for voice in 0..3 {
            score.notes.push(Note {
                start: step * 6,
                length: 3,
                pitch: 40 + ((step * 5) % 37) as u8 + voice * 4,
                velocity: 110,
            });
        }
    }
    score.normalise();
    let paths = ["chords.mid", "minuet.mid", "broken.mid"].map(|name| folder.path().join(name));
    score.to_midi().write_file(&paths[0]).unwrap();
    tune::minuet().to_midi().write_file(&paths[1]).unwrap();
    std::fs::write(&paths[2], b"no music").unwrap();
    (folder, paths.to_vec())
}

/// What is played after the opening by an instance whose project has this session.
fn answer(format: Format, session: &Value) -> Vec<GridNote> {
    let mut daw =
        scenario::start(format, scenario::default_setup(), 3, &scenario::opening()).unwrap();
    let state = daw.plugin().save().unwrap();
    let at = if format == Format::Clap { 8 } else { 0 };
    let mut json: Value = serde_json::from_slice(&state[at..]).unwrap();
    let mut kept: Value =
        serde_json::from_str(json["fields"]["session"].as_str().unwrap()).unwrap();
    kept["session"] = session.clone();
    json["fields"]["session"] = json!(kept.to_string());
    let json = json.to_string().into_bytes();
    let state = match format {
        Format::Clap => [&(json.len() as u64).to_le_bytes(), &json[..]].concat(),
        Format::Vst3 => json,
    };
    daw.plugin().load(&state).unwrap();
    daw.run_stopped(1_000).unwrap();
    daw.play_to(scenario::END).unwrap();
    let end = daw.now();
    daw.run_stopped(1_000).unwrap();
    let notes = assertions::pair_notes(daw.sent()).unwrap();
    assertions::place_on_grid(&notes, daw.clock(), STEPS_PER_BEAT, end).unwrap()
}

#[test]
fn learned_files_are_saved_forgotten_and_change_answers() {
    let (_folder, paths) = files();
    let instance = instance();
    assert!(instance.editor.send(Command::Learn(paths.clone())));
    assert_eq!(instance.names(2), ["chords.mid", "minuet.mid"]);
    // Again: nothing new.
    assert!(instance.editor.send(Command::Learn(paths[..1].to_vec())));
    let learned = instance.saved()["session"].clone();
    assert!(instance.editor.send(Command::Unlearn));
    assert!(instance.names(0).is_empty());
    assert!(instance.editor.send(Command::Learn(vec![paths[1].clone()])));
    assert_eq!(instance.names(1), ["minuet.mid"]);
    let forgotten = {
        let mut session = learned.clone();
        session["learned"] = json!([]);
        session
    };
    for format in Format::ALL {
        let with = answer(format, &learned);
        assert!(!with.is_empty());
        assert_eq!(with, answer(format, &learned), "{format:?}");
        assert_ne!(with, answer(format, &forgotten), "{format:?}");
    }
    // A model without a long memory learns nothing, and says so; what was learned stays kept.
    let folder = tempfile::tempdir().unwrap();
    let without = folder.path().join("without");
    artifacts::copy_folder(&artifacts::xl_model().unwrap(), &without).unwrap();
    let manifest = without.join("model.json");
    let mut json: Value =
        serde_json::from_str(&std::fs::read_to_string(&manifest).unwrap()).unwrap();
    json["suffix"] = Value::Null;
    std::fs::write(&manifest, json.to_string()).unwrap();
    assert!(instance.editor.send(Command::LoadModel(Some(without))));
    assert!(instance.editor.send(Command::Learn(vec![paths[0].clone()])));
    assert_eq!(instance.names(1), ["minuet.mid"]);
    assert!(instance.editor.send(Command::LoadModel(None)));
    assert!(instance.editor.send(Command::Learn(vec![paths[0].clone()])));
    assert_eq!(instance.names(2), ["minuet.mid", "chords.mid"]);
}

/// Nobody plays, and what comes out is counted.
struct Silence(usize);

impl Host for Silence {
    fn next_event(&mut self) -> Option<Event> {
        None
    }
    fn send(&mut self, _: Event) -> bool {
        self.0 += 1;
        true
    }
}

/// Hosts save while they bounce: no block may be taken in and never answered.
#[test]
fn offline_block_never_hangs_while_state_is_saved_and_loaded() {
    let Instance {
        editor,
        kept,
        shared,
        mut performer,
        link,
    } = instance();
    link.set_offline(true);
    performer.set_sample_rate(48_000.0);
    let over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let audio = scope.spawn(|| {
            let mut host = Silence(0);
            let settings = Settings {
                mode: Mode::Free,
                ..Settings::default()
            };
            for block in 0..6_000 {
                let reading = Reading {
                    playing: true,
                    beat: Some(f64::from(block) * 0.01),
                    tempo: Some(120.0),
                    ..Reading::default()
                };
                performer.process(&reading, 240, settings, Controls::default(), &mut host);
            }
            over.store(true, Ordering::Release);
            host.0
        });
        let other = artifacts::xl_model().unwrap();
        for turn in 0.. {
            if over.load(Ordering::Acquire) {
                break;
            }
            let saved = kept.save();
            assert_eq!(saved.version, continuo::state::VERSION);
            match turn % 40 {
                // Models come and go while it plays; one of them is not there.
                10 => drop(editor.send(Command::LoadModel(Some(other.clone())))),
                20 => drop(editor.send(Command::LoadModel(Some("nowhere".into())))),
                30 => drop(editor.send(Command::LoadModel(None))),
                _ => {}
            }
        }
        audio.join().unwrap()
    });
    assert!(sent > 20, "{sent} events");
    assert_eq!(shared.counters.gave_up.load(Ordering::Relaxed), 0);
}
