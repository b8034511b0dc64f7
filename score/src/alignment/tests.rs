use super::*;
use crate::{Part, Score, TokenSequence, tune};

const ALL: Range<usize> = 0..usize::MAX;

fn ids(tune: &str, vocabulary: &Vocabulary) -> Vec<u16> {
    let score = tune::parse(tune, vocabulary.steps_per_beat).unwrap();
    ids_of(&score, vocabulary)
}

fn ids_of(score: &Score, vocabulary: &Vocabulary) -> Vec<u16> {
    TokenSequence::encode_open(score, vocabulary).ids(vocabulary)
}

fn read(ids: &[u16], vocabulary: &Vocabulary, bar: u16) -> Alignments {
    let mut alignments = Alignments::new(vocabulary);
    for &id in ids {
        alignments.push(id, bar);
        if alignments.completes_onset() {
            alignments.align([]);
        }
    }
    alignments
}

/// The likeliest token and its share.
fn likeliest(alignments: &Alignments, within: &Range<usize>) -> Option<(Token, f32)> {
    let said = alignments.continuations(within)?;
    let (id, share) = said.continuations.shares[0];
    Some((alignments.vocabulary.token(id)?, share))
}

/// Eight notes in a bar of 4/4, and the bar again with the notes at `changed` a semitone higher.
fn varied(changed: &[usize]) -> String {
    let notes = ["C4", "E4", "G4", "C5", "B4", "G4", "F4", "D4"];
    let again = notes
        .iter()
        .enumerate()
        .map(|(i, note)| match changed.contains(&i) {
            true => note.replace('4', "#4").replace('5', "#5"),
            false => (*note).to_owned(),
        });
    let bar = |notes: Vec<String>| {
        let notes: Vec<String> = notes.iter().map(|n| format!("{n}:.5")).collect();
        notes.join(" ")
    };
    let first = bar(notes.map(String::from).to_vec());
    format!(
        "metre 4/4\ntempo 100\nvoice\n!80 {first} | {}",
        bar(again.collect())
    )
}

#[test]
fn theme_that_returns_varied_is_followed() {
    let vocabulary = Vocabulary::continuo();
    let ids = ids(&varied(&[1, 4]), &vocabulary);
    // Pitch, length, velocity, separator, move: five tokens a note, after the start.
    let pitch_at = |note: usize| 1 + 5 * note;
    for note in 8 + 3..16 {
        let changed = [9, 12].contains(&note);
        let now = read(&ids[..pitch_at(note)], &vocabulary, 48);
        let (token, share) = likeliest(&now, &ALL).unwrap();
        let theme = vocabulary.token(ids[pitch_at(note - 8)]).unwrap();
        assert_eq!((token, share > 0.99), (theme, true), "note {note}");
        assert_eq!(
            Some(token) == vocabulary.token(ids[pitch_at(note)]),
            !changed
        );
        // Where the pitch differs, its length and velocity are still those of the theme.
        for (offset, phase) in [(1, Phase::Length), (2, Phase::Velocity), (4, Phase::Move)] {
            let at = pitch_at(note) + offset;
            if at < ids.len() {
                let now = read(&ids[..at], &vocabulary, 48);
                assert_eq!(now.phase(), phase);
                let expected = vocabulary.token(ids[at - 40]).unwrap();
                assert_eq!(
                    likeliest(&now, &ALL).unwrap().0,
                    expected,
                    "{note} {phase:?}"
                );
            }
        }
    }
    let similarity = |changed: &[usize]| {
        let ids = super::tests::ids(&varied(changed), &vocabulary);
        let now = read(&ids[..pitch_at(15)], &vocabulary, 48);
        now.continuations(&ALL).unwrap().similarity
    };
    assert!(similarity(&[]) > similarity(&[1]));
    assert!(similarity(&[1]) > similarity(&[1, 4, 6]));
}

#[test]
fn passage_in_another_key_is_followed_where_it_was_found() {
    let vocabulary = Vocabulary::continuo();
    let theme = ids(
        "tempo 100\nvoice\n!80 C4:.75 E4:.25 G4:1 A4:.5 F4:.5 D4:1 B3:1",
        &vocabulary,
    );
    let higher = ids(
        "tempo 100\nvoice\n!80 D4:.75 F#4:.25 A4:1 B4:.5 G4:.5 E4:1",
        &vocabulary,
    );
    let length = theme.len();
    let mut stream = theme;
    stream.push(vocabulary.id(Token::Separator).unwrap());
    stream.push(vocabulary.id(Token::Duration(12)).unwrap());
    stream.extend(&higher[1..]);
    // The third note of the second time is complete, as was that of the first.
    let (then, now) = (1 + 5 * 2 + 3, length + 2 + 5 * 2 + 3);
    let mut alignments = Alignments::new(&vocabulary);
    let expected = [Token::Pitch(71), Token::Pitch(67), Token::Pitch(64)];
    let mut predicted = Vec::new();
    for (position, &id) in stream.iter().enumerate() {
        if matches!(vocabulary.token(id), Some(Token::Pitch(_))) && position > now {
            predicted.push(likeliest(&alignments, &ALL).unwrap().0);
        }
        alignments.push(id, 0);
        if alignments.completes_onset() {
            let found = (position == now).then_some((then, 2));
            alignments.align(found);
        }
    }
    assert_eq!(predicted, expected);
}

#[test]
fn drums_are_not_transposed_and_parts_follow_in_order() {
    let vocabulary = Vocabulary::band();
    let token = |token| vocabulary.id(token).unwrap();
    let step = |pitch: u8| {
        [
            Token::Part(Part::Bass),
            Token::Pitch(pitch),
            Token::Duration(12),
            Token::Velocity(8),
            Token::Part(Part::Drums),
            Token::Pitch(36),
            Token::Velocity(9),
            Token::Separator,
            Token::Duration(12),
        ]
        .map(token)
    };
    let mut alignments = Alignments::new(&vocabulary);
    let first = [step(40), step(43), step(45)].concat();
    for &id in &first {
        alignments.push(id, 0);
    }
    let again = [step(42), step(45), step(47)].concat();
    for (position, &id) in again.iter().enumerate() {
        if position > 9 {
            assert_eq!(
                likeliest(&alignments, &ALL).unwrap().0,
                vocabulary.token(id).unwrap()
            );
        }
        alignments.push(id, 0);
        if alignments.completes_onset() {
            alignments.align((position == 7).then_some((7, 2)));
        }
    }
}

#[test]
fn only_passages_within_the_positions_are_followed() {
    let vocabulary = Vocabulary::continuo();
    let ids = ids(&varied(&[]), &vocabulary);
    let now = read(&ids[..1 + 5 * 12], &vocabulary, 48);
    // The onset a bar before begins at position 21.
    let said = now.continuations(&ALL).unwrap();
    assert_eq!(said.continuations.position, Some(21));
    assert!(now.continuations(&(0..22)).is_some());
    assert!(now.continuations(&(0..21)).is_none());
    assert!(now.continuations(&(22..usize::MAX)).is_none());
}
