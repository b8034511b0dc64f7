//! The composer thread's half of one instance.

mod loading;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use continuo_engine::EngineError;
use nice_plug::prelude::nice_error;
use rtrb::{Consumer, Producer};

use super::NewInstance;
use super::rings::{SessionEpochs, hand_over, hand_over_all};
use crate::editor_link::{ComposerEnd, EditorRequest};
use crate::health_report::HealthReport;
use crate::player::{EnginePlayer, Models, PendingModel};
use crate::shared::Shared;
use crate::state;
use crate::workers::{PendingResult, Workers, panic_message};
use continuo_accompaniment::file_learning::{OpenedPath, open};
use continuo_accompaniment::messages::{ComposerInput, ScheduledNote};
use continuo_accompaniment::session::{Player, SavedSession, Session, Urgency};
use continuo_accompaniment::snapshot::ModelState;

/// Messages of one instance taken in before the next instance has its turn.
const MAX_MESSAGES: usize = 512;

/// Between two snapshots.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(30);

/// Steps in a quarter note of the grid on which notes are state until a model says another.
const STEPS_PER_BEAT: u32 = 12;

/// What the instances of a process share. Owned by the composer thread.
#[derive(Default)]
pub(super) struct SharedResources {
    /// The weights.
    pub(super) models: Models,
    /// Threads for what takes longer than a slice.
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
    /// When the editor's snapshot was made.
    last_snapshot: Instant,
    epochs: SessionEpochs,
    /// The last block that was taken in.
    block: u64,
    /// The plugin's own_library library.
    own_library: Option<PathBuf>,
    /// The directory of the model it plays with or failed to, if that is not the default.
    model: Option<PathBuf>,
    /// That model, while it is on its way.
    pending_model: Option<PendingModel>,
    /// A file that is being opened.
    opening: Option<(PathBuf, PendingResult<OpenedPath>)>,
    /// Listens, also while there is no model, so that a save has all that was heard.
    session: Session<EnginePlayer>,
    /// Whether the model chosen was not to be had, and the default one is asked for instead.
    uses_default: bool,
    /// Why it does not think any more. Notes go on passing through.
    problem: Option<String>,
}

impl Instance {
    pub(super) fn new(new_instance: NewInstance, resources: &mut SharedResources) -> Self {
        let NewInstance {
            id,
            rings: (heard, planned),
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
            session: Session::new(EnginePlayer::without_model(STEPS_PER_BEAT)),
            uses_default: false,
            problem: None,
        };
        instance.model = instance.state.model();
        instance.ask_for_model(resources);
        instance
    }

    /// Takes in what others have for it, and gives whether something was heard. Takes no longer
    /// than a few milliseconds. Whatever goes wrong stays with this instance.
    pub(super) fn listen(&mut self, resources: &mut SharedResources) -> bool {
        let heard = self.guard(|instance| {
            instance.apply_loaded_state(resources)?;
            instance.apply_loaded_model(resources)?;
            instance.handle_requests(resources)?;
            instance.receive_messages(MAX_MESSAGES)
        });
        self.publish_snapshot();
        heard.unwrap_or(false)
    }

    /// How much its next slice of work matters.
    pub(super) fn urgency(&self) -> Option<Urgency> {
        let urgency = self.session.urgency()?;
        let waited = self.is_offline() && !self.heard.is_empty();
        Some(if waited {
            urgency.min(Urgency::OfflineHost)
        } else {
            urgency
        })
    }

    /// Does that slice.
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

    /// Whether it waits for a thread workers this one.
    pub(super) fn waits_for_worker(&self) -> bool {
        self.pending_model.is_some() || self.opening.is_some()
    }

    fn is_offline(&self) -> bool {
        self.shared.offline.load(Ordering::Relaxed)
    }

