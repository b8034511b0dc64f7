//! Augmentation: each time a song enters a batch row, it is transposed and made louder or softer
//! at random. Checkpoints hold the draw, not the notes.

use continuo_score::{Part, Token, Vocabulary};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::data::corpus::TokenRecord;

/// MIDI pitches of a piano's keys: transposition keeps a song within them, unless the song itself
/// exceeds them.
const KEYBOARD: (i16, i16) = (21, 108);

/// Range of the random augmentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AugmentRange {
    /// Largest transposition, semitones up or down.
    pub transpose: u8,
    /// Largest change of velocity, bins up or down.
    pub velocity: u8,
}

impl AugmentRange {
    /// Default of a training: every key, and one velocity bin.
    pub const DEFAULT: Self = Self {
        transpose: 6,
        velocity: 1,
    };
}

/// Augmentation of one song. Drums get louder or softer, and are never transposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shift {
    /// Transposition in semitones.
    pub transpose: i8,
    /// Change of velocity in bins.
    pub velocity: i8,
}

impl Shift {
    /// Draws one uniformly among those that keep all notes of `song` within bounds.
    pub fn draw(
        range: AugmentRange,
        song: impl Iterator<Item = TokenRecord>,
        vocabulary: &Vocabulary,
        random: &mut impl Rng,
    ) -> Self {
        let (mut pitch, mut velocity) = (ValueRange::EMPTY, ValueRange::EMPTY);
        let mut part = Part::Keys;
        for record in song {
            for token in vocabulary.tokens(record.id) {
                match token {
                    Token::Part(next) => part = next,
                    Token::Pitch(_) if !part.is_pitched() => {}
                    Token::Pitch(p) => pitch.add(i16::from(p)),
                    Token::Velocity(v) => velocity.add(i16::from(v)),
                    _ => {}
                }
            }
        }
        let loudest = i16::from(vocabulary.velocity_bins) - 1;
        Self {
            transpose: pitch.draw(range.transpose, KEYBOARD, random),
            velocity: velocity.draw(range.velocity, (0, loudest), random),
        }
    }

    /// The shifted token; [`Self::draw`] keeps it in the vocabulary.
    fn of(self, token: Token) -> Token {
        match token {
            Token::Pitch(p) => Token::Pitch(p.saturating_add_signed(self.transpose).min(127)),
            Token::Velocity(v) => Token::Velocity(v.saturating_add_signed(self.velocity)),
            other => other,
        }
    }

    /// The shifted id of a base token, of a pitched part.
    pub(crate) fn id(self, id: u16, vocabulary: &Vocabulary) -> u16 {
        let token = vocabulary.token(id).map(|t| self.of(t));
        token.and_then(|t| vocabulary.id(t)).unwrap_or(id)
    }

    /// Shifts a song. Merged tokens are expanded, shifted and merged again: other pitches may have
    /// other merges, so the number of tokens may change. Bars count modulo `bars`.
    pub fn apply(
        self,
        mut records: Vec<TokenRecord>,
        vocabulary: &Vocabulary,
        bars: usize,
    ) -> Vec<TokenRecord> {
        if self == Self::default() {
            return records;
        }
        // One look-up per id instead of one per token.
        let all = 0..vocabulary.base_size() as u16;
        let table: Vec<u16> = all.map(|id| self.id(id, vocabulary)).collect();
        let merged = !vocabulary.merges().is_empty();
        if merged {
            records = expand(&records, vocabulary, bars);
        }
        let mut part = Part::Keys;
        for record in &mut records {
            let token = match vocabulary.has_parts() {
                true => vocabulary.token(record.id),
                false => None,
            };
            match token {
                Some(Token::Start) => part = Part::Keys,
                Some(Token::Part(next)) => part = next,
                Some(Token::Pitch(_)) if !part.is_pitched() => continue,
                _ => {}
            }
            record.id = table[usize::from(record.id)];
        }
        if merged {
            records = merge(&records, vocabulary);
        }
        records
    }
}

/// Base tokens of a song, each with its position in time. The position of a merged token is that
/// of its last base token; the others lie between it and the token before. (A bar that a change of
/// metre shortens inside a merged token counts as a whole one.)
fn expand(records: &[TokenRecord], vocabulary: &Vocabulary, bars: usize) -> Vec<TokenRecord> {
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
            out.push(TokenRecord { id, ..*record });
        }
        for (base, at) in out[from..].iter_mut().zip(steps) {
            if at < step {
                let place = between(before.unwrap_or(*record), *record, at, step - at, bars);
                *base = TokenRecord {
                    id: base.id,
                    ..place
                };
            }
        }
        before = Some(*record);
    }
    out
}

