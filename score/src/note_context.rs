//! The note context: the notes that sound at each token, an input of the network beside the time
//! grid.
//!
//! A stream has each note once, with its length, so that the notes that sound a bar later follow
//! from lengths and moves: arithmetic that a small network learns badly and a few lines do exactly.
//! Each token has the rows of an embedding whose sum is its input:
//!
//! | rows | |
//! |---|---|
//! | `0..128` | a pitch that sounds beyond the end of the next note to end |
//! | `128..256` | a pitch that sounds and is (among) the next to end |
//! | `256..384` | a pitch whose note ends at the present step |
//! | `384..448` | steps until the next note ends, 63 for more; 0 if nothing sounds |
//! | `449..453` | the current part, if it is not the keys: lead, chords, bass, drums |
//!
//! and the steps since the beginning of the piece and the last pitch, from which attention computes
//! how far apart tokens are in time and pitch. Drum hits do not sound, and their keys are no pitches:
//! they have no rows.
//!
//! ```
//! use continuo_score::{NoteState, Token};
//!
//! let mut state = NoteState::default();
//! for token in [Token::Start, Token::Pitch(72), Token::Duration(6)] {
//!     state.read(token);
//! }
//! let context = state.context();
//! assert_eq!((context.step, context.pitch), (0, 72));
//! assert!(context.rows.contains(&(128 + 72)) && context.rows.contains(&(384 + 6)));
//! ```

use crate::part::Part;
use crate::vocabulary::{Token, Vocabulary};

/// The notes that sound at the end of a token stream, updated token by token. A value: its owner
/// may be any thread.
#[derive(Clone, Debug, Default)]
pub struct NoteState {
    step: u32,
    /// `(pitch, end step)` of the notes that sound or end at this step, oldest first.
    notes: Vec<(u8, u32)>,
    /// Pitch of the note whose duration is still to come.
    pitch: Option<u8>,
    last_pitch: Option<u8>,
    /// The part of the next note.
    part: Part,
    /// Whether the next duration is a move.
    moves: bool,
}

/// The note context of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteContext {
    /// Embedding rows, in any order; [`NoteState::NOTHING`] fills the empty slots.
    pub rows: [u16; NoteState::SLOTS],
    /// Steps since the beginning of the piece.
    pub step: u32,
    /// The last pitch up to and including this token; [`NoteContext::PITCH`] before the first.
    pub pitch: u8,
}

impl NoteContext {
    /// Value of `pitch` before the first pitch: middle C.
    pub const PITCH: u8 = 60;
    /// An empty context.
    pub const NOTHING: Self = Self {
        rows: [NoteState::NOTHING; NoteState::SLOTS],
        step: 0,
        pitch: Self::PITCH,
    };
}

impl NoteState {
    /// Number of embedding rows for a vocabulary without parts.
    pub const ROWS: usize = 3 * 128 + Self::LEFT;
    /// Number of embedding rows for a vocabulary with parts; [`NoteState::NOTHING`] is one of them,
    /// and must add nothing.
    pub const ROWS_WITH_PARTS: usize = Self::ROWS + Part::COUNT;
    /// Rows of a token. If more notes sound at once, the oldest are left out.
    pub const SLOTS: usize = 16;
    /// The row that adds nothing, one past the last row for a vocabulary without parts.
    pub const NOTHING: u16 = Self::ROWS as u16;
    /// Rows for the time until a note ends.
    const LEFT: usize = 64;
    /// Notes kept at most, which bounds malformed streams.
    const MOST: usize = 256;

    /// Number of embedding rows for a vocabulary.
    pub fn rows(vocabulary: &Vocabulary) -> usize {
        match vocabulary.has_parts() {
            true => Self::ROWS_WITH_PARTS,
            false => Self::ROWS,
        }
    }

