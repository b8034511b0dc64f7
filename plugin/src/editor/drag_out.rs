//! Dragging notes out of the window, into the host or onto the desktop, as a MIDI file.
//!
//! ```text
//! tile ── UiEvent::DragNotes ── window ── EditorRequest::Midi ── composer thread
//!                                  │ prepare                           │ notes
//!                                  │        "continuo files" writes the file <┘
//!                                  │ start, if the button is still down
//!                                  └─> Linux: a thread with a connection of its own to the X server
//!                                      Windows, macOS: the system's own drag, on the window's thread
//! ```
//!
//! [`DragOut`] is owned by the window's thread and never waits. Whatever runs the drag owns a `DragLink`.
//! On Linux the drag speaks XDND version 5. Under Wayland, in the X11 windows of XWayland, it reaches X11
//! windows; others were not tried. The drags of Windows and macOS compile and have not been seen.

mod file;
pub mod tile;

#[cfg(target_os = "linux")]
mod x11;
#[cfg(target_os = "linux")]
use self::x11 as platform;

#[cfg(target_os = "windows")]
mod windows;
#[cfg(target_os = "windows")]
use self::windows as platform;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use self::macos as platform;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use continuo_score::MidiFile;
use nice_plug_egui::RepaintNotifier;
use raw_window_handle::HasWindowHandle;

pub use file::file_name;

/// Result of a drag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DragOutcome {
    /// A target took the file.
    Dropped,
    /// Nothing under the pointer takes files, or the target refused it. The window that it came from counts
    /// as nothing.
    Refused,
    /// The user cancelled it.
    Cancelled,
    /// The target accepted the drop and has not reported that it is done with it.
    Unanswered,
    /// The drag could not be run; the text says why.
    Failed(String),
}

/// An event for the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DragEvent {
    /// The file is written, or the text says why not.
    Ready(Result<PathBuf, String>),
    /// The drag ended.
    Ended(DragOutcome),
}

/// State that the window and a drag share.
#[derive(Debug, Default)]
struct SharedState {
    cancelled: AtomicBool,
    accepted: AtomicBool,
}

/// The drags of one window, of which one runs at a time. Owned by the window's thread. Dropping it cancels
/// the drag.
pub struct DragOut {
    sender: Sender<DragEvent>,
    receiver: Receiver<DragEvent>,
    repaint: RepaintNotifier,
    state: Arc<SharedState>,
    /// The file of the last drag.
    file: Option<PathBuf>,
}

/// A drag's connection to its window. Owned by the thread or callback that runs the drag.
struct DragLink {
    sender: Sender<DragEvent>,
    repaint: RepaintNotifier,
    state: Arc<SharedState>,
}

