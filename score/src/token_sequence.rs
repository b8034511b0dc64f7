//! Encodes a score into tokens, and decodes it.
//!
//! A *token sequence* has the base tokens, each with its position in steps. The notes of one step
//! follow one another (pitch, duration, then velocity if the vocabulary has it) in the vocabulary's
//! [`NoteOrder`]; `<sep> dN` moves time by N steps; the last move leads to the end of the piece:
//!
//! ```text
//! <sos> n64 d4 v9 n60 d4 v8 <sep> d4 n62 d2 v9 <sep> d2 <eos>
//! ```
//!
//! A rest longer than the longest duration is several moves in a row, all but the last of the
//! longest duration. So each score has exactly one encoding.
//!
//! Merged tokens exist in ids alone: a token sequence is the same with and without them.
//!
//! ```
//! use continuo_score::{TokenSequence, Vocabulary, tune};
//!
//! let vocabulary = Vocabulary::continuo();
//! let minuet = tune::minuet().quantise(&vocabulary);
//! let ids = TokenSequence::encode(&minuet, &vocabulary).ids(&vocabulary);
//! let decoded = TokenSequence::from_ids(&ids, &vocabulary).unwrap().decode(&vocabulary);
//! assert_eq!(decoded.notes, minuet.notes);
//! ```

use crate::grammar::{GrammarState, TokenRules};
use crate::note_decoder::NoteDecoder;
use crate::score::{Note, Score};
use crate::sparse::SparseScore;
use crate::vocabulary::{NoteOrder, Token, Vocabulary};

/// A base token and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionedToken {
    /// The token.
    pub token: Token,
    /// Steps since the beginning of the piece, after the token: a move has the step it leads to.
    pub step: u32,
}

/// An id and the position of the last base token it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionedId {
    /// The id.
    pub id: u16,
    /// Steps since the beginning of the piece, after the token.
    pub step: u32,
}

/// The base tokens of a score, each with its position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenSequence {
    /// The tokens, `<sos>` first.
    pub tokens: Vec<PositionedToken>,
}

/// Ids that do not decode.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// A token that the grammar forbids at its place.
    #[error("token {index} ({token}) may not follow what is before it")]
    Unexpected {
        /// Position in the sequence of ids, from 0.
        index: usize,
        /// The token there; of a merged one, the first forbidden base token.
        token: Token,
    },
    /// An id outside the vocabulary.
    #[error("token {index} has id {id}, and the vocabulary ends at {size}")]
    UnknownId {
        /// Position in the sequence, from 0.
        index: usize,
        /// The unknown id.
        id: u16,
        /// Number of ids in the vocabulary.
        size: usize,
    },
}

impl TokenSequence {
    /// Encodes a whole piece, `<sos>` to `<eos>`.
    ///
    /// Notes must be in [`Score::normalise`]'s order, on the vocabulary's grid. Notes longer than
    /// the vocabulary's longest duration are cut to it.
    pub fn encode(score: &Score, vocabulary: &Vocabulary) -> Self {
        let mut out = Self::encode_open(score, vocabulary);
        out.move_to(score.length.max(out.step()), vocabulary);
        out.push_at(Token::End, out.step());
        out
    }

    /// Encodes an unfinished piece: `<sos>` and the notes, with nothing after the last one.
    pub fn encode_open(score: &Score, vocabulary: &Vocabulary) -> Self {
        let mut out = Self {
            tokens: Vec::with_capacity(2 + score.notes.len() * 4),
        };
        out.push_at(Token::Start, 0);
        out.append(0, &score.notes, vocabulary);
        out
    }

    /// Encodes a section of a piece, without `<sos>`, for a stream that ends at `step`: `notes` in
    /// [`Score::normalise`]'s order, none of which starts before `step`. All notes of a step must be
    /// in one section.
    pub fn encode_part(step: u32, notes: &[Note], vocabulary: &Vocabulary) -> Self {
        let mut out = Self {
            tokens: Vec::with_capacity(notes.len() * 4),
        };
        out.append(step, notes, vocabulary);
        out
    }

    fn append(&mut self, mut now: u32, notes: &[Note], vocabulary: &Vocabulary) {
        for (step, chord) in SparseScore::of(notes).rows() {
            self.move_from(now, step, vocabulary);
            now = step;
            match vocabulary.order {
                NoteOrder::LowToHigh => chord.iter().for_each(|n| self.note(n, vocabulary)),
                NoteOrder::HighToLow => chord.iter().rev().for_each(|n| self.note(n, vocabulary)),
            }
        }
    }

    /// Position of the end of the sequence, in steps.
    pub fn step(&self) -> u32 {
        self.tokens.last().map_or(0, |t| t.step)
    }

