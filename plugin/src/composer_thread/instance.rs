//! The composer thread's half of one instance.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use continuo_engine::EngineError;
use nice_plug::prelude::nice_error;
use rtrb::{Consumer, Producer};

use super::Joining;
use super::rings::{Pasts, hand_over, hand_over_all};
use crate::editor_link::{ComposerEnd, EditorRequest};
use crate::health_report::HealthReport;
use crate::player::{ComingModel, EnginePlayer, Models};
use crate::shared::Shared;
use crate::state;
use crate::workers::{Coming, Workers, panic_message};
use continuo_accompaniment::file_learning::{Opened, open};
use continuo_accompaniment::messages::{ComposerInput, ScheduledNote};
use continuo_accompaniment::session::{Need, Player, SavedSession, Session};
use continuo_accompaniment::snapshot::ModelState;

/// Messages of one instance taken in before the next instance has its turn.
const TURN: usize = 512;

/// Between two snapshots.
const SHOWN_EVERY: Duration = Duration::from_millis(30);

/// Steps in a quarter note of the grid on which notes are kept until a model says another.
const STEPS_PER_BEAT: u32 = 12;

/// What the instances of a process share. Owned by the composer thread.
#[derive(Default)]
pub(super) struct Common {
    /// The weights.
    pub(super) models: Models,
    /// Threads for what takes longer than a slice.
    pub(super) beside: Workers,
}

/// The composer thread's half of an instance.
pub(super) struct Instance {
    pub(super) id: u64,
    heard: Consumer<ComposerInput>,
    planned: Producer<ScheduledNote>,
    shared: Arc<Shared>,
    kept: state::State,
    composer_end: ComposerEnd,
    /// When the editor's snapshot was made.
    shown: Instant,
    pasts: Pasts,
    /// The last block that was taken in.
    block: u64,
    /// The plugin's own library.
    own: Option<PathBuf>,
    /// The directory of the model it plays with or failed to, if that is not the default.
    model: Option<PathBuf>,
    /// That model, while it is on its way.
    coming: Option<ComingModel>,
    /// A file that is being opened.
    opening: Option<(PathBuf, Coming<Opened>)>,
    /// Listens, also while there is no model, so that a save has all that was heard.
    session: Session<EnginePlayer>,
    /// Whether the model chosen was not to be had, and the default one is asked for instead.
    falls_back: bool,
    /// Why it does not think any more. Notes go on passing through.
    problem: Option<String>,
}

impl Instance {
    pub(super) fn new(joining: Joining, common: &mut Common) -> Self {
        let Joining {
            id,
            rings: (heard, planned),
            shared,
            kept,
            composer_end,
            own,
        } = joining;
        let mut instance = Self {
            id,
            heard,
            planned,
            shared,
            kept,
            composer_end,
            shown: Instant::now(),
            pasts: Pasts::default(),
            block: 0,
            own,
            model: None,
            coming: None,
            opening: None,
            session: Session::new(EnginePlayer::nobody(STEPS_PER_BEAT)),
            falls_back: false,
            problem: None,
        };
        instance.model = instance.kept.model();
        instance.ask_for_model(common);
        instance
    }

    /// Takes in what others have for it, and gives whether something was heard. Takes no longer
    /// than a few milliseconds. Whatever goes wrong stays with this instance.
    pub(super) fn listen(&mut self, common: &mut Common) -> bool {
        let heard = self.guard(|instance| {
            instance.take_up(common)?;
            instance.take_model(common)?;
            instance.obey(common)?;
            instance.take_in(TURN)
        });
        self.show();
        heard.unwrap_or(false)
    }

