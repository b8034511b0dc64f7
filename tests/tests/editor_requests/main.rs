//! Requests of the editor and calls of a main thread to an instance without a host, while it plays.

mod recordings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use continuo::composer_thread::{Link, connect};
use continuo::ear::Sound;
use continuo::editor_link::{EditorLink, EditorRequest};
use continuo::process::{AudioProcessor, AudioSettings, Event, Host};
use continuo::shared::Shared;
use continuo::state::State;
use continuo_accompaniment::choices::Mode;
use continuo_accompaniment::messages::Settings;
use continuo_accompaniment::transport::HostTransport;
use continuo_accompaniment::trigger::Trigger;
use continuo_score::{Note, Score, tune};
use continuo_tests::artifacts;
use continuo_tests::assertions::{self, GridNote};
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, STEPS_PER_BEAT};
use continuo_tests::state_file;
use nice_plug::midi::{Channel, Key, VoiceID};
use serde_json::{Value, json};

/// An instance without a host, with the editor's end of its link.
struct Instance {
    editor: Arc<EditorLink>,
    kept: State,
    shared: Arc<Shared>,
    processor: AudioProcessor,
    link: Link,
}

fn instance() -> Instance {
    // The resources lie beside the bundle.
    instance_of(&artifacts::bundle(Format::Clap).unwrap())
}

/// Makes an instance of the plugin's library at a path, beside which its resources lie.
fn instance_of(own: &Path) -> Instance {
    artifacts::use_test_model().unwrap();
    let (shared, kept) = (Arc::new(Shared::default()), State::default());
    let (editor, composer_end) = EditorLink::new(shared.clone(), kept.clone());
    let (processor, link) = connect(Some(own), &kept, shared.clone(), composer_end).unwrap();
    Instance {
        editor,
        kept,
        shared,
        processor,
        link,
    }
}

impl Instance {
    /// Returns the state that a project would save.
    fn saved(&self) -> Value {
        serde_json::to_value(self.kept.save()).unwrap()
    }

