//! The composer thread: one per process, shared by all instances, as is the model.
//!
//! It works in slices of a few milliseconds, and serves the most urgent instance first
//! ([`continuo_accompaniment::session::Urgency`]). Messages, saves and editor requests are handled
//! between slices. Worker threads load models and open files ([`crate::workers`]). So no instance
//! delays another by more than a slice.
//!
//! It polls the rings with a timed sleep: every 2 ms while input arrives, every 20 ms after a
//! second without any. The audio thread never wakes it in real time, because waking could be a
//! system call. Offline the audio thread waits anyway, and wakes it.

mod instance;
mod priority;
mod rings;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nice_plug::prelude::nice_error;
use rtrb::{Consumer, Producer, RingBuffer};

use self::instance::{Instance, SharedResources};
use crate::ear::{self, WorkerEnd};
use crate::editor_link::ComposerEnd;
use crate::health_report::{HealthReport, REPORT_VARIABLE};
use crate::process::AudioProcessor;
use crate::shared::{Shared, fill_and_drain};
use crate::state;
use continuo_accompaniment::messages::{
    ComposerInput, INPUT_RING_CAPACITY, NOTE_RING_CAPACITY, ScheduledNote,
};
use continuo_accompaniment::session::{SavedSession, ServiceOrder};

/// Interval of polling.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Interval of polling after [`IDLE_AFTER`] without input.
const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(20);
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// Time for which the host's main thread waits for an answer, which comes between two slices.
const MAIN_THREAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A command of the main thread.
enum Command {
    Add(Box<NewInstance>),
    /// Writes the report, and answers.
    Report {
        id: u64,
        done: Sender<()>,
    },
    /// Reads all input, and answers with the saved session.
    Save {
        id: u64,
        done: Sender<Option<SavedSession>>,
    },
    /// Writes the report, removes the instance, and answers.
    Remove {
        id: u64,
        done: Sender<()>,
    },
    /// Polls the rings now.
    Wake,
    Quit,
}

/// Parts of an instance for the composer thread.
struct NewInstance {
    id: u64,
    rings: (Consumer<ComposerInput>, Producer<ScheduledNote>),
    ear: WorkerEnd,
    shared: Arc<Shared>,
    state: state::State,
    composer_end: ComposerEnd,
    own_library: Option<PathBuf>,
}

/// Handle of the running thread.
struct ThreadHandle {
    commands: Sender<Command>,
    thread: JoinHandle<()>,
    instances: usize,
}

static THREAD: Mutex<Option<ThreadHandle>> = Mutex::new(None);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Connection of an instance to the composer thread. Owned by the host's main thread. Dropping it
/// removes the instance, and ends the thread with the last one.
pub struct Link {
    id: u64,
    commands: Sender<Command>,
    shared: Arc<Shared>,
    state: state::State,
}

/// Makes both halves of an instance, one for the audio thread and one for the composer thread, and
/// starts the thread if it does not run. `own_library` is the plugin's library, `state` the
/// project's state. Main thread.
///
/// # Errors
///
/// Fails if the system refuses a thread, or the composer thread does not answer.
pub fn connect(
    own_library: Option<&Path>,
    state: &state::State,
    shared: Arc<Shared>,
    composer_end: ComposerEnd,
) -> std::io::Result<(AudioProcessor, Link)> {
    let mut handle = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    if handle
        .as_ref()
        .is_none_or(|handle| handle.thread.is_finished())
    {
        // Bounded, so that sending never allocates; the audio thread sends wake-ups too.
        let (commands, receiver) = bounded(64);
        let thread = std::thread::Builder::new()
            .name("continuo".into())
            .spawn(move || ComposerThread::new(receiver).run())?;
        *handle = Some(ThreadHandle {
            commands,
            thread,
            instances: 0,
        });
    }
    let Some(handle) = handle.as_mut() else {
        return Err(std::io::ErrorKind::Other.into());
    };

    shared.barrier.prepare();
    let (mut input_producer, mut heard) = RingBuffer::new(INPUT_RING_CAPACITY);
    fill_and_drain(
        &mut input_producer,
        &mut heard,
        ComposerInput::AllNotesOff { beat: 0.0 },
    );
    let (mut planned, mut planned_out) = RingBuffer::new(NOTE_RING_CAPACITY);
    fill_and_drain(&mut planned, &mut planned_out, ScheduledNote::default());
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let wake = handle.commands.clone();
    // A full channel wakes the thread as well.
    let wake = Box::new(move || drop(wake.try_send(Command::Wake)));
    let (ear, ear_worker) = ear::rings();
    let processor = AudioProcessor::new(input_producer, planned_out, ear, shared.clone(), wake);
    let new_instance = NewInstance {
        id,
        rings: (heard, planned),
        ear: ear_worker,
        shared: shared.clone(),
        state: state.clone(),
        composer_end,
        own_library: own_library.map(Path::to_path_buf),
    };
    let added = handle
        .commands
        .send_timeout(Command::Add(Box::new(new_instance)), MAIN_THREAD_TIMEOUT);
    added.map_err(|e| std::io::Error::other(e.to_string()))?;
    handle.instances += 1;
    let commands = handle.commands.clone();
    let ask = move || {
        let (done, saved) = bounded(1);
        let asked = commands.send_timeout(Command::Save { id, done }, MAIN_THREAD_TIMEOUT);
        asked.ok()?;
        saved.recv_timeout(MAIN_THREAD_TIMEOUT).ok()?
    };
    state.connect(ask, shared.clone());
    Ok((
        processor,
        Link {
            id,
            commands: handle.commands.clone(),
            shared,
            state: state.clone(),
        },
    ))
}

