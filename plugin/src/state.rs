//! What a project keeps beside the parameters: what was heard and played, and which model was
//! chosen. Versioned JSON; nothing in it can hurt.
//!
//! The composer thread owns the session, and hosts ask for the state on the main thread. So
//! saving asks the composer thread and waits for its answer, which comes between two slices of
//! its work, whatever it is at; loading leaves what was read for the composer thread to find. The audio thread has no part in it: notes pass and sound while
//! the memory is read anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nice_plug::params::persist::PersistentField;
use nice_plug::plugin::ParamValue;
use nice_plug::prelude::Params;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::Shared;
use continuo_accompaniment::session::SavedSession;

/// The version written. It goes up when an older plugin would misread what is written.
pub const VERSION: u32 = 1;

/// What a project keeps. Fields that a later version adds are ignored, missing ones are as in
/// a new instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// [`VERSION`] of the plugin that wrote it.
    pub version: u32,
    /// The model's directory, if one was chosen in place of the default.
    pub model: Option<PathBuf>,
    /// What was heard and played, if the plugin ever ran.
    pub session: Option<SavedSession>,
}

/// Asks the composer thread for the session as it is now; `None` if there is no answer.
type RequestSession = Arc<dyn Fn() -> Option<SavedSession> + Send + Sync>;

/// The state of an instance, between the host's main thread and the composer thread. Cheap to
/// clone; every clone is the same one.
#[derive(Clone, Default)]
pub struct State(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Never touched by the audio thread, and never held while waiting.
    data: Mutex<StateData>,
    /// Something was loaded or chosen that the composer thread has not taken up.
    loaded: AtomicBool,
}

#[derive(Default)]
struct StateData {
    /// The last that was loaded or saved.
    saved: Saved,
    /// Its number, as the instance's threads count what they go on from.
    session_epoch: u64,
    /// What was wrong with it.
    problem: Option<String>,
    /// The instance, once it runs.
    connection: Option<(RequestSession, Arc<Shared>)>,
}

impl StateData {
    /// The plugin's own time, if it is needed, goes on after everything that was loaded: in a
    /// host that reports no transport, memory grows and nothing in it is played over.
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
    /// From now on saving asks this, and loading tells the audio thread to begin anew. Main
    /// thread.
    pub fn connect(
        &self,
        ask: impl Fn() -> Option<SavedSession> + Send + Sync + 'static,
        shared: Arc<Shared>,
    ) {
        let mut data = self.data();
        data.connection = Some((Arc::new(ask), shared));
        data.place_own_time();
        // Both of its threads begin with what was loaded before.
        data.session_epoch = 0;
    }

    /// There is nobody to ask any more. Main thread.
    pub fn disconnect(&self) {
        self.data().connection = None;
    }

    /// The state as it is now. Waits for the composer thread: main thread only.
    pub fn save(&self) -> Saved {
        let ask = self.data().connection.as_ref().map(|(ask, _)| ask.clone());
        // Who answers has taken up what was loaded, and has nothing to wait for.
        let session = ask.and_then(|ask| ask());
        let mut data = self.data();
        data.saved.version = VERSION;
        if session.is_some() {
            data.saved.session = session;
        }
        data.saved.clone()
    }

    /// Plays on with another model, `None` for the default, and remembers all. Main thread.
    pub fn choose_model(&self, model: Option<PathBuf>) {
        self.save();
        let mut data = self.data();
        data.saved.model = model;
        self.mark_loaded(&mut data);
    }

    /// Takes what a host has kept, whatever it is. Main thread.
    pub fn load(&self, value: Value) {
        // What was played up to here is not to be heard after it.
        self.save();
        let (saved, problem) = read(value);
        let mut data = self.data();
        (data.saved, data.problem) = (saved, problem);
        self.mark_loaded(&mut data);
    }

    /// The composer thread is to take it up before it hears what comes now, and the audio
    /// thread to drop what was planned on another past.
    fn mark_loaded(&self, data: &mut StateData) {
        data.place_own_time();
        self.0.loaded.store(true, Ordering::Release);
        data.session_epoch = match &data.connection {
            Some((_, shared)) => shared.session_epoch.fetch_add(1, Ordering::Release) + 1,
            None => 0,
        };
    }

