//! Dragging notes out of the window, into the host or onto the desktop, as a MIDI file.
//!
//! ```text
//! tile ── UiEvent::DragNotes ── window ── EditorRequest::Midi ── composer thread
//!                                  │ prepare                           │ notes
//!                                  │        "continuo files" writes the file <┘
//!                                  │ start, if the button stayed down
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
use nice_plug_egui::{EguiEditorState, RepaintNotifier};
use raw_window_handle::HasWindowHandle;

pub use file::{PreparedFile, file_name};

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
#[derive(Debug)]
pub enum DragEvent {
    /// The file is written, or the text says why not.
    Ready(Result<PreparedFile, String>),
    /// The drag ended.
    Ended(DragOutcome),
}

/// State that the window and a drag share.
#[derive(Debug, Default)]
struct SharedState {
    cancelled: AtomicBool,
    accepted: AtomicBool,
}

/// An event with the number of its drag.
type NumberedEvent = (u64, DragEvent);

/// The drags of one window, of which one runs at a time. Owned by the window's thread. It outlives the window:
/// a drag is cancelled if the window closes while the button is down, and if this is dropped.
pub struct DragOut {
    sender: Sender<NumberedEvent>,
    receiver: Receiver<NumberedEvent>,
    repaint: RepaintNotifier,
    window: Arc<EguiEditorState>,
    state: Arc<SharedState>,
    /// Number of the drag, from its preparation to its end. Events of other numbers are void.
    number: u64,
    /// Whether its file is awaited.
    is_preparing: bool,
    /// The file of the last drag.
    file: Option<PathBuf>,
}

/// A drag's connection to its window. Owned by the thread or callback that runs the drag.
struct DragLink {
    number: u64,
    sender: Sender<NumberedEvent>,
    repaint: RepaintNotifier,
    window: Arc<EguiEditorState>,
    state: Arc<SharedState>,
}

