//! The state of an instance at one moment, for the editor and for MIDI files. Plain data: made by the
//! composer thread, read by any thread.

use std::path::PathBuf;

use continuo_score::{Part, TimeSignature};

use crate::choices::{Mode, Variation};
use crate::counters::CounterValues;

/// Length of the history in a snapshot, in quarter notes.
pub const SNAPSHOT_BEATS: f64 = 256.0;

/// An instance at one moment. The composer thread makes one about thirty times a second while the editor
/// is visible. Positions are the host's, in quarter notes; in Session memory, notes of an earlier pass
/// have the positions they would have had without the jump.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The host's transport.
    pub time: TransportState,
    /// The mode in force: [`Mode::Off`] under bypass and panic, [`Mode::Free`] while held or
    /// frozen.
    pub mode: Option<Mode>,
    /// Whether an answer is playing or planned.
    pub answering: bool,
    /// Notes of the last [`SNAPSHOT_BEATS`] and those planned, in order of start.
    pub notes: Vec<RollNote>,
    /// Chords of the last bars and of the plan, in order; none where the notes form no chord.
    pub chords: Vec<NamedChord>,
    /// Name of the chord held on the chord keys, with *Harmony* `Held`.
    pub held_chord: Option<String>,
    /// Bar lines at which the host reported a time signature, in ascending order.
    pub time_signatures: Vec<(f64, TimeSignature)>,
    /// End of the plan while it answers.
    pub planned_to: Option<f64>,
    /// Bars that the long memory retrieves for the current notes.
    pub recalled: Vec<RecalledBar>,
    /// Share of the retrieval that comes from learned files, 0 to 1.
    pub recalled_learned: f32,
    /// The model.
    pub model: ModelState,
    /// Size of the memory.
    pub memory: MemoryState,
    /// Files learned, and progress with others.
    pub learning: LearningState,
    /// Timing, counters and host behaviour.
    pub health: Health,
    /// Next steps of undo and redo.
    pub history: UndoHistory,
    /// Problems, newest last, as lines for the user.
    pub problems: Vec<String>,
}

/// The host's transport.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TransportState {
    /// Whether the transport runs.
    pub playing: bool,
    /// Position; where it stopped while it stands still.
    pub beat: f64,
    /// Position of the bar line at or before it.
    pub bar_start: f64,
    /// Length of its bar.
    pub bar_beats: f64,
    /// Time signature as written.
    pub time_signature: (u16, u16),
    /// Quarter notes a minute.
    pub tempo: f64,
}

/// A note of the player or of the plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RollNote {
    /// Start. A generated note after [`TransportState::beat`] is planned.
    pub start: f64,
    /// End; `None` while the key is held.
    pub end: Option<f64>,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// Whether the plugin generated it; else the player played it.
    pub generated: bool,
    /// Confidence from 0 to 1, if it was found in sound.
    pub confidence: Option<f32>,
    /// The part that it belongs to.
    pub part: Part,
    /// Whether it is generated and does not sound, because this instance does not play its part. It
    /// is forgotten when the player plays.
    pub imagined: bool,
}

/// A chord that sounds.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedChord {
    /// Start.
    pub start: f64,
    /// End.
    pub end: f64,
    /// Name, as musicians write it.
    pub name: String,
}

/// A bar that the long memory retrieves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecalledBar {
    /// Start.
    pub from: f64,
    /// End.
    pub to: f64,
    /// Its share of the retrieval, 0 to 1.
    pub share: f32,
}

/// State of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ModelState {
    /// Not loaded yet.
    #[default]
    Loading,
    /// Loaded.
    Ready(ModelInfo),
    /// Not available: [`Snapshot::problems`] has the reason. Player notes pass through.
    Failed,
}

impl ModelState {
    /// The model, where it is loaded.
    pub fn info(&self) -> Option<&ModelInfo> {
        match self {
            Self::Ready(info) => Some(info),
            Self::Loading | Self::Failed => None,
        }
    }
}

/// A loaded model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    /// The name it was given in training.
    pub name: String,
    /// Numeric variant, such as `fp16`.
    pub variant: String,
    /// Device, such as `CPU`.
    pub device: String,
    /// The directory it was loaded from; absent if it is the one that ships.
    pub directory: Option<PathBuf>,
    /// Whether it knows the parts of a band.
    pub has_parts: bool,
}

/// Size of an instance's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryState {
    /// Notes of the player and of the plugin.
    pub notes: usize,
    /// Bars from the first of them to the last.
    pub bars: u32,
    /// Tokens the model has read.
    pub tokens: usize,
    /// Whether the model still has to read some of the notes.
    pub behind: bool,
}

/// MIDI files learned, and progress with others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LearningState {
    /// Whether the model can learn from files: it has a long memory.
    pub possible: bool,
    /// Pieces learned or being learned, oldest first.
    pub pieces: Vec<LearnedPiece>,
    /// Number of files and folders not opened yet.
    pub waiting: usize,
    /// Share of the pieces that the model has read, 0 to 1, while it reads.
    pub progress: Option<f32>,
    /// Files refused, with the reason, newest last, as lines for the user.
    pub refused: Vec<String>,
    /// Number of all refusals, also of those no longer in the list.
    pub refusals: u64,
}

/// A piece learned from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedPiece {
    /// The file's name.
    pub name: String,
    /// Number of notes.
    pub notes: usize,
}

/// Timing, counters and host behaviour of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Median time of a token, in milliseconds.
    pub ms_per_token: Option<f32>,
    /// 95th percentile of the time of a token, in milliseconds.
    pub ms_per_token_p95: Option<f32>,
    /// Length of the plan ahead of the playhead while it answers, in quarter notes.
    pub headroom: Option<f64>,
    /// Event counters, since the instance was made.
    pub counters: CounterValues,
    /// The dialect in which a CLAP host accepts notes, where it refused the one it declares.
    pub fallback_dialect: Option<NoteDialect>,
    /// Whether the host's bar lines contradict its positions, so that bars are counted from the
    /// time signature.
    pub bars_distrusted: bool,
    /// Whether the host's tempo contradicts its positions, so that it is measured from them.
    pub tempo_distrusted: bool,
    /// Whether the host's position stands still while it reports that it plays.
    pub position_stands: bool,
}

/// Form of a note for a CLAP host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteDialect {
    /// As a note event of CLAP's own.
    Clap,
    /// As a MIDI message.
    Midi,
}

/// The next steps of undo and redo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UndoHistory {
    /// The step that undo takes now.
    pub undo: Option<UndoStep>,
    /// The step that redo takes now.
    pub redo: Option<UndoStep>,
}

/// One step of undo or redo. Where it names a parameter's value, whoever sends the command sets the
/// parameter to that value right after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoStep {
    /// A bar was generated again.
    Regenerate,
    /// Regeneration of a range of bars.
    Infill,
    /// Memory was cleared.
    Clear,
    /// The files learned were forgotten.
    Unlearn,
    /// After a jump, notes of an earlier pass were replaced.
    PlayOver,
    /// The variation becomes this one.
    Vary(Variation),
    /// Freeze goes on or off.
    Freeze(bool),
}
