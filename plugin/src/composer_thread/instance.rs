//! The composer thread's half of one instance.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use continuo_engine::{EngineError, Model};
use nice_plug::prelude::nice_error;
use rtrb::{Consumer, Producer};

use crate::editor_link::{Backstage, ModelState, Snapshot, Wish};
use crate::gate::Shared;
use crate::messages::{Heard, Planned};
use crate::player::{EnginePlayer, Models};
use crate::report::Report;
use crate::session::{SavedSession, Session};
use crate::state;

/// How long an offline plan waits for room in the ring of planned notes.
const RING_PATIENCE: Duration = Duration::from_secs(2);

/// Messages of one instance taken in before the next instance has its turn.
const TURN: usize = 512;

/// Between two snapshots.
const SHOWN_EVERY: Duration = Duration::from_millis(30);

/// What came of an instance's turn.
#[derive(Clone, Copy, Default)]
pub(super) struct Turn {
    /// Something was heard.
    pub(super) heard: bool,
    /// There is more to do.
    pub(super) more: bool,
}

/// The composer thread's half of an instance.
pub(super) struct Instance {
    pub(super) id: u64,
    heard: Consumer<Heard>,
    planned: Producer<Planned>,
    shared: Arc<Shared>,
    kept: state::State,
    backstage: Backstage,
    /// When the editor's snapshot was made.
    shown: Instant,
    pasts: Pasts,
    /// The last block that was heard of and not listened to.
    drained: u64,
    /// Files to learn once there is a model.
    to_learn: Vec<PathBuf>,
    /// The plugin's own library.
    own: Option<PathBuf>,
    /// The directory of the model it plays with or failed to, if that is not the default.
    model: Option<PathBuf>,
    state: State,
}

enum State {
    /// The model is still to be loaded.
    Waiting,
    Ready(Box<Session<EnginePlayer>>),
    /// It does not think any more, and says why. Notes go on passing through.
    Failed {
        problem: String,
    },
}

impl Instance {
    pub(super) fn new(
        id: u64,
        (heard, planned): (Consumer<Heard>, Producer<Planned>),
        shared: Arc<Shared>,
        kept: state::State,
        backstage: Backstage,
        own: Option<PathBuf>,
    ) -> Self {
        Self {
            id,
            heard,
            planned,
            shared,
            kept,
            backstage,
            shown: Instant::now(),
            pasts: Pasts::default(),
            drained: 0,
            to_learn: Vec::new(),
            own,
            model: None,
            state: State::Waiting,
        }
    }

    /// Does some of what there is to do. Whatever goes wrong stays with this instance.
    pub(super) fn turn(&mut self, models: &mut Models) -> Turn {
        let turn = catch_unwind(AssertUnwindSafe(|| {
            self.obey()?;
            match &self.state {
                State::Waiting => self.load(models),
                State::Ready(_) => self.think(models),
                State::Failed { .. } => {
                    let turn = self.drain();
                    // Another model may do.
                    if self.kept.is_fresh() && self.model != self.kept.model() {
                        self.shared.gate.reopen(self.drained);
                        self.state = State::Waiting;
                    }
                    Ok(turn)
                }
            }
        }));
        let turn = match turn {
            Ok(Ok(turn)) => turn,
            Ok(Err(problem)) => self.fail(problem),
            Err(panic) => self.fail(format!("internal error: {}", panic_message(&*panic))),
        };
        self.show();
        turn
    }

    /// What the editor asks for.
    fn obey(&mut self) -> Result<(), String> {
        while let Ok(wish) = self.backstage.commands.try_recv() {
            match wish {
                Wish::Midi(wanted) => {
                    let file = match &self.state {
                        State::Ready(session) => session.midi(wanted.part, wanted.bars),
                        _ => None,
                    };
                    // Whoever asked may be gone.
                    let _ = wanted.reply.try_send(file);
                }
                Wish::Learn(paths) => self.to_learn.extend(paths),
                Wish::Unlearn => {
                    self.to_learn.clear();
                    if let State::Ready(session) = &mut self.state {
                        session.unlearn().map_err(|e| e.to_string())?;
                    }
                }
            }
        }
        // Files wait for a model that can read them.
        if let State::Ready(session) = &mut self.state {
            session.learn(std::mem::take(&mut self.to_learn));
        }
        Ok(())
    }

