//! Lanes: every song from its beginning to its end, in any key, and nothing twice or never.

use continuo_score::{NoteContext, NoteState, Token, Vocabulary};
use continuo_trainer::augment::Reach;
use continuo_trainer::corpus::Corpus;
use continuo_trainer::lanes::{Batches, Lanes, Plan};
use continuo_trainer::learner::NOTHING;

use crate::songs;

/// One token a lane was given: where its song began, its id, what is asked for, and what it is
/// told of the notes that sound.
type Played = (u64, u16, u16, NoteContext);

/// What each of three lanes played in `segments` segments of 16.
fn play(corpus: &Corpus, plan: Plan, segments: usize) -> Vec<Vec<Played>> {
    let mut lanes = Lanes::new(corpus, plan).unwrap();
    let mut played = vec![Vec::new(); 3];
    for i in 0..segments {
        // Saved and restored in between: as if nothing had happened.
        if i % 7 == 3 {
            let state = serde_json::to_string(&lanes.state).unwrap();
            let state = serde_json::from_str(&state).unwrap();
            lanes = Lanes::restore(corpus, state).unwrap();
        }
        let groups = lanes.next(2, 16);
        let sizes: Vec<_> = groups.iter().map(|g| g.input.lanes).collect();
        assert_eq!(sizes, [2, 1]);
        for (lane, played) in played.iter_mut().enumerate() {
            let group = &groups[lane / 2];
            let row = (lane % 2) * 16..(lane % 2 + 1) * 16;
            for i in row {
                let input = &group.input;
                let (id, target) = (input.tokens[i], group.targets[i]);
                played.push((input.song[i], id, target, input.told[i]));
            }
        }
    }
    played
}

fn plan(batches: Batches, transpose: u8) -> Plan {
    Plan {
        reach: Reach {
            transpose,
            velocity: 0,
        },
        ..songs::plan(3, batches)
    }
}

/// The song of the corpus with these ids, and how many semitones higher they are.
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

/// Ids of a whole song, from what a lane was given and asked for.
fn whole(song: &[Played]) -> Vec<u16> {
    let ids = song.iter().map(|s| s.1);
    ids.chain([song[song.len() - 1].2]).collect()
}

/// Whether what a song's tokens are told is what their own song says, from its beginning on.
fn told_of_itself(vocabulary: &Vocabulary, song: &[Played]) -> bool {
    let mut sounding = NoteState::default();
    song.iter().all(|&(_, id, _, told)| {
        vocabulary.tokens(id).for_each(|token| sounding.read(token));
        sounding.context() == told
    })
}

#[test]
fn contiguous_lanes_play_whole_songs_without_pads() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 8, 20);
    let mut heard = Vec::new();
    let mut first_songs_left = Vec::new();
    for played in play(&corpus, plan(Batches::Contiguous, 6), 60) {
        assert!(played.iter().all(|p| p.2 != NOTHING));
        let songs: Vec<_> = played.chunk_by(|a, b| a.0 == b.0).collect();
        first_songs_left.push(songs[0].len());
        let mut position = 0;
        // The first one began in the middle, the last one may be cut short.
        for (i, song) in songs[..songs.len() - 1].iter().enumerate() {
            assert_eq!(song[0].0, position);
            position += song.len() as u64;
            assert!(
                song.windows(2).all(|w| w[0].2 == w[1].1),
                "targets are what follows"
            );
            if i > 0 {
                let (index, by) = find(&corpus, &whole(song)).expect("a whole song");
                assert!(!corpus.songs[index].held_out && by.abs() <= 6);
                assert!(told_of_itself(&corpus.vocabulary, song));
                heard.push(by);
            }
        }
    }
    assert!(heard.len() > 10);
    heard.sort_unstable();
    heard.dedup();
    assert!(heard.len() > 4, "many keys: {heard:?}");
    first_songs_left.dedup();
    assert!(first_songs_left.len() > 1, "lanes are staggered");
}

#[test]
fn song_lanes_begin_each_song_with_a_segment() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 8, 20);
    let pad = corpus.vocabulary.id(Token::Pad).unwrap();
    let mut heard = 0;
    for played in play(&corpus, plan(Batches::Songs, 0), 40) {
        let songs: Vec<_> = played.chunk_by(|a, b| a.0 == b.0).collect();
        for song in &songs[..songs.len() - 1] {
            if song[0].1 == pad {
                assert!(song.iter().all(|p| p.1 == pad && p.2 == NOTHING));
                assert!(song.iter().all(|p| p.3 == NoteContext::NOTHING));
                assert!(song.len() < 16, "a segment of pads only is a wasted one");
            } else {
                assert_eq!(song[0].0 % 16, 0, "at the start of a segment");
                assert!(find(&corpus, &whole(song)).is_some(), "a whole song");
                heard += 1;
            }
        }
    }
    assert!(heard > 10);
}

#[test]
fn random_lanes_play_pieces_of_all_songs() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 8, 20);
    let mut pieces = std::collections::HashSet::new();
    for played in play(&corpus, plan(Batches::Random, 0), 200) {
        for segment in played.chunks(16) {
            // None remembers the one before, and these songs are all longer than a segment.
            assert!(segment.iter().all(|p| p.0 % 16 == 0 && p.0 == segment[0].0));
            let ids = whole(segment);
            let found = (0..corpus.songs.len()).find_map(|i| {
                let tokens = corpus.songs[i].tokens as usize;
                let song: Vec<u16> = corpus.records(i, 0, tokens).map(|r| r.id).collect();
                let at = song.windows(17).position(|w| w == ids)?;
                (!corpus.songs[i].held_out).then_some((i, at))
            });
            pieces.insert(found.expect("a piece of a training song"));
        }
    }
    let songs: std::collections::HashSet<_> = pieces.iter().map(|p| p.0).collect();
    let training = corpus.songs.iter().filter(|s| !s.held_out).count();
    assert_eq!(songs.len(), training);
    assert!(pieces.len() > 50, "{}", pieces.len());
}
