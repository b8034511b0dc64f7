//! Parameters that choose among a few things. Their ids are written into songs, too.

use continuo_engine::ScaleLock;
use continuo_score::{Mode as scale, Scale};
use nice_plug::prelude::*;

/// What the plugin does with what it hears.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Listens only.
    #[id = "off"]
    Off,
    /// Plays on when the player has been silent for `gap` beats; yields at the first key.
    #[id = "continue"]
    Continue,
    /// Takes turns with the player, so many bars each, from the bar the player began in.
    #[id = "trade"]
    Trade,
    /// Plays along while the player plays, deciding anew at every bar (entering on bars) or
    /// beat, on what the player has played before it.
    #[id = "along"]
    Along,
    /// The same, whether the player plays or not.
    #[id = "free"]
    Free,
}

/// Where an answer may begin.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enter {
    /// On any step of the model's grid.
    #[id = "step"]
    Step,
    /// On a written beat of the host's bar: a quarter in 3/4, an eighth in 6/8.
    #[id = "beat"]
    Beat,
    /// On the host's bar line.
    #[id = "bar"]
    Bar,
}

/// What becomes of memory when the transport jumps.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Memory belongs to song positions: what lies behind the playhead is remembered, what
    /// lies before it is forgotten, so that the same pass gives the same notes.
    #[id = "song"]
    Song,
    /// Memory goes on: every pass of a loop is added to it.
    #[id = "session"]
    Session,
}

/// Which of the answers to one moment.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variation {
    /// The first.
    #[id = "a"]
    A,
    /// Another.
    #[id = "b"]
    B,
    /// Another.
    #[id = "c"]
    C,
    /// Another.
    #[id = "d"]
    D,
}

/// Whose velocities generated notes have.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum VelocityFrom {
    /// The model's.
    #[id = "model"]
    Model,
    /// The model's ups and downs around the player's loudness.
    #[id = "follow"]
    #[name = "Player"]
    Follow,
    /// All the same.
    #[id = "fixed"]
    Fixed,
}

/// Which notes may be played.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleChoice {
    /// All.
    #[id = "off"]
    Off,
    /// Those of the scale the player plays in.
    #[id = "detected"]
    Detected,
    /// This scale on the key.
    #[id = "major"]
    Major,
    /// This scale on the key.
    #[id = "minor"]
    Minor,
    /// This scale on the key.
    #[id = "harmonic_minor"]
    #[name = "Harmonic Minor"]
    HarmonicMinor,
    /// This scale on the key.
    #[id = "melodic_minor"]
    #[name = "Melodic Minor"]
    MelodicMinor,
    /// This scale on the key.
    #[id = "dorian"]
    Dorian,
    /// This scale on the key.
    #[id = "phrygian"]
    Phrygian,
    /// This scale on the key.
    #[id = "lydian"]
    Lydian,
    /// This scale on the key.
    #[id = "mixolydian"]
    Mixolydian,
    /// This scale on the key.
    #[id = "locrian"]
    Locrian,
    /// This scale on the key.
    #[id = "major_pentatonic"]
    #[name = "Major Pentatonic"]
    MajorPentatonic,
    /// This scale on the key.
    #[id = "minor_pentatonic"]
    #[name = "Minor Pentatonic"]
    MinorPentatonic,
    /// This scale on the key.
    #[id = "blues"]
    Blues,
    /// This scale on the key.
    #[id = "whole_tone"]
    #[name = "Whole Tone"]
    WholeTone,
}

impl ScaleChoice {
    /// As the engine takes it, on a key of the musician's.
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

/// The tonic of a scale.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tonic {
    /// C.
    #[id = "c"]
    C,
    /// C sharp, D flat.
    #[id = "cs"]
    #[name = "C#"]
    Cs,
    /// D.
    #[id = "d"]
    D,
    /// E flat.
    #[id = "eb"]
    Eb,
    /// E.
    #[id = "e"]
    E,
    /// F.
    #[id = "f"]
    F,
    /// F sharp, G flat.
    #[id = "fs"]
    #[name = "F#"]
    Fs,
    /// G.
    #[id = "g"]
    G,
    /// A flat.
    #[id = "ab"]
    Ab,
    /// A.
    #[id = "a"]
    A,
    /// B flat.
    #[id = "bb"]
    Bb,
    /// B.
    #[id = "b"]
    B,
}
