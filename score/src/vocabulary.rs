//! The vocabulary: which tokens there are, and the number of each. It is data, kept as JSON
//! in every model directory, so that a model is always read with the tokens it was trained on.

use serde::{Deserialize, Serialize};

/// A base token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Token {
    /// `<pad>`: no music; never predicted, never counted.
    Pad,
    /// `<sos>`: a piece begins.
    Start,
    /// `<eos>`: a piece ends.
    End,
    /// `<sep>`: time is about to move.
    Separator,
    /// `n60`: a note of this MIDI key starts here.
    Pitch(u8),
    /// `d12`: after a pitch its length, after `<sep>` the time moved, both in steps.
    Duration(u16),
    /// `v7`: the velocity bin of the note just given.
    Velocity(u8),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Pad => f.write_str("<pad>"),
            Token::Start => f.write_str("<sos>"),
            Token::End => f.write_str("<eos>"),
            Token::Separator => f.write_str("<sep>"),
            Token::Pitch(p) => write!(f, "n{p}"),
            Token::Duration(d) => write!(f, "d{d}"),
            Token::Velocity(v) => write!(f, "v{v}"),
        }
    }
}

/// The order of the notes that start on one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Melody first, as the reference model has it.
    HighToLow,
    /// Bass first.
    LowToHigh,
}

/// Why a vocabulary could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// Not JSON, or not this JSON.
    #[error("not a vocabulary: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of the right shape that makes no sense.
    #[error("not a usable vocabulary: {0}")]
    Senseless(String),
}

/// The tokens of a model and their ids.
///
/// Ids are laid out in four runs: the four special tokens in the order [`Self::specials`]
/// has them, the 128 pitches, the durations, the velocity bins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Format version of this JSON; see [`Vocabulary::VERSION`].
    version: u32,
    /// Preset it was made from, for people.
    name: String,
    /// Steps in a quarter note.
    pub steps_per_beat: u32,
    /// The smallest duration that has an id: 0 in the reference encoding, else 1.
    shortest: u16,
    /// The largest duration, in steps. Longer notes are cut, longer rests are spelled out.
    pub longest: u16,
    /// Velocity bins, 1 to 128, or 0 for a vocabulary without velocity.
    pub velocity_bins: u8,
    /// Order of notes within a step.
    pub order: Order,
    /// Which id each special token has: a permutation of `sos eos pad sep`.
    specials: [String; 4],
}

const SPECIALS: u16 = 4;
const PITCHES: u16 = 128;

impl Vocabulary {
    /// The JSON version this code writes and reads.
    pub const VERSION: u32 = 1;
    /// The velocity of notes from a vocabulary that has none.
    pub const PLAIN_VELOCITY: u8 = 90;

    /// The encoding of Ryan-Palmer/MIDIGen: 389 ids, 8 steps a beat, notes to 256 steps, no
    /// velocity. `sos eos pad sep`, then `n0..n127`, then `d0..d256`.
    pub fn midigen() -> Self {
        Self {
            version: Self::VERSION,
            name: "midigen".into(),
            steps_per_beat: 8,
            shortest: 0,
            longest: 256,
            velocity_bins: 0,
            order: Order::HighToLow,
            specials: ["sos", "eos", "pad", "sep"].map(String::from),
        }
    }

    /// Continuo's own: 12 steps a beat (sixteenths and triplets exact), notes to 16 beats,
    /// 16 velocity bins; 340 ids.
    pub fn continuo() -> Self {
        Self {
            version: Self::VERSION,
            name: "continuo".into(),
            steps_per_beat: 12,
            shortest: 1,
            longest: 192,
            velocity_bins: 16,
            order: Order::HighToLow,
            specials: ["pad", "sos", "eos", "sep"].map(String::from),
        }
    }

