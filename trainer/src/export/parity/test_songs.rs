//! Songs that graphs and model are compared on.

use crate::data::corpus::Corpus;
use crate::export::parity::error::ParityError;
use crate::model::Input;

/// Most tokens of each song: several windows, and few enough for one pass in memory.
const TOKENS: usize = 1200;

/// Up to `most` songs: held-out ones first, then long ones, which fill the memory.
///
/// # Errors
/// The corpus has no songs.
pub(super) fn test_songs(corpus: &Corpus, most: usize) -> Result<Vec<usize>, ParityError> {
    let mut songs: Vec<usize> = (0..corpus.songs.len()).collect();
    songs.sort_by_key(|&i| {
        let song = &corpus.songs[i];
        let tokens = song.tokens.min(TOKENS as u64);
        (!song.held_out, std::cmp::Reverse(tokens), i)
    });
    songs.truncate(most);
    if songs.is_empty() {
        return Err(ParityError::NoSongs(corpus.path().into()));
    }
    Ok(songs)
}

/// Beginning of a song, as far as it is compared.
pub(super) fn beginning(corpus: &Corpus, song: usize) -> Input {
    let count = (corpus.songs[song].tokens as usize - 1).min(TOKENS);
    let mut input = Input::with_shape(1, count);
    input.push_song(corpus, song, 0, count, 0);
    input
}
