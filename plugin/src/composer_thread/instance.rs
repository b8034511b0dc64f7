//! The composer thread's half of one instance.

mod loading;
mod opening;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use continuo_engine::EngineError;
use nice_plug::prelude::nice_error;
use rtrb::{Consumer, Producer};

use self::opening::Opening;
use super::NewInstance;
use super::rings::{SessionEpochs, hand_over, hand_over_all};
use crate::ear::{self, WorkerEnd};
use crate::editor_link::{ComposerEnd, EditorRequest};
use crate::health_report::HealthReport;
use crate::player::{EnginePlayer, Models, PendingModel};
use crate::shared::Shared;
use crate::state;
use crate::workers::{Workers, panic_message};
use continuo_accompaniment::messages::{ComposerInput, ScheduledNote};
use continuo_accompaniment::session::{Player, SavedSession, Session, Urgency};
use continuo_accompaniment::snapshot::ModelState;

/// Number of messages read from one instance before the next one's turn.
const MAX_MESSAGES: usize = 512;

/// Interval of snapshots.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(30);

/// Steps per quarter note of the timeline before a model loads.
const STEPS_PER_BEAT: u32 = 12;

/// Resources shared by all instances. Owned by the composer thread.
#[derive(Default)]
pub(super) struct SharedResources {
    /// Loaded models.
    pub(super) models: Models,
    /// Worker threads.
    pub(super) workers: Workers,
}

/// The composer thread's half of an instance.
pub(super) struct Instance {
    pub(super) id: u64,
    heard: Consumer<ComposerInput>,
    planned: Producer<ScheduledNote>,
    shared: Arc<Shared>,
    state: state::State,
    composer_end: ComposerEnd,
    /// Time of the last snapshot.
    last_snapshot: Instant,
    epochs: SessionEpochs,
    /// Number of the last block read.
    block: u64,
    /// The plugin's library.
    own_library: Option<PathBuf>,
    /// Directory of the chosen model; `None` for the default.
    model: Option<PathBuf>,
    /// The model while it loads.
    pending_model: Option<PendingModel>,
    /// The file that a worker opens.
    opening: Option<Opening>,
    /// The ear's rings, until a worker takes them.
    ear: Option<WorkerEnd>,
    /// Session; it reads input also without a model, so that a save has all notes.
    session: Session<EnginePlayer>,
    /// Whether the chosen model failed and the default one replaces it.
    uses_default: bool,
    /// Error that ended generation. Input still passes through.
    problem: Option<String>,
}

impl Instance {
    pub(super) fn new(new_instance: NewInstance, resources: &mut SharedResources) -> Self {
        let NewInstance {
            id,
            rings: (heard, planned),
            ear,
            shared,
            state,
            composer_end,
            own_library,
        } = new_instance;
        let mut instance = Self {
            id,
            heard,
            planned,
            shared,
            state,
            composer_end,
            last_snapshot: Instant::now(),
            epochs: SessionEpochs::default(),
            block: 0,
            own_library,
            model: None,
            pending_model: None,
            opening: None,
            ear: Some(ear),
            session: Session::new(EnginePlayer::without_model(STEPS_PER_BEAT)),
            uses_default: false,
            problem: None,
        };
        instance.model = instance.state.model();
        instance.ask_for_model(resources);
        instance
    }

    /// Applies loaded state and models, editor requests and messages; returns whether there was
    /// input. Takes a few milliseconds at most. A failure stays within this instance.
    pub(super) fn listen(&mut self, resources: &mut SharedResources) -> bool {
        let heard = self.guard(|instance| {
            instance.apply_loaded_state(resources)?;
            instance.apply_loaded_model(resources)?;
            instance.handle_requests(resources)?;
            instance.start_ear(resources);
            instance.receive_messages(MAX_MESSAGES)
        });
        self.guard(|instance| {
            instance.publish_snapshot();
            Ok(())
        });
        heard.unwrap_or(false)
    }

