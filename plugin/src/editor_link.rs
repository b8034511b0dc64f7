//! Link between the editor and an instance: the editor reads the last [`Snapshot`], presses
//! [`Trigger`]s and sends [`EditorRequest`]s. It changes parameters through the host.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use continuo_score::midi::MidiFile;
use crossbeam_channel::{Receiver, Sender, bounded};
use nice_plug::editor::dpi::LogicalSize;
use nice_plug_egui::{EguiEditorState, RepaintNotifier};

use crate::shared::Shared;
use crate::state::State;
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use continuo_accompaniment::snapshot::Snapshot;
use continuo_accompaniment::trigger::Trigger;

/// Age in milliseconds at which a snapshot that was not read shows that the window is hidden.
const HIDDEN_AFTER: u64 = 1_000;

/// Size of the editor window at first, in points: width, height.
pub const SIZE: (f32, f32) = (1040.0, 680.0);

/// A request of the editor to the composer thread.
#[derive(Clone, Debug)]
pub enum EditorRequest {
    /// Learns these files (MIDI, WAV, FLAC), and those in these folders, in the background; [`Snapshot::learning`] has
    /// the progress. The project keeps what was learned.
    Learn(Vec<PathBuf>),
    /// Forgets the files learned, and nothing else.
    Unlearn,
    /// Regenerates the bars between two positions, in the host's quarter notes: see
    /// [`Session::regenerate_bars`](continuo_accompaniment::session::Session::regenerate_bars).
    RegenerateBars(f64, f64),
    /// Makes a MIDI file of input or generated notes.
    Midi(MidiExportRequest),
}

/// A request for notes as a MIDI file: see [`continuo_accompaniment::midi_export::export`].
#[derive(Clone, Debug)]
pub struct MidiExportRequest {
    /// The notes to export.
    pub part: ExportPart,
    /// Their time.
    pub range: ExportRange,
    /// Channel for the file; it must have room. `None` is sent where there are no such notes.
    pub reply: Sender<Option<MidiFile>>,
}

/// The editor's end. Shared by the plugin and its editor; any thread but the audio thread.
pub struct EditorLink {
    /// Size of the window, and whether it is open.
    pub(crate) window: Arc<EguiEditorState>,
    /// Requests a repaint.
    pub(crate) repaint: RepaintNotifier,
    snapshot: ArcSwap<Snapshot>,
    /// Time at which the oldest unread snapshot was published, in milliseconds since `made`; 0 if the last
    /// one was read.
    unseen_since: AtomicU64,
    made: Instant,
    commands: Sender<EditorRequest>,
    shared: Arc<Shared>,
    state: State,
}

/// The composer thread's end. Owned by the composer thread.
pub struct ComposerEnd {
    pub(crate) link: Arc<EditorLink>,
    pub(crate) commands: Receiver<EditorRequest>,
}

impl EditorLink {
    /// Both ends of an instance's link.
    pub fn new(shared: Arc<Shared>, state: State) -> (Arc<Self>, ComposerEnd) {
        let (sender, commands) = bounded(64);
        let link = Arc::new(Self {
            window: EguiEditorState::from_size(LogicalSize::new(SIZE.0, SIZE.1), 1.0),
            repaint: RepaintNotifier::new(),
            snapshot: ArcSwap::default(),
            unseen_since: AtomicU64::new(0),
            made: Instant::now(),
            commands: sender,
            shared,
            state,
        });
        let composer_end = ComposerEnd {
            link: link.clone(),
            commands,
        };
        (link, composer_end)
    }

    /// The last snapshot. Window thread.
    pub fn look(&self) -> Arc<Snapshot> {
        self.unseen_since.store(0, Ordering::Relaxed);
        self.snapshot.load_full()
    }

    /// Presses a trigger, which takes effect at the start of the next block. Window thread.
    pub fn press(&self, trigger: Trigger) {
        self.shared.requests.press(trigger);
    }

    /// Plays with the model in this directory from now on, or with the default one. It waits for the
    /// composer thread, some seconds at most, and returns `false` if that does not answer. Any thread that
    /// may wait.
    pub fn load_model(&self, directory: Option<PathBuf>) -> bool {
        self.state.choose_model(directory)
    }

    /// Sends a request to the composer thread; `false` if its queue is full. Window thread.
    pub fn send(&self, request: EditorRequest) -> bool {
        self.commands.try_send(request).is_ok()
    }

    /// Whether the editor reads snapshots. Composer thread.
    pub(crate) fn is_watched(&self) -> bool {
        // A window that is open and hidden does not draw, so it reads no snapshot.
        let since = self.unseen_since.load(Ordering::Relaxed);
        let hidden = since > 0 && self.now() > since + HIDDEN_AFTER;
        if hidden {
            // A hidden window does not draw for this. A visible one whose repaint was lost draws again; while
            // no snapshot is published, nothing else asks it to.
            self.repaint.request_repaint();
        }
        self.window.is_open() && !hidden
    }

    /// Milliseconds, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// Publishes a snapshot, and requests a repaint if it differs from the last. Composer thread.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        if **self.snapshot.load() != snapshot {
            self.snapshot.store(Arc::new(snapshot));
            let (before, now) = (0, self.now());
            let relaxed = Ordering::Relaxed;
            // Only the oldest unread one counts.
            let _ = self
                .unseen_since
                .compare_exchange(before, now, relaxed, relaxed);
            self.repaint.request_repaint();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_reach_the_editor_and_triggers_the_audio_thread() {
        let shared = Arc::new(Shared::default());
        let (link, composer_end) = EditorLink::new(shared.clone(), State::default());
        assert!(!composer_end.link.is_watched());
        assert_eq!(*link.look(), Snapshot::default());
        let mut snapshot = Snapshot::default();
        snapshot.memory.notes = 3;
        composer_end.link.publish(snapshot.clone());
        assert_eq!(*link.look(), snapshot);

        let (reply, _) = bounded(1);
        let (part, range) = (ExportPart::Both, ExportRange::All);
        let wanted = MidiExportRequest { part, range, reply };
        link.press(Trigger::Clear);
        assert!(link.send(EditorRequest::Midi(wanted)));
        assert_eq!(shared.requests.take(), Trigger::Clear.into());
        assert_eq!(composer_end.commands.try_iter().count(), 1);
    }
}
