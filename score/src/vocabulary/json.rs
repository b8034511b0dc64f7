//! `vocabulary.json`, field by field.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::token::NoteOrder;
use super::{Vocabulary, VocabularyError};
use crate::merges::Merges;
use crate::part::Part;

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
    /// The parts by id: none, or all in [`Part::ALL`]'s order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part>,
    /// Pairs of ids that are merged into one, by rank.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) merges: Vec<[u16; 2]>,
}

impl From<Vocabulary> for Json {
    fn from(v: Vocabulary) -> Json {
        Json {
            version: match (v.has_parts, v.merges().is_empty()) {
                (true, _) => Vocabulary::VERSION,
                (false, false) => 2,
                (false, true) => 1,
            },
            parts: if v.has_parts {
                Part::ALL.to_vec()
            } else {
                Vec::new()
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
        if j.version < 3 && !j.parts.is_empty() {
            return fail(format!("parts, in version {}, which has none", j.version));
        }
        if !j.parts.is_empty() && j.parts != Part::ALL {
            let parts: Vec<&str> = j.parts.iter().map(|part| part.name()).collect();
            let all = Part::ALL.map(Part::name).join(", ");
            return fail(format!(
                "parts {} (none, or all in this order: {all})",
                parts.join(", ")
            ));
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
            has_parts: !j.parts.is_empty(),
            merges: Arc::default(),
        };
        // At most 4 + 128 + 4097 + 128 + 5 base ids.
        let base = vocabulary.base_size() as u16;
        let merges = Merges::new(base, &[pad, sos, eos].map(|id| id as u16), j.merges);
        vocabulary.merges = Arc::new(merges.map_err(VocabularyError::Invalid)?);
        Ok(vocabulary)
    }
}
