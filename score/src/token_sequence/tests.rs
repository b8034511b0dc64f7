use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn note(start: u32, length: u32, pitch: u8) -> Note {
    Note {
        start,
        length,
        pitch,
        velocity: Vocabulary::DEFAULT_VELOCITY,
        ..Note::default()
    }
}

fn text_of(p: &TokenSequence) -> String {
    p.tokens
        .iter()
        .map(|t| t.token.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The worked example of the reference encoding (its steps count from 1, ours from 0).
#[test]
fn the_example_of_the_reference_encoding() {
    let mut score = Score::new(8);
    score.notes = vec![note(0, 4, 1), note(1, 2, 3), note(6, 2, 2), note(6, 2, 3)];
    score.length = 8;
    let low = Vocabulary::midigen().with_order(NoteOrder::LowToHigh);
    let encoded = TokenSequence::encode(&score, &low);
    assert_eq!(
        text_of(&encoded),
        "<sos> n1 d4 <sep> d1 n3 d2 <sep> d5 n2 d2 n3 d2 <sep> d2 <eos>"
    );
    let steps: Vec<u32> = encoded.tokens.iter().map(|t| t.step).collect();
    assert_eq!(steps, [0, 0, 0, 0, 1, 1, 1, 1, 6, 6, 6, 6, 6, 6, 8, 8]);
    assert_eq!(encoded.decode(&low), score);

    let high = Vocabulary::midigen();
    assert_eq!(
        text_of(&TokenSequence::encode(&score, &high)),
        "<sos> n1 d4 <sep> d1 n3 d2 <sep> d5 n3 d2 n2 d2 <sep> d2 <eos>"
    );
}

#[test]
fn long_rests_are_several_moves_and_long_notes_are_cut() {
    let v = Vocabulary::continuo();
    let mut score = Score::new(12);
    score.notes = vec![note(400, 500, 60)];
    score.normalise();
    let encoded = TokenSequence::encode(&score, &v);
    assert_eq!(
        text_of(&encoded),
        "<sos> <sep> d192 <sep> d192 <sep> d16 n60 d192 v11 <sep> d192 <sep> d192 <sep> d116 <eos>"
    );
}

#[test]
fn an_empty_score_is_start_and_end() {
    let v = Vocabulary::continuo();
    let encoded = TokenSequence::encode(&Score::new(12), &v);
    assert_eq!(text_of(&encoded), "<sos> <eos>");
    assert_eq!(encoded.decode(&v), Score::new(12));
}

/// A random score as quantising leaves it: tidy, lengths and velocities the vocabulary has.
fn random_score(rng: &mut ChaCha8Rng, v: &Vocabulary) -> Score {
    let mut score = Score::new(v.steps_per_beat);
    for _ in 0..rng.random_range(0..60) {
        let bin = rng.random_range(0..v.velocity_bins.max(1));
        score.notes.push(Note {
            start: rng.random_range(0..1500),
            length: rng.random_range(1..=u32::from(v.longest)),
            pitch: rng.random_range(0..128),
            velocity: v.bin_velocity(bin),
            ..Note::default()
        });
    }
    if v.has_parts() {
        for note in &mut score.notes {
            note.part = Part::ALL[rng.random_range(0..Part::COUNT)];
            if !note.part.is_pitched() {
                note.length = 1;
            }
        }
    }
    score.length = rng.random_range(0..2500);
    score.normalise();
    score
}

#[test]
fn decode_undoes_encode() {
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for preset in [
            Vocabulary::midigen(),
            Vocabulary::continuo(),
            Vocabulary::midigen().with_parts(),
            Vocabulary::band(),
        ] {
            for v in [preset.clone().with_order(NoteOrder::LowToHigh), preset] {
                let score = random_score(&mut rng, &v);
                let encoded = TokenSequence::encode(&score, &v);
                let ids = encoded.ids(&v);
                assert_eq!(ids.len(), encoded.tokens.len(), "seed {seed}");
                let read = TokenSequence::from_ids(&ids, &v);
                assert_eq!(read.as_ref(), Ok(&encoded), "seed {seed}");
                assert_eq!(encoded.decode(&v), score, "seed {seed}");
            }
        }
    }
}

#[test]
fn sections_encode_as_the_whole() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..200 {
        let plain = rng.random_bool(0.5);
        let preset = if plain { "continuo" } else { "band" };
        let vocabulary = Vocabulary::preset(preset).unwrap();
        let score = random_score(&mut rng, &vocabulary);
        let whole = TokenSequence::encode_open(&score, &vocabulary);
        let mut sections = TokenSequence::encode_open(&Score::new(12), &vocabulary);
        let mut part = Part::Keys;
        let mut rest = &score.notes[..];
        while !rest.is_empty() {
            let mut at = rng.random_range(1..=rest.len());
            while at < rest.len() && rest[at].start == rest[at - 1].start {
                at += 1;
            }
            let section =
                TokenSequence::encode_section(sections.step(), part, &rest[..at], &vocabulary);
            sections.tokens.extend(section.tokens);
            part = rest[at - 1].part;
            rest = &rest[at..];
        }
        assert_eq!(sections, whole);
    }
}