    /// A snapshot for whoever looks.
    fn show(&mut self) {
        if !self.backstage.link.is_watched() || self.shown.elapsed() < SHOWN_EVERY {
            return;
        }
        self.shown = Instant::now();
        let (mut snapshot, failed) = match &self.state {
            State::Ready(session) => {
                let mut snapshot = session.show();
                session.player().show(&mut snapshot);
                if let ModelState::Ready(model) = &mut snapshot.model {
                    model.directory.clone_from(&self.model);
                }
                (snapshot, None)
            }
            State::Waiting => (Snapshot::default(), None),
            State::Failed { problem } => {
                let snapshot = Snapshot {
                    model: ModelState::Failed,
                    ..Snapshot::default()
                };
                (snapshot, Some(problem.clone()))
            }
        };
        self.shared.show(&mut snapshot.health);
        let problems = [failed, self.kept.problem()];
        snapshot.problems = problems.into_iter().flatten().collect();
        self.backstage.link.publish(snapshot);
    }

    /// Takes in what was heard, and gives what a project keeps.
    pub(super) fn save(&mut self) -> Option<SavedSession> {
        self.catch_up();
        match &self.state {
            State::Ready(session) => Some(session.save()),
            State::Waiting | State::Failed { .. } => None,
        }
    }

    fn fail(&mut self, problem: String) -> Turn {
        // What was cut short because nobody is there any more is no error.
        if !self.shared.leaving.load(Ordering::Relaxed) {
            nice_error!("Continuo: {problem}");
        }
        // The audio thread may be waiting for the very block that went wrong.
        self.shared.gate.finish(u64::MAX);
        self.state = State::Failed { problem };
        Turn {
            more: true,
            ..Turn::default()
        }
    }

    fn player(&self, model: Arc<Model>) -> EnginePlayer {
        EnginePlayer::new(model, self.shared.leaving.clone())
    }

    fn load(&mut self, models: &mut Models) -> Result<Turn, String> {
        self.model = self.kept.model();
        let model = self.chosen(models)?;
        self.state = State::Ready(Box::new(Session::new(self.player(model))));
        self.take_up(models)?;
        Ok(Turn {
            more: true,
            ..Turn::default()
        })
    }

    /// The model to play with: the default one where the chosen one is not to be had.
    fn chosen(&self, models: &mut Models) -> Result<Arc<Model>, String> {
        let own = self.own.as_deref();
        match models.get(own, self.model.as_deref()) {
            Err(problem) if self.model.is_some() => {
                let problem = format!("{problem}; the default model plays instead");
                nice_error!("Continuo: {problem}");
                self.kept.complain(problem);
                models.get(own, None)
            }
            model => model,
        }
    }

    /// Takes up what a project kept, and another model where one was chosen.
    fn take_up(&mut self, models: &mut Models) -> Result<(), String> {
        let choice = self.kept.model();
        let Some((saved, past)) = self.kept.take() else {
            return Ok(());
        };
        self.pasts.mine = past;
        let model = (choice != self.model).then(|| {
            self.model = choice;
            self.chosen(models)
        });
        let player = model.transpose()?.map(|model| self.player(model));
        let State::Ready(session) = &mut self.state else {
            return Ok(());
        };
        if let Some(player) = player {
            session.change_player(player);
            models.tidy();
        }
        let lost = session.restore(&saved).map_err(|e| e.to_string())?;
        if lost > 0 {
            let problem = format!("{lost} notes of the project's memory made no sense");
            self.kept.complain(problem);
        }
        Ok(())
    }

    fn think(&mut self, models: &mut Models) -> Result<Turn, String> {
        if self.kept.is_fresh() {
            self.take_up(models)?;
        }
        let mut turn = self.take_in(TURN)?;
        let State::Ready(session) = &mut self.state else {
            return Ok(turn);
        };
        if self.kept.is_fresh() {
            turn.more = true;
            return Ok(turn);
        }
        hand_over(session, &mut self.planned);
        turn.more = session.work().map_err(|e| e.to_string())?;
        hand_over(session, &mut self.planned);
        turn.more |= !self.heard.is_empty();
        Ok(turn)
    }