    /// A preset by name.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "midigen" => Some(Self::midigen()),
            "continuo" => Some(Self::continuo()),
            _ => None,
        }
    }

    /// The same vocabulary with another order within the step.
    pub fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// The preset it was made from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many ids there are; they are `0..size()`.
    pub fn size(&self) -> usize {
        usize::from(SPECIALS + PITCHES + self.durations()) + usize::from(self.velocity_bins)
    }

    fn durations(&self) -> u16 {
        self.longest - self.shortest + 1
    }

    /// The id of a token, or `None` where this vocabulary lacks it.
    pub fn id(&self, token: Token) -> Option<u16> {
        let durations = SPECIALS + PITCHES;
        match token {
            Token::Pad => self.special("pad"),
            Token::Start => self.special("sos"),
            Token::End => self.special("eos"),
            Token::Separator => self.special("sep"),
            Token::Pitch(p) => (u16::from(p) < PITCHES).then_some(SPECIALS + u16::from(p)),
            Token::Duration(d) => (self.shortest..=self.longest)
                .contains(&d)
                .then(|| durations + d - self.shortest),
            Token::Velocity(v) => {
                (v < self.velocity_bins).then(|| durations + self.durations() + u16::from(v))
            }
        }
    }

    fn special(&self, name: &str) -> Option<u16> {
        self.specials
            .iter()
            .position(|s| s == name)
            .map(|i| i as u16)
    }

    /// The token of an id, or `None` for an id outside the vocabulary.
    pub fn token(&self, id: u16) -> Option<Token> {
        let pitch = id.checked_sub(SPECIALS);
        let Some(pitch) = pitch else {
            return match self.specials[usize::from(id)].as_str() {
                "pad" => Some(Token::Pad),
                "sos" => Some(Token::Start),
                "eos" => Some(Token::End),
                _ => Some(Token::Separator),
            };
        };
        let Some(duration) = pitch.checked_sub(PITCHES) else {
            return Some(Token::Pitch(pitch as u8));
        };
        let Some(velocity) = duration.checked_sub(self.durations()) else {
            return Some(Token::Duration(duration + self.shortest));
        };
        (velocity < u16::from(self.velocity_bins)).then_some(Token::Velocity(velocity as u8))
    }

    /// The bin of a MIDI velocity; 0 in a vocabulary without velocity.
    pub fn velocity_bin(&self, velocity: u8) -> u8 {
        (u16::from(velocity.min(127)) * u16::from(self.velocity_bins) / 128) as u8
    }

    /// The MIDI velocity in the middle of a bin, 1 to 127.
    pub fn bin_velocity(&self, bin: u8) -> u8 {
        match u32::from(self.velocity_bins) {
            0 => Self::PLAIN_VELOCITY,
            bins => ((u32::from(bin) * 256 + 128) / (2 * bins)).clamp(1, 127) as u8,
        }
    }

    /// As JSON, for a model directory.
    pub fn to_json(&self) -> String {
        // A struct of numbers and strings always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// From JSON; every property is checked.
    pub fn from_json(text: &str) -> Result<Self, VocabularyError> {
        let v: Self = serde_json::from_str(text)?;
        let fail = |why: String| Err(VocabularyError::Senseless(why));
        if v.version != Self::VERSION {
            return fail(format!(
                "version {} (this build reads {})",
                v.version,
                Self::VERSION
            ));
        }
        if !(1..=96).contains(&v.steps_per_beat) {
            return fail(format!("{} steps a beat (1 to 96)", v.steps_per_beat));
        }
        if v.shortest > 1 || v.longest < 2 || v.longest > 4096 {
            return fail(format!(
                "durations {} to {} (0 or 1, to 4096)",
                v.shortest, v.longest
            ));
        }
        if v.velocity_bins > 128 {
            return fail(format!("{} velocity bins (at most 128)", v.velocity_bins));
        }
        if ["pad", "sos", "eos", "sep"]
            .iter()
            .any(|s| v.special(s).is_none())
        {
            return fail(format!("special tokens {:?}", v.specials));
        }
        Ok(v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midigen_has_the_reference_ids() {
        let v = Vocabulary::midigen();
        assert_eq!(v.size(), 389);
        for (token, id) in [
            (Token::Start, 0),
            (Token::End, 1),
            (Token::Pad, 2),
            (Token::Separator, 3),
            (Token::Pitch(0), 4),
            (Token::Pitch(127), 131),
            (Token::Duration(0), 132),
            (Token::Duration(256), 388),
        ] {
            assert_eq!(v.id(token), Some(id), "{token}");
        }
        assert_eq!(v.id(Token::Velocity(0)), None);
    }

    #[test]
    fn ids_and_tokens_are_one_to_one() {
        for v in [Vocabulary::midigen(), Vocabulary::continuo()] {
            for id in 0..v.size() as u16 {
                assert_eq!(v.token(id).and_then(|t| v.id(t)), Some(id));
            }
            assert_eq!(v.token(v.size() as u16), None);
            assert_eq!(v.token(u16::MAX), None);
        }
        assert_eq!(Vocabulary::continuo().size(), 340);
    }

    #[test]
    fn velocity_survives_its_bin() {
        let v = Vocabulary::continuo();
        for velocity in 1..=127u8 {
            let back = v.bin_velocity(v.velocity_bin(velocity));
            assert!(velocity.abs_diff(back) <= 4, "{velocity} -> {back}");
            assert_eq!(v.velocity_bin(back), v.velocity_bin(velocity));
        }
    }

    #[test]
    fn json_round_trip_and_refusal() {
        let v = Vocabulary::continuo();
        assert_eq!(Vocabulary::from_json(&v.to_json()).unwrap(), v);
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"steps_per_beat\": 12", "\"steps_per_beat\": 0"),
            ("\"longest\": 192", "\"longest\": 60000"),
            ("\"sep\"", "\"sos\""),
            ("{", "["),
        ] {
            assert!(
                Vocabulary::from_json(&v.to_json().replacen(from, to, 1)).is_err(),
                "{to}"
            );
        }
    }
}
