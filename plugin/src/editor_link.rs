//! What an editor sees of an instance, and what it may ask of it. Nothing here waits: the
//! editor reads the last [`Snapshot`] and sends [`Command`]s; parameters it changes through the
//! host, as anyone does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use continuo_score::TimeSignature;
use continuo_score::midi::MidiFile;
use crossbeam_channel::{Receiver, Sender, bounded};
use nice_plug::editor::dpi::LogicalSize;
use nice_plug_egui::{EguiEditorState, RepaintNotifier};

use crate::editor::SIZE;
use crate::editor::view::Part;
use crate::gate::Shared;
use crate::params::{Mode, Variation};
use crate::process::Buttons;
use crate::state::State;

/// How much of the past a snapshot shows, in quarter notes.
pub const SHOWN_BEATS: f64 = 256.0;

/// A snapshot that nobody has looked at for so many milliseconds says that the window is hidden.
const HIDDEN_AFTER: u64 = 1_000;

/// An instance at one moment. Made by the composer thread while somebody looks, some thirty
/// times a second at most. Positions are in quarter notes, the host's; in Session memory notes
/// of an earlier pass lie where they would if time had gone on evenly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The host's transport.
    pub time: Time,
    /// The mode in force: [`Mode::Off`] under bypass and panic, [`Mode::Free`] while held or
    /// frozen.
    pub mode: Option<Mode>,
    /// Whether it is playing an answer, or about to.
    pub answering: bool,
    /// Notes of the last [`SHOWN_BEATS`] and those planned, in order of start.
    pub notes: Vec<ShownNote>,
    /// Bar lines at which the host said its metre, rising.
    pub time_signatures: Vec<(f64, TimeSignature)>,
    /// Everything up to here is planned, where it is answering.
    pub planned_to: Option<f64>,
    /// The bars its long memory looks back to for what it plays now.
    pub recalled: Vec<RecalledBar>,
    /// The share of that which is from pieces it learned, 0 to 1.
    pub recalled_learned: f32,
    /// The model.
    pub model: ModelState,
    /// What it remembers.
    pub memory: MemoryState,
    /// What it learned from files.
    pub learning: Learning,
    /// How well it keeps up.
    pub health: Health,
    /// What can be taken back.
    pub history: History,
    /// What went wrong, newest last; lines to show as they are.
    pub problems: Vec<String>,
}

/// Where the host is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Time {
    /// Whether the transport runs.
    pub playing: bool,
    /// Position, or where it stopped.
    pub beat: f64,
    /// Position of the bar line at or before it.
    pub bar_start: f64,
    /// Length of its bar.
    pub bar_beats: f64,
    /// Time signature as written.
    pub metre: (u16, u16),
    /// Quarter notes a minute.
    pub tempo: f64,
}

/// A note to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShownNote {
    /// Where it starts; after [`Time::beat`] it is only planned.
    pub start: f64,
    /// Where it ends; `None` while the key is held.
    pub end: Option<f64>,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// Whether the plugin plays it, and not the player.
    pub ours: bool,
}

/// A bar the long memory looks back to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecalledBar {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Its share of all that is recalled, 0 to 1.
    pub share: f32,
}

/// How far the model is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ModelState {
    /// Being loaded, or nothing has asked for it yet.
    #[default]
    Loading,
    /// It plays.
    Ready(ModelInfo),
    /// There is none: notes pass, and [`Snapshot::problems`] say why.
    Failed,
}

/// A loaded model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    /// The name it was given in training.
    pub name: String,
    /// Which of its variants.
    pub variant: String,
    /// What it runs on.
    pub device: String,
    /// The directory it was loaded from; absent if it is the one that ships.
    pub directory: Option<PathBuf>,
}

/// What an instance remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryState {
    /// Notes, the player's and its own.
    pub notes: usize,
    /// Bars from the first of them to the last.
    pub bars: u32,
    /// Tokens the model has read.
    pub tokens: usize,
    /// Something was heard that it has not read yet.
    pub behind: bool,
}

