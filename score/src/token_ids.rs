//! A score as token ids, with the time grid of each id.

use serde::{Deserialize, Serialize};

use crate::score::Score;
use crate::time::{BarPosition, TimeSignature, TimeSignatureMap};
use crate::token_sequence::{DecodeError, TokenSequence};
use crate::vocabulary::Vocabulary;

/// A score as ids alone, each below the vocabulary's size, as in a corpus and as a model reads it.
/// [`TokenIds::sequence`] computes the position of each id from the ids before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenIds(Vec<u16>);

/// The position in time after an id. So after `<sep> d6`, or a merged token that ends with it, the
/// position of the next note is known before its pitch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridPoint {
    /// Steps since the beginning of the piece.
    pub step: u32,
    /// Bar number, step in the bar, and the bar's length in steps.
    pub position: BarPosition,
    /// The time signature in force.
    pub time_signature: TimeSignature,
}

impl TokenIds {
    /// Encodes a whole piece, as [`TokenSequence::encode`].
    pub fn encode(score: &Score, vocabulary: &Vocabulary) -> Self {
        Self(TokenSequence::encode(score, vocabulary).ids(vocabulary))
    }

    /// Wraps ids, which need not decode.
    pub fn new(ids: Vec<u16>) -> Self {
        Self(ids)
    }

    /// The ids.
    pub fn ids(&self) -> &[u16] {
        &self.0
    }

    /// The base tokens with their positions.
    ///
    /// # Errors
    /// Those of [`TokenSequence::from_ids`].
    pub fn sequence(&self, vocabulary: &Vocabulary) -> Result<TokenSequence, DecodeError> {
        TokenSequence::from_ids(&self.0, vocabulary)
    }

    /// The time grid: one point for each id, merged ids too, in the bars of `time_signatures`, which
    /// are not in the tokens.
    ///
    /// # Errors
    /// Those of [`TokenSequence::from_ids`].
    pub fn grid(
        &self,
        vocabulary: &Vocabulary,
        time_signatures: &TimeSignatureMap,
    ) -> Result<Vec<GridPoint>, DecodeError> {
        let tokens = self.sequence(vocabulary)?.tokens;
        let mut read = 0;
        let point = |&id: &u16| {
            read += vocabulary.expand(id).len();
            let step = tokens[read - 1].step;
            GridPoint {
                step,
                position: time_signatures.position(step),
                time_signature: time_signatures.time_signature(step),
            }
        };
        Ok(self.0.iter().map(point).collect())
    }

    /// The notes, as [`TokenSequence::decode`].
    ///
    /// # Errors
    /// Those of [`TokenSequence::from_ids`].
    pub fn decode(&self, vocabulary: &Vocabulary) -> Result<Score, DecodeError> {
        Ok(self.sequence(vocabulary)?.decode(vocabulary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune;
    use crate::{Note, Token};

    #[test]
    fn the_minuet_as_ids_and_back() {
        let v = Vocabulary::continuo();
        let minuet = tune::minuet().quantise(&v);
        let index = TokenIds::encode(&minuet, &v);
        // <sos>, then D5, two beats less a little, at velocity bin 10.
        assert_eq!(index.ids()[..2], [1, 4 + 74]);
        let decoded = index.decode(&v).unwrap();
        assert_eq!(
            (decoded.notes, decoded.length),
            (minuet.notes, minuet.length)
        );
        assert!(TokenIds::new(vec![9]).decode(&v).is_err());
    }

    /// A waltz bar, then 4/4: `<sos> n60 d12 v8 <sep> d36 n62 d12 v8 <sep> d54 <eos>`, and the
    /// same with merged tokens that cross a step and a bar.
    #[test]
    fn the_grid_counts_bars_and_steps() {
        let mut score = Score::new(12);
        let note = |start, pitch| Note {
            start,
            length: 12,
            pitch,
            velocity: 64,
            ..Note::default()
        };
        score.notes = vec![note(0, 60), note(36, 62)];
        score.length = 90;
        let waltz = TimeSignature {
            numerator: 3,
            denominator: 4,
        };
        score.time_signatures =
            TimeSignatureMap::new(12, vec![(0, waltz), (36, TimeSignature::COMMON)]);
        let grid = |v: &Vocabulary| {
            let grid = TokenIds::encode(&score, v)
                .grid(v, &score.time_signatures)
                .unwrap();
            let row = |p: GridPoint| {
                (
                    p.step,
                    p.position.bar,
                    p.position.step_in_bar,
                    p.time_signature.numerator,
                )
            };
            grid.into_iter().map(row).collect::<Vec<_>>()
        };
        let plain = Vocabulary::continuo();
        let (first, second) = ((0, 0, 0, 3), (36, 1, 0, 4));
        let mut wanted = vec![first; 5];
        wanted.extend([second; 5]);
        wanted.extend([(90, 2, 6, 4); 2]);
        assert_eq!(grid(&plain), wanted);

        let id = |token| plain.id(token).unwrap();
        let (d12, v8, separator) = (
            id(Token::Duration(12)),
            id(Token::Velocity(8)),
            id(Token::Separator),
        );
        let merges = [[d12, v8], [340, separator], [341, id(Token::Duration(36))]];
        let merged = plain.with_merges(merges.to_vec()).unwrap();
        // <sos> n60 (d12 v8 <sep> d36) n62 (d12 v8 <sep>) d54 <eos>
        let end = (90, 2, 6, 4);
        assert_eq!(
            grid(&merged),
            [first, first, second, second, second, end, end]
        );
    }
}