    /// Takes in so many messages at most, and answers those that somebody may be waiting for.
    fn take_in(&mut self, most: usize) -> Result<Turn, String> {
        let mut turn = Turn::default();
        let State::Ready(session) = &mut self.state else {
            return Ok(turn);
        };
        for _ in 0..most {
            // Once a state was loaded, what is heard comes after it.
            if self.kept.is_fresh() || self.shared.leaving.load(Ordering::Relaxed) {
                break;
            }
            let Ok(message) = self.heard.pop() else { break };
            turn.heard = true;
            // Asked anew for each message: a bounce may begin while a long queue is taken in,
            // and whoever waits for its blocks must find them planned.
            let offline = self.shared.offline.load(Ordering::Relaxed);
            self.pasts
                .hear(session, message, offline)
                .map_err(|e| e.to_string())?;
            if let Heard::Now { block, .. } = message {
                if offline {
                    hand_over_all(session, &mut self.planned, &self.shared);
                }
                self.shared.gate.finish(block);
            } else if offline {
                self.shared.gate.stir();
            }
        }
        Ok(turn)
    }

    /// Without a model nothing is listened to.
    fn drain(&mut self) -> Turn {
        let mut turn = Turn::default();
        while let Ok(message) = self.heard.pop() {
            turn.heard = true;
            self.pasts.note(message);
            if let Heard::Now { block, .. } = message {
                self.drained = block;
            }
        }
        turn
    }

    /// Takes in what is in the ring now. The audio thread may be at work, and wait for it.
    pub(super) fn catch_up(&mut self) {
        let caught = catch_unwind(AssertUnwindSafe(|| self.take_in(self.heard.slots())));
        match caught {
            Ok(Ok(_)) => {}
            Ok(Err(problem)) => {
                self.fail(problem);
            }
            Err(panic) => {
                self.fail(format!("internal error: {}", panic_message(&*panic)));
            }
        }
        if let State::Failed { .. } = self.state {
            self.drain();
        }
    }

    pub(super) fn report(&self) -> Report {
        let mut report = Report::default();
        match &self.state {
            State::Waiting => {
                report.problem = Some("the model was not loaded yet".into());
            }
            State::Ready(session) => {
                session.player().report(&mut report);
            }
            State::Failed { problem } => {
                report.problem = Some(problem.clone());
            }
        }
        report.count(&self.shared.counters);
        report.problem = report.problem.or_else(|| self.kept.problem());
        report
    }
}

/// Which past the audio thread speaks of, and which one the session has. What was on its way
/// when a project was loaded is about the past before it, and must not change the one loaded.
#[derive(Default)]
struct Pasts {
    told: u64,
    mine: u64,
}

impl Pasts {
    fn note(&mut self, message: Heard) {
        if let Heard::Anew { past } = message {
            self.told = past;
        }
    }

    fn hear(
        &mut self,
        session: &mut Session<EnginePlayer>,
        message: Heard,
        eager: bool,
    ) -> Result<(), EngineError> {
        self.note(message);
        if self.told < self.mine {
            session.hear_stale(message);
            return Ok(());
        }
        session.hear(message, eager)
    }
}

/// Hands planned notes over as far as there is room.
fn hand_over(session: &mut Session<EnginePlayer>, planned: &mut Producer<Planned>) {
    let waiting = session.planned();
    while let Some(&note) = waiting.front() {
        if planned.push(note).is_err() {
            return;
        }
        waiting.pop_front();
    }
}

/// Hands all of them over; the audio thread, waiting at the gate, makes room.
fn hand_over_all(
    session: &mut Session<EnginePlayer>,
    planned: &mut Producer<Planned>,
    shared: &Shared,
) {
    let began = Instant::now();
    loop {
        hand_over(session, planned);
        if session.planned().is_empty() || began.elapsed() > RING_PATIENCE {
            return;
        }
        shared.gate.stir();
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown")
}
