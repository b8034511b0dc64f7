//! Value of each memory: the same songs with and without it.

use serde::Serialize;

use crate::model::MemoryMode;

/// Bounds of the length buckets, in windows; longer songs have a bucket of their own.
const LENGTHS: [u64; 5] = [1, 2, 4, 8, 16];

/// The held-out songs, measured with some of the memories.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemoryAblation {
    /// Whether the XL memory is on; see [`MemoryMode::xl`].
    pub xl: bool,
    /// Whether the kNN memory is on.
    pub knn: bool,
    /// All songs.
    pub all: SongSums,
    /// By length, shortest first, without empty buckets.
    pub lengths: Vec<LengthBucket>,
}

/// Songs of similar length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LengthBucket {
    /// Most tokens predicted in a song; `None` for the longest songs.
    pub up_to: Option<u64>,
    /// Sums.
    pub songs: SongSums,
}

/// Sums over songs, and means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SongSums {
    /// Songs.
    pub songs: usize,
    /// Tokens predicted.
    pub tokens: u64,
    /// Notes in them.
    pub notes: u64,
    /// Loss, nats per token.
    pub nats_per_token: f64,
    /// Loss, nats per note.
    pub nats_per_note: f64,
    /// Speed of one core, a window at a time, tokens per second.
    pub tokens_per_second: f64,
}

/// Measurement of one song.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeasuredSong {
    pub(super) tokens: u64,
    pub(super) notes: u64,
    pub(super) nats: f64,
    pub(super) seconds: f64,
}

impl MemoryAblation {
    pub(super) fn new(mode: MemoryMode, window: usize, songs: &[MeasuredSong]) -> Self {
        let bound = |song: &MeasuredSong| {
            let windows = LENGTHS.iter().map(|n| n * window as u64);
            windows.into_iter().find(|&most| song.tokens <= most)
        };
        let mut bounds: Vec<Option<u64>> = songs.iter().map(bound).collect();
        // The bucket without a bound comes last.
        bounds.sort_by_key(|b| b.unwrap_or(u64::MAX));
        bounds.dedup();
        let lengths = bounds.into_iter().map(|up_to| LengthBucket {
            up_to,
            songs: sum(songs.iter().filter(|song| bound(song) == up_to)),
        });
        Self {
            xl: mode.xl,
            knn: mode.recall > 0.0,
            all: sum(songs.iter()),
            lengths: lengths.collect(),
        }
    }
}

fn sum<'a>(songs: impl Iterator<Item = &'a MeasuredSong>) -> SongSums {
    let mut sum = SongSums::default();
    let (mut nats, mut seconds) = (0.0, 0.0);
    for song in songs {
        sum.songs += 1;
        sum.tokens += song.tokens;
        sum.notes += song.notes;
        nats += song.nats;
        seconds += song.seconds;
    }
    let tokens = sum.tokens.max(1) as f64;
    sum.nats_per_token = nats / tokens;
    sum.nats_per_note = nats / sum.notes.max(1) as f64;
    sum.tokens_per_second = tokens / f64::max(seconds, 1e-9);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn songs_are_grouped_by_length() {
        let song = |tokens| MeasuredSong {
            tokens,
            notes: 2,
            nats: tokens as f64,
            seconds: 0.5,
        };
        let songs = [1000, 10, 11, 20, 161].map(song);
        let ablation = MemoryAblation::new(MemoryMode::XL, 10, &songs);
        assert!(ablation.xl && !ablation.knn);
        let bounds: Vec<_> = ablation.lengths.iter().map(|l| l.up_to).collect();
        assert_eq!(bounds, [Some(10), Some(20), None]);
        let counts: Vec<_> = ablation.lengths.iter().map(|l| l.songs.songs).collect();
        assert_eq!(counts, [1, 2, 2]);
        assert_eq!(ablation.all.tokens, 1202);
        assert_eq!(ablation.all.nats_per_token, 1.0);
        assert_eq!(ablation.lengths[1].songs.nats_per_note, 31.0 / 4.0);
        assert_eq!(ablation.lengths[0].songs.tokens_per_second, 20.0);
    }
}
