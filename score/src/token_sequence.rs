//! Score to tokens and back.
//!
//! A *position score* is the sequence of base tokens with the step each leaves the stream
//! at. Notes of one step follow one another (pitch, duration, then velocity where the
//! vocabulary has it) in the vocabulary's [`NoteOrder`]; `<sep> dN` moves time on by N steps; the
//! last one moves it to the end of the piece:
//!
//! ```text
//! <sos> n64 d4 v9 n60 d4 v8 <sep> d4 n62 d2 v9 <sep> d2 <eos>
//! ```
//!
//! A rest longer than the longest duration is several moves in a row, all but the last of
//! the longest: so each score has exactly one spelling.
//!
//! Merged tokens are a matter of ids alone: a position score is the same with them and without.

use crate::grammar::{GrammarState, TokenRules};
use crate::score::{Note, Score};
use crate::sparse::SparseScore;
use crate::vocabulary::{NoteOrder, Token, Vocabulary};

/// A token and the absolute step the stream stands at once it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionedToken {
    /// The token.
    pub token: Token,
    /// The step: for `<sep> dN` the step moved to, for all others the step they are on.
    pub step: u32,
}

/// An id and the absolute step the stream stands at once it has been read: that of the last
/// base token it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionedId {
    /// The id.
    pub id: u16,
    /// The step.
    pub step: u32,
}

/// The base tokens of a score, each with its step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenSequence {
    /// The tokens, `<sos>` first.
    pub tokens: Vec<PositionedToken>,
}

/// A sequence of tokens that is no music.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// A token that may not stand where it stands.
    #[error("token {index} ({token}) may not follow what is before it")]
    Unexpected {
        /// Position in the sequence of ids, from 0.
        index: usize,
        /// The token there; of a merged one, the first that may not stand there.
        token: Token,
    },
    /// An id outside the vocabulary.
    #[error("token {index} has id {id}, and the vocabulary ends at {size}")]
    UnknownId {
        /// Position in the sequence, from 0.
        index: usize,
        /// The id there.
        id: u16,
        /// Ids in the vocabulary.
        size: usize,
    },
}

impl TokenSequence {
    /// Encodes a whole piece, `<sos>` to `<eos>`.
    ///
    /// Notes must be in [`Score::normalise`]'s order. Notes longer than the vocabulary's longest
    /// are cut to it. The score must be on the vocabulary's grid.
    pub fn encode(score: &Score, vocabulary: &Vocabulary) -> Self {
        let mut out = Self::encode_open(score, vocabulary);
        out.move_to(score.length.max(out.step()), vocabulary);
        out.push_at(Token::End, out.step());
        out
    }

    /// Encodes a piece that goes on: `<sos>` and the notes, with nothing after the last one.
    pub fn encode_open(score: &Score, vocabulary: &Vocabulary) -> Self {
        let mut out = Self {
            tokens: Vec::with_capacity(2 + score.notes.len() * 4),
        };
        out.push_at(Token::Start, 0);
        out.append(0, &score.notes, vocabulary);
        out
    }

    /// Encodes a part of a piece for a stream that stands at `step`: `notes` in [`Score::normalise`]'s
    /// order, none of which starts before `step`, without `<sos>`. A chord is never divided: all
    /// notes of a step are in one part.
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

    /// The step the stream stands at.
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

    /// Moves time on to `step`; nothing where the stream stands there already.
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

    /// The ids, in order, merged where the vocabulary has merges: an [`crate::TokenIds`]'s.
    /// Every token this type makes is in the vocabulary it was made with.
    pub fn ids(&self, vocabulary: &Vocabulary) -> Vec<u16> {
        vocabulary.merge(self.base_ids(vocabulary))
    }

    /// The ids of the base tokens, in order, whatever the merges.
    pub fn base_ids(&self, vocabulary: &Vocabulary) -> Vec<u16> {
        // Special tokens are looked up by name; this is the one that comes often.
        let separator = vocabulary.id(Token::Separator);
        let id = |placed: &PositionedToken| match placed.token {
            Token::Separator => separator,
            token => vocabulary.id(token),
        };
        let mut ids = Vec::with_capacity(self.tokens.len());
        ids.extend(self.tokens.iter().filter_map(id));
        ids
    }