    fn push_at(&mut self, token: Token, step: u32) {
        self.tokens.push(PositionedToken { token, step });
    }

    fn note(&mut self, note: &Note, vocabulary: &Vocabulary) {
        self.push_at(Token::Pitch(note.pitch), note.start);
        let length = note.length.clamp(1, u32::from(vocabulary.longest));
        self.push_at(Token::Duration(length as u16), note.start);
        if vocabulary.velocity_bins > 0 {
            let bin = vocabulary.velocity_bin(note.velocity);
            self.push_at(Token::Velocity(bin), note.start);
        }
    }

    /// Appends the moves to `step`; none if the sequence ends there already.
    pub fn move_to(&mut self, step: u32, vocabulary: &Vocabulary) {
        self.move_from(self.step(), step, vocabulary);
    }

    fn move_from(&mut self, mut now: u32, step: u32, vocabulary: &Vocabulary) {
        while now < step {
            let by = (step - now).min(u32::from(vocabulary.longest));
            self.push_at(Token::Separator, now);
            now += by;
            self.push_at(Token::Duration(by as u16), now);
        }
    }

    /// The ids in order, merged if the vocabulary has merges, as in [`crate::TokenIds`].
    pub fn ids(&self, vocabulary: &Vocabulary) -> Vec<u16> {
        vocabulary.merge(self.base_ids(vocabulary))
    }

    /// The ids of the base tokens in order, without merges.
    pub fn base_ids(&self, vocabulary: &Vocabulary) -> Vec<u16> {
        // Special tokens are looked up by name; the separator is frequent.
        let separator = vocabulary.id(Token::Separator);
        let id = |positioned: &PositionedToken| match positioned.token {
            Token::Separator => separator,
            token => vocabulary.id(token),
        };
        let mut ids = Vec::with_capacity(self.tokens.len());
        ids.extend(self.tokens.iter().filter_map(id));
        ids
    }

    /// [`TokenSequence::ids`] with their positions, as a model reads them.
    pub fn positioned_ids(&self, vocabulary: &Vocabulary) -> Vec<PositionedId> {
        let mut read = 0;
        let position = |id| {
            read += vocabulary.expand(id).len();
            let step = self.tokens[read - 1].step;
            PositionedId { id, step }
        };
        self.ids(vocabulary).into_iter().map(position).collect()
    }

    /// The base tokens of ids with their positions; any segmentation into merged ids is accepted.
    ///
    /// # Errors
    /// If an id is outside the vocabulary, or forbidden by the grammar at its place.
    pub fn from_ids(ids: &[u16], vocabulary: &Vocabulary) -> Result<Self, DecodeError> {
        let rules = TokenRules::new(vocabulary);
        let mut state = GrammarState::default();
        let mut out = Self {
            tokens: Vec::with_capacity(ids.len()),
        };
        for (index, &id) in ids.iter().enumerate() {
            if usize::from(id) >= vocabulary.size() {
                let size = vocabulary.size();
                return Err(DecodeError::UnknownId { index, id, size });
            }
            for token in vocabulary.tokens(id) {
                if !rules.allows(&state, token) {
                    return Err(DecodeError::Unexpected { index, token });
                }
                state = rules.next(&state, token);
                out.push_at(token, state.step);
            }
        }
        Ok(out)
    }

