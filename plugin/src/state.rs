//! State of a project beside the parameters: the session and the chosen model, as versioned JSON.
//! Invalid parts are left out.
//!
//! The composer thread owns the session; hosts save and load on the main thread. Saving requests
//! the session from the composer thread and waits; the answer comes between two slices. Loading
//! stores the state for the composer thread to take. The audio thread takes no part: notes pass and
//! sound while the memory is read.

mod param_values;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nice_plug::params::persist::PersistentField;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::Shared;
use continuo_accompaniment::session::SavedSession;

pub use self::param_values::{add_missing, clamp_to_ranges};

/// The version that is written; incremented when older plugins would misread it.
pub const VERSION: u32 = 1;

/// Saved state. Unknown fields are ignored, missing ones have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// [`VERSION`] of the plugin that wrote it.
    pub version: u32,
    /// The model's directory, if one was chosen in place of the default.
    pub model: Option<PathBuf>,
    /// The session, if the plugin ever ran.
    pub session: Option<SavedSession>,
}

/// Requests the session from the composer thread; `None` without an answer.
type RequestSession = Arc<dyn Fn() -> Option<SavedSession> + Send + Sync>;

/// State of an instance, shared by the main thread and the composer thread. Clones share it.
#[derive(Clone, Default)]
pub struct State(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Held while the state is saved, loaded or given another model, so that none of these comes between
    /// the question and the answer of another. Never locked by the audio or the composer thread.
    exchange: Mutex<()>,
    /// Never locked by the audio thread, nor while waiting.
    data: Mutex<StateData>,
    /// Whether a loaded state or a chosen model waits for the composer thread.
    loaded: AtomicBool,
}

#[derive(Default)]
struct StateData {
    /// The last state loaded or saved.
    saved: Saved,
    /// Session epoch of that state.
    session_epoch: u64,
    /// Problems of that state.
    problem: Option<String>,
    /// The running instance.
    connection: Option<(RequestSession, Arc<Shared>)>,
}

impl StateData {
    /// Sets the plugin's own time to the end of the loaded session: in a host without a transport,
    /// new input replaces nothing.
    fn place_own_time(&self) {
        if let Some((_, shared)) = &self.connection {
            let session = self.saved.session.as_ref();
            let beat = session.map_or(0.0, SavedSession::next_bar);
            shared
                .own_time_from
                .store(beat.to_bits(), Ordering::Relaxed);
        }
    }
}

impl State {
    /// Connects a running instance: saving calls `ask`, loading increments the session epoch. Main
    /// thread.
    pub fn connect(
        &self,
        ask: impl Fn() -> Option<SavedSession> + Send + Sync + 'static,
        shared: Arc<Shared>,
    ) {
        let mut data = self.data();
        data.connection = Some((Arc::new(ask), shared));
        data.place_own_time();
        // Both threads of the instance begin with the loaded state.
        data.session_epoch = 0;
    }

    /// Disconnects the instance. Main thread.
    pub fn disconnect(&self) {
        self.data().connection = None;
    }

    /// The current state. Waits for the composer thread; where that does not answer, the state has the
    /// last session that was saved or loaded, and the user is told. Main thread.
    pub fn save(&self) -> Saved {
        let _exchange = self.exchange();
        if !self.update() {
            let problem = "the project was saved without the newest notes, because the composer thread did \
                           not answer in time";
            self.add_problem(problem.into());
        }
        self.data().saved.clone()
    }

    /// Chooses a model, `None` for the default; the session stays. Returns whether it was possible: it is
    /// not if the composer thread does not answer, because the session would be lost. Any thread that may
    /// wait.
    pub fn choose_model(&self, model: Option<PathBuf>) -> bool {
        let _exchange = self.exchange();
        let updated = self.update();
        if updated {
            let mut data = self.data();
            data.saved.model = model;
            // It was about the state with the other model.
            data.problem = None;
            self.mark_loaded(&mut data);
        }
        updated
    }

    /// Loads a state from any JSON. Main thread.
    pub fn load(&self, value: Value) {
        let _exchange = self.exchange();
        // Input up to here belongs to the previous epoch.
        self.update();
        let (saved, problem) = read(value);
        let mut data = self.data();
        (data.saved, data.problem) = (saved, problem);
        self.mark_loaded(&mut data);
    }