/// What an instance learned from MIDI files, and how far it is with others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learning {
    /// Whether the model can learn: it has a long memory.
    pub possible: bool,
    /// The pieces learned or being learned, oldest first.
    pub pieces: Vec<LearnedPiece>,
    /// Files and folders that were not looked at yet.
    pub waiting: usize,
    /// The share of the pieces that is read, 0 to 1, while some of it is still to be read. Notes
    /// pass, and answers are played, meanwhile.
    pub progress: Option<f32>,
    /// Files that were refused and why, newest last; lines to show as they are.
    pub refused: Vec<String>,
}

/// A piece learned from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedPiece {
    /// The file's name.
    pub name: String,
    /// How many notes it has.
    pub notes: usize,
}

/// How well an instance keeps up. Counts are since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Median time of a token, in milliseconds.
    pub ms_per_token: Option<f32>,
    /// The time 95 of 100 tokens stay within, in milliseconds.
    pub ms_per_token_p95: Option<f32>,
    /// How far ahead of the playhead it has planned, in quarter notes, where it is answering.
    pub headroom: Option<f64>,
    /// Notes heard while the transport ran.
    pub heard: u64,
    /// Generated notes sent.
    pub played: u64,
    /// Those of them that started late and were shortened.
    pub late: u64,
    /// Generated notes not sent: too late, no room, or the key was taken.
    pub dropped: u64,
    /// Note-ons and note-offs that the host refused.
    pub refused: u64,
    /// The dialect in which a CLAP host takes notes, where it refused them in the one it declares.
    pub switched: Option<Dialect>,
    /// Generated notes planned so early that a cut made them void before their time.
    pub early: u64,
    /// Messages lost because a ring was full.
    pub overflow: u64,
    /// Whether the host's bar lines contradict its positions, so that bars are counted from the
    /// time signature.
    pub bars_distrusted: bool,
}

/// How a note is written for a CLAP host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As a note event of CLAP's own.
    Clap,
    /// As a MIDI message.
    Midi,
}

/// What [`Command::Undo`] and [`Command::Redo`] would do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The last thing done.
    pub undo: Option<Step>,
    /// The last thing taken back.
    pub redo: Option<Step>,
}

/// One step back or forth. Where it is a parameter's, whoever sends the command sets the parameter
/// to the value named here, right after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A bar was thought of anew.
    Regenerate,
    /// Everything was forgotten.
    Clear,
    /// What was learned from files was forgotten.
    Unlearn,
    /// After a jump, notes of an earlier pass were played over.
    PlayOver,
    /// Another variation is chosen: this one.
    Vary(Variation),
    /// What is repeated is frozen, or let go of.
    Freeze(bool),
}

/// Something the editor wants done, beside parameters.
#[derive(Clone, Debug)]
pub enum Command {
    /// Everything that sounds ends.
    Panic,
    /// What is planned is thought of anew.
    Regenerate,
    /// Everything heard, played and learned is forgotten.
    Clear,
    /// Learn these MIDI files, and those in these folders, in the background;
    /// [`Snapshot::learning`] says how far it is. The project keeps what was learned.
    Learn(Vec<PathBuf>),
    /// Forget what was learned from files, and nothing else.
    Unlearn,
    /// What was done last is taken back: see [`History`].
    Undo,
    /// What was taken back last is done again.
    Redo,
    /// Play with the model in this directory from now on, or with the default one.
    LoadModel(Option<PathBuf>),
    /// Give what was heard or played as a MIDI file.
    Midi(MidiWanted),
}

/// The editor's end. Shared by the plugin and its editor; any thread but the audio thread.
pub struct EditorLink {
    /// The window: its size, and whether it is open.
    pub(crate) window: Arc<EguiEditorState>,
    /// Asks it to draw itself.
    pub(crate) repaint: RepaintNotifier,
    snapshot: ArcSwap<Snapshot>,
    /// When the oldest snapshot that nobody has looked at was published, in milliseconds since
    /// `made`; 0 if the last one was looked at.
    unseen_since: AtomicU64,
    made: Instant,
    commands: Sender<Wish>,
    shared: Arc<Shared>,
    state: State,
}