    /// The part of the next note.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Reads a base token.
    pub fn read(&mut self, token: Token) {
        match token {
            Token::Part(part) => self.part = part,
            Token::Pitch(_) if !self.part.is_pitched() => {}
            Token::Pitch(pitch) => {
                self.pitch = Some(pitch);
                self.last_pitch = Some(pitch);
            }
            Token::Duration(by) if self.moves => {
                self.step = self.step.saturating_add(by.into());
                let now = self.step;
                self.notes.retain(|&(_, end)| end >= now);
            }
            Token::Duration(length) => {
                if let Some(pitch) = self.pitch.take() {
                    if self.notes.len() == Self::MOST {
                        self.notes.remove(0);
                    }
                    let end = self.step.saturating_add(length.max(1).into());
                    self.notes.push((pitch, end));
                }
            }
            // A piece begins.
            Token::Start => *self = Self::default(),
            _ => {}
        }
        self.moves = token == Token::Separator;
    }

    /// The context of the last token read.
    pub fn context(&self) -> NoteContext {
        let mut context = NoteContext::NOTHING;
        context.step = self.step;
        context.pitch = self.last_pitch.unwrap_or(NoteContext::PITCH);
        let rows = &mut context.rows;
        let ends = self.notes.iter().map(|&(_, end)| end);
        let next = ends.filter(|&end| end > self.step).min();
        let left = next.map_or(0, |end| (end - self.step).min(Self::LEFT as u32 - 1));
        rows[0] = (3 * 128 + left) as u16;
        let mut used = 1;
        if !self.part.is_keys() {
            rows[used] = Self::NOTHING + self.part.index() as u16;
            used += 1;
        }
        for (slot, &(pitch, end)) in rows[used..].iter_mut().zip(self.notes.iter().rev()) {
            let kind = match end {
                end if end <= self.step => 2,
                end if Some(end) == next => 1,
                _ => 0,
            };
            *slot = kind * 128 + u16::from(pitch & 127);
        }
        context
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Note, Score, TokenSequence, Vocabulary};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn said(sounding: &NoteState) -> Vec<u16> {
        let rows = sounding.context().rows.into_iter();
        let mut rows: Vec<u16> = rows.filter(|&row| row != NoteState::NOTHING).collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn two_voices() {
        let mut now = NoteState::default();
        let mut read = |tokens: &[Token]| {
            tokens.iter().for_each(|&token| now.read(token));
            said(&now)
        };
        use Token::{Duration, Pitch, Separator, Start, Velocity};
        assert_eq!(read(&[Start]), [384], "nothing sounds");
        assert_eq!(read(&[Pitch(72)]), [384], "not before its length is known");
        assert_eq!(read(&[Duration(6)]), [128 + 72, 384 + 6]);
        assert_eq!(read(&[Velocity(3)]), [128 + 72, 384 + 6]);
        assert_eq!(read(&[Pitch(60), Duration(12)]), [60, 128 + 72, 384 + 6]);
        assert_eq!(
            read(&[Separator, Duration(4)]),
            [60, 128 + 72, 384 + 2],
            "a move, no note"
        );
        assert_eq!(
            read(&[Separator, Duration(2)]),
            [128 + 60, 256 + 72, 384 + 6]
        );
        assert_eq!(
            read(&[Separator, Duration(6)]),
            [256 + 60, 384],
            "72 ended long ago"
        );
        assert_eq!(read(&[Separator, Duration(1)]), [384]);
        assert_eq!(read(&[Pitch(50), Duration(96)]), [128 + 50, 384 + 63]);
        assert_eq!(read(&[Start]), [384], "another piece");
    }

    #[test]
    fn the_part_has_a_row_and_drum_hits_do_not_sound() {
        let mut now = NoteState::default();
        let mut read = |tokens: &[Token]| {
            tokens.iter().for_each(|&token| now.read(token));
            (said(&now), now.context().pitch)
        };
        use Token::{Duration, Pitch, Separator, Start, Velocity};
        let (bass, drums) = (Token::Part(Part::Bass), Token::Part(Part::Drums));
        assert_eq!(read(&[Start, Pitch(72), Duration(8)]).0, [200, 392]);
        assert_eq!(read(&[bass]), (vec![200, 392, 451], 72));
        let bass = (vec![128 + 40, 200, 392, 451], 40);
        assert_eq!(read(&[Pitch(40), Duration(8), Velocity(3)]), bass);
        let drums = read(&[drums, Pitch(36), Velocity(3), Pitch(35), Velocity(1)]);
        assert_eq!(drums, (vec![128 + 40, 200, 392, 452], 40));
        // The part goes on over steps.
        assert_eq!(read(&[Separator, Duration(9)]), (vec![384, 452], 40));
        assert_eq!(read(&[Token::Part(Part::Keys)]).0, [384]);
        assert_eq!(read(&[Token::Part(Part::Lead)]).0, [384, 449]);
        assert_eq!(read(&[Start]).0, [384]);
        assert_eq!(NoteState::rows(&Vocabulary::continuo()), 448);
        assert_eq!(NoteState::rows(&Vocabulary::band()), 453);
    }

    #[test]
    fn the_time_and_the_pitch_said_last() {
        let mut now = NoteState::default();
        let mut read = |tokens: &[Token]| {
            tokens.iter().for_each(|&token| now.read(token));
            let context = now.context();
            (context.step, context.pitch)
        };
        use Token::{Duration, Pitch, Separator, Start, Velocity};
        assert_eq!(read(&[Start]), (0, NoteContext::PITCH), "none was said");
        assert_eq!(read(&[Pitch(72)]), (0, 72), "its own");
        assert_eq!(read(&[Duration(6)]), (0, 72), "its note's");
        assert_eq!(read(&[Velocity(3), Pitch(48)]), (0, 48));
        assert_eq!(read(&[Duration(6), Separator]), (0, 48));
        assert_eq!(read(&[Duration(96)]), (96, 48), "a move");
        assert_eq!(read(&[Separator, Duration(4), Pitch(50)]), (100, 50));
        assert_eq!(read(&[Start]), (0, NoteContext::PITCH), "another piece");
    }

    /// The rows agree with the score; of too many notes the newest are there.
    #[test]
    fn the_rows_are_those_of_the_score() {
        let vocabulary = Vocabulary::continuo();
        for seed in 0..100 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut score = Score::new(vocabulary.steps_per_beat);
            for _ in 0..60 {
                score.notes.push(Note {
                    start: random.random_range(0..120),
                    length: random.random_range(1..30),
                    pitch: random.random_range(40..80),
                    velocity: 80,
                    ..Note::default()
                });
            }
            score.normalise();
            let mut now = NoteState::default();
            // Notes whose length was said, and where the stream stands.
            let mut begun: Vec<(u8, u32)> = Vec::new();
            let mut notes = score.notes.clone();
            let mut before = Token::Start;
            for placed in TokenSequence::encode_open(&score, &vocabulary).tokens {
                now.read(placed.token);
                let moved = std::mem::replace(&mut before, placed.token) == Token::Separator;
                if let Token::Velocity(_) = placed.token {
                    let at = |n: &&Note| n.start == placed.step;
                    let highest = notes.iter().filter(at).max_by_key(|n| n.pitch).copied();
                    let note = highest.expect("a note that begins here");
                    notes.retain(|n| *n != note);
                    begun.push((note.pitch, note.start + note.length));
                } else if matches!(placed.token, Token::Duration(_)) && !moved {
                    // Of a note; this test counts it with its velocity.
                    continue;
                }
                let step = placed.step;
                let next = begun.iter().map(|n| n.1).filter(|&end| end > step).min();
                let row = |&(pitch, end): &(u8, u32)| {
                    let kind = match end {
                        end if end < step => return None,
                        end if end == step => 2,
                        end if Some(end) == next => 1,
                        _ => 0,
                    };
                    Some(kind * 128 + u16::from(pitch))
                };
                let mut expected: Vec<u16> = begun.iter().filter_map(row).collect();
                let many = expected.len().saturating_sub(NoteState::SLOTS - 1);
                expected.drain(..many);
                let left = next.map_or(0, |end| (end - step).min(63) as u16);
                expected.push(384 + left);
                expected.sort_unstable();
                assert_eq!(said(&now), expected, "seed {seed}, step {step}");
            }
        }
    }

    #[test]
    fn nonsense_is_bounded() {
        let mut now = NoteState::default();
        for _ in 0..1000 {
            now.read(Token::Pitch(60));
            now.read(Token::Duration(u16::MAX));
        }
        assert_eq!(now.notes.len(), NoteState::MOST);
        for _ in 0..100_000 {
            now.read(Token::Separator);
            now.read(Token::Duration(u16::MAX));
        }
        assert_eq!(said(&now)[0], 384);
    }
}
