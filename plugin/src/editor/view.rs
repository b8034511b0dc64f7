//! Everything the editor draws, and everything it can ask for, as plain values: no host, no
//! thread and no window is needed to draw a [`View`] or to say what a hand did to it.

use std::path::PathBuf;

use crate::editor_link::Dialect;

pub use crate::editor_link::Learning;

/// One moment of an instance, complete: two equal views look the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// What it is doing.
    pub status: Status,
    /// Where the host is.
    pub transport: Transport,
    /// How it is doing.
    pub health: Health,
    /// What went wrong, each in words: what, where, and what to do.
    pub problems: Vec<String>,
    /// What came of the last act, such as the path of a file that was saved.
    pub notice: Option<String>,
    /// The notes.
    pub roll: Roll,
    /// The parameters, in the order of the host.
    pub controls: Vec<Control>,
    /// The acts that would have an effect. What is not here is not drawn.
    pub offers: Vec<Offer>,
    /// What [`Act::Undo`] and [`Act::Redo`] would do, in words.
    pub history: [Option<&'static str>; 2],
    /// What [`Act::Preset`] sets, by its number.
    pub presets: Vec<Preset>,
    /// What was learned from files.
    pub learning: Learning,
    /// The name of the host's track, where the host tells it.
    pub track: Option<String>,
}

impl View {
    /// The offer of an act, if it is offered.
    pub fn offer(&self, act: &Act) -> Option<&Offer> {
        let offered = match act {
            Act::Save(part, _) => &Act::Save(*part, None),
            act => act,
        };
        self.offers.iter().find(|offer| offer.act == *offered)
    }

    /// Whether an act is offered and would have an effect now.
    pub fn can(&self, act: &Act) -> bool {
        self.offer(act).is_some_and(|offer| offer.enabled)
    }

    /// Whether anything moves by itself: then the next frame is due soon.
    pub fn moves(&self) -> bool {
        self.transport.playing || self.status == Status::Loading || self.learning.progress.is_some()
    }
}

/// What the instance is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// The model is being loaded; notes pass through already.
    #[default]
    Loading,
    /// The transport stands still.
    Stopped,
    /// Listens only, as asked.
    Off,
    /// Listens, and will answer.
    Listening,
    /// Plays.
    Playing,
    /// Cannot think; passes notes through.
    Failed,
}

impl Status {
    /// One word for it.
    pub fn word(self) -> &'static str {
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

/// The host's transport.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Transport {
    /// Whether it runs.
    pub playing: bool,
    /// Quarter notes a minute, if the host says.
    pub tempo: Option<f64>,
}

/// Figures for the health line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// The device in use, such as `CPU`.
    pub device: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// Median milliseconds a token, over the last few thousand.
    pub ms_per_token: Option<f32>,
    /// Quarter notes planned ahead of the playhead, while it plays.
    pub headroom: Option<f64>,
    /// Notes that started late.
    pub late: u64,
    /// Notes that came too late to be played.
    pub dropped: u64,
    /// The host's bar lines contradict its positions, so that bars are counted from the time
    /// signature.
    pub bars_distrusted: bool,
    /// Note-ons and note-offs that the host refused.
    pub refused: u64,
    /// The dialect in which the host takes notes, where it refused them in the one it declares.
    pub switched: Option<Dialect>,
    /// What it remembers.
    pub memory: Memory,
}

/// What the instance remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Notes heard and played.
    pub notes: usize,
    /// Bars from the first of them to the last.
    pub bars: usize,
    /// It is being read anew.
    pub rebuilding: bool,
}

/// The notes and the bars they stand in. Positions are the host's, in quarter notes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roll {
    /// The playhead.
    pub now: f64,
    /// Planned up to here; at or before `now` when nothing is.
    pub planned_to: f64,
    /// What is planned before this is going to be played whatever the player does.
    pub firm_to: f64,
    /// In any order.
    pub notes: Vec<RollNote>,
    /// Bar lines at which the metre is known, rising.
    pub time_signatures: Vec<Bars>,
    /// What the long memory is recalling for what is played now.
    pub recalled: Vec<Recalled>,
    /// Pieces that were learned are recalled, too.
    pub recalls_learned: bool,
}

