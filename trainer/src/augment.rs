//! Augmentation: a song is played in another key, a little louder or softer, each time it
//! enters a lane. Which, is drawn from the training's seed; what was drawn is saved, not the
//! notes.

use continuo_score::{Token, Vocabulary};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::corpus::Record;

/// The keys of a piano, MIDI: transposition does not leave them, unless the song itself does.
const KEYBOARD: (i16, i16) = (21, 108);

/// How far songs may be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Semitones, up or down.
    pub transpose: u8,
    /// Velocity bins, up or down.
    pub velocity: u8,
}

impl Reach {
    /// What training does by default: every key, and one velocity bin.
    pub const DEFAULT: Self = Self {
        transpose: 6,
        velocity: 1,
    };
}

/// How one song is moved. The corpus has no drums (`encode` leaves them out), so every pitch
/// is a pitch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shift {
    /// Semitones.
    pub transpose: i8,
    /// Velocity bins.
    pub velocity: i8,
}

impl Shift {
    /// Draws one, equally likely among those that keep all notes of `song` in range.
    pub fn draw(
        reach: Reach,
        song: impl Iterator<Item = Record>,
        vocabulary: &Vocabulary,
        random: &mut impl Rng,
    ) -> Self {
        let (mut pitch, mut velocity) = (Range::EMPTY, Range::EMPTY);
        for record in song {
            match vocabulary.token(record.id) {
                Some(Token::Pitch(p)) => pitch.add(i16::from(p)),
                Some(Token::Velocity(v)) => velocity.add(i16::from(v)),
                _ => {}
            }
        }
        let loudest = i16::from(vocabulary.velocity_bins) - 1;
        Self {
            transpose: pitch.draw(reach.transpose, KEYBOARD, random),
            velocity: velocity.draw(reach.velocity, (0, loudest), random),
        }
    }

    /// The token, moved. [`Self::draw`] keeps it in the vocabulary.
    fn of(self, token: Token) -> Token {
        match token {
            Token::Pitch(p) => Token::Pitch(p.saturating_add_signed(self.transpose).min(127)),
            Token::Velocity(v) => Token::Velocity(v.saturating_add_signed(self.velocity)),
            other => other,
        }
    }

    /// The id of a base token, moved.
    pub(crate) fn id(self, id: u16, vocabulary: &Vocabulary) -> u16 {
        let token = vocabulary.token(id).map(|t| self.of(t));
        token.and_then(|t| vocabulary.id(t)).unwrap_or(id)
    }

    /// Moves every id of a song.
    pub fn apply(self, records: &mut [Record], vocabulary: &Vocabulary) {
        if self == Self::default() {
            return;
        }
        // One look at the vocabulary an id, not one a token.
        let all = 0..vocabulary.size() as u16;
        let table: Vec<u16> = all.map(|id| self.id(id, vocabulary)).collect();
        for record in records {
            record.id = table[usize::from(record.id)];
        }
    }
}

/// The smallest and the largest of some numbers.
struct Range(i16, i16);

impl Range {
    const EMPTY: Self = Self(i16::MAX, i16::MIN);

    fn add(&mut self, n: i16) {
        *self = Self(self.0.min(n), self.1.max(n));
    }

    /// A shift of at most `reach` that keeps within `bounds`, or, where the range is outside
    /// them already, goes no farther.
    fn draw(&self, reach: u8, bounds: (i16, i16), random: &mut impl Rng) -> i8 {
        if self.0 > self.1 {
            return 0;
        }
        let reach = i16::from(reach.min(64));
        let down = (self.0.min(bounds.0) - self.0).max(-reach);
        let up = (self.1.max(bounds.1) - self.1).min(reach);
        random.random_range(down..=up) as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use std::collections::HashSet;

    fn record(id: u16) -> Record {
        Record {
            id,
            bar_step: 0,
            bar: 0,
            metre: 0,
        }
    }

    #[test]
    fn every_key_is_played_and_no_note_leaves_the_range() {
        let v = Vocabulary::continuo();
        for seed in 0..300u64 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let low = random.random_range(0..100u8);
            let pitches = [low, low + random.random_range(0..28)];
            let bins = [random.random_range(0..16u8), random.random_range(0..16)];
            let tokens = [
                Token::Start,
                Token::Pitch(pitches[0]),
                Token::Velocity(bins[0]),
                Token::Pitch(pitches[1]),
                Token::Velocity(bins[1]),
                Token::Separator,
                Token::Duration(5),
            ];
            let song: Vec<_> = tokens.map(|t| record(v.id(t).unwrap())).to_vec();
            let mut seen = HashSet::new();
            for _ in 0..400 {
                let shift = Shift::draw(Reach::DEFAULT, song.iter().copied(), &v, &mut random);
                seen.insert(shift.transpose);
                let mut moved = song.clone();
                shift.apply(&mut moved, &v);
                for (from, to) in song.iter().zip(&moved) {
                    match (v.token(from.id).unwrap(), v.token(to.id).unwrap()) {
                        (Token::Pitch(a), Token::Pitch(b)) => {
                            let by = i16::from(b) - i16::from(a);
                            assert_eq!(by, i16::from(shift.transpose), "seed {seed}");
                            let (lo, hi) = (pitches[0].min(21), pitches[1].max(108));
                            assert!((lo..=hi).contains(&b), "seed {seed}: {a} to {b}");
                        }
                        (Token::Velocity(a), Token::Velocity(b)) => {
                            let by = i16::from(b) - i16::from(a);
                            assert_eq!(by, i16::from(shift.velocity), "seed {seed}");
                        }
                        (a, b) => assert_eq!(a, b, "seed {seed}"),
                    }
                }
            }
            if pitches[0] >= 27 && pitches[1] <= 102 {
                assert_eq!(seen.len(), 13, "seed {seed}: {seen:?}");
            }
        }
    }
}
