//! The view model: everything the editor draws and every event of its widgets, as plain values. A [`View`]
//! can be drawn without host, thread or window. Used on the window's thread.

use std::path::PathBuf;
use std::sync::Arc;

use crate::action::Action;
use continuo_accompaniment::bar_grid::BarGrid;
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use continuo_accompaniment::snapshot::{ModelInfo, RecalledBar, Snapshot};
use continuo_score::Part;

/// One moment of an instance and its window: equal views look the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The instance's last snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Whether the transport runs: not only by the snapshot, but also while the host calls for blocks.
    pub playing: bool,
    /// The playhead to draw, in quarter notes: it moves evenly between snapshots.
    pub playhead: f64,
    /// Planned notes that start before this position play whatever the player does.
    pub committed_to: f64,
    /// Bars and beats of the snapshot.
    pub grid: BarGrid,
    /// The bars that the long memory retrieves most; the share of the strongest is 1.
    pub recalled: Vec<RecalledBar>,
    /// Whether the model has been reading the memory for a while.
    pub rebuilding: bool,
    /// Result of the last action, such as the path of a file that was saved.
    pub notice: Option<String>,
    /// The parameters, in the host's order.
    pub controls: Vec<Control>,
    /// The actions to draw.
    pub action_states: Vec<ActionState>,
    /// The presets, by the index in [`Action::Preset`].
    pub presets: Vec<PresetItem>,
    /// Name of the host's track, where the host gives it.
    pub track: Option<String>,
    /// The file that was last dragged out of the window.
    pub dragged: Option<PathBuf>,
    /// Whether the target under the pointer takes the file that is dragged out.
    pub drop_accepted: bool,
}

impl View {
    /// The state of an action, if it is to be drawn.
    pub fn action_state(&self, action: Action) -> Option<&ActionState> {
        let drawn = match action {
            Action::SaveMidi(part, _) => Action::SaveMidi(part, None),
            action => action,
        };
        let mut states = self.action_states.iter();
        states.find(|state| state.action == drawn)
    }

    /// Whether an action has an effect now.
    pub fn is_enabled(&self, action: Action) -> bool {
        self.action_state(action).is_some_and(|state| state.enabled)
    }

    /// The host's tempo in quarter notes a minute, if it gives one.
    pub fn tempo(&self) -> Option<f64> {
        Some(self.snapshot.time.tempo).filter(|&tempo| tempo > 0.0)
    }

    /// The loaded model.
    pub fn model(&self) -> Option<&ModelInfo> {
        self.snapshot.model.info()
    }

    /// Whether parts are chosen that the model does not know.
    pub fn misses_parts(&self) -> bool {
        let unknown = self.model().is_some_and(|model| !model.has_parts);
        let chosen =
            |c: &Control| c.group == Group::Band && c.kind == ControlKind::Switch && c.value > 0.5;
        unknown && self.controls.iter().any(chosen)
    }

    /// End of the plan, in quarter notes; the playhead where nothing is planned.
    pub fn planned_to(&self) -> f64 {
        self.snapshot.planned_to.unwrap_or(self.playhead)
    }

    /// Whether the view changes by itself, so that the next frame is due soon.
    pub fn is_animated(&self) -> bool {
        let learning = &self.snapshot.learning;
        self.playing || self.status() == Status::Loading || learning.progress.is_some()
    }
}

/// State of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The model loads; notes pass through.
    Loading,
    /// The transport is stopped.
    Stopped,
    /// The mode is Off.
    Off,
    /// It listens and may answer.
    Listening,
    /// It plays.
    Playing,
    /// There is no model; notes pass through.
    Failed,
}

impl Status {
    /// The status in a word or two.
    pub fn label(self) -> &'static str {
        match self {
            Self::Loading => "Loading",
            Self::Stopped => "Stopped",
            Self::Off => "Off",
            Self::Listening => "Listening",
            Self::Playing => "Playing",
            Self::Failed => "Passing through",
        }
    }
}

/// Group of parameters: a column, the mode, or the actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The mode, drawn on top.
    Mode,
    /// When it plays, and for how long.
    When,
    /// Choice of the notes that it plays.
    What,
    /// Controls of how they are played.
    Groove,
    /// The parts of a band: which it plays, on which channel, and within which limits.
    Band,
    /// Controls of memory.
    Memory,
    /// Where the player's notes come from.
    Ears,
    /// Where the notes go.
    Output,
    /// Parameters drawn as actions.
    Action,
}