    /// Whether there is something for the composer thread to take.
    pub fn has_loaded(&self) -> bool {
        self.0.loaded.load(Ordering::Acquire)
    }

    /// The session to go on from, if it was not taken yet, and its number: what the audio thread
    /// tells belongs to it after [`continuo_accompaniment::messages::ComposerInput::SessionReplaced`] with that number. Composer
    /// thread.
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

    /// The model's directory, if one was chosen. Composer thread.
    pub fn model(&self) -> Option<PathBuf> {
        self.data().saved.model.clone()
    }

    /// Adds to what is wrong. Composer thread.
    pub fn add_problem(&self, problem: String) {
        let mut data = self.data();
        data.problem = match data.problem.take() {
            Some(before) if before.contains(&problem) => Some(before),
            Some(before) => Some(format!("{before}; {problem}")),
            None => Some(problem),
        };
    }

    /// What was wrong with the state that was loaded, if anything.
    pub fn problem(&self) -> Option<String> {
        self.data().problem.clone()
    }

    fn data(&self) -> MutexGuard<'_, StateData> {
        // Whole values are put into it, never half of one.
        self.0.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whatever can be made of it, and what could not.
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

/// Makes JSON of what is none, so that it reaches [`State`] and can be complained of. Called by
/// nice-plug before a state is loaded.
pub fn replace_invalid_json(field: &mut String) {
    if serde_json::from_str::<serde::de::IgnoredAny>(field).is_err() {
        *field = Value::String(field.chars().take(100).collect()).to_string();
    }
}

/// Brings values beyond a parameter's range back into it: the framework takes them as they are,
/// and a loudness of a million would be heard. Called by nice-plug before a state is loaded.
pub fn clamp_to_ranges(values: &mut BTreeMap<String, ParamValue>, params: &dyn Params) {
    for (id, pointer, _) in params.param_map() {
        // SAFETY: the pointer is into `params`, which is borrowed here.
        let (low, high) = unsafe { (pointer.preview_plain(0.0), pointer.preview_plain(1.0)) };
        let (low, high) = (low.min(high), low.max(high));
        match values.get_mut(&id) {
            Some(ParamValue::F32(value)) => *value = value.clamp(low, high),
            Some(ParamValue::I32(value)) => *value = (*value).clamp(low as i32, high as i32),
            Some(ParamValue::Bool(_) | ParamValue::String(_)) | None => {}
        }
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
        // Numbers, text and lists: this cannot fail.
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
    fn saves_what_the_composer_says_and_loads_it_once() {
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
    fn what_was_loaded_is_kept_until_the_composer_has_taken_it() {
        let state = State::default();
        let shared = Arc::new(Shared::default());
        // The composer thread takes up what was loaded before it answers.
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
    fn a_model_is_chosen_and_the_session_stays() {
        let state = State::default();
        state.connect(|| Some(session(5.0)), Arc::new(Shared::default()));
        state.choose_model(Some("somewhere".into()));
        assert_eq!(state.model(), Some("somewhere".into()));
        assert_eq!(state.take(), Some((session(5.0), 1)));
    }

    #[test]
    fn older_newer_and_damaged_states() {
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
    fn values_beyond_their_range_are_brought_back() {
        let params = crate::params::ContinuoParams::default();
        let mut values = BTreeMap::from([
            ("sound".to_string(), ParamValue::F32(1e30)),
            ("temp".to_string(), ParamValue::F32(-1.0)),
            ("top_p".to_string(), ParamValue::F32(0.75)),
            ("seed".to_string(), ParamValue::I32(i32::MAX)),
            ("mode".to_string(), ParamValue::I32(-7)),
            ("no such".to_string(), ParamValue::F32(1e30)),
        ]);
        clamp_to_ranges(&mut values, &params);
        let value = |id: &str| match values[id] {
            ParamValue::F32(value) => f64::from(value),
            ParamValue::I32(value) => f64::from(value),
            _ => f64::NAN,
        };
        assert_eq!((value("sound"), value("top_p")), (1.0, 0.75));
        assert!((value("temp") - 0.1).abs() < 1e-6);
        assert_eq!((value("seed"), value("mode")), (9999.0, 0.0));
    }

    #[test]
    fn what_is_no_json_becomes_text() {
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