    /// The ids with their steps: [`TokenSequence::ids`] as a model reads them.
    pub fn positioned_ids(&self, vocabulary: &Vocabulary) -> Vec<PositionedId> {
        let mut read = 0;
        let place = |id| {
            read += vocabulary.expand(id).len();
            let step = self.tokens[read - 1].step;
            PositionedId { id, step }
        };
        self.ids(vocabulary).into_iter().map(place).collect()
    }

    /// Places ids on the step grid, merged ones as the tokens they stand for; how a stream is
    /// cut into merged ids does not matter. Fails on the first id that the grammar forbids
    /// there.
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

    /// The notes, in [`Score::normalise`]'s order, on the vocabulary's grid. An unfinished last
    /// note (no duration yet) is left out. Metre and tempo are not in the tokens: the
    /// score has the default ones.
    pub fn decode(&self, vocabulary: &Vocabulary) -> Score {
        let mut score = Score::new(vocabulary.steps_per_beat);
        let mut pitch = None;
        let mut after_separator = false;
        for placed in &self.tokens {
            match placed.token {
                Token::Pitch(p) => pitch = Some(p),
                Token::Duration(d) if !after_separator => {
                    if let Some(pitch) = pitch.take() {
                        score.notes.push(Note {
                            start: placed.step,
                            length: u32::from(d).max(1),
                            pitch,
                            velocity: Vocabulary::DEFAULT_VELOCITY,
                        });
                    }
                }
                Token::Velocity(v) => {
                    if let Some(note) = score.notes.last_mut() {
                        note.velocity = vocabulary.bin_velocity(v);
                    }
                }
                _ => {}
            }
            after_separator = placed.token == Token::Separator;
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
        }
    }

    fn spelled(p: &TokenSequence) -> String {
        p.tokens
            .iter()
            .map(|t| t.token.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The worked example of the reference encoding (its steps count from 1, ours from 0).
    #[test]
    fn the_reference_example() {
        let mut score = Score::new(8);
        score.notes = vec![note(0, 4, 1), note(1, 2, 3), note(6, 2, 2), note(6, 2, 3)];
        score.length = 8;
        let low = Vocabulary::midigen().with_order(NoteOrder::LowToHigh);
        let encoded = TokenSequence::encode(&score, &low);
        assert_eq!(
            spelled(&encoded),
            "<sos> n1 d4 <sep> d1 n3 d2 <sep> d5 n2 d2 n3 d2 <sep> d2 <eos>"
        );
        let steps: Vec<u32> = encoded.tokens.iter().map(|t| t.step).collect();
        assert_eq!(steps, [0, 0, 0, 0, 1, 1, 1, 1, 6, 6, 6, 6, 6, 6, 8, 8]);
        assert_eq!(encoded.decode(&low), score);

        let high = Vocabulary::midigen();
        assert_eq!(
            spelled(&TokenSequence::encode(&score, &high)),
            "<sos> n1 d4 <sep> d1 n3 d2 <sep> d5 n3 d2 n2 d2 <sep> d2 <eos>"
        );
    }

    #[test]
    fn long_rests_and_long_notes() {
        let v = Vocabulary::continuo();
        let mut score = Score::new(12);
        score.notes = vec![note(400, 500, 60)];
        score.normalise();
        let encoded = TokenSequence::encode(&score, &v);
        assert_eq!(
            spelled(&encoded),
            "<sos> <sep> d192 <sep> d192 <sep> d16 n60 d192 v11 <sep> d192 <sep> d192 <sep> d116 <eos>"
        );
    }

    #[test]
    fn an_empty_score() {
        let v = Vocabulary::continuo();
        let encoded = TokenSequence::encode(&Score::new(12), &v);
        assert_eq!(spelled(&encoded), "<sos> <eos>");
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
    fn parts_are_the_whole() {
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
    fn senseless_ids_are_refused_where_they_stand() {
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