    /// Returns the names of the saved pieces, once there are `count` of them.
    fn names(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        loop {
            let saved = self.saved();
            let pieces = saved["session"]["learned"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            // A response may be late while a model is loading.
            if pieces.len() == count && !saved["session"].is_null() {
                let name = |piece: &Value| piece["name"].as_str().unwrap().to_string();
                return pieces.iter().map(name).collect();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{saved}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Returns a folder of files with chords up and down, which are unlike the minuet.
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
                ..Note::default()
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

/// Returns the notes after the opening of an instance with this session.
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
    assert!(instance.editor.send(EditorRequest::Learn(paths.clone())));
    assert_eq!(instance.names(2), ["chords.mid", "minuet.mid"]);
    // Learning the same files again adds nothing.
    assert!(
        instance
            .editor
            .send(EditorRequest::Learn(paths[..1].to_vec()))
    );
    let learned = instance.saved()["session"].clone();
    assert!(instance.editor.send(EditorRequest::Unlearn));
    assert!(instance.names(0).is_empty());
    assert!(
        instance
            .editor
            .send(EditorRequest::Learn(vec![paths[1].clone()]))
    );
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
    // A model without a kNN memory reports that it cannot learn; the learned pieces stay saved.
    let folder = tempfile::tempdir().unwrap();
    let without = folder.path().join("without");
    artifacts::copy_folder(&artifacts::xl_model().unwrap(), &without).unwrap();
    let manifest = without.join("model.json");
    let mut json: Value =
        serde_json::from_str(&std::fs::read_to_string(&manifest).unwrap()).unwrap();
    json["suffix"] = Value::Null;
    std::fs::write(&manifest, json.to_string()).unwrap();
    instance.editor.load_model(Some(without));
    assert!(
        instance
            .editor
            .send(EditorRequest::Learn(vec![paths[0].clone()]))
    );
    assert_eq!(instance.names(1), ["minuet.mid"]);
    instance.editor.load_model(None);
    assert!(
        instance
            .editor
            .send(EditorRequest::Learn(vec![paths[0].clone()]))
    );
    assert_eq!(instance.names(2), ["minuet.mid", "chords.mid"]);
}

/// A model that failed is tried again when it is chosen again, because its folder may have been mended.
#[test]
fn model_that_failed_is_tried_again_when_it_is_chosen_again() {
    let instance = instance();
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().to_path_buf();
    let failure = || {
        assert!(instance.editor.load_model(Some(mine.clone())));
        let began = Instant::now();
        loop {
            let problem = instance.kept.problem().unwrap_or_default();
            if problem.contains("the default model plays instead") {
                return problem;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{problem}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let missing = failure();
    std::fs::write(mine.join("model.json"), "{}").unwrap();
    let incomplete = failure();
    assert_ne!(incomplete, missing);
    assert_eq!(
        incomplete.matches("the default model").count(),
        1,
        "{incomplete}"
    );
}

/// A host without input that counts output events.
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

/// Hosts save during a bounce: every block that is taken in must be answered.
#[test]
fn offline_block_never_hangs_while_state_is_saved_and_loaded() {
    let Instance {
        editor,
        kept,
        shared,
        mut processor,
        link,
    } = instance();
    link.set_offline(true);
    processor.set_sample_rate(48_000.0);
    let over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let audio = scope.spawn(|| {
            let mut host = Silence(0);
            let settings = Settings {
                mode: Mode::Free,
                ..Settings::default()
            };
            for block in 0..6_000 {
                let reading = HostTransport {
                    playing: true,
                    beat: Some(f64::from(block) * 0.01),
                    tempo: Some(120.0),
                    ..HostTransport::default()
                };
                processor.process(
                    &reading,
                    240,
                    settings,
                    AudioSettings::default(),
                    Sound::default(),
                    &mut host,
                );
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
                // The model changes during playing; one of the models does not exist.
                10 => assert!(editor.load_model(Some(other.clone()))),
                20 => assert!(editor.load_model(Some("nowhere".into()))),
                30 => assert!(editor.load_model(None)),
                _ => {}
            }
        }
        audio.join().unwrap()
    });
    assert!(sent > 20, "{sent} events");
    assert_eq!(shared.counters.offline_timeouts.load(Ordering::Relaxed), 0);
}

/// A host that plays one key and counts output events.
struct Keyboard {
    key: Option<(bool, u8)>,
    sent: usize,
}

impl Host for Keyboard {
    fn next_event(&mut self) -> Option<Event> {
        let (on, key) = self.key.take()?;
        let (timing, voice_id) = (0, VoiceID::Wildcard);
        let (channel, key) = (Channel::Number(0), Key::Number(key));
        Some(match on {
            true => Event::NoteOn {
                timing,
                voice_id,
                channel,
                key,
                velocity: 0.7,
            },
            false => Event::NoteOff {
                timing,
                voice_id,
                channel,
                key,
                velocity: 0.0,
            },
        })
    }
    fn send(&mut self, _: Event) -> bool {
        self.sent += 1;
        true
    }
}

impl Instance {
    /// Plays half a beat from `beat` on, with one note on `key`. Returns the number of output events.
    fn strike(&mut self, beat: f64, key: u8) -> usize {
        let settings = Settings {
            mode: Mode::Free,
            ..Settings::default()
        };
        let controls = AudioSettings {
            thru: false,
            ..AudioSettings::default()
        };
        let mut host = Keyboard { key: None, sent: 0 };
        for block in 0..25 {
            host.key = match block {
                0 => Some((true, key)),
                20 => Some((false, key)),
                _ => None,
            };
            let reading = HostTransport {
                playing: true,
                beat: Some(beat + f64::from(block) * 0.02),
                tempo: Some(120.0),
                ..HostTransport::default()
            };
            self.processor.process(
                &reading,
                480,
                settings,
                controls,
                Sound::default(),
                &mut host,
            );
        }
        host.sent
    }

    /// Returns the saved notes of the player: the number of the project's notes, and the keys of later
    /// ones.
    fn kept_keys(&self) -> (usize, Vec<u64>) {
        let timeline = self.saved()["session"]["timeline"].clone();
        let notes = timeline["notes"].as_array().cloned().unwrap_or_default();
        let heard = notes.iter().filter(|note| note[5] != json!(-1));
        let keys: Vec<u64> = heard.filter_map(|note| note[3].as_u64()).collect();
        let (since, loaded): (Vec<u64>, _) = keys.into_iter().partition(|&key| key >= 100);
        (loaded.len(), since)
    }
}

/// Requests of the editor while the real composer thread and the real engine read a large project
/// again.
#[test]
fn undo_and_another_model_during_a_restore_lose_nothing() {
    const NOTES: usize = 20_000;
    let mut instance = instance();
    instance.processor.set_sample_rate(48_000.0);
    instance.kept.load(state_file::long_session(NOTES));
    let end = NOTES as f64 / 4.0;
    instance.strike(end, 100);
    assert_eq!(instance.kept_keys(), (NOTES, vec![100]));
    instance.editor.press(Trigger::Clear);
    instance.strike(end + 0.5, 101);
    assert_eq!(instance.kept_keys(), (0, vec![101]));
    instance.editor.press(Trigger::Undo);
    instance.strike(end + 1.0, 102);
    assert_eq!(instance.kept_keys(), (NOTES, vec![100, 101, 102]));
    instance
        .editor
        .load_model(Some(artifacts::xl_model().unwrap()));
    instance.strike(end + 1.5, 103);
    assert_eq!(instance.kept_keys(), (NOTES, vec![100, 101, 102, 103]));
    // A change of the model removes the undo history: cleared notes stay cleared.
    instance.editor.press(Trigger::Clear);
    instance.strike(end + 2.0, 104);
    instance.editor.load_model(None);
    instance.editor.press(Trigger::Undo);
    instance.strike(end + 2.5, 105);
    assert_eq!(instance.kept_keys(), (0, vec![104, 105]));
    // The instance plays again in the end.
    let began = Instant::now();
    let mut beat = end + 3.0;
    while instance.strike(beat, 106) == 0 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it never answers"
        );
        std::thread::sleep(Duration::from_millis(20));
        beat += 0.5;
    }
    let (loaded, since) = instance.kept_keys();
    assert!(loaded == 0 && since.starts_with(&[104, 105, 106]));
    drop(instance.processor);
    drop(instance.link);
    assert!(began.elapsed() < Duration::from_secs(70), "it does not end");
}