    /// Takes the session of the composer thread. `false` if it does not answer; without an instance there
    /// is nothing to take.
    fn update(&self) -> bool {
        let ask = self.data().connection.as_ref().map(|(ask, _)| ask.clone());
        // The composer thread answers after it has taken a loaded state.
        let answer = ask.map(|ask| ask());
        let mut data = self.data();
        data.saved.version = VERSION;
        match answer {
            None => true,
            Some(None) => false,
            Some(session) => {
                data.saved.session = session;
                true
            }
        }
    }

    fn exchange(&self) -> MutexGuard<'_, ()> {
        self.0
            .exchange
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the state for the composer thread, and starts a session epoch, so that the audio
    /// thread drops its plan.
    fn mark_loaded(&self, data: &mut StateData) {
        data.place_own_time();
        self.0.loaded.store(true, Ordering::Release);
        data.session_epoch = match &data.connection {
            Some((_, shared)) => shared.session_epoch.fetch_add(1, Ordering::Release) + 1,
            None => 0,
        };
    }

    /// Whether a state waits for the composer thread.
    pub fn has_loaded(&self) -> bool {
        self.0.loaded.load(Ordering::Acquire)
    }

    /// Takes the loaded session with its epoch. Messages belong to it after
    /// [`continuo_accompaniment::messages::ComposerInput::SessionReplaced`] with that epoch.
    /// Composer thread.
    pub fn take(&self) -> Option<(SavedSession, u64)> {
        let data = self.data();
        let loaded = self.0.loaded.swap(false, Ordering::AcqRel);
        loaded.then(|| {
            (
                data.saved.session.clone().unwrap_or_default(),
                data.session_epoch,
            )
        })
    }

    /// Directory of the chosen model. Composer thread.
    pub fn model(&self) -> Option<PathBuf> {
        self.data().saved.model.clone()
    }

    /// Adds a problem. Any thread but the audio thread.
    pub fn add_problem(&self, problem: String) {
        let mut data = self.data();
        data.problem = match data.problem.take() {
            Some(before) if before.contains(&problem) => Some(before),
            Some(before) => Some(format!("{before}; {problem}")),
            None => Some(problem),
        };
    }

    /// Problems of the loaded state, as a line for the user.
    pub fn problem(&self) -> Option<String> {
        self.data().problem.clone()
    }

