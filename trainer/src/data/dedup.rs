//! Deduplication: copies in another key or at another tempo are left out of a corpus, and versions
//! of one piece stay on one side of the split.
//!
//! Songs are not compared pairwise. Notes are described by intervals and time ratios, which
//! neither transposition nor another tempo changes, and hashed:
//!
//! - the whole song: equal hashes are copies;
//! - every twelve notes of the top line: the smallest `SKETCH` of these hashes are kept (a
//!   bottom-k sketch; A. Broder, *On the resemblance and containment of documents*, 1997). The
//!   share of hashes that two songs have in common estimates how much music they share.

use std::collections::HashMap;

use continuo_score::merge_parts;
use continuo_score::{Score, SparseScore};
use serde::{Deserialize, Serialize};

use crate::data::corpus::hash;

/// Hashes kept per song: 16 distinguish a half from a quarter and need 128 bytes.
const SKETCH: usize = 16;
/// Notes of the top line per hash: enough that shared scales and runs do not count.
const GRAM: usize = 12;
/// Fewest common hashes of two versions of one piece.
const ALIKE: usize = SKETCH / 2;

/// Fingerprint of a song, independent of key and tempo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    whole: u64,
    sketch: Vec<u64>,
}

impl Fingerprint {
    /// The fingerprint of a normalised score. Parts do not count, and drums only where there is
    /// nothing else.
    pub fn of(score: &Score) -> Self {
        let merged = merge_parts(&score.notes);
        let notes = if merged.is_empty() {
            &score.notes
        } else {
            &merged[..]
        };
        let rows: Vec<_> = SparseScore::of(notes).rows().collect();
        let mut whole = Vec::new();
        let mut line = Vec::new();
        for (i, (step, chord)) in rows.iter().enumerate() {
            // A row is never empty: its notes define it.
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
            // The interval to the first of twelve notes is not part of them.
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

/// Ratio of two durations in quarter octaves (steps of 2^(1/4)): rounding to another grid rarely
/// changes it.
fn ratio(now: u32, before: u32) -> i16 {
    (4.0 * (f64::from(now) / f64::from(before.max(1))).log2()).round() as i16
}

/// Mixes the bits of a hash, so that the smallest hashes are a uniform sample (the finaliser of
/// MurmurHash3).
fn mixed(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// Similarity of a song to the earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Similarity {
    /// No earlier song is similar.
    New,
    /// The same music as the song of this index, perhaps in another key or at another tempo.
    Copy(usize),
    /// A version of pieces that are all on one side of the split.
    Version {
        /// Whether that side is the held-out one.
        held_out: bool,
    },
    /// A version of the song of this index, which is held out, and of songs that are not.
    Between(usize),
}

/// Index of the songs so far, about 400 bytes per song.
#[derive(Default)]
pub struct SongIndex {
    wholes: HashMap<u64, u32>,
    /// Piece in which each hash was found first.
    pieces: HashMap<u64, u32>,
    /// Piece of each song, and first song and side of each piece.
    piece_of: Vec<u32>,
    sides: Vec<(u32, bool)>,
}

impl SongIndex {
    /// Similarity of a song to those added so far.
    pub fn similarity(&self, fingerprint: &Fingerprint) -> Similarity {
        if let Some(&song) = self.wholes.get(&fingerprint.whole) {
            return Similarity::Copy(song as usize);
        }
        let mut side = None;
        for piece in self.like(fingerprint) {
            let (song, held_out) = self.sides[piece as usize];
            match side {
                None => side = Some((song, held_out)),
                Some((_, other)) if other == held_out => {}
                Some((first, true)) => return Similarity::Between(first as usize),
                Some((_, false)) => return Similarity::Between(song as usize),
            }
        }
        side.map_or(Similarity::New, |(_, held_out)| Similarity::Version {
            held_out,
        })
    }

    /// Pieces of which the song is a version.
    fn like(&self, fingerprint: &Fingerprint) -> Vec<u32> {
        let mut shared: HashMap<u32, usize> = HashMap::new();
        for hash in &fingerprint.sketch {
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
    pub fn add(&mut self, fingerprint: &Fingerprint, held_out: bool) {
        let song = self.piece_of.len() as u32;
        let piece = self.like(fingerprint).first().copied().unwrap_or_else(|| {
            self.sides.push((song, held_out));
            self.sides.len() as u32 - 1
        });
        self.piece_of.push(piece);
        self.wholes.entry(fingerprint.whole).or_insert(song);
        for &hash in &fingerprint.sketch {
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
                ..Note::default()
            });
            start += [0, 3, 6, 12][random.random_range(0..4)];
        }
        score.normalise();
        score
    }

    #[test]
    fn only_copies_and_versions_are_similar() {
        let mut missed = 0;
        for seed in 0..60 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut songs = SongIndex::default();
            let originals: Vec<_> = (0..20).map(|_| song(&mut random, 150)).collect();
            for (i, original) in originals.iter().enumerate() {
                let fingerprint = Fingerprint::of(original);
                assert_eq!(
                    songs.similarity(&fingerprint),
                    Similarity::New,
                    "seed {seed}, {i}"
                );
                songs.add(&fingerprint, i % 2 == 0);
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
                assert_eq!(
                    songs.similarity(&Fingerprint::of(&copy)),
                    Similarity::Copy(i),
                    "seed {seed}"
                );
                // Another ending, and a wrong note.
                copy.notes.truncate(130);
                copy.notes[60].pitch ^= 1;
                copy.normalise();
                let side = Similarity::Version {
                    held_out: i % 2 == 0,
                };
                match songs.similarity(&Fingerprint::of(&copy)) {
                    Similarity::New => missed += 1,
                    found => assert_eq!(found, side, "seed {seed}, {i}"),
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
            let found = songs.similarity(&Fingerprint::of(&both));
            assert!(
                !matches!(found, Similarity::Copy(_)),
                "seed {seed}: {found:?}"
            );
        }
        // A sketch is an estimate.
        assert!(missed < 60, "{missed} of 1200 versions not found");
    }
}
