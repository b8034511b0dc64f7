//! What the audio thread and the composer thread tell each other, and how much of it the
//! rings between them hold. Everything here is plain data: copied, never freed.

use continuo_engine::Sampling;

use crate::params::{Enter, Mode};

/// Room for [`Heard`] messages. In real time a block sends at most one [`Heard::Now`] every
/// [`NOW_SECONDS`], so this is half a minute of a player who plays twenty notes a second: more
/// than a model takes to load.
pub const HEARD_CAPACITY: usize = 16_384;

/// Room for [`Planned`] notes on their way to the audio thread.
pub const PLANNED_CAPACITY: usize = 4_096;

/// How often, in seconds of samples, the audio thread tells the time when nothing happens.
/// Offline it tells it every block, for then it waits for the answer.
pub const NOW_SECONDS: f64 = 0.002;

/// Audio thread to composer thread, in the order things happened.
///
/// Positions are the host's, in quarter notes; while the transport runs they never go back
/// except at [`Heard::Arrive`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Heard {
    /// A player's key went down. While the transport stands still only the key is noted.
    On {
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
    Off {
        /// Position of its sample.
        beat: f64,
        /// MIDI channel, or any.
        channel: Option<u8>,
        /// MIDI key, or any.
        pitch: Option<u8>,
    },
    /// No key is held any more, whatever was heard before.
    AllUp {
        /// Position of its sample.
        beat: f64,
    },
    /// The host's bars from here on.
    Metre {
        /// Position of a bar line, usually that of the current bar.
        bar_start: f64,
        /// Beats in a bar as written; at least 1.
        numerator: u16,
        /// The note value of one written beat; a power of two.
        denominator: u16,
    },
    /// The transport started here, or jumped here.
    Arrive {
        /// The new position.
        beat: f64,
    },
    /// The transport stands still.
    Stop {
        /// Where it stopped.
        beat: f64,
    },
    /// Everything planned from here on is void. The audio thread numbers cuts from 1.
    Cut {
        /// Which cut this is.
        number: u64,
        /// Position of its sample.
        beat: f64,
        /// Notes that start before this were played, notes at or after it never happened. Half
        /// a sample before `beat`, by the rule in [`crate::transport::Span::sample_of`].
        limit: f64,
    },
    /// What the musician asks for.
    Settings(Settings),
    /// A planned note came too late, or could not be sent, and was not played.
    Missed {
        /// Its [`Planned::id`].
        id: u64,
    },
    /// The end of a block.
    Now {
        /// Position of its end.
        beat: f64,
        /// Number of the block.
        block: u64,
    },
}

/// Composer thread to audio thread: a note to play, in order of start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// Rising, never used again.
    pub id: u64,
    /// How many cuts the composer had seen: void once there are more.
    pub after_cut: u64,
    /// Where it starts, in the host's quarter notes.
    pub start_beat: f64,
    /// Where it ends.
    pub end_beat: f64,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
}

/// The parameters the composer needs, as plain values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What to do.
    pub mode: Mode,
    /// Silence after which it plays on, in quarter notes.
    pub gap: f64,
    /// Where it may come in.
    pub enter: Enter,
    /// Sampling temperature.
    pub temperature: f32,
    /// Nucleus: the share of probability sampled from.
    pub top_p: f32,
    /// How far ahead of the playhead it plans, in quarter notes.
    pub lookahead: f64,
    /// Chooses among the answers.
    pub seed: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let sampling = Sampling::default();
        Self {
            mode: Mode::Continue,
            gap: 2.0,
            enter: Enter::Bar,
            temperature: sampling.pitch_temperature,
            top_p: sampling.top_p,
            lookahead: 4.0,
            seed: 1,
        }
    }
}