impl DragOut {
    /// No drag. It requests a repaint of the window whenever there is an event.
    pub fn new(window: Arc<EguiEditorState>, repaint: RepaintNotifier) -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            repaint,
            window,
            state: Arc::default(),
            number: 0,
            is_preparing: false,
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
        self.void_events();
        self.is_preparing = true;
        let number = self.number;
        let (sender, repaint) = (self.sender.clone(), self.repaint.clone());
        let thread = std::thread::Builder::new().name("continuo files".into());
        let started = thread.spawn(move || {
            let written = match notes.recv_timeout(patience) {
                Ok(Some(notes)) => file::write(&notes, &name),
                Ok(None) => Err("there are no notes yet".into()),
                Err(_) => Err("the instance does not answer".into()),
            };
            // The instance may be gone.
            let _ = sender.send((number, DragEvent::Ready(written)));
            repaint.request_repaint();
        });
        if let Err(why) = started {
            let event = DragEvent::Ready(Err(why.to_string()));
            let _ = self.sender.send((number, event));
        }
    }

    /// Gives the file up that is awaited, since the button is up or the user cancelled; `true` if one was.
    pub fn give_up(&mut self) -> bool {
        let was_preparing = self.is_preparing;
        if was_preparing {
            self.void_events();
        }
        was_preparing
    }

    /// Voids the events of all drags until now: files that are awaited are removed. A target that took a drop
    /// can still read its file.
    pub fn void_events(&mut self) {
        self.number += 1;
        self.is_preparing = false;
    }

    /// Begins to drag a file out of a window whose pointer button is down.
    pub fn start(&mut self, file: PreparedFile, window: &impl HasWindowHandle) {
        self.cancel();
        self.state = Arc::default();
        let link = self.link();
        let file = file.keep();
        if let Err(why) = platform::start(&file, window, link) {
            let event = DragEvent::Ended(DragOutcome::Failed(why));
            let _ = self.sender.send((self.number, event));
        }
        self.file = Some(file);
    }

    fn link(&self) -> DragLink {
        DragLink {
            number: self.number,
            sender: self.sender.clone(),
            repaint: self.repaint.clone(),
            window: self.window.clone(),
            state: self.state.clone(),
        }
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
        loop {
            let event = self.receiver.try_recv().ok()?;
            if let Some(event) = self.accept(event) {
                return Some(event);
            }
        }
    }

    /// The event, unless it is void. The file of a void event is removed.
    fn accept(&mut self, (number, event): NumberedEvent) -> Option<DragEvent> {
        if number != self.number {
            return None;
        }
        self.is_preparing = false;
        Some(event)
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
    /// Whether the drag is cancelled; after the drop it no longer waits for the target.
    #[cfg_attr(
        target_os = "macos",
        expect(dead_code, reason = "the system runs the drag")
    )]
    fn is_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::Relaxed)
    }

    /// Whether the window that the file is dragged from is open. Without it there is no drop.
    #[cfg_attr(
        target_os = "macos",
        expect(dead_code, reason = "the system runs the drag")
    )]
    fn is_window_open(&self) -> bool {
        self.window.is_open()
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
        // The instance may be gone.
        let event = DragEvent::Ended(outcome);
        let _ = self.sender.send((self.number, event));
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

    const PATIENCE: Duration = Duration::from_secs(20);

    fn drag_out() -> DragOut {
        let size = nice_plug::editor::dpi::LogicalSize::new(100.0, 100.0);
        let window = EguiEditorState::from_size(size, 1.0);
        DragOut::new(window, RepaintNotifier::new())
    }

    /// Prepares the minuet, and waits for the event with its file.
    fn prepare(drag_out: &mut DragOut) -> (NumberedEvent, PathBuf) {
        let (sender, notes) = crossbeam_channel::bounded(1);
        let minuet = continuo_score::tune::minuet().to_midi();
        sender.send(Some(minuet)).unwrap();
        drag_out.prepare(notes, PATIENCE, "Continuo last answer.mid".into());
        let event = drag_out.receiver.recv_timeout(PATIENCE).unwrap();
        let (_, DragEvent::Ready(Ok(file))) = &event else {
            panic!("{event:?}");
        };
        let path = file.path().to_path_buf();
        assert!(path.is_file());
        (event, path)
    }

    #[test]
    fn a_file_that_comes_too_late_starts_no_drag_and_is_removed() {
        let mut drag_out = drag_out();
        assert!(!drag_out.give_up(), "nothing is awaited");
        // The button is released or Escape pressed; the window opens again; other notes are dragged.
        let after: [fn(&mut DragOut); 3] = [
            |drag_out| assert!(drag_out.give_up()),
            DragOut::void_events,
            |drag_out| drop(prepare(drag_out)),
        ];
        for after in after {
            let (late, path) = prepare(&mut drag_out);
            after(&mut drag_out);
            assert!(drag_out.accept(late).is_none());
            assert!(!path.exists() && !path.parent().unwrap().exists());
        }
        // A file in time is accepted once, and the release of a drag that runs changes nothing.
        let (event, path) = prepare(&mut drag_out);
        let event = drag_out.accept(event);
        assert!(matches!(&event, Some(DragEvent::Ready(Ok(_)))) && path.is_file());
        assert!(!drag_out.give_up());
        drag_out.link().end(DragOutcome::Refused);
        let ended = drag_out.next_event();
        assert!(matches!(
            ended,
            Some(DragEvent::Ended(DragOutcome::Refused))
        ));
    }

    #[test]
    fn a_closed_window_has_no_drop_and_no_events_when_it_opens_again() {
        let mut drag_out = drag_out();
        let link = drag_out.link();
        assert!(!link.is_window_open() && !link.is_cancelled());
        link.end(DragOutcome::Refused);
        drag_out.void_events();
        assert!(drag_out.next_event().is_none());
        let link = drag_out.link();
        drop(drag_out);
        assert!(link.is_cancelled());
    }

    #[test]
    fn prepared_file_holds_the_notes_and_a_missing_reply_has_a_reason() {
        let mut drag_out = drag_out();
        let ready = |drag_out: &mut DragOut, reply: Option<Option<MidiFile>>| {
            let (sender, notes) = crossbeam_channel::bounded(1);
            if let Some(reply) = reply {
                sender.send(reply).unwrap();
            }
            drop(sender);
            drag_out.prepare(notes, PATIENCE, "Continuo last answer.mid".into());
            match drag_out.receiver.recv_timeout(PATIENCE).unwrap().1 {
                DragEvent::Ready(ready) => ready,
                DragEvent::Ended(outcome) => panic!("{outcome:?}"),
            }
        };
        let minuet = continuo_score::tune::minuet().to_midi();
        let file = ready(&mut drag_out, Some(Some(minuet.clone()))).unwrap();
        let path = file.keep();
        assert!(path.ends_with("Continuo last answer.mid") && path.is_absolute());
        assert_eq!(std::fs::read(&path).unwrap(), minuet.to_bytes().unwrap());
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        for (reply, why) in [(Some(None), "no notes"), (None, "does not answer")] {
            let said = ready(&mut drag_out, reply).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