    fn data(&self) -> MutexGuard<'_, StateData> {
        // Writes replace whole values, so a poisoned lock guards valid data.
        self.0.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The valid parts of a state, and a problem if there are others.
fn read(value: Value) -> (Saved, Option<String>) {
    match serde_json::from_value::<Saved>(value) {
        Ok(saved) if saved.version > VERSION => {
            let problem = format!(
                "the project was saved by a newer Continuo (state {}, this one knows {VERSION}): \
                 what it does not know is left out",
                saved.version
            );
            (saved, Some(problem))
        }
        Ok(saved) => (saved, None),
        Err(error) => {
            let problem = format!(
                "the state in the project is damaged and was left out ({error}); the memory is \
                 empty"
            );
            (Saved::default(), Some(problem))
        }
    }
}

/// The key of the field in nice-plug's state.
pub const FIELD: &str = "session";

/// Replaces invalid JSON by a JSON string, so that [`State`] can report it. nice-plug calls it
/// before it loads a state.
pub fn replace_invalid_json(field: &mut String) {
    // As nice-plug reads it next: that refuses also numbers out of range and too many brackets.
    if serde_json::from_str::<Value>(field).is_err() {
        *field = Value::String(field.chars().take(100).collect()).to_string();
    }
}

impl PersistentField<'_, Value> for State {
    fn set(&self, value: Value) {
        self.load(value);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&Value) -> R,
    {
        // The value has only numbers, text and lists, so this cannot fail.
        f(&serde_json::to_value(self.save()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn session(now: f64) -> SavedSession {
        serde_json::from_value(json!({ "now": now })).unwrap()
    }

    #[test]
    fn silent_composer_thread_loses_neither_session_nor_model() {
        let state = State::default();
        state.load(json!({ "version": VERSION, "model": "mine", "session": { "now": 3.0 } }));
        state.connect(|| None, Arc::new(Shared::default()));
        assert!(state.take().is_some());
        let saved = state.save();
        assert_eq!(saved.session, Some(session(3.0)));
        assert!(
            state
                .problem()
                .unwrap()
                .contains("without the newest notes")
        );
        assert!(!state.choose_model(Some("other".into())));
        assert_eq!(
            (state.model(), state.has_loaded()),
            (Some("mine".into()), false)
        );
    }

    #[test]
    fn json_that_nice_plug_cannot_read_is_reported() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for invalid in ["{", r#"{"now":1e999}"#, &deep] {
            let mut field = invalid.to_string();
            replace_invalid_json(&mut field);
            let value = serde_json::from_str(&field).unwrap();
            let state = State::default();
            state.load(value);
            assert!(state.problem().unwrap().contains("damaged"), "{invalid}");
        }
    }

    #[test]
    fn state_saves_the_composers_session_and_loads_it_once() {
        let state = State::default();
        assert_eq!(state.save().session, None, "nobody to ask");
        let shared = Arc::new(Shared::default());
        state.connect(|| Some(session(7.0)), shared);
        let saved = state.save();
        assert_eq!(
            (saved.version, saved.session.clone()),
            (VERSION, Some(session(7.0)))
        );

        let other = State::default();
        PersistentField::map(&state, |value| PersistentField::set(&other, value.clone()));
        assert!(other.has_loaded());
        assert_eq!(other.take(), Some((session(7.0), 0)));
        assert_eq!((other.take(), other.has_loaded()), (None, false));
        assert_eq!(other.save(), saved, "kept although nobody runs");
    }

    #[test]
    fn loaded_state_is_kept_until_the_composer_takes_it() {
        let state = State::default();
        let shared = Arc::new(Shared::default());
        // The composer thread takes the loaded state before it answers.
        let (composer_state, taken) = (state.clone(), Mutex::new(Vec::new()));
        let taken = Arc::new(taken);
        let took = taken.clone();
        let answer = move || {
            let mut took = took.lock().unwrap();
            took.extend(composer_state.take());
            Some(took.last().map_or(session(1.0), |(s, _)| s.clone()))
        };
        state.connect(answer, shared.clone());
        assert_eq!(state.save().session, Some(session(1.0)));
        for now in [3.0, 4.0] {
            state.load(json!({ "version": 1, "session": { "now": now } }));
        }
        assert_eq!(shared.session_epoch.load(Ordering::Acquire), 2);
        assert_eq!(state.save().session, Some(session(4.0)));
        let taken = taken.lock().unwrap();
        assert_eq!(taken[..], [(session(3.0), 1), (session(4.0), 2)]);
        assert_eq!((state.take(), state.has_loaded()), (None, false));
        drop(taken);
        state.connect(|| None, shared);
        assert_eq!(state.save().session, Some(session(4.0)), "no answer");
    }

    #[test]
    fn choosing_a_model_keeps_the_session() {
        let state = State::default();
        state.connect(|| Some(session(5.0)), Arc::new(Shared::default()));
        state.choose_model(Some("somewhere".into()));
        assert_eq!(state.model(), Some("somewhere".into()));
        assert_eq!(state.take(), Some((session(5.0), 1)));
    }

    #[test]
    fn older_newer_and_damaged_states_load_with_a_problem() {
        let state = State::default();
        state.load(json!({}));
        assert_eq!(
            (state.problem(), state.take()),
            (None, Some((SavedSession::default(), 0)))
        );
        state.load(json!({ "version": 9, "session": { "now": 3.0, "mood": 1 }, "colour": [] }));
        assert!(state.problem().unwrap().contains("newer"));
        assert_eq!(state.take(), Some((session(3.0), 0)));
        let damaged = [
            json!(null),
            json!("text"),
            json!([1, 2]),
            json!({ "version": -1 }),
            json!({ "session": { "now": "noon" } }),
            json!({ "session": { "timeline": { "notes": [[1]] } } }),
        ];
        for value in damaged {
            state.load(value.clone());
            assert!(state.problem().unwrap().contains("damaged"), "{value}");
            assert_eq!(state.take(), Some((SavedSession::default(), 0)), "{value}");
        }
        state.load(json!({ "version": 1 }));
        assert_eq!(state.problem(), None);
    }

    #[test]
    fn invalid_json_becomes_text() {
        for broken in ["", "{", "nul", "\u{0}{}"] {
            let mut field = broken.to_string();
            replace_invalid_json(&mut field);
            assert!(serde_json::from_str::<Value>(&field).unwrap().is_string());
        }
        let mut whole = "{\"version\":1}".to_string();
        replace_invalid_json(&mut whole);
        assert_eq!(whole, "{\"version\":1}");
    }
}
