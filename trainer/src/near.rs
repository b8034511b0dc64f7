//! Music that is the same or nearly the same: copies in another key or at another tempo are
//! left out of a corpus, and versions of one piece stay on one side of the split.
//!
//! Both are found without comparing songs with one another. Notes are described by what
//! neither transposing nor re-timing changes, intervals and ratios of times, and hashed:
//!
//! - the whole song at once: equal hashes are copies;
//! - every twelve notes of its top line: of these hashes the smallest [`SKETCH`] are kept (a
//!   bottom-k sketch; A. Broder, *On the resemblance and containment of documents*, 1997). The
//!   share of kept hashes two songs have in common estimates how much of them is the same.

use std::collections::HashMap;

use continuo_score::{Score, SparseScore};
use serde::{Deserialize, Serialize};

use crate::corpus::hash;

/// Hashes kept of each song: 16 tell a half from a quarter, and are 128 bytes.
const SKETCH: usize = 16;
/// Notes of the top line in one of them: long enough that scales and runs are no version.
const GRAM: usize = 12;
/// Hashes in common from which on two songs are versions of one piece.
const ALIKE: usize = SKETCH / 2;

/// What is remembered of a song.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    whole: u64,
    sketch: Vec<u64>,
}

impl Print {
    /// Of a tidy score.
    pub fn of(score: &Score) -> Self {
        let rows: Vec<_> = SparseScore::new(score).rows().collect();
        let mut whole = Vec::new();
        let mut line = Vec::new();
        for (i, (step, chord)) in rows.iter().enumerate() {
            // Never empty: a row is made of its notes.
            let top = chord.last().map_or(0, |n| i32::from(n.pitch));
            let before = &rows[i.saturating_sub(1)];
            let above = before.1.last().map_or(0, |n| i32::from(n.pitch));
            let ratio = match (i, rows.get(i.wrapping_sub(2))) {
                (2.., Some(earlier)) => ratio(step - before.0, before.0 - earlier.0),
                _ => 0,
            };
            line.push([(top - above) as i16, ratio]);
            whole.extend([(top - above) as i16, ratio]);
            whole.extend(chord.iter().map(|n| (top - i32::from(n.pitch)) as i16));
        }
        let bytes = |numbers: &[i16]| hash(numbers.iter().flat_map(|n| n.to_le_bytes()));
        let mut sketch: Vec<u64> = line
            .windows(GRAM)
            // What leads to the first note of twelve is not theirs.
            .map(|gram| mixed(bytes(gram[1..].as_flattened())))
            .collect();
        sketch.sort_unstable();
        sketch.dedup();
        sketch.truncate(SKETCH);
        Self {
            whole: bytes(&whole),
            sketch,
        }
    }
}

/// Two lengths of time, as the quarter powers of two between them: rounding to another grid
/// seldom changes it.
fn ratio(now: u32, before: u32) -> i16 {
    (4.0 * (f64::from(now) / f64::from(before.max(1))).log2()).round() as i16
}

/// Spreads a hash, so that the smallest are a fair choice (the end of MurmurHash3).
fn mixed(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// What a song is to those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kin {
    /// Nothing like it.
    New,
    /// The same music as this song, perhaps in another key or at another tempo.
    Copy(usize),
    /// A version of pieces that are all on this side of the split.
    Version {
        /// The side.
        held_out: bool,
    },
    /// As much like this song, which is held out, as like others, which are not.
    Between(usize),
}

/// The songs so far. About 400 bytes a song.
#[derive(Default)]
pub struct Songs {
    wholes: HashMap<u64, u32>,
    /// The piece each hash was first found in.
    pieces: HashMap<u64, u32>,
    /// Piece by song, and by piece its first song and its side.
    piece_of: Vec<u32>,
    sides: Vec<(u32, bool)>,
}

