//! What each memory is worth: the same songs with and without it.

use serde::Serialize;

use crate::model::Use;

/// Songs are told apart by their length in windows: up to 1, 2, 4, 8, 16, and longer.
const LENGTHS: [u64; 5] = [1, 2, 4, 8, 16];

/// The held-out songs, with some of the memories.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Whether with the XL memory; see [`Use::xl`].
    pub xl: bool,
    /// Whether with the kNN memory.
    pub knn: bool,
    /// All songs.
    pub all: Sum,
    /// By length, shortest first; only lengths that there are.
    pub lengths: Vec<Length>,
}

/// Songs of some length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Length {
    /// Most tokens predicted in a song; absent for the longest.
    pub up_to: Option<u64>,
    /// What they add up to.
    pub songs: Sum,
}

/// Sums over songs, and means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sum {
    /// Songs.
    pub songs: usize,
    /// Tokens predicted.
    pub tokens: u64,
    /// Notes in them.
    pub notes: u64,
    /// Negative log-likelihood, nats a token.
    pub nats_per_token: f64,
    /// The same sum, a note.
    pub nats_per_note: f64,
    /// Tokens a second that one core predicts, a window at a time.
    pub tokens_per_second: f64,
}

/// One song, measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Song {
    pub(super) tokens: u64,
    pub(super) notes: u64,
    pub(super) nats: f64,
    pub(super) seconds: f64,
}

impl Cell {
    pub(super) fn new(memories: Use, window: usize, songs: &[Song]) -> Self {
        let bound = |song: &Song| {
            let windows = LENGTHS.iter().map(|n| n * window as u64);
            windows.into_iter().find(|&most| song.tokens <= most)
        };
        let mut bounds: Vec<Option<u64>> = songs.iter().map(bound).collect();
        // The longest, which have no bound, come last.
        bounds.sort_by_key(|b| b.unwrap_or(u64::MAX));
        bounds.dedup();
        let lengths = bounds.into_iter().map(|up_to| Length {
            up_to,
            songs: sum(songs.iter().filter(|song| bound(song) == up_to)),
        });
        Self {
            xl: memories.xl,
            knn: memories.recall > 0.0,
            all: sum(songs.iter()),
            lengths: lengths.collect(),
        }
    }
}

fn sum<'a>(songs: impl Iterator<Item = &'a Song>) -> Sum {
    let mut sum = Sum::default();
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
    fn songs_are_sorted_by_length() {
        let song = |tokens| Song {
            tokens,
            notes: 2,
            nats: tokens as f64,
            seconds: 0.5,
        };
        let songs = [1000, 10, 11, 20, 161].map(song);
        let cell = Cell::new(Use::XL, 10, &songs);
        assert!(cell.xl && !cell.knn);
        let bounds: Vec<_> = cell.lengths.iter().map(|l| l.up_to).collect();
        assert_eq!(bounds, [Some(10), Some(20), None]);
        let counts: Vec<_> = cell.lengths.iter().map(|l| l.songs.songs).collect();
        assert_eq!(counts, [1, 2, 2]);
        assert_eq!(cell.all.tokens, 1202);
        assert_eq!(cell.all.nats_per_token, 1.0);
        assert_eq!(cell.lengths[1].songs.nats_per_note, 31.0 / 4.0);
        assert_eq!(cell.lengths[0].songs.tokens_per_second, 20.0);
    }
}