/// The composer thread's end.
pub struct Backstage {
    pub(crate) link: Arc<EditorLink>,
    pub(crate) commands: Receiver<Wish>,
}

/// What the composer thread is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Midi(MidiWanted),
    Learn(Vec<PathBuf>),
    Unlearn,
}

/// What was heard or played, as a MIDI file.
#[derive(Clone, Debug)]
pub struct MidiWanted {
    /// Whose notes.
    pub part: Part,
    /// So many bars back from the playhead, or all.
    pub bars: Option<u32>,
    /// Where to; it must have room. `None` is sent where there are no such notes.
    pub reply: Sender<Option<MidiFile>>,
}

impl EditorLink {
    /// Both ends of an instance's link.
    pub fn new(shared: Arc<Shared>, state: State) -> (Arc<Self>, Backstage) {
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
        let backstage = Backstage {
            link: link.clone(),
            commands,
        };
        (link, backstage)
    }

    /// The last snapshot; a newer one is on its way.
    pub fn look(&self) -> Arc<Snapshot> {
        self.unseen_since.store(0, Ordering::Relaxed);
        self.snapshot.load_full()
    }

    /// Asks for something. `false` if too much was asked for already. Changing the model waits for
    /// the composer thread, two seconds at most: main thread.
    pub fn send(&self, command: Command) -> bool {
        let mut buttons = Buttons::default();
        match command {
            Command::Panic => buttons.panic = true,
            Command::Regenerate => buttons.regenerate = true,
            Command::Clear => buttons.clear = true,
            Command::Undo => buttons.undo = true,
            Command::Redo => buttons.redo = true,
            Command::LoadModel(directory) => self.state.choose(directory),
            Command::Midi(wanted) => return self.ask(Wish::Midi(wanted)),
            Command::Learn(paths) => return self.ask(Wish::Learn(paths)),
            Command::Unlearn => return self.ask(Wish::Unlearn),
        }
        self.shared.requests.press(buttons);
        true
    }

    fn ask(&self, wish: Wish) -> bool {
        self.commands.try_send(wish).is_ok()
    }

    /// Whether a new snapshot would be looked at. Composer thread.
    pub(crate) fn is_watched(&self) -> bool {
        // A window that is open and hidden draws nothing, and so looks at nothing.
        let since = self.unseen_since.load(Ordering::Relaxed);
        let hidden = since > 0 && self.now() > since + HIDDEN_AFTER;
        self.window.is_open() && !hidden
    }

    /// Milliseconds, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// A new snapshot, drawn if it says anything new. Composer thread.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        if **self.snapshot.load() != snapshot {
            self.snapshot.store(Arc::new(snapshot));
            let (before, now) = (0, self.now());
            let relaxed = Ordering::Relaxed;
            // Only the oldest counts; if there is one already, so be it.
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
    fn snapshots_arrive_and_buttons_reach_the_audio_thread() {
        let shared = Arc::new(Shared::default());
        let (link, backstage) = EditorLink::new(shared.clone(), State::default());
        assert!(!backstage.link.is_watched());
        assert_eq!(*link.look(), Snapshot::default());
        let mut snapshot = Snapshot::default();
        snapshot.memory.notes = 3;
        backstage.link.publish(snapshot.clone());
        assert_eq!(*link.look(), snapshot);

        let (reply, _) = bounded(1);
        let (part, bars) = (Part::Both, None);
        let wanted = MidiWanted { part, bars, reply };
        assert!(link.send(Command::Clear) && link.send(Command::Midi(wanted)));
        let pressed = shared.requests.take();
        assert!(pressed.clear && !pressed.panic);
        assert_eq!(backstage.commands.try_iter().count(), 1);
    }
}