    /// How much its next slice of work matters.
    pub(super) fn need(&self) -> Option<Need> {
        let need = self.session.need()?;
        let waited = self.is_offline() && !self.heard.is_empty();
        Some(if waited {
            need.min(Need::Awaited)
        } else {
            need
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

    /// Whether it waits for a thread beside this one.
    pub(super) fn waits(&self) -> bool {
        self.coming.is_some() || self.opening.is_some()
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
                self.session = Session::new(EnginePlayer::nobody(STEPS_PER_BEAT));
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
    fn obey(&mut self, common: &mut Common) -> Result<(), EngineError> {
        while let Ok(wish) = self.composer_end.commands.try_recv() {
            match wish {
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
                    Opened::nothing(path, why)
                }
                None => {
                    let why = format!("{}: was not opened; try again", path.display());
                    Opened::nothing(path, why)
                }
            };
            self.session.opened(opened);
            self.shared.barrier.heartbeat();
        }
        if self.opening.is_none()
            && let Some(path) = self.session.next_file()
        {
            let steps_per_beat = self.session.player().steps_per_beat();
            let at = path.clone();
            let file = common.beside.begin(move || open(at, steps_per_beat));
            self.opening = Some((path, file));
        }
        Ok(())
    }

    /// A snapshot for whoever looks.
    fn show(&mut self) {
        if !self.composer_end.link.is_watched() || self.shown.elapsed() < SHOWN_EVERY {
            return;
        }
        self.shown = Instant::now();
        let mut snapshot = self.session.show();
        self.session.player().show(&mut snapshot);
        match &mut snapshot.model {
            ModelState::Ready(model) => model.directory.clone_from(&self.model),
            model if self.problem.is_some() => *model = ModelState::Failed,
            _ => {}
        }
        self.shared.show(&mut snapshot.health);
        let problems = [self.problem.clone(), self.kept.problem()];
        snapshot.problems = problems.into_iter().flatten().collect();
        self.composer_end.link.publish(snapshot);
    }

    /// Takes in what was heard, and gives what a project keeps. It waits for nothing: neither for
    /// a model nor for a memory.
    pub(super) fn save(&mut self, common: &mut Common) -> Option<SavedSession> {
        self.catch_up(common);
        catch_unwind(AssertUnwindSafe(|| self.session.save())).ok()
    }

    fn fail(&mut self, problem: String) {
        // What was cut short because nobody is there any more is no error.
        if !self.shared.leaving.load(Ordering::Relaxed) {
            nice_error!("Continuo: {problem}");
        }
        // The audio thread may be waiting for the very block that went wrong.
        self.shared.barrier.finish(u64::MAX);
        self.problem = Some(problem);
        self.coming = None;
        // It goes on listening. Nobody has nothing that could fail.
        let nobody = EnginePlayer::nobody(self.session.player().steps_per_beat());
        let _ = self.session.change_player(nobody);
    }

    fn ask_for_model(&mut self, common: &mut Common) {
        let (own, choice) = (self.own.as_deref(), self.model.as_deref());
        self.coming = Some(common.models.get(own, choice, &mut common.beside));
        self.falls_back = false;
    }

    /// Takes up what a project kept, and has another model loaded where one was chosen.
    fn take_up(&mut self, common: &mut Common) -> Result<(), EngineError> {
        let choice = self.kept.model();
        let Some((saved, past)) = self.kept.take() else {
            return Ok(());
        };
        self.pasts.mine = past;
        if choice != self.model {
            let nobody = EnginePlayer::nobody(self.session.player().steps_per_beat());
            self.session.change_player(nobody)?;
            common.models.tidy();
            self.model = choice;
            // Another model may do.
            if self.problem.take().is_some() {
                self.shared.barrier.reopen(self.block);
            }
            self.ask_for_model(common);
        }
        let lost = self.session.restore(&saved)?;
        if lost > 0 {
            let problem = format!("{lost} notes of the project's memory made no sense");
            self.kept.complain(problem);
        }
        Ok(())
    }

    /// Plays with the model that was on its way, or the default one where it is not to be had.
    fn take_model(&mut self, common: &mut Common) -> Result<(), EngineError> {
        let Some(result) = self.coming.as_ref().and_then(Coming::get) else {
            return Ok(());
        };
        let result = match result {
            Ok(Ok(model)) => Ok(model.clone()),
            Ok(Err(problem)) => Err(problem.clone()),
            Err(problem) => Err(problem.to_string()),
        };
        self.coming = None;
        match result {
            Ok(model) => {
                let player = EnginePlayer::new(model, self.shared.leaving.clone());
                self.session.change_player(player)
            }
            Err(problem) if self.model.is_some() && !self.falls_back => {
                let problem = format!("{problem}; the default model plays instead");
                nice_error!("Continuo: {problem}");
                self.kept.complain(problem);
                self.falls_back = true;
                let own = self.own.as_deref();
                self.coming = Some(common.models.get(own, None, &mut common.beside));
                Ok(())
            }
            Err(problem) => {
                self.fail(problem);
                Ok(())
            }
        }
    }

    /// Takes in so many messages at most, and answers those that somebody may be waiting for.
    fn take_in(&mut self, most: usize) -> Result<bool, EngineError> {
        let mut heard = false;
        for _ in 0..most {
            // Once a state was loaded, what is heard comes after it.
            if self.kept.is_fresh() || self.shared.leaving.load(Ordering::Relaxed) {
                break;
            }
            let Ok(&message) = self.heard.peek() else {
                break;
            };
            // Asked anew for each message: a bounce may begin while a long queue is taken in,
            // and whoever waits for its blocks must find them planned.
            let offline = self.is_offline();
            if offline && (self.coming.is_some() || self.session.waits_for_files()) {
                break;
            }
            if !self.pasts.is_stale(message) && !self.session.is_ready_for(&message, offline)? {
                break;
            }
            let _ = self.heard.pop();
            heard = true;
            self.receive(message, offline)?;
        }
        Ok(heard)
    }

    fn receive(&mut self, message: ComposerInput, offline: bool) -> Result<(), EngineError> {
        self.pasts.receive(&mut self.session, message, offline)?;
        if let ComposerInput::Time { block, .. } = message {
            self.block = block;
            if offline {
                hand_over_all(&mut self.session, &mut self.planned, &self.shared);
            }
            // Where there is no model, nobody waits.
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
    pub(super) fn catch_up(&mut self, common: &mut Common) {
        self.guard(|instance| {
            instance.take_up(common)?;
            let most = instance.heard.slots();
            instance.take_in(most)?;
            // A late answer may hold up the rest. That is no reason to leave it out.
            while !instance.is_offline()
                && !instance.kept.is_fresh()
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
        self.session.player().report(&mut report);
        report.problem.clone_from(&self.problem);
        if self.coming.is_some() {
            report.problem = Some("the model was not loaded yet".into());
        }
        report.count(&self.shared.counters);
        report.problem = report.problem.or_else(|| self.kept.problem());
        report
    }
}
