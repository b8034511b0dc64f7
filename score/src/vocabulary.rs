//! The vocabulary: which tokens there are, and the number of each. It is data, kept as JSON
//! in every model directory, so that a model is always read with the tokens it was trained on.

mod json;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::merges::Merges;
use json::Json;

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
pub enum NoteOrder {
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
    Invalid(String),
}

/// The tokens of a model and their ids.
///
/// Ids of base tokens are laid out in four runs: the four special tokens in the order
/// `specials` of `vocabulary.json` has them, the 128 pitches, the durations, the velocity bins. The ids of
/// merged tokens follow, in the order of the merges that make them; each stands for 2 to 64
/// base tokens ([`Vocabulary::expand`]), which may lie on several steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct Vocabulary {
    name: String,
    /// Steps in a quarter note.
    pub steps_per_beat: u32,
    shortest: u16,
    /// The largest duration, in steps. Longer notes are cut, longer rests are spelled out.
    pub longest: u16,
    /// Velocity bins, 1 to 128, or 0 for a vocabulary without velocity.
    pub velocity_bins: u8,
    /// Order of notes within a step.
    pub order: NoteOrder,
    specials: [String; 4],
    /// Shared, so that a copy costs little.
    merges: Arc<Merges>,
}

const SPECIALS: u16 = 4;
const PITCHES: u16 = 128;

impl Vocabulary {
    /// The JSON version of a vocabulary with merged tokens, the highest this code reads. One
    /// without is written as version 1, which has no merges.
    pub const VERSION: u32 = 2;
    /// The most base tokens a merged one may stand for.
    pub const LONGEST_MERGE: usize = Merges::LONGEST;
    /// The velocity of notes from a vocabulary that has none.
    pub const DEFAULT_VELOCITY: u8 = 90;

    /// The encoding of Ryan-Palmer/MIDIGen: 389 ids, 8 steps a beat, notes to 256 steps, no
    /// velocity. `sos eos pad sep`, then `n0..n127`, then `d0..d256`.
    pub fn midigen() -> Self {
        Self::plain(Json {
            version: 1,
            name: "midigen".into(),
            steps_per_beat: 8,
            shortest: 0,
            longest: 256,
            velocity_bins: 0,
            order: NoteOrder::HighToLow,
            specials: ["sos", "eos", "pad", "sep"].map(String::from),
            merges: Vec::new(),
        })
    }

    /// Continuo's own: 12 steps a beat (sixteenths and triplets exact), notes to 16 beats,
    /// 16 velocity bins; 340 ids.
    pub fn continuo() -> Self {
        Self::plain(Json {
            version: 1,
            name: "continuo".into(),
            steps_per_beat: 12,
            shortest: 1,
            longest: 192,
            velocity_bins: 16,
            order: NoteOrder::HighToLow,
            specials: ["pad", "sos", "eos", "sep"].map(String::from),
            merges: Vec::new(),
        })
    }

    /// A preset by name.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "midigen" => Some(Self::midigen()),
            "continuo" => Some(Self::continuo()),
            _ => None,
        }
    }

    fn plain(json: Json) -> Self {
        // Without merges, nothing about them can be wrong.
        Self::try_from(json).expect("a preset makes sense")
    }

    /// The same vocabulary with these merged tokens, and no others. A merge joins two ids,
    /// base or merged by an earlier one, but for `<sos>`, `<eos>` and `<pad>`.
    pub fn with_merges(self, merges: Vec<[u16; 2]>) -> Result<Self, VocabularyError> {
        let json = Json {
            version: Self::VERSION,
            merges,
            ..self.into()
        };
        json.try_into()
    }

    /// The same vocabulary without merged tokens.
    pub fn base(&self) -> Self {
        Self::plain(Json {
            version: 1,
            merges: Vec::new(),
            ..self.clone().into()
        })
    }

    /// The same vocabulary with another order within the step.
    pub fn with_order(self, order: NoteOrder) -> Self {
        Self { order, ..self }
    }

    /// The preset it was made from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many ids there are; they are `0..size()`.
    pub fn size(&self) -> usize {
        self.merges.size()
    }

    /// How many ids of base tokens there are; they come first.
    pub fn base_size(&self) -> usize {
        usize::from(SPECIALS + PITCHES + self.durations()) + usize::from(self.velocity_bins)
    }

    /// The merges, by rank: each of two ids that are one token where they stand together.
    pub fn merges(&self) -> &[[u16; 2]] {
        self.merges.pairs()
    }

    /// The base ids of an id: itself, or what it was merged of. Empty for an id outside the
    /// vocabulary.
    pub fn expand(&self, id: u16) -> &[u16] {
        self.merges.expand(id)
    }

    /// The base tokens of an id, as [`Vocabulary::expand`].
    pub fn tokens(&self, id: u16) -> impl Iterator<Item = Token> + '_ {
        let base = self.expand(id).iter();
        base.filter_map(|&id| self.token(id))
    }

    /// Base ids as merged ones: the one segmentation that encoding gives. Streams of any other
    /// mean the same.
    pub fn merge(&self, base: Vec<u16>) -> Vec<u16> {
        self.merges.apply(base)
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

    /// The base token of an id, or `None` for a merged id or one outside the vocabulary.
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
            0 => Self::DEFAULT_VELOCITY,
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
        serde_json::from_str::<Json>(text)?.try_into()
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
            ("\"version\": 1", "\"version\": 3"),
            ("\"version\": 1,", "\"version\": 1, \"merges\": [[4, 5]],"),
            ("\"version\": 1,", "\"version\": 2, \"merges\": [[1, 4]],"),
            ("\"version\": 1,", "\"version\": 2, \"merges\": [[4, 340]],"),
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

    #[test]
    fn merged_ids_follow_and_expand() {
        let plain = Vocabulary::continuo();
        let base = plain.size() as u16;
        let id = |token| plain.id(token).unwrap();
        let (separator, d6, c) = (
            id(Token::Separator),
            id(Token::Duration(6)),
            id(Token::Pitch(60)),
        );
        let v = plain
            .clone()
            .with_merges(vec![[separator, d6], [base, c]])
            .unwrap();
        assert_eq!((v.size(), v.base_size()), (342, 340));
        assert_eq!(
            (v.token(base), v.token(d6)),
            (None, Some(Token::Duration(6)))
        );
        let tokens: Vec<Token> = v.tokens(base + 1).collect();
        assert_eq!(
            tokens,
            [Token::Separator, Token::Duration(6), Token::Pitch(60)]
        );
        assert_eq!((v.expand(c), v.expand(base + 2)), (&[c][..], &[][..]));
        assert_eq!(v.merge(vec![separator, d6, c, d6]), [base + 1, d6]);

        assert_eq!(Vocabulary::from_json(&v.to_json()).unwrap(), v);
        assert!(v.to_json().contains("\"version\": 2") && v != plain && v.base() == plain);
        // What has no merges is as it always was.
        let json = plain.to_json();
        assert!(json.contains("\"version\": 1") && !json.contains("merges"));
        assert!(plain.with_merges(vec![[0, c]]).is_err());
    }
}
