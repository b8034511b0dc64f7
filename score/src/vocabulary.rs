//! The vocabulary: the tokens and their ids. It is data, kept as JSON in every model directory, so
//! that a model is always read with the tokens it was trained on.

mod json;
mod token;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::merges::Merges;
use json::Json;

pub use token::{NoteOrder, Token};

/// A vocabulary that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// Not JSON, or not this JSON.
    #[error("not a vocabulary: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of the right shape with unusable values.
    #[error("not a usable vocabulary: {0}")]
    Invalid(String),
}

/// The tokens of a model and their ids.
///
/// Ids of base tokens are laid out in four runs: the four special tokens in the order
/// `specials` in `vocabulary.json`, the 128 pitches, the durations, the velocity bins. The ids of
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
    /// Shared, so that a copy is cheap.
    merges: Arc<Merges>,
}

const SPECIALS: u16 = 4;
const PITCHES: u16 = 128;

impl Vocabulary {
    /// The JSON version of a vocabulary with merged tokens, the highest that this code reads. A
    /// vocabulary without merges is written as version 1.
    pub const VERSION: u32 = 2;
    /// Maximum number of base tokens in a merged one.
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

    /// The same vocabulary with these merged tokens, and no others. A merge joins two ids, of base
    /// tokens or of earlier merges, except `<sos>`, `<eos>` and `<pad>`.
    ///
    /// # Errors
    /// If a merge names an id that does not exist before it, names a special token, is given
    /// twice, or is longer than [`Vocabulary::LONGEST_MERGE`].
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

    /// The name of the preset it derives from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of ids; they are `0..size()`.
    pub fn size(&self) -> usize {
        self.merges.size()
    }

    /// Number of ids of base tokens, which come first.
    pub fn base_size(&self) -> usize {
        usize::from(SPECIALS + PITCHES + self.durations()) + usize::from(self.velocity_bins)
    }

    /// The merges by rank: pairs of ids that become one id.
    pub fn merges(&self) -> &[[u16; 2]] {
        self.merges.pairs()
    }

    /// The base ids of an id: itself, or the ones it was merged from. Empty for an id outside the
    /// vocabulary.
    pub fn expand(&self, id: u16) -> &[u16] {
        self.merges.expand(id)
    }

    /// The base tokens of an id, as [`Vocabulary::expand`].
    pub fn tokens(&self, id: u16) -> impl Iterator<Item = Token> + '_ {
        let base = self.expand(id).iter();
        base.filter_map(|&id| self.token(id))
    }

    /// Applies the merges to base ids: the one segmentation that encoding gives. Other
    /// segmentations decode to the same tokens.
    pub fn merge(&self, base: Vec<u16>) -> Vec<u16> {
        self.merges.apply(base)
    }

    fn durations(&self) -> u16 {
        self.longest - self.shortest + 1
    }

    /// The id of a token; `None` if this vocabulary lacks it.
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

    /// The vocabulary as the text of `vocabulary.json`.
    pub fn to_json(&self) -> String {
        // A struct of numbers and strings always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads the text of `vocabulary.json`.
    ///
    /// # Errors
    /// If it is no such JSON, or a value is out of its range.
    pub fn from_json(text: &str) -> Result<Self, VocabularyError> {
        serde_json::from_str::<Json>(text)?.try_into()
    }
}

impl From<Vocabulary> for Json {
    fn from(v: Vocabulary) -> Json {
        Json {
            version: if v.merges().is_empty() {
                1
            } else {
                Vocabulary::VERSION
            },
            merges: v.merges().to_vec(),
            name: v.name,
            steps_per_beat: v.steps_per_beat,
            shortest: v.shortest,
            longest: v.longest,
            velocity_bins: v.velocity_bins,
            order: v.order,
            specials: v.specials,
        }
    }
}

impl TryFrom<Json> for Vocabulary {
    type Error = VocabularyError;

    fn try_from(j: Json) -> Result<Self, VocabularyError> {
        let fail = |why: String| Err(VocabularyError::Invalid(why));
        let newest = Vocabulary::VERSION;
        if !(1..=newest).contains(&j.version) {
            return fail(format!(
                "version {} (this build reads 1 to {newest})",
                j.version
            ));
        }
        if j.version == 1 && !j.merges.is_empty() {
            return fail("merges, in version 1, which has none".into());
        }
        if !(1..=96).contains(&j.steps_per_beat) {
            return fail(format!("{} steps a beat (1 to 96)", j.steps_per_beat));
        }
        if j.shortest > 1 || j.longest < 2 || j.longest > 4096 {
            let (shortest, longest) = (j.shortest, j.longest);
            return fail(format!(
                "durations {shortest} to {longest} (0 or 1, to 4096)"
            ));
        }
        if j.velocity_bins > 128 {
            return fail(format!("{} velocity bins (at most 128)", j.velocity_bins));
        }
        let special = |name: &str| j.specials.iter().position(|s| s == name);
        let [Some(pad), Some(sos), Some(eos), Some(_)] = ["pad", "sos", "eos", "sep"].map(special)
        else {
            return fail(format!("special tokens {:?}", j.specials));
        };
        let mut vocabulary = Self {
            name: j.name,
            steps_per_beat: j.steps_per_beat,
            shortest: j.shortest,
            longest: j.longest,
            velocity_bins: j.velocity_bins,
            order: j.order,
            specials: j.specials,
            merges: Arc::default(),
        };
        // At most 4 + 128 + 4097 + 128 base ids.
        let base = vocabulary.base_size() as u16;
        let merges = Merges::new(base, &[pad, sos, eos].map(|id| id as u16), j.merges);
        vocabulary.merges = Arc::new(merges.map_err(VocabularyError::Invalid)?);
        Ok(vocabulary)
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
        // Without merges the JSON stays as version 1.
        let json = plain.to_json();
        assert!(json.contains("\"version\": 1") && !json.contains("merges"));
        assert!(plain.with_merges(vec![[0, c]]).is_err());
    }
}