/// The position `since` steps after one token and `left` steps before another.
fn between(
    before: TokenRecord,
    after: TokenRecord,
    since: u32,
    left: u32,
    bars: usize,
) -> TokenRecord {
    let step = u32::from(before.bar_step) + since;
    if step < u32::from(before.metre) {
        return TokenRecord {
            bar_step: step as u16,
            ..before
        };
    }
    let bar = u32::from(after.metre).max(1);
    let back = left.saturating_sub(after.bar_step.into()).div_ceil(bar);
    let bars = bars.max(1) as u32;
    TokenRecord {
        bar_step: (u32::from(after.bar_step) + back * bar - left) as u16,
        bar: ((u32::from(after.bar) + bars - back % bars) % bars) as u16,
        ..after
    }
}

/// Merges base tokens.
fn merge(base: &[TokenRecord], vocabulary: &Vocabulary) -> Vec<TokenRecord> {
    let merged = vocabulary.merge(base.iter().map(|r| r.id).collect());
    let mut last = 0;
    let place = |id: u16| {
        last += vocabulary.expand(id).len();
        TokenRecord {
            id,
            ..base[last - 1]
        }
    };
    merged.into_iter().map(place).collect()
}

/// Smallest and largest of some values.
struct ValueRange(i16, i16);

impl ValueRange {
    const EMPTY: Self = Self(i16::MAX, i16::MIN);

    fn add(&mut self, n: i16) {
        *self = Self(self.0.min(n), self.1.max(n));
    }

    /// A random shift of at most `reach` that stays within `bounds`; a value outside them already
    /// moves no farther away.
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

    fn record(id: u16) -> TokenRecord {
        TokenRecord {
            id,
            bar_step: 0,
            bar: 0,
            metre: 0,
        }
    }

    #[test]
    fn every_key_occurs_and_no_note_leaves_the_range() {
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
                let shift =
                    Shift::draw(AugmentRange::DEFAULT, song.iter().copied(), &v, &mut random);
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

    /// Shifting and merging commute, and positions in time stay the same.
    #[test]
    fn merged_and_base_songs_are_shifted_alike() {
        let plain = Vocabulary::continuo();
        let sizes = crate::model::config::grid_sizes(&plain);
        let id = |t| plain.id(t).unwrap();
        let first = plain.size() as u16;
        // A note of one pitch and duration, a move in time, one after the other, and so on.
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
                    ..Note::default()
                });
                start += [6, 6, 12, 150][random.random_range(0..4)];
            }
            score.normalise();
            let place = |id, step| {
                let rows = sizes.rows(score.time_signatures.position(step));
                TokenRecord {
                    id,
                    bar_step: rows.bar_step,
                    bar: rows.bar,
                    metre: rows.metre,
                }
            };
            let encoded = TokenSequence::encode(&score, &plain).tokens;
            let base: Vec<_> = encoded.iter().map(|p| place(id(p.token), p.step)).collect();
            let song = merge(&base, &v);
            assert!(song.len() < base.len(), "seed {seed}");
            assert_eq!(expand(&song, &v, sizes.bars), base, "seed {seed}");
            let shift = Shift {
                transpose: random.random_range(-6..=6),
                velocity: 1,
            };
            let moved = shift.apply(song.clone(), &v, sizes.bars);
            let expected = merge(&shift.apply(base, &plain, sizes.bars), &v);
            assert_eq!(moved, expected, "seed {seed}");
        }
    }

    /// A band in any key: pitches move, drums stay, with merged tokens as without.
    #[test]
    fn drums_are_never_transposed() {
        let plain = Vocabulary::band();
        let id = |token| plain.id(token).unwrap();
        let hit = [id(Token::Part(Part::Drums)), id(Token::Pitch(36))];
        let merged = plain.clone().with_merges(vec![hit]).unwrap();
        let mut score = Score::new(12);
        for bar in 0..40u32 {
            let note = |start: u32, pitch, part| Note {
                start: bar * 12 + start,
                length: if part == Part::Drums { 1 } else { 6 },
                pitch,
                part,
                ..Note::default()
            };
            score.notes.push(note(0, 72, Part::Lead));
            score.notes.push(note(0, 40, Part::Bass));
            score.notes.push(note(0, 36, Part::Drums));
            score.notes.push(note(6, 42, Part::Drums));
            score.notes.push(note(9, 76, Part::Keys));
        }
        score.normalise();
        for v in [plain, merged] {
            let ids = TokenSequence::encode(&score, &v).ids(&v);
            let song: Vec<TokenRecord> = ids.into_iter().map(record).collect();
            for seed in 0..40 {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                let range = AugmentRange {
                    transpose: 6,
                    velocity: 0,
                };
                let shift = Shift::draw(range, song.iter().copied(), &v, &mut random);
                let moved = shift.apply(song.clone(), &v, 16);
                let ids: Vec<u16> = moved.iter().map(|r| r.id).collect();
                let read = TokenSequence::from_ids(&ids, &v).unwrap().decode(&v);
                let expected = score.transposed(shift.transpose).unwrap().quantise(&v);
                assert_eq!(read.notes, expected.notes, "seed {seed}");
            }
        }
    }
}
