//! The composer thread: one for the process, shared by all instances, as is the model.
//!
//! It polls the rings of the instances, with a timed sleep in between: every 2 ms while
//! anything happens, every 20 ms when nothing has for a second. So the audio thread never
//! wakes anyone, for that could be a system call. Only offline, when the audio thread waits
//! anyway, does it wake this thread at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use continuo_engine::Model;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nice_plug::prelude::nice_error;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::gate::Shared;
use crate::messages::{HEARD_CAPACITY, Heard, PLANNED_CAPACITY, Planned};
use crate::player::{EnginePlayer, Models};
use crate::process::Performer;
use crate::report::{REPORT_VARIABLE, Report};
use crate::session::{SavedSession, Session};
use crate::state;

/// Between two looks at the rings.
const POLL: Duration = Duration::from_millis(2);
/// The same when nothing has happened for [`IDLE_AFTER`].
const IDLE_POLL: Duration = Duration::from_millis(20);
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// How long the host's main thread waits for this thread: it may be loading a model.
const MAIN_PATIENCE: Duration = Duration::from_secs(10);

/// How long saving waits for this thread. What was known before will do if it is loading a model.
const SAVE_PATIENCE: Duration = Duration::from_secs(2);

/// How long an offline plan waits for room in the ring of planned notes.
const RING_PATIENCE: Duration = Duration::from_secs(2);

/// Messages of one instance taken in before the next instance has its turn.
const TURN: usize = 512;

/// Main thread to composer thread.
enum Command {
    Add(Box<Instance>),
    /// Write the report, then say so.
    Report {
        id: u64,
        done: Sender<()>,
    },
    /// Take in what was heard, and give what a project keeps.
    Save {
        id: u64,
        done: Sender<Option<SavedSession>>,
    },
    /// Write the report, and forget the instance.
    Remove {
        id: u64,
        done: Sender<()>,
    },
    /// Look at the rings now.
    Wake,
    Quit,
}

/// The thread, while there are instances.
struct Hub {
    commands: Sender<Command>,
    thread: JoinHandle<()>,
    instances: usize,
}

static HUB: Mutex<Option<Hub>> = Mutex::new(None);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// An instance's tie to the composer thread. Owned by the host's main thread; dropping it takes
/// the instance away, and the thread with the last one.
pub struct Link {
    id: u64,
    commands: Sender<Command>,
    shared: Arc<Shared>,
    kept: state::State,
}

/// Makes the two halves of an instance: one for the audio thread, one for the composer thread,
/// which begins to load the model if no other instance has. `own` is the plugin's own library,
/// `kept` what its project keeps. Main thread.
pub fn connect(own: Option<&Path>, kept: &state::State) -> std::io::Result<(Performer, Link)> {
    let mut hub = HUB.lock().unwrap_or_else(PoisonError::into_inner);
    if hub.as_ref().is_none_or(|hub| hub.thread.is_finished()) {
        // Bounded, so that sending never allocates: the audio thread's wake-up uses it too.
        let (commands, receiver) = bounded(64);
        let thread = std::thread::Builder::new()
            .name("continuo".into())
            .spawn(move || Thread::new(receiver).run())?;
        *hub = Some(Hub {
            commands,
            thread,
            instances: 0,
        });
    }
    let Some(hub) = hub.as_mut() else {
        return Err(std::io::ErrorKind::Other.into());
    };

    let shared = Arc::new(Shared::default());
    shared.gate.prepare();
    let (heard_in, heard) = RingBuffer::new(HEARD_CAPACITY);
    let (planned, planned_out) = RingBuffer::new(PLANNED_CAPACITY);
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let wake = hub.commands.clone();
    // A full channel wakes the thread as well.
    let wake = Box::new(move || drop(wake.try_send(Command::Wake)));
    let performer = Performer::new(heard_in, planned_out, shared.clone(), wake);
    let instance = Instance {
        id,
        heard,
        planned,
        shared: shared.clone(),
        kept: kept.clone(),
        own: own.map(Path::to_path_buf),
        model: None,
        state: State::Waiting,
    };
    let added = hub
        .commands
        .send_timeout(Command::Add(Box::new(instance)), MAIN_PATIENCE);
    added.map_err(|e| std::io::Error::other(e.to_string()))?;
    hub.instances += 1;
    let commands = hub.commands.clone();
    let ask = move || {
        let (done, saved) = bounded(1);
        let asked = commands.send_timeout(Command::Save { id, done }, SAVE_PATIENCE);
        asked.ok()?;
        saved.recv_timeout(SAVE_PATIENCE).ok()?
    };
    kept.connect(ask, shared.clone());
    Ok((
        performer,
        Link {
            id,
            commands: hub.commands.clone(),
            shared,
            kept: kept.clone(),
        },
    ))
}

impl Link {
    /// Whether the host renders faster than real time.
    pub fn set_offline(&self, offline: bool) {
        self.shared.offline.store(offline, Ordering::Relaxed);
    }

