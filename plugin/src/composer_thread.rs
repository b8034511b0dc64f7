//! The composer thread: one for the process, shared by all instances, as is the model.
//!
//! Its work is cut into slices of a few milliseconds, and the next slice is of the instance to
//! which it matters most ([`continuo_accompaniment::session::Urgency`]): an answer that is due, then an answer that begins, then what
//! was just heard, then the past, then what is to be learned. Messages, saves and the editor's
//! wishes are served between two slices. Models are loaded and files opened on threads workers it
//! ([`crate::workers`]). So nothing that one instance asks for delays another by more than a slice.
//!
//! It polls the rings of the instances, with a timed sleep in between: every 2 ms while
//! anything happens, every 20 ms when nothing has for a second. So the audio thread never
//! wakes anyone, for that could be a system call. Only offline, when the audio thread waits
//! anyway, does it wake this thread at once.

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
use crate::editor_link::ComposerEnd;
use crate::health_report::{HealthReport, REPORT_VARIABLE};
use crate::process::AudioProcessor;
use crate::shared::Shared;
use crate::state;
use continuo_accompaniment::messages::{
    ComposerInput, INPUT_RING_CAPACITY, NOTE_RING_CAPACITY, ScheduledNote,
};
use continuo_accompaniment::session::{SavedSession, most_urgent};

/// Between two looks at the rings.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// The same when nothing has happened for [`IDLE_AFTER`].
const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(20);
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// How long the host's main thread waits for this thread, which answers between two slices: only
/// a machine that stands still exhausts it.
const MAIN_THREAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Main thread to composer thread.
enum Command {
    Add(Box<NewInstance>),
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

/// An instance to be.
struct NewInstance {
    id: u64,
    rings: (Consumer<ComposerInput>, Producer<ScheduledNote>),
    shared: Arc<Shared>,
    state: state::State,
    composer_end: ComposerEnd,
    own_library: Option<PathBuf>,
}

/// The thread, while there are instances.
struct ThreadHandle {
    commands: Sender<Command>,
    thread: JoinHandle<()>,
    instances: usize,
}

static THREAD: Mutex<Option<ThreadHandle>> = Mutex::new(None);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// An instance's tie to the composer thread. Owned by the host's main thread; dropping it takes
/// the instance away, and the thread with the last one.
pub struct Link {
    id: u64,
    commands: Sender<Command>,
    shared: Arc<Shared>,
    state: state::State,
}

/// Makes the two halves of an instance: one for the audio thread, one for the composer thread,
/// which begins to load the model if no other instance has. `own_library` is the plugin's own_library library,
/// `state` what its project keeps. Main thread.
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
        // Bounded, so that sending never allocates: the audio thread's wake-up uses it too.
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
    let processor = AudioProcessor::new(input_producer, planned_out, shared.clone(), wake);
    let new_instance = NewInstance {
        id,
        rings: (heard, planned),
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
            .send_timeout(command(done), MAIN_THREAD_TIMEOUT)
            .is_ok()
            && answered.recv_timeout(MAIN_THREAD_TIMEOUT).is_ok()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A host may still save after this: what was heard is state, and without_model asked any more.
        self.state.save();
        self.state.disconnect();
        // However far behind it is, the thread answers then; a report tells of all that was heard.
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
            // The host may unload the library next. The thread waits for those workers it, so a
            // model that is being loaded is loaded to its end.
            if sent && answered {
                let _ = thread.join();
            }
        }
    }
}

/// The composer thread's own_library.
struct ComposerThread {
    commands: Receiver<Command>,
    instances: Vec<Instance>,
    resources: SharedResources,
    last_input: Instant,
    /// Instances take turns where their work matters as much: the next one to look at first.
    first: usize,
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
            first: 0,
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
            let urgencies: Vec<_> = self.instances.iter().map(Instance::urgency).collect();
            let next = most_urgent(&urgencies, self.first);
            if let Some(next) = next {
                self.first = next + 1;
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

/// Goes once round an empty ring, so that the system gives it its memory now. Left until
/// somebody first comes by, every new page would stop the audio thread for some 10 to 50 µs.
fn fill_and_drain<T: Copy>(to: &mut Producer<T>, from: &mut Consumer<T>, filler: T) {
    while to.push(filler).is_ok() {}
    while from.pop().is_ok() {}
}

fn report_path() -> Option<PathBuf> {
    std::env::var_os(REPORT_VARIABLE)
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests;