impl DragOut {
    /// No drag. It requests a repaint whenever there is an event.
    pub fn new(repaint: RepaintNotifier) -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            repaint,
            state: Arc::default(),
            file: None,
        }
    }

    /// Writes the notes, as soon as they arrive, to a new file of this name. Ends an earlier drag.
    pub fn prepare(
        &mut self,
        notes: crossbeam_channel::Receiver<Option<MidiFile>>,
        patience: Duration,
        name: String,
    ) {
        self.cancel();
        let (sender, repaint) = (self.sender.clone(), self.repaint.clone());
        let thread = std::thread::Builder::new().name("continuo files".into());
        let started = thread.spawn(move || {
            let written = match notes.recv_timeout(patience) {
                Ok(Some(notes)) => file::write(&notes, &name),
                Ok(None) => Err("there are no notes yet".into()),
                Err(_) => Err("the instance does not answer".into()),
            };
            // The window may be closed.
            let _ = sender.send(DragEvent::Ready(written));
            repaint.request_repaint();
        });
        if let Err(why) = started {
            let _ = self.sender.send(DragEvent::Ready(Err(why.to_string())));
        }
    }

    /// Begins to drag a file out of a window whose pointer button is down.
    pub fn start(&mut self, file: PathBuf, window: &impl HasWindowHandle) {
        self.cancel();
        self.state = Arc::default();
        let link = DragLink {
            sender: self.sender.clone(),
            repaint: self.repaint.clone(),
            state: self.state.clone(),
        };
        if let Err(why) = platform::start(&file, window, link) {
            let outcome = DragOutcome::Failed(why);
            let _ = self.sender.send(DragEvent::Ended(outcome));
        }
        self.file = Some(file);
    }

    /// The file of the last drag: this window does not take it as a drop.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether the target under the pointer takes the file, where the system tells.
    pub fn is_accepted(&self) -> bool {
        self.state.accepted.load(Ordering::Relaxed)
    }

    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<DragEvent> {
        self.receiver.try_recv().ok()
    }

    /// Cancels the drag before the drop; afterwards it no longer waits for the target.
    fn cancel(&self) {
        self.state.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Drop for DragOut {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl DragLink {
    /// Whether the window cancelled the drag.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "the system runs the drag")
    )]
    fn is_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::Relaxed)
    }

    /// Tells the window whether the target under the pointer takes the file.
    fn set_accepted(&self, accepted: bool) {
        if self.state.accepted.swap(accepted, Ordering::Relaxed) != accepted {
            self.repaint.request_repaint();
        }
    }

    /// Reports the end of the drag.
    fn end(self, outcome: DragOutcome) {
        self.set_accepted(false);
        // The window may be closed.
        let _ = self.sender.send(DragEvent::Ended(outcome));
        self.repaint.request_repaint();
    }
}

/// Whether a path that is dropped or hovers names the file of the window's own drag. Systems spell the
/// folders above differently, so the two last names decide: the folder's is unique.
pub fn is_own(path: &Path, dragged: Option<&Path>) -> bool {
    let names = |path: &Path| {
        let mut names = path.components().rev().map(|c| c.as_os_str().to_owned());
        Some((names.next()?, names.next()?))
    };
    dragged.is_some_and(|dragged| names(path).is_some() && names(path) == names(dragged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_file_is_recognised_under_another_spelling_of_its_folder() {
        let dragged = Path::new("/tmp/Continuo-dragged-x1/Continuo last answer.mid");
        let own = Path::new("/private/tmp/Continuo-dragged-x1/Continuo last answer.mid");
        assert!(is_own(own, Some(dragged)) && !is_own(own, None));
        let other = Path::new("/tmp/Continuo-dragged-x2/Continuo last answer.mid");
        assert!(!is_own(other, Some(dragged)) && !is_own(Path::new("/"), Some(dragged)));
    }

    #[test]
    fn prepared_file_holds_the_notes_and_a_missing_reply_has_a_reason() {
        let mut drag_out = DragOut::new(RepaintNotifier::new());
        let ready = |drag_out: &mut DragOut, reply: Option<Option<MidiFile>>| {
            let (sender, notes) = crossbeam_channel::bounded(1);
            let patience = Duration::from_secs(20);
            if let Some(reply) = reply {
                sender.send(reply).unwrap();
            }
            drop(sender);
            drag_out.prepare(notes, patience, "Continuo last answer.mid".into());
            match drag_out.receiver.recv_timeout(patience).unwrap() {
                DragEvent::Ready(ready) => ready,
                DragEvent::Ended(outcome) => panic!("{outcome:?}"),
            }
        };
        let minuet = continuo_score::tune::minuet().to_midi();
        let path = ready(&mut drag_out, Some(Some(minuet.clone()))).unwrap();
        assert!(path.ends_with("Continuo last answer.mid") && path.is_absolute());
        assert_eq!(std::fs::read(&path).unwrap(), minuet.to_bytes().unwrap());
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        for (reply, why) in [(Some(None), "no notes"), (None, "does not answer")] {
            let said = ready(&mut drag_out, reply).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