    /// Has the report written and waits for it, if there is one to write.
    pub fn report(&self) {
        if report_path().is_none() {
            return;
        }
        self.ask(|done| Command::Report { id: self.id, done });
    }

    fn ask(&self, command: impl FnOnce(Sender<()>) -> Command) -> bool {
        let (done, answered) = bounded(1);
        self.commands
            .send_timeout(command(done), MAIN_PATIENCE)
            .is_ok()
            && answered.recv_timeout(MAIN_PATIENCE).is_ok()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A host may still save after this: what was heard is kept, and nobody asked any more.
        self.kept.save();
        self.kept.disconnect();
        let answered = self.ask(|done| Command::Remove { id: self.id, done });
        let mut hub = HUB.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ours) = hub
            .as_mut()
            .filter(|h| h.commands.same_channel(&self.commands))
        else {
            return;
        };
        ours.instances -= 1;
        if ours.instances > 0 {
            return;
        }
        if let Some(Hub {
            commands, thread, ..
        }) = hub.take()
        {
            let told = commands.send_timeout(Command::Quit, MAIN_PATIENCE).is_ok();
            // The host may unload the library next. A thread that does not answer is loading
            // a model or running one, and has made the library stay.
            if told && answered {
                let _ = thread.join();
            }
        }
    }
}

/// The composer thread's own.
struct Thread {
    commands: Receiver<Command>,
    instances: Vec<Instance>,
    /// The weights instances share.
    models: Models,
    last_heard: Instant,
}

impl Thread {
    fn new(commands: Receiver<Command>) -> Self {
        Self {
            commands,
            instances: Vec::new(),
            models: Models::default(),
            last_heard: Instant::now(),
        }
    }