impl Link {
    /// Sets whether the host renders faster than real time.
    pub fn set_offline(&self, offline: bool) {
        self.shared.offline.store(offline, Ordering::Relaxed);
    }

    /// Writes the report, if the environment asks for one, and waits for it.
    pub fn report(&self) {
        if report_path().is_none() {
            return;
        }
        self.ask(|done| Command::Report { id: self.id, done });
    }

    fn ask(&self, command: impl FnOnce(Sender<()>) -> Command) -> bool {
        let (done, answered) = bounded(1);
        self.commands
            .send_timeout(command(done), MAIN_THREAD_TIMEOUT)
            .is_ok()
            && answered.recv_timeout(MAIN_THREAD_TIMEOUT).is_ok()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A host may save after this: the state keeps the session as it is now.
        self.state.save();
        self.state.disconnect();
        // Unread input is skipped, so that the thread answers at once; a report needs all of it.
        if report_path().is_none() {
            self.shared.leaving.store(true, Ordering::Relaxed);
        }
        let answered = self.ask(|done| Command::Remove { id: self.id, done });
        let mut handle = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(current) = handle
            .as_mut()
            .filter(|h| h.commands.same_channel(&self.commands))
        else {
            return;
        };
        current.instances -= 1;
        if current.instances > 0 {
            return;
        }
        if let Some(ThreadHandle {
            commands, thread, ..
        }) = handle.take()
        {
            let sent = commands
                .send_timeout(Command::Quit, MAIN_THREAD_TIMEOUT)
                .is_ok();
            // The host may unload the library next. The thread waits for its workers first, so a
            // model loads to its end.
            if sent && answered {
                let _ = thread.join();
            }
        }
    }
}

/// State of the composer thread.
struct ComposerThread {
    commands: Receiver<Command>,
    instances: Vec<Instance>,
    resources: SharedResources,
    last_input: Instant,
    order: ServiceOrder,
    /// Whether the system gave this thread more than normal priority.
    raised: bool,
}

impl ComposerThread {
    fn new(commands: Receiver<Command>) -> Self {
        Self {
            commands,
            instances: Vec::new(),
            resources: SharedResources::default(),
            last_input: Instant::now(),
            order: ServiceOrder::default(),
            raised: false,
        }
    }

    fn run(mut self) {
        self.raised = priority::raise().is_ok();
        loop {
            let mut waits = false;
            for instance in &mut self.instances {
                if instance.listen(&mut self.resources) {
                    self.last_input = Instant::now();
                }
                waits |= instance.waits_for_worker();
            }
            let urgencies: Vec<_> = self.instances.iter_mut().map(Instance::urgency).collect();
            let next = self.order.next(&urgencies);
            if let Some(next) = next {
                self.instances[next].work();
            }
            let command = if self.instances.is_empty() {
                self.commands
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected)
            } else if next.is_some() {
                self.commands.recv_timeout(Duration::ZERO)
            } else {
                let idle = self.last_input.elapsed() > IDLE_AFTER && !waits;
                self.commands.recv_timeout(if idle {
                    IDLE_POLL_INTERVAL
                } else {
                    POLL_INTERVAL
                })
            };
            match command {
                Ok(Command::Add(new_instance)) => {
                    self.instances
                        .push(Instance::new(*new_instance, &mut self.resources));
                }
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
                    self.resources.models.tidy();
                    let _ = done.send(());
                }
                Ok(Command::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Command::Quit) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn save(&mut self, id: u64) -> Option<SavedSession> {
        let instance = self.instances.iter_mut().find(|i| i.id == id)?;
        instance.save(&mut self.resources)
    }

    fn report(&mut self, id: u64) {
        let Some(instance) = self.instances.iter_mut().find(|i| i.id == id) else {
            return;
        };
        let Some(path) = report_path() else {
            return;
        };
        instance.catch_up(&mut self.resources);
        let report = HealthReport {
            raised: self.raised,
            ..instance.report()
        };
        if let Err(error) = report.write(&path) {
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

#[cfg(test)]
mod tests;