impl Group {
    /// The groups with a column of their own, in order.
    pub const COLUMNS: [Self; 7] = [
        Self::When,
        Self::What,
        Self::Groove,
        Self::Band,
        Self::Memory,
        Self::Ears,
        Self::Output,
    ];

    /// The column's title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mode => "Mode",
            Self::When => "When",
            Self::What => "What",
            Self::Groove => "Feel",
            Self::Band => "Band",
            Self::Memory => "Memory",
            Self::Ears => "Ears",
            Self::Output => "Output",
            Self::Action => "Actions",
        }
    }
}

/// One parameter. Values are normalised, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// The host's name of it.
    pub name: String,
    /// Its group.
    pub group: Group,
    /// Its place in the table of the band, if it is there.
    pub cell: Option<BandCell>,
    /// Its widget.
    pub kind: ControlKind,
    /// Current value.
    pub value: f32,
    /// Default value.
    pub default: f32,
    /// Step of a key.
    pub step: f32,
    /// Step of a key with Shift.
    pub fine: f32,
    /// The value as text, with its unit.
    pub text: String,
    /// One sentence on its effect.
    pub help: &'static str,
}

impl Control {
    /// The text that is drawn before the value. In the table of the band, the row and the head of the
    /// column say it.
    pub fn label(&self) -> &str {
        match self.cell.map(|cell| cell.column) {
            None => &self.name,
            Some(BandColumn::Play) => self.name.strip_prefix("Play ").unwrap_or(&self.name),
            Some(_) => "",
        }
    }
}

/// Place of a parameter in the table of the band, which has a row for each part. The order is from left to
/// right and from the top down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BandCell {
    /// The row.
    pub part: Part,
    /// The column.
    pub column: BandColumn,
}

/// Column of the table of the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BandColumn {
    /// The name of the part, and whether it is played.
    Play,
    /// MIDI channel.
    Channel,
    /// Lowest note.
    Lowest,
    /// Highest note.
    Highest,
    /// Most notes at once.
    Most,
}

impl BandColumn {
    /// All columns, from left to right.
    pub const ALL: [Self; 5] = [
        Self::Play,
        Self::Channel,
        Self::Lowest,
        Self::Highest,
        Self::Most,
    ];

    /// Head of the column; none where the rows have names.
    pub fn title(self) -> &'static str {
        match self {
            Self::Play => "",
            Self::Channel => "Channel",
            Self::Lowest => "Lowest",
            Self::Highest => "Highest",
            Self::Most => "Most",
        }
    }

    /// Share of the table's width.
    pub fn share(self) -> f32 {
        match self {
            Self::Play => 0.325,
            Self::Channel => 0.21,
            Self::Lowest | Self::Highest => 0.16,
            Self::Most => 0.145,
        }
    }
}

/// Widget of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlKind {
    /// On or off.
    Switch,
    /// One of these names.
    Choice(Vec<String>),
    /// A number.
    Number,
}

/// A preset in the menu.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresetItem {
    /// Its name.
    pub name: String,
    /// One sentence on it.
    pub about: String,
}

/// An action that is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionState {
    /// The action.
    pub action: Action,
    /// Whether it has an effect now.
    pub enabled: bool,
    /// Whether it is in force, for toggles and presets.
    pub on: bool,
}

/// An event of a widget. Controls are named by their index in [`View::controls`].
#[derive(Clone, Debug, PartialEq)]
pub enum UiEvent {
    /// A gesture on a control begins.
    Begin(usize),
    /// It sets the control to a normalised value, 0 to 1.
    Set(usize, f32),
    /// It ends.
    End(usize),
    /// A text was entered for a control; the parameter parses it.
    Type(usize, String),
    /// An action was chosen.
    Action(Action),
    /// The bars between two positions, in quarter notes, are to be regenerated.
    RegenerateBars(f64, f64),
    /// Files or folders were dropped on the window.
    Drop(Vec<PathBuf>),
    /// These notes are dragged out of the window.
    DragNotes(ExportPart, ExportRange),
    /// These notes are to be saved as a MIDI file.
    SaveNotes(ExportPart, ExportRange),
}