    /// The notes, in [`Score::normalise`]'s order, on the vocabulary's grid. A last note without a
    /// duration is left out. Time signatures and tempo are not in the tokens: the score has the
    /// defaults.
    pub fn decode(&self, vocabulary: &Vocabulary) -> Score {
        let mut score = Score::new(vocabulary.steps_per_beat);
        let mut decoder = NoteDecoder::default();
        for positioned in &self.tokens {
            let PositionedToken { token, step } = *positioned;
            decoder.read(token, step, vocabulary, &mut score.notes);
        }
        score.length = self.step();
        score.normalise();
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn note(start: u32, length: u32, pitch: u8) -> Note {
        Note {
            start,
            length,
            pitch,
            velocity: Vocabulary::DEFAULT_VELOCITY,
            ..Note::default()
        }
    }

    fn text_of(p: &TokenSequence) -> String {
        p.tokens
            .iter()
            .map(|t| t.token.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The worked example of the reference encoding (its steps count from 1, ours from 0).
    #[test]
    fn the_example_of_the_reference_encoding() {
        let mut score = Score::new(8);
        score.notes = vec![note(0, 4, 1), note(1, 2, 3), note(6, 2, 2), note(6, 2, 3)];
        score.length = 8;
        let low = Vocabulary::midigen().with_order(NoteOrder::LowToHigh);
        let encoded = TokenSequence::encode(&score, &low);
        assert_eq!(
            text_of(&encoded),
            "<sos> n1 d4 <sep> d1 n3 d2 <sep> d5 n2 d2 n3 d2 <sep> d2 <eos>"
        );
        let steps: Vec<u32> = encoded.tokens.iter().map(|t| t.step).collect();
        assert_eq!(steps, [0, 0, 0, 0, 1, 1, 1, 1, 6, 6, 6, 6, 6, 6, 8, 8]);
        assert_eq!(encoded.decode(&low), score);

        let high = Vocabulary::midigen();
        assert_eq!(
            text_of(&TokenSequence::encode(&score, &high)),
            "<sos> n1 d4 <sep> d1 n3 d2 <sep> d5 n3 d2 n2 d2 <sep> d2 <eos>"
        );
    }

    #[test]
    fn long_rests_are_several_moves_and_long_notes_are_cut() {
        let v = Vocabulary::continuo();
        let mut score = Score::new(12);
        score.notes = vec![note(400, 500, 60)];
        score.normalise();
        let encoded = TokenSequence::encode(&score, &v);
        assert_eq!(
            text_of(&encoded),
            "<sos> <sep> d192 <sep> d192 <sep> d16 n60 d192 v11 <sep> d192 <sep> d192 <sep> d116 <eos>"
        );
    }

    #[test]
    fn an_empty_score_is_start_and_end() {
        let v = Vocabulary::continuo();
        let encoded = TokenSequence::encode(&Score::new(12), &v);
        assert_eq!(text_of(&encoded), "<sos> <eos>");
        assert_eq!(encoded.decode(&v), Score::new(12));
    }

    /// A random score as quantising leaves it: tidy, lengths and velocities the vocabulary has.
    fn random_score(rng: &mut ChaCha8Rng, v: &Vocabulary) -> Score {
        let mut score = Score::new(v.steps_per_beat);
        for _ in 0..rng.random_range(0..60) {
            let bin = rng.random_range(0..v.velocity_bins.max(1));
            score.notes.push(Note {
                start: rng.random_range(0..1500),
                length: rng.random_range(1..=u32::from(v.longest)),
                pitch: rng.random_range(0..128),
                velocity: v.bin_velocity(bin),
                ..Note::default()
            });
        }
        score.length = rng.random_range(0..2500);
        score.normalise();
        score
    }

    #[test]
    fn decode_undoes_encode() {
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for preset in [Vocabulary::midigen(), Vocabulary::continuo()] {
                for v in [preset.clone().with_order(NoteOrder::LowToHigh), preset] {
                    let score = random_score(&mut rng, &v);
                    let encoded = TokenSequence::encode(&score, &v);
                    let ids = encoded.ids(&v);
                    assert_eq!(ids.len(), encoded.tokens.len(), "seed {seed}");
                    let read = TokenSequence::from_ids(&ids, &v);
                    assert_eq!(read.as_ref(), Ok(&encoded), "seed {seed}");
                    assert_eq!(encoded.decode(&v), score, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn sections_encode_as_the_whole() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for _ in 0..200 {
            let vocabulary = Vocabulary::continuo();
            let score = random_score(&mut rng, &vocabulary);
            let whole = TokenSequence::encode_open(&score, &vocabulary);
            let mut parts = TokenSequence::encode_open(&Score::new(12), &vocabulary);
            let mut rest = &score.notes[..];
            while !rest.is_empty() {
                let mut at = rng.random_range(1..=rest.len());
                while at < rest.len() && rest[at].start == rest[at - 1].start {
                    at += 1;
                }
                let part = TokenSequence::encode_part(parts.step(), &rest[..at], &vocabulary);
                parts.tokens.extend(part.tokens);
                rest = &rest[at..];
            }
            assert_eq!(parts, whole);
        }
    }

    #[test]
    fn invalid_ids_are_refused_with_their_index() {
        let v = Vocabulary::continuo();
        let id = |t| v.id(t).unwrap();
        let (sos, d4) = (id(Token::Start), id(Token::Duration(4)));
        let read = |ids: &[u16]| TokenSequence::from_ids(ids, &v);
        assert_eq!(
            read(&[sos, d4]),
            Err(DecodeError::Unexpected {
                index: 1,
                token: Token::Duration(4)
            })
        );
        assert_eq!(
            read(&[sos, 9999]),
            Err(DecodeError::UnknownId {
                index: 1,
                id: 9999,
                size: 340
            })
        );
        assert!(read(&[d4]).is_err());
        assert!(read(&[sos, id(Token::Pad)]).is_err());
    }
}
