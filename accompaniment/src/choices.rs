//! Values of the choice parameters, as plain enums; the plugin wraps them in host parameters. Songs
//! contain the ids, so they never change. The order is that of the host's steps.

use continuo_engine::ScaleLock;
use continuo_score::{Mode as scale, Part, Scale};

/// A fixed set of values with a name for people and an id for files.
pub trait Choice: Copy + PartialEq + 'static {
    /// All values, in the order of the host's steps.
    const VALUES: &'static [Self];
    /// Their ids, as songs keep them.
    const IDS: &'static [&'static str];
    /// Their names, as the host shows them.
    const NAMES: &'static [&'static str];

    /// Position in [`Choice::VALUES`].
    fn index(self) -> usize {
        let index = Self::VALUES.iter().position(|value| *value == self);
        index.unwrap_or(0)
    }
}

/// Declares enums with `Variant = "id", "Name";`, and [`Choice`] for them.
macro_rules! choices {
    ($(
        $(#[$doc:meta])* pub enum $enum:ident {
            $($(#[$value_doc:meta])* $value:ident = $id:literal, $name:literal;)+
        }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $enum {
            $($(#[$value_doc])* $value,)+
        }

        impl Choice for $enum {
            const VALUES: &'static [Self] = &[$(Self::$value),+];
            const IDS: &'static [&'static str] = &[$($id),+];
            const NAMES: &'static [&'static str] = &[$($name),+];
        }
    )+};
}

choices! {
    /// When the plugin plays.
    pub enum Mode {
        /// Listens only.
        Off = "off", "Off";
        /// Plays after `gap` beats of silence; stops at the next key.
        Continue = "continue", "Continue";
        /// Takes turns with the player, `bars` bars each, counted from the bar the player began in.
        Trade = "trade", "Trade";
        /// Plays while the player plays. It decides at every bar (entering on bars) or beat, from
        /// the notes the player has played before it.
        Along = "along", "Along";
        /// Plays as in `Along`, whether the player plays or not.
        Free = "free", "Free";
    }

    /// Where an answer may begin.
    pub enum Enter {
        /// On any step of the model's grid.
        Step = "step", "Step";
        /// On a written beat of the host's bar: a quarter in 3/4, an eighth in 6/8.
        Beat = "beat", "Beat";
        /// On the host's bar line.
        Bar = "bar", "Bar";
    }

    /// Behaviour of memory when the transport jumps.
    pub enum MemoryMode {
        /// Memory belongs to song positions: notes before the playhead count, notes after it do
        /// not, so that the same pass gives the same notes.
        Song = "song", "Song";
        /// Memory only grows: every pass of a loop is added to it.
        Session = "session", "Session";
    }

    /// One of four different answers to the same notes.
    pub enum Variation {
        /// The first.
        A = "a", "A";
        /// Another.
        B = "b", "B";
        /// Another.
        C = "c", "C";
        /// Another.
        D = "d", "D";
    }

    /// Source of the velocities of generated notes.
    pub enum VelocityFrom {
        /// The model.
        Model = "model", "Model";
        /// The model's variation around the player's mean velocity.
        Follow = "follow", "Player";
        /// One velocity for all notes.
        Fixed = "fixed", "Fixed";
    }

    /// Source of the chords that generated notes follow.
    pub enum Harmony {
        /// The model.
        Free = "free", "Free";
        /// The chords of the last two bars, again and again.
        Loop2 = "loop_2", "Loop 2 Bars";
        /// Those of the last four.
        Loop4 = "loop_4", "Loop 4 Bars";
        /// Those of the last eight.
        Loop8 = "loop_8", "Loop 8 Bars";
        /// Those of the last sixteen.
        Loop16 = "loop_16", "Loop 16 Bars";
        /// The chord that the player holds on the chord keys.
        Held = "held", "Held";
    }

    /// Scale to which generated notes are restricted.
    pub enum ScaleChoice {
        /// No restriction.
        Off = "off", "Off";
        /// The scale detected in the player's notes.
        Detected = "detected", "Detected";
        /// This scale on the key.
        Major = "major", "Major";
        /// This scale on the key.
        Minor = "minor", "Minor";
        /// This scale on the key.
        HarmonicMinor = "harmonic_minor", "Harmonic Minor";
        /// This scale on the key.
        MelodicMinor = "melodic_minor", "Melodic Minor";
        /// This scale on the key.
        Dorian = "dorian", "Dorian";
        /// This scale on the key.
        Phrygian = "phrygian", "Phrygian";
        /// This scale on the key.
        Lydian = "lydian", "Lydian";
        /// This scale on the key.
        Mixolydian = "mixolydian", "Mixolydian";
        /// This scale on the key.
        Locrian = "locrian", "Locrian";
        /// This scale on the key.
        MajorPentatonic = "major_pentatonic", "Major Pentatonic";
        /// This scale on the key.
        MinorPentatonic = "minor_pentatonic", "Minor Pentatonic";
        /// This scale on the key.
        Blues = "blues", "Blues";
        /// This scale on the key.
        WholeTone = "whole_tone", "Whole Tone";
    }

    /// Where the player's notes come from.
    pub enum ListenTo {
        /// Keys of the host's MIDI input.
        Midi = "midi", "MIDI";
        /// Sound at the audio input.
        Audio = "audio", "Audio";
        /// Both.
        Both = "both", "Both";
    }

    /// Part of the player.
    pub enum InputPart {
        /// By channel, register, notes at once and rhythm.
        Auto = "auto", "Auto";
        /// A whole keyboard texture.
        Keys = "keys", "Keys";
        /// The melody.
        Lead = "lead", "Lead";
        /// The harmony.
        Chords = "chords", "Chords";
        /// The bass line.
        Bass = "bass", "Bass";
        /// Drum hits.
        Drums = "drums", "Drums";
    }

    /// The tonic of a scale.
    pub enum Tonic {
        /// C.
        C = "c", "C";
        /// C sharp, D flat.
        Cs = "cs", "C#";
        /// D.
        D = "d", "D";
        /// E flat.
        Eb = "eb", "Eb";
        /// E.
        E = "e", "E";
        /// F.
        F = "f", "F";
        /// F sharp, G flat.
        Fs = "fs", "F#";
        /// G.
        G = "g", "G";
        /// A flat.
        Ab = "ab", "Ab";
        /// A.
        A = "a", "A";
        /// B flat.
        Bb = "bb", "Bb";
        /// B.
        B = "b", "B";
    }
}

impl ListenTo {
    /// Whether keys of the MIDI input count.
    pub fn hears_keys(self) -> bool {
        self != Self::Audio
    }

    /// Whether sound at the audio input counts.
    pub fn hears_audio(self) -> bool {
        self != Self::Midi
    }
}

impl InputPart {
    /// The part, if it is fixed.
    pub fn fixed(self) -> Option<Part> {
        match self {
            Self::Auto => None,
            Self::Keys => Some(Part::Keys),
            Self::Lead => Some(Part::Lead),
            Self::Chords => Some(Part::Chords),
            Self::Bass => Some(Part::Bass),
            Self::Drums => Some(Part::Drums),
        }
    }
}

impl Harmony {
    /// Number of bars of a loop.
    pub fn loop_bars(self) -> Option<u32> {
        match self {
            Harmony::Free | Harmony::Held => None,
            Harmony::Loop2 => Some(2),
            Harmony::Loop4 => Some(4),
            Harmony::Loop8 => Some(8),
            Harmony::Loop16 => Some(16),
        }
    }
}

impl ScaleChoice {
    /// The restriction for the engine, with `key` as the tonic.
    pub fn lock(self, key: Tonic) -> ScaleLock {
        let mode = match self {
            ScaleChoice::Off => return ScaleLock::Off,
            ScaleChoice::Detected => return ScaleLock::Heard,
            ScaleChoice::Major => scale::Major,
            ScaleChoice::Minor => scale::Minor,
            ScaleChoice::HarmonicMinor => scale::HarmonicMinor,
            ScaleChoice::MelodicMinor => scale::MelodicMinor,
            ScaleChoice::Dorian => scale::Dorian,
            ScaleChoice::Phrygian => scale::Phrygian,
            ScaleChoice::Lydian => scale::Lydian,
            ScaleChoice::Mixolydian => scale::Mixolydian,
            ScaleChoice::Locrian => scale::Locrian,
            ScaleChoice::MajorPentatonic => scale::MajorPentatonic,
            ScaleChoice::MinorPentatonic => scale::MinorPentatonic,
            ScaleChoice::Blues => scale::Blues,
            ScaleChoice::WholeTone => scale::WholeTone,
        };
        ScaleLock::Fixed(Scale {
            tonic: key as u8,
            mode,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_complete<T: Choice + std::fmt::Debug>() {
        assert_eq!(T::VALUES.len(), T::IDS.len());
        for (index, value) in T::VALUES.iter().enumerate() {
            assert_eq!(value.index(), index, "{value:?}");
            let ids = T::IDS.iter().filter(|id| **id == T::IDS[index]);
            assert_eq!(ids.count(), 1, "{value:?} shares its id");
        }
    }

    #[test]
    fn every_choice_has_an_id_of_its_own() {
        assert_complete::<Mode>();
        assert_complete::<Enter>();
        assert_complete::<MemoryMode>();
        assert_complete::<Variation>();
        assert_complete::<VelocityFrom>();
        assert_complete::<Harmony>();
        assert_complete::<ScaleChoice>();
        assert_complete::<ListenTo>();
        assert_complete::<InputPart>();
        assert_complete::<Tonic>();
    }
}