    /// Runs a part of it. A failure ends its thinking.
    fn guard<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, EngineError>) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(Ok(value)) => Some(value),
            Ok(Err(problem)) => {
                self.fail(problem.to_string());
                None
            }
            Err(panic) => {
                let problem = format!("internal error: {}", panic_message(&*panic));
                // What is left of the session may be half of something.
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

    /// What the editor asks for.
    fn handle_requests(&mut self, resources: &mut SharedResources) -> Result<(), EngineError> {
        while let Ok(request) = self.composer_end.commands.try_recv() {
            match request {
                EditorRequest::Midi(wanted) => {
                    let file = self.session.midi(wanted.part, wanted.bars);
                    // Whoever asked may be gone.
                    let _ = wanted.reply.try_send(file);
                }
                EditorRequest::Learn(paths) => self.session.learn(paths),
                EditorRequest::Unlearn => self.session.unlearn()?,
            }
        }
        // Its thread lets go of the result once it is there.
        if self
            .opening
            .as_ref()
            .is_some_and(|(_, file)| !file.is_shared())
            && let Some((path, file)) = self.opening.take()
        {
            let opened = match file.into_inner() {
                Some(Ok(opened)) => opened,
                Some(Err(why)) => {
                    let why = format!("{}: {why}", path.display());
                    OpenedPath::refused(path, why)
                }
                None => {
                    let why = format!("{}: was not opened; try again", path.display());
                    OpenedPath::refused(path, why)
                }
            };
            self.session.file_opened(opened);
            self.shared.barrier.heartbeat();
        }
        if self.opening.is_none()
            && let Some(path) = self.session.next_file()
        {
            let steps_per_beat = self.session.player().steps_per_beat();
            let at = path.clone();
            let file = resources.workers.spawn(move || open(at, steps_per_beat));
            self.opening = Some((path, file));
        }
        Ok(())
    }

    /// A snapshot for whoever looks.
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
        let problems = [self.problem.clone(), self.state.problem()];
        snapshot.problems = problems.into_iter().flatten().collect();
        self.composer_end.link.publish(snapshot);
    }

    /// Takes in what was heard, and gives what a project keeps. It waits for nothing: neither for
    /// a model nor for a memory.
    pub(super) fn save(&mut self, resources: &mut SharedResources) -> Option<SavedSession> {
        self.catch_up(resources);
        catch_unwind(AssertUnwindSafe(|| self.session.save())).ok()
    }

    fn fail(&mut self, problem: String) {
        // What was cut short because without_model is there any more is no error.
        if !self.shared.leaving.load(Ordering::Relaxed) {
            nice_error!("Continuo: {problem}");
        }
        // The audio thread may be waiting for the very block that went wrong.
        self.shared.barrier.finish(u64::MAX);
        self.problem = Some(problem);
        self.pending_model = None;
        // It goes on listening. Nobody has nothing that could fail.
        let without_model = EnginePlayer::without_model(self.session.player().steps_per_beat());
        let _ = self.session.replace_player(without_model);
    }

    /// Takes in so many messages at most, and answers those that somebody may be waiting for.
    fn receive_messages(&mut self, most: usize) -> Result<bool, EngineError> {
        let mut heard = false;
        for _ in 0..most {
            // Once a state was loaded, what is heard comes after it.
            if self.state.has_loaded() || self.shared.leaving.load(Ordering::Relaxed) {
                break;
            }
            let Ok(&message) = self.heard.peek() else {
                break;
            };
            // Asked anew for each message: a bounce may begin while a long queue is taken in,
            // and whoever waits for its blocks must find them planned.
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

    fn receive(&mut self, message: ComposerInput, offline: bool) -> Result<(), EngineError> {
        self.epochs.receive(&mut self.session, message, offline)?;
        if let ComposerInput::Time { block, .. } = message {
            self.block = block;
            if offline {
                hand_over_all(&mut self.session, &mut self.planned, &self.shared);
            }
            // Where there is no model, without_model waits.
            if self.problem.is_none() {
                self.shared.barrier.finish(block);
            }
        } else if offline {
            self.shared.barrier.heartbeat();
        }
        hand_over(&mut self.session, &mut self.planned);
        Ok(())
    }

    /// Takes in what is in the ring now. In real time all of it; a host that renders offline has
    /// in there only the block that it waits for.
    pub(super) fn catch_up(&mut self, resources: &mut SharedResources) {
        self.guard(|instance| {
            instance.apply_loaded_state(resources)?;
            let most = instance.heard.slots();
            instance.receive_messages(most)?;
            // A late answer may hold up the rest. That is no reason to leave it out.
            while !instance.is_offline()
                && !instance.state.has_loaded()
                && !instance.shared.leaving.load(Ordering::Relaxed)
                && let Ok(message) = instance.heard.pop()
            {
                instance.receive(message, false)?;
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
        report
    }
}