    fn run(mut self) {
        flush_denormals();
        loop {
            let mut busy = false;
            for instance in &mut self.instances {
                let turn = instance.turn(&mut self.models);
                busy |= turn.more;
                if turn.heard {
                    self.last_heard = Instant::now();
                }
            }
            let command = if self.instances.is_empty() {
                self.commands
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected)
            } else if busy {
                self.commands.recv_timeout(Duration::ZERO)
            } else {
                let idle = self.last_heard.elapsed() > IDLE_AFTER;
                self.commands
                    .recv_timeout(if idle { IDLE_POLL } else { POLL })
            };
            match command {
                Ok(Command::Add(instance)) => self.instances.push(*instance),
                Ok(Command::Report { id, done }) => {
                    self.report(id);
                    let _ = done.send(());
                }
                Ok(Command::Save { id, done }) => {
                    let _ = done.send(self.save(id));
                }
                Ok(Command::Remove { id, done }) => {
                    self.report(id);
                    self.instances.retain(|i| i.id != id);
                    self.models.tidy();
                    let _ = done.send(());
                }
                Ok(Command::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Command::Quit) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn save(&mut self, id: u64) -> Option<SavedSession> {
        let instance = self.instances.iter_mut().find(|i| i.id == id)?;
        instance.catch_up();
        match &instance.state {
            State::Ready(session) => Some(session.save()),
            State::Waiting | State::Failed { .. } => None,
        }
    }

    fn report(&mut self, id: u64) {
        let Some(instance) = self.instances.iter_mut().find(|i| i.id == id) else {
            return;
        };
        let Some(path) = report_path() else {
            return;
        };
        instance.catch_up();
        if let Err(error) = instance.report().write(&path) {
            nice_error!(
                "Continuo: the report {} was not written: {error}",
                path.display()
            );
        }
    }
}

fn report_path() -> Option<PathBuf> {
    std::env::var_os(REPORT_VARIABLE)
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
}

/// What came of an instance's turn.
#[derive(Clone, Copy, Default)]
struct Turn {
    /// Something was heard.
    heard: bool,
    /// There is more to do.
    more: bool,
}

/// The composer thread's half of an instance.
struct Instance {
    id: u64,
    heard: Consumer<Heard>,
    planned: Producer<Planned>,
    shared: Arc<Shared>,
    kept: state::State,
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
    /// Does some of what there is to do. Whatever goes wrong stays with this instance.
    fn turn(&mut self, models: &mut Models) -> Turn {
        let turn = catch_unwind(AssertUnwindSafe(|| match &self.state {
            State::Waiting => self.load(models),
            State::Ready(_) => self.think(models),
            State::Failed { .. } => {
                // Another model may do.
                if self.kept.is_fresh() && self.model != self.kept.model() {
                    self.shared.gate.reopen();
                    self.state = State::Waiting;
                }
                Ok(self.drain())
            }
        }));
        match turn {
            Ok(Ok(turn)) => turn,
            Ok(Err(problem)) => self.fail(problem),
            Err(panic) => self.fail(format!("internal error: {}", panic_message(&*panic))),
        }
    }

    fn fail(&mut self, problem: String) -> Turn {
        nice_error!("Continuo: {problem}");
        // The audio thread may be waiting for the very block that went wrong.
        self.shared.gate.finish(u64::MAX);
        self.state = State::Failed { problem };
        Turn {
            more: true,
            ..Turn::default()
        }
    }

    fn load(&mut self, models: &mut Models) -> Result<Turn, String> {
        self.model = self.kept.model();
        let model = self.chosen(models)?;
        self.state = State::Ready(Box::new(Session::new(EnginePlayer::new(model))));
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
        let Some(saved) = self.kept.take() else {
            return Ok(());
        };
        let model = (choice != self.model).then(|| {
            self.model = choice;
            self.chosen(models)
        });
        let State::Ready(session) = &mut self.state else {
            return Ok(());
        };
        if let Some(model) = model {
            session.change_player(EnginePlayer::new(model?));
            models.tidy();
        }
        let lost = session.restore(&saved);
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
        let Self {
            heard,
            planned,
            shared,
            state,
            kept,
            ..
        } = self;
        let State::Ready(session) = state else {
            return Ok(Turn::default());
        };
        let offline = shared.offline.load(Ordering::Relaxed);
        let mut turn = Turn::default();
        for _ in 0..TURN {
            // Once a state was loaded, what is heard comes after it.
            if kept.is_fresh() {
                turn.more = true;
                return Ok(turn);
            }
            let Ok(message) = heard.pop() else { break };
            turn.heard = true;
            session.hear(message, offline).map_err(|e| e.to_string())?;
            if let Heard::Now { block, .. } = message {
                if offline {
                    hand_over_all(session, planned, shared);
                }
                shared.gate.finish(block);
            } else if offline {
                shared.gate.stir();
            }
        }
        hand_over(session, planned);
        turn.more = session.work().map_err(|e| e.to_string())?;
        hand_over(session, planned);
        turn.more |= !heard.is_empty();
        Ok(turn)
    }

    /// Without a model nothing is listened to.
    fn drain(&mut self) -> Turn {
        let mut turn = Turn::default();
        while self.heard.pop().is_ok() {
            turn.heard = true;
        }
        turn
    }

    /// Takes in what is left in the ring, without planning anything more.
    fn catch_up(&mut self) {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let State::Ready(session) = &mut self.state else {
                return Ok(());
            };
            while let Ok(message) = self.heard.pop() {
                session.hear(message, false)?;
            }
            Ok(())
        }));
        match caught {
            Ok(Ok(())) => {}
            Ok(Err::<(), continuo_engine::EngineError>(error)) => {
                self.fail(error.to_string());
            }
            Err(panic) => {
                self.fail(format!("internal error: {}", panic_message(&*panic)));
            }
        }
        if let State::Failed { .. } = self.state {
            self.drain();
        }
    }

    fn report(&self) -> Report {
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

/// Tiny numbers count as zero on this thread: a model that decays towards silence must not
/// become a hundred times slower.
fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        const FLUSH_TO_ZERO: u32 = 1 << 15;
        const DENORMALS_ARE_ZERO: u32 = 1 << 6;
        let mut control = 0u32;
        // SAFETY: reads and writes this thread's SSE control register, setting only the two
        // bits about denormal numbers.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack));
            control |= FLUSH_TO_ZERO | DENORMALS_ARE_ZERO;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        const FLUSH_TO_ZERO: u64 = 1 << 24;
        let mut control: u64;
        // SAFETY: reads and writes this thread's floating-point control register, setting only
        // the bit about denormal numbers.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack));
            control |= FLUSH_TO_ZERO;
            std::arch::asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Settings;
    use crate::process::{Event, Host};
    use crate::transport::Reading;

    struct Silence;

    impl Host for Silence {
        fn next_event(&mut self) -> Option<Event> {
            None
        }
        fn send(&mut self, _: Event) -> bool {
            true
        }
    }

    #[test]
    fn without_a_model_nothing_hangs_and_the_thread_ends_with_its_instances() {
        let began = Instant::now();
        let (mut performer, link) = connect(None, &state::State::default()).unwrap();
        let (_, other) = connect(None, &state::State::default()).unwrap();
        performer.set_sample_rate(48_000.0);
        link.set_offline(true);
        for block in 0..100 {
            let beat = Some(f64::from(block) * 480.0 / 24_000.0);
            let reading = Reading {
                playing: true,
                beat,
                tempo: Some(120.0),
                ..Reading::default()
            };
            performer.process(&reading, 480, Settings::default(), true, &mut Silence);
        }
        assert_eq!(link.shared.counters.gave_up.load(Ordering::Relaxed), 0);
        link.report();
        drop((performer, link));
        assert!(HUB.lock().unwrap().is_some());
        drop(other);
        assert!(HUB.lock().unwrap().is_none());
        assert!(began.elapsed() < MAIN_PATIENCE, "somebody waited in vain");
    }
}
