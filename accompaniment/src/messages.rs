//! Messages between the audio thread and the composer thread, and the capacities of the rings that
//! carry them. Plain data: copied, never freed.

use continuo_engine::Sampling;
use continuo_score::{Part, PartSet};

use crate::choices::{Enter, Harmony, ListenTo, MemoryMode, Mode, Variation, VelocityFrom};
use crate::held_chord::ChordKeys;
use crate::transport::Seam;
use crate::trigger::Trigger;

/// Capacity of the ring of [`ComposerInput`]. In real time a block sends at most one
/// [`ComposerInput::Time`] every [`NOW_SECONDS`], so this is half a minute of a player with twenty
/// notes a second: longer than a model loads.
pub const INPUT_RING_CAPACITY: usize = 16_384;

/// Capacity of the ring of [`ScheduledNote`].
pub const NOTE_RING_CAPACITY: usize = 4_096;

/// Interval of [`ComposerInput::Time`] without other messages, in seconds of samples. Offline every
/// block sends one, because it waits for the composer.
pub const NOW_SECONDS: f64 = 0.002;

/// A message of the audio thread to the composer thread, in order of time.
///
/// Positions are the host's, in quarter notes. While the transport runs they never decrease, except
/// at [`ComposerInput::Jump`] and to the seam of a [`ComposerInput::Loop`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ComposerInput {
    /// Note-on of the player. Without a running transport it only marks the key as held.
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
    /// Note-on of a chord key ([`Settings::held_chord_keys`]), which is not continued.
    ChordOn {
        /// Position of its sample.
        beat: f64,
        /// MIDI channel, 0 to 15.
        channel: u8,
        /// MIDI key.
        pitch: u8,
        /// Whether the cancel before this message came from it: then the answer goes on, with the new
        /// chord.
        cancelled: bool,
    },
    /// Note-off of the player, of chord keys too.
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
        /// Whether it is pressed.
        down: bool,
    },
    /// All keys and pedals are up.
    AllNotesOff {
        /// Position of its sample.
        beat: f64,
    },
    /// A note of the player's that was found in the sound of the audio input.
    EarNote {
        /// Position at which it becomes known, later than its end.
        beat: f64,
        /// The note.
        note: EarNote,
    },
    /// More sound of the audio input is read.
    EarRead {
        /// Position at which this becomes known.
        beat: f64,
        /// Quarter notes that the transport has run since the last moment whose notes are known.
        age: f64,
        /// Whether the player sounds at that moment, in this pass of the playhead.
        sounding: bool,
    },
    /// The host's time signature from here on.
    TimeSignature {
        /// Position of a bar line, usually that of the current bar.
        bar_start: f64,
        /// Beats in a bar as written; at least 1.
        numerator: u16,
        /// The note value of one written beat; a power of two.
        denominator: u16,
    },
    /// The transport started or jumped.
    Jump {
        /// The new position.
        beat: f64,
    },
    /// The transport went from a loop's end to its start a moment ago; the cancel before this
    /// message is at the seam. Notes since the seam lie after the loop's start.
    Loop(Seam),
    /// The transport stopped.
    Stop {
        /// Its position.
        beat: f64,
    },
    /// A cancel: every note planned from here on is void.
    Cancel {
        /// Generation after it, from 1.
        number: u64,
        /// Position of its sample.
        beat: f64,
        /// Notes that start before this sounded; notes at or after it never sound. Half a sample
        /// before `beat`, by the rule in [`crate::transport::Span::sample_of`].
        cutoff_beat: f64,
    },
    /// Saved state was loaded: later messages belong to this session epoch.
    SessionReplaced {
        /// The epoch that the audio thread read from the shared counter.
        session_epoch: u64,
    },
    /// New settings.
    Settings(Settings),
    /// A trigger.
    Trigger(Trigger),
    /// A planned note did not sound: it came too late, or the host refused it.
    NoteMissed {
        /// Its [`ScheduledNote::id`].
        id: u64,
    },
    /// The end of a block.
    Time {
        /// Position of its end.
        beat: f64,
        /// Quarter notes per minute.
        tempo: f64,
        /// Number of the block.
        block: u64,
    },
}

/// A note that was found in sound. It comes after its end, a second late or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarNote {
    /// Start, in the host's quarter notes as they were then.
    pub start_beat: f64,
    /// Length in quarter notes, above 0. It ends where the playhead left its pass.
    pub length: f64,
    /// Quarter notes that the transport has run since the start.
    pub age: f64,
    /// Whether the playhead has neither jumped nor gone round a loop since the start.
    pub this_pass: bool,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// Confidence in percent, 0 to 100.
    pub confidence: u8,
}

/// A note for the audio thread, in order of start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScheduledNote {
    /// Unique id; ids ascend.
    pub id: u64,
    /// Generation in which it was planned; void in later ones.
    pub generation: u64,
    /// Start, in the host's quarter notes.
    pub start_beat: f64,
    /// End, in the host's quarter notes.
    pub end_beat: f64,
    /// MIDI key.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// The part that it belongs to, which has an output channel.
    pub part: Part,
}