    /// Urgency of its next slice; `None` without work.
    pub(super) fn urgency(&mut self) -> Option<Urgency> {
        let urgency = self.guard(|instance| Ok(instance.session.urgency()))??;
        let waited = self.is_offline() && !self.heard.is_empty();
        Some(if waited {
            urgency.min(Urgency::OfflineHost)
        } else {
            urgency
        })
    }

    /// Does the slice.
    pub(super) fn work(&mut self) {
        let offline = self.is_offline();
        self.guard(|instance| {
            if offline {
                instance.session.work_exactly()?;
                instance.shared.barrier.heartbeat();
            } else {
                instance.session.work()?;
            }
            hand_over(&mut instance.session, &mut instance.planned);
            Ok(())
        });
    }

    /// Whether a worker thread works for it.
    pub(super) fn waits_for_worker(&self) -> bool {
        self.pending_model.is_some() || self.opening.is_some()
    }

    fn is_offline(&self) -> bool {
        self.shared.offline.load(Ordering::Relaxed)
    }

    /// Runs `run`; an error or a panic ends generation in this instance.
    fn guard<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, EngineError>) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(Ok(value)) => Some(value),
            Ok(Err(problem)) => {
                self.fail(problem.to_string());
                None
            }
            Err(panic) => {
                let problem = format!("internal error: {}", panic_message(&*panic));
                // The session may be inconsistent after a panic: it is rebuilt from its saved form.
                let saved = catch_unwind(AssertUnwindSafe(|| self.session.save()));
                self.session = Session::new(EnginePlayer::without_model(STEPS_PER_BEAT));
                if let Ok(saved) = saved {
                    let restored = AssertUnwindSafe(|| self.session.restore(&saved).is_ok());
                    let _ = catch_unwind(restored);
                }
                self.fail(problem);
                None
            }
        }
    }

    /// Handles the editor's requests, and opens files.
    fn handle_requests(&mut self, resources: &mut SharedResources) -> Result<(), EngineError> {
        while let Ok(request) = self.composer_end.commands.try_recv() {
            // A request after a load is about the state that was loaded.
            self.apply_loaded_state(resources)?;
            match request {
                EditorRequest::Midi(wanted) => {
                    let file = self.session.midi(wanted.part, wanted.range);
                    // The requester may be gone.
                    let _ = wanted.reply.try_send(file);
                }
                EditorRequest::Learn(paths) => self.session.learn(paths),
                EditorRequest::Unlearn => self.session.unlearn()?,
                EditorRequest::RegenerateBars(from, to) => {
                    self.session.regenerate_bars(from, to)?
                }
            }
        }
        self.open_files(resources);
        Ok(())
    }

    /// Starts the ear's worker, once sound is to be heard.
    fn start_ear(&mut self, resources: &mut SharedResources) {
        if !self.shared.ear.wanted.load(Ordering::Relaxed) {
            return;
        }
        if let Some(rings) = self.ear.take() {
            let files = crate::resources::find_ear(self.own_library.as_deref());
            crate::resources::stay_loaded(self.own_library.as_deref());
            let shared = self.shared.clone();
            let worker = move || ear::run(files, rings, &shared);
            // It runs until the instance is gone, unless the system gives no thread.
            if let Some(Err(why)) = resources.workers.spawn(worker).get() {
                self.shared.ear.fail(why.to_string());
            }
        }
    }

    /// Publishes a snapshot if the editor shows.
    fn publish_snapshot(&mut self) {
        if !self.composer_end.link.is_watched() || self.last_snapshot.elapsed() < SNAPSHOT_INTERVAL
        {
            return;
        }
        self.last_snapshot = Instant::now();
        let mut snapshot = self.session.snapshot();
        self.session.player().fill_snapshot(&mut snapshot);
        match &mut snapshot.model {
            ModelState::Ready(model) => model.directory.clone_from(&self.model),
            model if self.problem.is_some() => *model = ModelState::Failed,
            _ => {}
        }
        self.shared.fill_health(&mut snapshot.health);
        let problems = [
            self.problem.clone(),
            self.state.problem(),
            self.shared.ear.problem(),
        ];
        snapshot.problems = problems.into_iter().flatten().collect();
        self.composer_end.link.publish(snapshot);
    }

    /// Reads all input, and returns the saved session. Waits for no model and no memory.
    pub(super) fn save(&mut self, resources: &mut SharedResources) -> Option<SavedSession> {
        self.catch_up(resources);
        catch_unwind(AssertUnwindSafe(|| self.session.save())).ok()
    }

    fn fail(&mut self, problem: String) {
        // Work stopped on removal is no error.
        if !self.shared.leaving.load(Ordering::Relaxed) {
            nice_error!("Continuo: {problem}");
        }
        // The audio thread may wait for the block that failed.
        self.shared.barrier.finish(u64::MAX);
        self.problem = Some(problem);
        self.pending_model = None;
        // The session goes on without a model, which cannot fail.
        let without_model = EnginePlayer::without_model(self.session.player().steps_per_beat());
        let replaced = AssertUnwindSafe(|| self.session.replace_player(without_model).is_ok());
        if catch_unwind(replaced).is_err() {
            self.session = Session::new(EnginePlayer::without_model(STEPS_PER_BEAT));
        }
    }

    /// Reads `most` messages at most; offline it generates their answers.
    fn receive_messages(&mut self, most: usize) -> Result<bool, EngineError> {
        let mut heard = false;
        for _ in 0..most {
            // Later input belongs to the state that was loaded.
            if self.state.has_loaded() || self.shared.leaving.load(Ordering::Relaxed) {
                break;
            }
            let Ok(&message) = self.heard.peek() else {
                break;
            };
            // Read for each message: a bounce may begin within a long queue, and its blocks need
            // their plan.
            let offline = self.is_offline();
            if offline && (self.pending_model.is_some() || self.session.waits_for_files()) {
                break;
            }
            if !self.epochs.is_stale(message) && !self.session.is_ready_for(&message, offline)? {
                break;
            }
            let _ = self.heard.pop();
            heard = true;
            self.receive(message, offline)?;
        }
        Ok(heard)
    }

    /// Takes a message in real time without planning.
    fn record(&mut self, message: ComposerInput) -> Result<(), EngineError> {
        while !self.epochs.is_stale(message) && !self.session.is_ready_for(&message, false)? {
            self.session.give_up_plan();
        }
        self.receive(message, false)
    }

    fn receive(&mut self, message: ComposerInput, offline: bool) -> Result<(), EngineError> {
        self.epochs.receive(&mut self.session, message, offline)?;
        if let ComposerInput::Time { block, .. } = message {
            self.block = block;
            if offline {
                hand_over_all(&mut self.session, &mut self.planned, &self.shared);
            }
            // After a failure no block waits.
            if self.problem.is_none() {
                self.shared.barrier.finish(block);
            }
        } else if offline {
            self.shared.barrier.heartbeat();
        }
        hand_over(&mut self.session, &mut self.planned);
        Ok(())
    }

    /// Reads all input in the ring. An offline host has put in only the block that it waits for.
    pub(super) fn catch_up(&mut self, resources: &mut SharedResources) {
        self.guard(|instance| {
            instance.apply_loaded_state(resources)?;
            let most = instance.heard.slots();
            instance.receive_messages(most)?;
            // In real time input is read even if a late answer is not complete. The answer is given up, or
            // a save would wait for all that is to be planned in between.
            while !instance.is_offline()
                && !instance.state.has_loaded()
                && !instance.shared.leaving.load(Ordering::Relaxed)
                && let Ok(message) = instance.heard.pop()
            {
                instance.record(message)?;
            }
            Ok(())
        });
    }

    pub(super) fn report(&self) -> HealthReport {
        let mut report = HealthReport::default();
        self.session.player().fill_report(&mut report);
        report.problem.clone_from(&self.problem);
        if self.pending_model.is_some() {
            report.problem = Some("the model was not loaded yet".into());
        }
        report.count(&self.shared.counters);
        report.problem = report.problem.or_else(|| self.state.problem());
        report.problem = report.problem.or_else(|| self.shared.ear.problem());
        report
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.shared.ear.leaving.store(true, Ordering::Relaxed);
    }
}
