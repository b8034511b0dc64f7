//! `vocabulary.json`, field by field.

use serde::{Deserialize, Serialize};

use super::token::NoteOrder;

/// `vocabulary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Json {
    /// Format version of this JSON; see [`super::Vocabulary::VERSION`].
    pub(super) version: u32,
    /// Name of the preset it derives from, for people.
    pub(super) name: String,
    pub(super) steps_per_beat: u32,
    /// The smallest duration with an id: 0 in the encoding of MIDIGen, else 1.
    pub(super) shortest: u16,
    pub(super) longest: u16,
    pub(super) velocity_bins: u8,
    pub(super) order: NoteOrder,
    /// The special tokens by id: a permutation of `sos eos pad sep`.
    pub(super) specials: [String; 4],
    /// Pairs of ids that are merged into one, by rank.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) merges: Vec<[u16; 2]>,
}
