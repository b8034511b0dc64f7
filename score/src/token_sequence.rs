//! Encodes a score into tokens, and decodes it.
//!
//! A *token sequence* has the base tokens, each with its position in steps. The notes of one step
//! follow one another (pitch, duration, then velocity if the vocabulary has it) by part, then in the
//! vocabulary's [`NoteOrder`]; `<sep> dN` moves time by N steps; the last move leads to the end of
//! the piece:
//!
//! ```text
//! <sos> n64 d4 v9 n60 d4 v8 <sep> d4 n62 d2 v9 <sep> d2 <eos>
//! ```
//!
//! In a vocabulary with parts, a part token precedes a pitch whose part differs from that of the
//! note before. The stream begins in the keys, so a solo piano has none. Drum hits have no duration:
//!
//! ```text
//! <sos> n64 d4 v9 <bass> n40 d4 v8 <drums> n42 v7 n36 v9 <sep> d2 n42 v6 <sep> d2 <eos>
//! ```
//!
//! In a vocabulary without parts, drum hits are left out and all other notes are of the keys
//! ([`merge_parts`]).
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
use crate::merge_parts::merge_parts;
use crate::note_decoder::NoteDecoder;
use crate::part::Part;
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
        out.append(0, Part::Keys, &score.notes, vocabulary);
        out
    }

    /// Encodes a section of a piece, without `<sos>`, for a stream that ends at `step` in `part`
    /// ([`GrammarState::part`]): `notes` in [`Score::normalise`]'s order, none of which starts
    /// before `step`. All notes of a step must be in one section.
    pub fn encode_section(step: u32, part: Part, notes: &[Note], vocabulary: &Vocabulary) -> Self {
        let mut out = Self {
            tokens: Vec::with_capacity(notes.len() * 4),
        };
        out.append(step, part, notes, vocabulary);
        out
    }

    fn append(&mut self, mut now: u32, mut part: Part, notes: &[Note], vocabulary: &Vocabulary) {
        if !vocabulary.has_parts() {
            for (step, chord) in SparseScore::of(&merge_parts(notes)).rows() {
                self.move_from(now, step, vocabulary);
                now = step;
                self.chord(chord, vocabulary);
            }
            return;
        }
        for (step, row) in SparseScore::of(notes).rows() {
            self.move_from(now, step, vocabulary);
            now = step;
            for chord in row.chunk_by(|a, b| a.part == b.part) {
                if chord[0].part != part {
                    part = chord[0].part;
                    self.push_at(Token::Part(part), step);
                }
                self.chord(chord, vocabulary);
            }
        }
    }

    /// Encodes the notes of one part on one step.
    #[inline]
    fn chord(&mut self, chord: &[Note], vocabulary: &Vocabulary) {
        match vocabulary.order {
            NoteOrder::LowToHigh => chord.iter().for_each(|n| self.note(n, vocabulary)),
            NoteOrder::HighToLow => chord.iter().rev().for_each(|n| self.note(n, vocabulary)),
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
        if note.part.is_pitched() {
            let length = note.length.clamp(1, u32::from(vocabulary.longest));
            self.push_at(Token::Duration(length as u16), note.start);
        }
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
    /// Fails if an id is outside the vocabulary, or forbidden by the grammar at its place.
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
mod tests;