#[test]
fn invalid_ids_are_refused_with_their_index() {
    let v = Vocabulary::continuo();
    let id = |t| v.id(t).unwrap();
    let (sos, d4) = (id(Token::Start), id(Token::Duration(4)));
    let read = |ids: &[u16]| TokenSequence::from_ids(ids, &v);
    assert_eq!(
        read(&[sos, d4]),
        Err(DecodeError::Unexpected {
            index: 1,
            token: Token::Duration(4)
        })
    );
    assert_eq!(
        read(&[sos, 9999]),
        Err(DecodeError::UnknownId {
            index: 1,
            id: 9999,
            size: 340
        })
    );
    assert!(read(&[d4]).is_err());
    assert!(read(&[sos, id(Token::Pad)]).is_err());
}

/// Two steps of a band, at 12 steps a beat.
fn band() -> Score {
    let note = |start, part, pitch, length| Note {
        start,
        length,
        pitch,
        velocity: 92,
        part,
    };
    let mut score = Score::new(12);
    score.notes = vec![
        note(0, Part::Drums, 36, 9),
        note(0, Part::Bass, 40, 4),
        note(0, Part::Drums, 42, 1),
        note(0, Part::Lead, 72, 4),
        note(0, Part::Lead, 76, 6),
        note(6, Part::Drums, 42, 1),
        note(6, Part::Keys, 40, 6),
    ];
    score.normalise();
    score
}

#[test]
fn a_band_is_spelled_by_parts_and_drums_have_no_length() {
    let v = Vocabulary::band();
    let encoded = TokenSequence::encode(&band(), &v);
    let text = "<sos> <lead> n76 d6 v11 n72 d4 v11 <bass> n40 d4 v11 <drums> n42 v11 n36 v11 \
                <sep> d6 <keys> n40 d6 v11 <drums> n42 v11 <sep> d6 <eos>";
    assert_eq!(text_of(&encoded), text);
    let steps = |from: usize| encoded.tokens[from].step;
    assert_eq!([1, 17, 18, 19].map(steps), [0, 0, 6, 6]);
    let decoded = encoded.decode(&v);
    assert_eq!(decoded.notes, band().quantise(&v).notes);
    assert_eq!(
        decoded
            .notes
            .iter()
            .filter(|n| n.part == Part::Drums)
            .count(),
        3
    );
    assert!(
        decoded
            .notes
            .iter()
            .all(|n| n.part.is_pitched() || n.length == 1)
    );
    assert_eq!(TokenSequence::from_ids(&encoded.ids(&v), &v), Ok(encoded));
    // Low notes first, within a part.
    let low = TokenSequence::encode(&band(), &v.clone().with_order(NoteOrder::LowToHigh));
    assert!(text_of(&low).starts_with("<sos> <lead> n72 d4 v11 n76 d6 v11 <bass> n40"));
}

#[test]
fn a_vocabulary_without_parts_drops_drums_and_merges_the_rest() {
    let v = Vocabulary::continuo();
    let mut score = band();
    score.notes.push(Note {
        length: 9,
        pitch: 72,
        velocity: 20,
        part: Part::Chords,
        ..Note::default()
    });
    score.normalise();
    let encoded = TokenSequence::encode(&score, &v);
    assert_eq!(
        text_of(&encoded),
        "<sos> n76 d6 v11 n72 d9 v11 n40 d4 v11 <sep> d6 n40 d6 v11 <sep> d6 <eos>"
    );
    assert_eq!(encoded.decode(&v).notes, score.quantise(&v).notes);
}

#[test]
fn a_stream_has_no_needless_part_and_none_without_a_pitch() {
    let v = Vocabulary::band();
    let id = |token| v.id(token).unwrap();
    let read = |tokens: &[Token]| {
        let ids: Vec<u16> = tokens.iter().map(|&token| id(token)).collect();
        TokenSequence::from_ids(&ids, &v).is_ok()
    };
    use Token::{Duration, End, Pitch, Separator, Start, Velocity};
    let part = Token::Part;
    let hit = [part(Part::Drums), Pitch(36), Velocity(9)];
    let with = |rest: &[Token]| [&[Start][..], &hit, rest].concat();
    assert!(read(&with(&[])));
    assert!(read(&with(&[Pitch(35), Velocity(1)])));
    assert!(!read(&with(&[Pitch(37)])), "from high to low");
    assert!(!read(&with(&[part(Part::Bass)])), "parts are in order");
    assert!(!read(&with(&[part(Part::Drums)])), "it is there already");
    assert!(!read(&[Start, part(Part::Keys)]), "the stream begins there");
    assert!(!read(&[Start, part(Part::Drums), Pitch(36), Duration(4)]));
    let later = with(&[Separator, Duration(4), part(Part::Bass)]);
    assert!(read(&later));
    for not_a_pitch in [Separator, End, part(Part::Drums)] {
        assert!(
            !read(&[&later[..], &[not_a_pitch]].concat()),
            "{not_a_pitch}"
        );
    }
    assert!(!read(&with(&[End])), "a hit lasts a step");
    assert!(read(&with(&[Separator, Duration(1), End])));
}
