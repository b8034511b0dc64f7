//! The vocabulary: the tokens and their ids. It is data, kept as JSON in every model directory, so
//! that a model is always read with the tokens it was trained on.

mod json;
mod token;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::merges::Merges;
use crate::part::Part;
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
/// Ids of base tokens are laid out in five runs: the four special tokens in the order
/// `specials` in `vocabulary.json`, the 128 pitches, the durations, the velocity bins, and the
/// parts if the vocabulary has them. The ids of merged tokens follow, in the order of the merges that make them; each stands for 2 to 64
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
    has_parts: bool,
    /// Shared, so that a copy is cheap.
    merges: Arc<Merges>,
}

const SPECIALS: u16 = 4;
const PITCHES: u16 = 128;

impl Vocabulary {
    /// The JSON version of a vocabulary with parts, the highest that this code reads. One without
    /// parts is written as version 2 if it has merged tokens, else as version 1.
    pub const VERSION: u32 = 3;
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
            parts: Vec::new(),
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
            parts: Vec::new(),
            merges: Vec::new(),
        })
    }

    /// Continuo's own for bands: as [`Vocabulary::continuo`], with the five parts; 345 ids.
    pub fn band() -> Self {
        Self::continuo().with_parts().named("continuo-band")
    }

    /// A preset by name.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "midigen" => Some(Self::midigen()),
            "continuo" => Some(Self::continuo()),
            "band" | "continuo-band" => Some(Self::band()),
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
    /// Fails if a merge names an id that does not exist before it, names a special token, is given
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
            merges: Vec::new(),
            ..self.clone().into()
        })
    }

    /// The same vocabulary with the five parts, and without merged tokens.
    pub fn with_parts(self) -> Self {
        Self::plain(Json {
            version: Self::VERSION,
            parts: Part::ALL.to_vec(),
            merges: Vec::new(),
            ..self.into()
        })
    }

    /// Whether it has the part tokens. Without them every note is of the keys.
    pub fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// The same vocabulary with another order within the step.
    pub fn with_order(self, order: NoteOrder) -> Self {
        Self { order, ..self }
    }

    /// The same vocabulary under another name.
    pub fn named(self, name: &str) -> Self {
        let name = name.into();
        Self { name, ..self }
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
        usize::from(self.first_part()) + if self.has_parts { Part::COUNT } else { 0 }
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

    /// The id of the first part, or of what follows the velocity bins.
    fn first_part(&self) -> u16 {
        SPECIALS + PITCHES + self.durations() + u16::from(self.velocity_bins)
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
            Token::Part(part) => {
                let index = part.index() as u16;
                self.has_parts.then(|| self.first_part() + index)
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
        let Some(part) = velocity.checked_sub(u16::from(self.velocity_bins)) else {
            return Some(Token::Velocity(velocity as u8));
        };
        let part = Part::ALL.get(usize::from(part)).filter(|_| self.has_parts);
        part.copied().map(Token::Part)
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
    /// Fails if it is no such JSON, or a value is out of its range.
    pub fn from_json(text: &str) -> Result<Self, VocabularyError> {
        serde_json::from_str::<Json>(text)?.try_into()
    }
}

#[cfg(test)]
mod tests;