impl Songs {
    /// What a song is to those added so far.
    pub fn kin(&self, print: &Print) -> Kin {
        if let Some(&song) = self.wholes.get(&print.whole) {
            return Kin::Copy(song as usize);
        }
        let mut side = None;
        for piece in self.like(print) {
            let (song, held_out) = self.sides[piece as usize];
            match side {
                None => side = Some((song, held_out)),
                Some((_, other)) if other == held_out => {}
                Some((first, true)) => return Kin::Between(first as usize),
                Some((_, false)) => return Kin::Between(song as usize),
            }
        }
        side.map_or(Kin::New, |(_, held_out)| Kin::Version { held_out })
    }

    /// Pieces the song is a version of.
    fn like(&self, print: &Print) -> Vec<u32> {
        let mut shared: HashMap<u32, usize> = HashMap::new();
        for hash in &print.sketch {
            if let Some(&piece) = self.pieces.get(hash) {
                *shared.entry(piece).or_default() += 1;
            }
        }
        let mut like: Vec<u32> = shared
            .into_iter()
            .filter(|&(_, n)| n >= ALIKE)
            .map(|(piece, _)| piece)
            .collect();
        like.sort_unstable();
        like
    }

    /// Adds the next song.
    pub fn add(&mut self, print: &Print, held_out: bool) {
        let song = self.piece_of.len() as u32;
        let piece = self.like(print).first().copied().unwrap_or_else(|| {
            self.sides.push((song, held_out));
            self.sides.len() as u32 - 1
        });
        self.piece_of.push(piece);
        self.wholes.entry(print.whole).or_insert(song);
        for &hash in &print.sketch {
            self.pieces.entry(hash).or_insert(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::Note;
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn song(random: &mut ChaCha8Rng, notes: usize) -> Score {
        let mut score = Score::new(12);
        let mut start = 0;
        for _ in 0..notes {
            score.notes.push(Note {
                start,
                length: 3,
                pitch: random.random_range(40..90),
                velocity: 80,
            });
            start += [0, 3, 6, 12][random.random_range(0..4)];
        }
        score.normalise();
        score
    }

    #[test]
    fn copies_and_versions_are_found_and_nothing_else() {
        let mut missed = 0;
        for seed in 0..60 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut songs = Songs::default();
            let originals: Vec<_> = (0..20).map(|_| song(&mut random, 150)).collect();
            for (i, original) in originals.iter().enumerate() {
                let print = Print::of(original);
                assert_eq!(songs.kin(&print), Kin::New, "seed {seed}, {i}");
                songs.add(&print, i % 2 == 0);
            }
            for (i, original) in originals.iter().enumerate() {
                let by = random.random_range(-12..=12i8);
                let mut copy = original.clone();
                for note in &mut copy.notes {
                    note.pitch = note.pitch.saturating_add_signed(by);
                    note.start *= 2;
                    note.length += 1;
                }
                copy.normalise();
                assert_eq!(songs.kin(&Print::of(&copy)), Kin::Copy(i), "seed {seed}");
                // Another ending, and a wrong note.
                copy.notes.truncate(130);
                copy.notes[60].pitch ^= 1;
                copy.normalise();
                let side = Kin::Version {
                    held_out: i % 2 == 0,
                };
                match songs.kin(&Print::of(&copy)) {
                    Kin::New => missed += 1,
                    kin => assert_eq!(kin, side, "seed {seed}, {i}"),
                }
            }
            // One half of each of two: a version of neither, or of both.
            let mut both = originals[0].clone();
            let end = both.length;
            both.notes.extend(originals[1].notes.iter().map(|n| Note {
                start: n.start + end,
                ..*n
            }));
            both.normalise();
            let kin = songs.kin(&Print::of(&both));
            assert!(!matches!(kin, Kin::Copy(_)), "seed {seed}: {kin:?}");
        }
        // A sketch is an estimate.
        assert!(missed < 60, "{missed} of 1200 versions not found");
    }
}
