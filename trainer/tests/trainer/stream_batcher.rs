//! Batches: every song from its beginning to its end, in any key.

use continuo_score::{NoteContext, NoteState, Token, Vocabulary};
use continuo_trainer::data::augment::AugmentRange;
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::data::stream_batcher::{BatchConfig, Batching, StreamBatcher};
use continuo_trainer::model::IGNORED;

use crate::fixtures;

/// One token of a batch row: start of its song, id, target, and context.
type Played = (u64, u16, u16, NoteContext);

/// Tokens of three batch rows in `segments` segments of 16.
fn play(corpus: &Corpus, config: BatchConfig, segments: usize) -> Vec<Vec<Played>> {
    let mut batcher = StreamBatcher::new(corpus, config).unwrap();
    let mut played = vec![Vec::new(); 3];
    for i in 0..segments {
        // Saving and restoring in between changes nothing.
        if i % 7 == 3 {
            let state = serde_json::to_string(&batcher.state).unwrap();
            let state = serde_json::from_str(&state).unwrap();
            batcher = StreamBatcher::restore(corpus, state).unwrap();
        }
        let batches = batcher.next(2, 16);
        let sizes: Vec<_> = batches.iter().map(|b| b.input.batch_rows).collect();
        assert_eq!(sizes, [2, 1]);
        for (row, played) in played.iter_mut().enumerate() {
            let batch = &batches[row / 2];
            for i in (row % 2) * 16..(row % 2 + 1) * 16 {
                let input = &batch.input;
                let (id, target) = (input.tokens[i], batch.targets[i]);
                played.push((input.song_start[i], id, target, input.contexts[i]));
            }
        }
    }
    played
}

fn config(batching: Batching, transpose: u8) -> BatchConfig {
    BatchConfig {
        augment: AugmentRange {
            transpose,
            velocity: 0,
        },
        ..fixtures::batch_config(3, batching)
    }
}

/// Song of the corpus with these ids, and their transposition in semitones.
fn find(corpus: &Corpus, ids: &[u16]) -> Option<(usize, i16)> {
    let vocabulary = &corpus.vocabulary;
    let first_pitch = |ids: &[u16]| pitches(vocabulary, ids).next();
    (0..corpus.songs.len()).find_map(|i| {
        let tokens = corpus.songs[i].tokens as usize;
        let song: Vec<u16> = corpus.records(i, 0, tokens).map(|r| r.id).collect();
        let by = first_pitch(ids)? - first_pitch(&song)?;
        let moved: Vec<u16> = song.iter().map(|&id| higher(vocabulary, id, by)).collect();
        (moved == ids).then_some((i, by))
    })
}

fn pitches<'a>(vocabulary: &'a Vocabulary, ids: &'a [u16]) -> impl Iterator<Item = i16> + 'a {
    ids.iter().filter_map(|&id| match vocabulary.token(id) {
        Some(Token::Pitch(p)) => Some(i16::from(p)),
        _ => None,
    })
}

fn higher(vocabulary: &Vocabulary, id: u16, by: i16) -> u16 {
    match vocabulary.token(id) {
        Some(Token::Pitch(p)) => {
            let pitch = Token::Pitch((i16::from(p) + by) as u8);
            vocabulary.id(pitch).unwrap()
        }
        _ => id,
    }
}

/// Ids of a song from its inputs and its last target.
fn whole(song: &[Played]) -> Vec<u16> {
    let ids = song.iter().map(|s| s.1);
    ids.chain([song[song.len() - 1].2]).collect()
}

/// Whether the contexts depend on the song's own tokens only.
fn contexts_are_its_own(vocabulary: &Vocabulary, song: &[Played]) -> bool {
    let mut sounding = NoteState::default();
    song.iter().all(|&(_, id, _, contexts)| {
        vocabulary.tokens(id).for_each(|token| sounding.read(token));
        sounding.context() == contexts
    })
}

#[test]
fn contiguous_rows_play_whole_songs_without_padding() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 8, 20);
    let mut transpositions = Vec::new();
    let mut first_songs_left = Vec::new();
    for played in play(&corpus, config(Batching::Contiguous, 6), 60) {
        assert!(played.iter().all(|p| p.2 != IGNORED));
        let songs: Vec<_> = played.chunk_by(|a, b| a.0 == b.0).collect();
        first_songs_left.push(songs[0].len());
        let mut position = 0;
        // The first one begins in the middle, the last one may be cut short.
        for (i, song) in songs[..songs.len() - 1].iter().enumerate() {
            assert_eq!(song[0].0, position);
            position += song.len() as u64;
            assert!(
                song.windows(2).all(|w| w[0].2 == w[1].1),
                "targets are the next tokens"
            );
            if i > 0 {
                let (index, by) = find(&corpus, &whole(song)).expect("a whole song");
                assert!(!corpus.songs[index].held_out && by.abs() <= 6);
                assert!(contexts_are_its_own(&corpus.vocabulary, song));
                transpositions.push(by);
            }
        }
    }
    assert!(transpositions.len() > 10);
    transpositions.sort_unstable();
    transpositions.dedup();
    assert!(transpositions.len() > 4, "many keys: {transpositions:?}");
    first_songs_left.dedup();
    assert!(first_songs_left.len() > 1, "rows are staggered");
}

#[test]
fn song_rows_begin_each_song_with_a_segment() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 8, 20);
    let pad = corpus.vocabulary.id(Token::Pad).unwrap();
    let mut whole_songs = 0;
    for played in play(&corpus, config(Batching::Songs, 0), 40) {
        let songs: Vec<_> = played.chunk_by(|a, b| a.0 == b.0).collect();
        for song in &songs[..songs.len() - 1] {
            if song[0].1 == pad {
                assert!(song.iter().all(|p| p.1 == pad && p.2 == IGNORED));
                assert!(song.iter().all(|p| p.3 == NoteContext::NOTHING));
                assert!(song.len() < 16, "no segment is all padding");
            } else {
                assert_eq!(song[0].0 % 16, 0, "at the start of a segment");
                assert!(find(&corpus, &whole(song)).is_some(), "a whole song");
                whole_songs += 1;
            }
        }
    }
    assert!(whole_songs > 10);
}

#[test]
fn random_rows_play_excerpts_of_all_songs() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 8, 20);
    let mut pieces = std::collections::HashSet::new();
    for played in play(&corpus, config(Batching::Random, 0), 200) {
        for segment in played.chunks(16) {
            // No segment has memory, and these songs are all longer than a segment.
            assert!(segment.iter().all(|p| p.0 % 16 == 0 && p.0 == segment[0].0));
            let ids = whole(segment);
            let found = (0..corpus.songs.len()).find_map(|i| {
                let tokens = corpus.songs[i].tokens as usize;
                let song: Vec<u16> = corpus.records(i, 0, tokens).map(|r| r.id).collect();
                let at = song.windows(17).position(|w| w == ids)?;
                (!corpus.songs[i].held_out).then_some((i, at))
            });
            pieces.insert(found.expect("an excerpt of a training song"));
        }
    }
    let songs: std::collections::HashSet<_> = pieces.iter().map(|p| p.0).collect();
    let training = corpus.songs.iter().filter(|s| !s.held_out).count();
    assert_eq!(songs.len(), training);
    assert!(pieces.len() > 50, "{}", pieces.len());
}