/// One note of the roll.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RollNote {
    /// Where it starts.
    pub start: f64,
    /// Where it ends; `None` while the key is held.
    pub end: Option<f64>,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// Whose it is.
    pub by: By,
}

/// Whose a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The player's: heard.
    Player,
    /// The plugin's: played, or planned.
    Us,
}

/// Bars of one metre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bars {
    /// A bar line.
    pub at: f64,
    /// The number of the bar that begins there, as the host counts: the first is 1.
    pub number: i32,
    /// Beats in a bar as written.
    pub numerator: u16,
    /// The note value of one written beat.
    pub denominator: u16,
}

/// A stretch of the past the long memories look back to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recalled {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How strongly, 0 to 1.
    pub weight: f32,
}

/// How a player thinks of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What the plugin does at all: drawn large, on top.
    Mode,
    /// When it comes in, and for how long.
    When,
    /// Which notes.
    What,
    /// How they are played.
    Feel,
    /// What it remembers.
    Memory,
    /// Where the notes go.
    Output,
    /// Drawn as an act, or not at all.
    Act,
}

impl Group {
    /// The groups with a column of their own, in order.
    pub const COLUMNS: [Self; 5] = [
        Self::When,
        Self::What,
        Self::Feel,
        Self::Memory,
        Self::Output,
    ];

    /// The column's title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mode => "Mode",
            Self::When => "When",
            Self::What => "What",
            Self::Feel => "Feel",
            Self::Memory => "Memory",
            Self::Output => "Output",
            Self::Act => "Acts",
        }
    }
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// As the host names it.
    pub name: String,
    /// Where it belongs.
    pub group: Group,
    /// What it is.
    pub kind: Kind,
    /// Where it stands, 0 to 1.
    pub value: f32,
    /// Where it stood at first, 0 to 1.
    pub default: f32,
    /// One step of it, of the whole way: what a key moves it by.
    pub step: f32,
    /// The same with shift.
    pub fine: f32,
    /// Its value in words, with the unit.
    pub text: String,
    /// What it does, and in which unit.
    pub tip: &'static str,
}

/// What kind of parameter it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On or off.
    Switch,
    /// One of these.
    Choice(Vec<String>),
    /// A number.
    Number,
}

/// Something to be done at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Everything that sounds ends.
    Panic,
    /// The bar that is being played is answered anew.
    Regenerate,
    /// The same moment, answered differently: 0 is A.
    Vary(u8),
    /// What was just played is repeated.
    Freeze,
    /// Everything heard and played is forgotten.
    Clear,
    /// Notes become a MIDI file: those of the last so many bars, or all. One offer stands for
    /// any number of bars.
    Save(Part, Option<u32>),
    /// Another model is chosen.
    LoadModel,
    /// The model that ships is chosen.
    DefaultModel,
    /// What was done last is taken back.
    Undo,
    /// What was taken back last is done again.
    Redo,
    /// The parameters are set as the preset of this number says.
    Preset(usize),
    /// MIDI files are chosen, to be learned.
    LearnFiles,
    /// A folder of them is.
    LearnFolder,
    /// What was learned from files is forgotten.
    Unlearn,
}

/// A way to play.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preset {
    /// What it is called.
    pub name: String,
    /// One line on what it does.
    pub about: String,
}

/// Which notes are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The player's.
    Heard,
    /// The plugin's.
    Played,
    /// Both, as two tracks.
    Both,
}

/// An act that would have an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub act: Act,
    /// Whether it would have one now.
    pub enabled: bool,
    /// Whether it is in force, for those that last.
    pub on: bool,
}

/// What a hand did.
#[derive(Clone, Debug, PartialEq)]
pub enum Doing {
    /// Takes hold of a control, by its number in [`View::controls`].
    Begin(usize),
    /// Moves it to a value, 0 to 1.
    Set(usize, f32),
    /// Lets go of it.
    End(usize),
    /// Typed a value, to be read as the host would.
    Type(usize, String),
    /// Does something.
    Act(Act),
    /// Drops files or folders on the window.
    Drop(Vec<PathBuf>),
}
