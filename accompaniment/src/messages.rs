//! What the audio thread and the composer thread tell each other, and how much of it the
//! rings between them hold. Everything here is plain data: copied, never freed.

use continuo_engine::Sampling;

use crate::choices::{Enter, Memory, Mode, Variation, VelocityFrom};
use crate::transport::Seam;
use crate::trigger::Trigger;

/// Room for [`ComposerInput`] messages. In real time a block sends at most one [`ComposerInput::Time`] every
/// [`NOW_SECONDS`], so this is half a minute of a player who plays twenty notes a second: more
/// than a model takes to load.
pub const INPUT_RING_CAPACITY: usize = 16_384;

/// Room for [`ScheduledNote`] notes on their way to the audio thread.
pub const NOTE_RING_CAPACITY: usize = 4_096;

/// How often, in seconds of samples, the audio thread tells the time when nothing happens.
/// Offline it tells it every block, for then it waits for the answer.
pub const NOW_SECONDS: f64 = 0.002;

/// Audio thread to composer thread, in the order things happened.
///
/// Positions are the host's, in quarter notes; while the transport runs they never go back
/// except at [`ComposerInput::Jump`], and to the seam of a [`ComposerInput::Loop`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ComposerInput {
    /// A player's key went down. While the transport stands still only the key is noted.
    NoteOn {
        /// Position of its sample.
        beat: f64,
        /// MIDI channel, 0 to 15.
        channel: u8,
        /// MIDI key.
        pitch: u8,
        /// MIDI velocity, 1 to 127.
        velocity: u8,
    },
    /// A player's key went up.
    NoteOff {
        /// Position of its sample.
        beat: f64,
        /// MIDI channel, or any.
        channel: Option<u8>,
        /// MIDI key, or any.
        pitch: Option<u8>,
    },
    /// The sustain pedal.
    Pedal {
        /// Position of its sample.
        beat: f64,
        /// MIDI channel, 0 to 15.
        channel: u8,
        /// Whether it went down.
        down: bool,
    },
    /// No key is held any more and no pedal is down, whatever was heard before.
    AllNotesOff {
        /// Position of its sample.
        beat: f64,
    },
    /// The host's bars from here on.
    TimeSignature {
        /// Position of a bar line, usually that of the current bar.
        bar_start: f64,
        /// Beats in a bar as written; at least 1.
        numerator: u16,
        /// The note value of one written beat; a power of two.
        denominator: u16,
    },
    /// The transport started here, or jumped here.
    Jump {
        /// The new position.
        beat: f64,
    },
    /// The transport went from the end of a loop back to its start some time ago, and the cut
    /// before this message is the seam. The notes heard since then lie after the loop's start.
    Loop(Seam),
    /// The transport stands still.
    Stop {
        /// Where it stopped.
        beat: f64,
    },
    /// Everything planned from here on is void. The audio thread numbers cuts from 1.
    Cancel {
        /// Which cut this is.
        number: u64,
        /// Position of its sample.
        beat: f64,
        /// Notes that start before this were played, notes at or after it never happened. Half
        /// a sample before `beat`, by the rule in [`crate::transport::Span::sample_of`].
        cutoff_beat: f64,
    },
    /// What comes now belongs to the composer's past number `past`, what came before to another.
    SessionReplaced {
        /// The session epoch, as the audio thread saw it.
        session_epoch: u64,
    },
    /// What the musician asks for.
    Settings(Settings),
    /// What the musician wants done once.
    Trigger(Trigger),
    /// A planned note came too late, or could not be sent, and was not played.
    NoteMissed {
        /// Its [`ScheduledNote::id`].
        id: u64,
    },
    /// The end of a block.
    Time {
        /// Position of its end.
        beat: f64,
        /// Quarter notes a minute.
        tempo: f64,
        /// Number of the block.
        block: u64,
    },
}

/// Composer thread to audio thread: a note to play, in order of start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScheduledNote {
    /// Rising, never used again.
    pub id: u64,
    /// How many cuts the composer had seen: void once there are more.
    pub generation: u64,
    /// Where it starts, in the host's quarter notes.
    pub start_beat: f64,
    /// Where it ends.
    pub end_beat: f64,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
}

/// The parameters the composer urgencies, as plain values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What to do.
    pub mode: Mode,
    /// Silence after which it plays on, or plays along no more, in quarter notes.
    pub gap: f64,
    /// Where it may come in.
    pub enter: Enter,
    /// How long before an answer it is decided, in quarter notes.
    pub lead: f64,
    /// Length of a turn in [`Mode::Trade`], and of what is frozen, in bars.
    pub bars: u32,
    /// Whether time goes back with the transport.
    pub memory: Memory,
    /// How much what the long memories recall counts, 0 to 1.
    pub recall: f32,
    /// How many bars back it recalls from; as far as it holds anything where absent.
    pub reach: Option<u32>,
    /// How notes are chosen, and which may be.
    pub sampling: Sampling,
    /// How far ahead of the playhead it plans, in quarter notes.
    pub lookahead: f64,
    /// Length of its notes: 1 is as the model has them.
    pub length: f64,
    /// Whose velocities its notes have.
    pub velocity_from: VelocityFrom,
    /// The velocity of all its notes, 1 to 127, where it is fixed.
    pub velocity: u8,
    /// How much of the player's way to be early or late its notes take over, 0 to 1.
    pub feel: f64,
    /// Repeat what was just played.
    pub freeze: bool,
    /// Chooses among the answers.
    pub seed: u32,
    /// Chooses once more.
    pub variation: Variation,
}

impl Settings {
    /// Whether a player plays or remembers otherwise by these settings than by `other`.
    pub fn retunes(&self, other: &Settings) -> bool {
        let tuning = |s: &Settings| (s.sampling, s.recall, s.reach);
        tuning(self) != tuning(other)
    }

    /// Whether the change from these settings to `next` makes everything planned void.
    pub fn discards_plan(&self, next: &Settings) -> bool {
        self.mode != next.mode || self.variation != next.variation || self.freeze != next.freeze
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Continue,
            gap: 2.0,
            enter: Enter::Bar,
            lead: 0.25,
            bars: 4,
            memory: Memory::Song,
            recall: 1.0,
            reach: None,
            sampling: Sampling::default(),
            lookahead: 4.0,
            length: 1.0,
            velocity_from: VelocityFrom::Model,
            velocity: 90,
            feel: 0.0,
            freeze: false,
            seed: 1,
            variation: Variation::A,
        }
    }
}
