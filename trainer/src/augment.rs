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
            for token in vocabulary.tokens(record.id) {
                match token {
                    Token::Pitch(p) => pitch.add(i16::from(p)),
                    Token::Velocity(v) => velocity.add(i16::from(v)),
                    _ => {}
                }
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

    /// Moves a song. Merged tokens are taken apart, moved and merged anew: other pitches may
    /// merge otherwise, so the song may become longer or shorter. `bars` is what bars are
    /// counted modulo.
    pub fn apply(
        self,
        mut records: Vec<Record>,
        vocabulary: &Vocabulary,
        bars: usize,
    ) -> Vec<Record> {
        if self == Self::default() {
            return records;
        }
        // One look at the vocabulary an id, not one a token.
        let all = 0..vocabulary.base_size() as u16;
        let table: Vec<u16> = all.map(|id| self.id(id, vocabulary)).collect();
        let merged = !vocabulary.merges().is_empty();
        if merged {
            records = apart(&records, vocabulary, bars);
        }
        for record in &mut records {
            record.id = table[usize::from(record.id)];
        }
        if merged {
            records = together(&records, vocabulary);
        }
        records
    }
}

/// The base tokens of a song, each with its place in time. That of a merged token is its last
/// one's; the others lie between it and the token before. (A bar that is cut short by a change
/// of metre inside a merged token is taken for a whole one.)
fn apart(records: &[Record], vocabulary: &Vocabulary, bars: usize) -> Vec<Record> {
    let mut out = Vec::with_capacity(2 * records.len());
    let mut before = records.first().copied();
    let mut moves = false;
    for record in records {
        let from = out.len();
        let mut steps = Vec::new();
        let mut step = 0;
        for &id in vocabulary.expand(record.id) {
            let token = vocabulary.token(id);
            if let (true, Some(Token::Duration(d))) = (moves, token) {
                step += u32::from(d);
            }
            moves = token == Some(Token::Separator);
            steps.push(step);
            out.push(Record { id, ..*record });
        }
        for (base, at) in out[from..].iter_mut().zip(steps) {
            if at < step {
                let place = between(before.unwrap_or(*record), *record, at, step - at, bars);
                *base = Record {
                    id: base.id,
                    ..place
                };
            }
        }
        before = Some(*record);
    }
    out
}

/// The place `since` steps after one and `left` steps before another.
fn between(before: Record, after: Record, since: u32, left: u32, bars: usize) -> Record {
    let step = u32::from(before.bar_step) + since;
    if step < u32::from(before.metre) {
        return Record {
            bar_step: step as u16,
            ..before
        };
    }
    let bar = u32::from(after.metre).max(1);
    let back = left.saturating_sub(after.bar_step.into()).div_ceil(bar);
    let bars = bars.max(1) as u32;
    Record {
        bar_step: (u32::from(after.bar_step) + back * bar - left) as u16,
        bar: ((u32::from(after.bar) + bars - back % bars) % bars) as u16,
        ..after
    }
}

/// Base tokens, merged.
fn together(base: &[Record], vocabulary: &Vocabulary) -> Vec<Record> {
    let merged = vocabulary.merge(base.iter().map(|r| r.id).collect());
    let mut last = 0;
    let place = |id: u16| {
        last += vocabulary.expand(id).len();
        Record {
            id,
            ..base[last - 1]
        }
    };
    merged.into_iter().map(place).collect()
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
    use continuo_score::{Note, Score, TimeSignature, TimeSignatureMap, TokenSequence};
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
                let moved = shift.apply(song.clone(), &v, 16);
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

    /// A song with merges, moved, is the moved song with merges; and every token is where it
    /// was.
    #[test]
    fn merged_songs_are_moved_as_base_songs_are() {
        let plain = Vocabulary::continuo();
        let sizes = crate::config::grid_sizes(&plain);
        let id = |t| plain.id(t).unwrap();
        let first = plain.size() as u16;
        // A note of one key and length, a move, the two after one another, and so on.
        let merges = vec![
            [id(Token::Pitch(60)), id(Token::Duration(3))],
            [id(Token::Separator), id(Token::Duration(6))],
            [first, id(Token::Velocity(10))],
            [first + 2, first + 1],
            [first + 3, first + 2],
            [first + 1, id(Token::Pitch(62))],
        ];
        let v = plain.clone().with_merges(merges).unwrap();
        for seed in 0..200u64 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut score = Score::new(12);
            let metre = TimeSignature {
                numerator: random.random_range(2..6),
                denominator: 4,
            };
            score.time_signatures = TimeSignatureMap::constant(metre, 12);
            let mut start = 0;
            for _ in 0..60 {
                score.notes.push(Note {
                    start,
                    length: [3, 3, 6][random.random_range(0..3)],
                    pitch: [60, 60, 60, 62, 66][random.random_range(0..5)],
                    velocity: [85, 85, 20][random.random_range(0..3)],
                });
                start += [6, 6, 12, 150][random.random_range(0..4)];
            }
            score.normalise();
            let place = |id, step| {
                let rows = sizes.rows(score.time_signatures.position(step));
                Record {
                    id,
                    bar_step: rows.bar_step,
                    bar: rows.bar,
                    metre: rows.metre,
                }
            };
            let encoded = TokenSequence::encode(&score, &plain).tokens;
            let base: Vec<_> = encoded.iter().map(|p| place(id(p.token), p.step)).collect();
            let song = together(&base, &v);
            assert!(song.len() < base.len(), "seed {seed}");
            assert_eq!(apart(&song, &v, sizes.bars), base, "seed {seed}");
            let shift = Shift {
                transpose: random.random_range(-6..=6),
                velocity: 1,
            };
            let moved = shift.apply(song.clone(), &v, sizes.bars);
            let expected = together(&shift.apply(base, &plain, sizes.bars), &v);
            assert_eq!(moved, expected, "seed {seed}");
        }
    }
}
