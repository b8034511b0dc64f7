//! The score as a model reads it.

use serde::{Deserialize, Serialize};

use crate::encode::{DecodeError, PositionScore};
use crate::score::Score;
use crate::vocabulary::Vocabulary;

/// A score as ids and nothing else, each below the vocabulary's size: what a corpus holds
/// and a model reads. Where each id stands in time is computed from the ids before it
/// ([`IndexScore::place`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexScore(Vec<u16>);

impl IndexScore {
    /// Encodes a whole piece, as [`PositionScore::encode`].
    pub fn encode(score: &Score, vocabulary: &Vocabulary) -> Self {
        Self(PositionScore::encode(score, vocabulary).ids(vocabulary))
    }

    /// Any ids; whether they are music is found by placing them.
    pub fn new(ids: Vec<u16>) -> Self {
        Self(ids)
    }

    /// The ids.
    pub fn ids(&self) -> &[u16] {
        &self.0
    }

    /// The tokens with their steps, as [`PositionScore::from_ids`].
    pub fn place(&self, vocabulary: &Vocabulary) -> Result<PositionScore, DecodeError> {
        PositionScore::from_ids(&self.0, vocabulary)
    }

    /// The notes, as [`PositionScore::decode`].
    pub fn decode(&self, vocabulary: &Vocabulary) -> Result<Score, DecodeError> {
        Ok(self.place(vocabulary)?.decode(vocabulary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune;

    #[test]
    fn the_minuet_as_numbers_and_back() {
        let v = Vocabulary::continuo();
        let minuet = tune::minuet().quantise(&v);
        let index = IndexScore::encode(&minuet, &v);
        // <sos>, then D5, two beats less a little, at velocity bin 10.
        assert_eq!(index.ids()[..2], [1, 4 + 74]);
        let decoded = index.decode(&v).unwrap();
        assert_eq!(
            (decoded.notes, decoded.length),
            (minuet.notes, minuet.length)
        );
        assert!(IndexScore::new(vec![9]).decode(&v).is_err());
    }
}