/// Parameters of the composer, as plain values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// When it plays.
    pub mode: Mode,
    /// Silence before it continues, or stops playing along, in quarter notes.
    pub gap: f64,
    /// Where an answer may begin.
    pub enter: Enter,
    /// Time between the decision on an answer and its beginning, in quarter notes.
    pub lead: f64,
    /// Length of a turn in [`Mode::Trade`] and of the frozen loop, in bars.
    pub bars: u32,
    /// Behaviour of memory when the transport jumps.
    pub memory: MemoryMode,
    /// Weight of the long memories, 0 to 1.
    pub recall: f32,
    /// Number of bars back that the long memories reach; `None` for all.
    pub reach: Option<u32>,
    /// Sampling parameters and constraints.
    pub sampling: Sampling,
    /// Length of the plan ahead of the playhead, in quarter notes.
    pub lookahead: f64,
    /// Factor on the lengths of generated notes.
    pub length: f64,
    /// Source of the velocities of generated notes.
    pub velocity_from: VelocityFrom,
    /// Velocity of all generated notes with [`VelocityFrom::Fixed`], 1 to 127.
    pub velocity: u8,
    /// Share of the player's timing that generated notes take over, 0 to 1.
    pub feel: f64,
    /// Whether the last bars repeat.
    pub freeze: bool,
    /// Source of the chords that generated notes follow; the strength is in `sampling`
    /// ([`Constraints::chord_pull`](continuo_engine::Constraints::chord_pull)).
    pub harmony: Harmony,
    /// The keys on which chords are held with [`Harmony::Held`].
    pub chord_keys: ChordKeys,
    /// Seed of the answers.
    pub seed: u32,
    /// Variation of the answers.
    pub variation: Variation,
    /// Parts that this instance plays; empty for those that it hears ([`Settings::played_parts`]).
    /// Without effect where the model has no parts.
    pub plays: PartSet,
    /// Where the player's notes come from.
    pub listen_to: ListenTo,
    /// Part of the player on every channel, or `None` for the rule of
    /// [`crate::timeline::Timeline::assign_parts`].
    pub input_part: Option<Part>,
    /// MIDI channel on which each part goes out, by [`Part::index`]. Of two parts that begin one key of
    /// one channel on one step, only the first plays it.
    pub output_channels: [u8; Part::COUNT],
}

impl Settings {
    /// Whether `other` has another sampling or memory, so that the player needs
    /// [`crate::session::Player::tune`].
    pub fn retunes(&self, other: &Settings) -> bool {
        let tuning = |s: &Settings| (s.sampling, s.recall, s.reach, s.plays);
        tuning(self) != tuning(other)
    }

    /// The parts that sound where the player plays those of `heard`; the others are imagined.
    ///
    /// - An empty [`Settings::plays`] is `heard`; all parts before anything is heard.
    /// - In [`Mode::Along`] it leaves out the parts that the player plays, unless no part is left: it
    ///   does not double the player.
    pub fn played_parts(&self, heard: PartSet) -> PartSet {
        if self.plays.is_empty() {
            return match heard.is_empty() {
                true => PartSet::ALL,
                false => heard,
            };
        }
        let doubles = |part: &Part| self.mode == Mode::Along && heard.contains(*part);
        let others: PartSet = self.plays.iter().filter(|part| !doubles(part)).collect();
        match others.is_empty() {
            true => self.plays,
            false => others,
        }
    }

    /// The settings with constraints that limit the parts of `played` alone, of which those that are
    /// switched on are owed notes.
    pub(crate) fn limited_to(mut self, played: PartSet) -> Self {
        self.sampling.constraints.parts = played;
        self.sampling.constraints.owed = self.plays;
        self
    }

    /// Whether a change to `next` discards the plan.
    pub fn discards_plan(&self, next: &Settings) -> bool {
        self.mode != next.mode
            || self.variation != next.variation
            || self.freeze != next.freeze
            || self.harmony != next.harmony
    }

    /// The keys that hold chords, and are not continued; `None` without [`Harmony::Held`].
    pub fn held_chord_keys(&self) -> Option<ChordKeys> {
        (self.harmony == Harmony::Held).then_some(self.chord_keys)
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
            memory: MemoryMode::Song,
            recall: 1.0,
            reach: None,
            sampling: Sampling::default(),
            lookahead: 4.0,
            length: 1.0,
            velocity_from: VelocityFrom::Model,
            velocity: 90,
            feel: 0.0,
            freeze: false,
            harmony: Harmony::Free,
            chord_keys: ChordKeys::default(),
            seed: 1,
            variation: Variation::A,
            plays: PartSet::EMPTY,
            listen_to: ListenTo::Midi,
            input_part: None,
            output_channels: [0, 0, 0, 0, 9],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_played_follow_the_setting_and_what_is_heard() {
        let set = |parts: &[Part]| parts.iter().copied().collect::<PartSet>();
        let heard = set(&[Part::Lead, Part::Bass]);
        let mut settings = Settings::default();
        assert_eq!(settings.played_parts(heard), heard);
        assert_eq!(settings.played_parts(PartSet::EMPTY), PartSet::ALL);
        settings.plays = set(&[Part::Bass, Part::Drums]);
        assert_eq!(settings.played_parts(heard), settings.plays);
        settings.mode = Mode::Along;
        assert_eq!(settings.played_parts(heard), set(&[Part::Drums]));
        settings.plays = set(&[Part::Bass]);
        assert_eq!(settings.played_parts(heard), set(&[Part::Bass]));
    }
}
