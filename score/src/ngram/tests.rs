use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An id of the `continuo` vocabulary for each of some tokens.
fn id(vocabulary: &Vocabulary, token: Token) -> u16 {
    vocabulary.id(token).unwrap()
}

const ALL: Range<usize> = 0..usize::MAX;

/// Continuations in the piece at the positions `within`, then in `learned` pieces: in this key and others.
fn continuations(
    memory: &NgramMemory,
    within: Range<usize>,
    learned: &NgramMemory,
) -> [Option<Continuations>; 4] {
    let [same, transposed] = memory.followed_within(&within);
    let [same_learned, transposed_learned] = memory.followed_in(learned);
    [same, transposed, same_learned, transposed_learned]
}

/// A stream, and what is held beside it.
#[derive(Clone, Default)]
struct Plain(Vec<(Token, u16)>);

impl Plain {
    /// Tokens that are compared, up to `to`, with their place, last first.
    fn compared(&self, to: usize) -> Vec<(Token, u16)> {
        let is_compared = |t: &&(Token, u16)| !matches!(t.0, Token::Velocity(_));
        let compared = self.0[..to].iter().filter(is_compared);
        compared.rev().copied().collect()
    }

    fn velocities(&self, to: usize) -> usize {
        let is_velocity = |t: &&(Token, u16)| matches!(t.0, Token::Velocity(_));
        self.0[..to].iter().rev().take_while(is_velocity).count()
    }
}

/// Keys of comparison, last first: pitches by their interval from the one before.
fn intervals(tokens: &[(Token, u16)]) -> Vec<(Token, i16)> {
    let pitch = |t: &(Token, u16)| match t.0 {
        Token::Pitch(p) => Some(i16::from(p)),
        _ => None,
    };
    let shape = |i: usize| match (pitch(&tokens[i]), tokens[i + 1..].iter().find_map(pitch)) {
        (Some(now), Some(before)) => (Token::Pitch(0), now - before),
        _ => (tokens[i].0, i16::MAX),
    };
    (0..tokens.len()).map(shape).collect()
}

fn last_pitch(tokens: &[(Token, u16)]) -> Option<i16> {
    tokens.iter().find_map(|t| match t.0 {
        Token::Pitch(p) => Some(i16::from(p)),
        _ => None,
    })
}

/// Compares the end of the stream with every passage of `held`: lengths in common and what would
/// follow here, latest first, of so many as are looked at.
fn look(
    stream: &Plain,
    held: &Plain,
    within: Range<usize>,
    by: Comparison,
) -> Vec<(usize, Token, usize)> {
    let now = stream.compared(stream.0.len());
    let since = stream.velocities(stream.0.len());
    let alike = |a: &[(Token, u16)], b: &[(Token, u16)]| match by {
        Comparison::Ids => a
            .iter()
            .zip(b)
            .take(64)
            .take_while(|(a, b)| a.0 == b.0)
            .count(),
        Comparison::Intervals => {
            let (a, b) = (intervals(a), intervals(b));
            a.iter()
                .zip(&b)
                .take(64)
                .take_while(|(a, b)| a == b)
                .count()
        }
    };
    let mut looked_at = 0;
    let mut found = Vec::new();
    for next in (1..held.0.len()).rev() {
        let then = held.compared(next);
        let length = alike(&then, &now);
        // `since` tokens after the last one compared, whatever they are.
        let Some(note) = next.checked_sub(since + 1) else {
            continue;
        };
        if matches!(held.0[note].0, Token::Velocity(_)) || !within.contains(&next) {
            continue;
        }
        let up_to = held.compared(note + 1);
        if alike(&up_to, &now) < SHORTEST || up_to.len() < SHORTEST || looked_at == MAX_MATCHES {
            continue;
        }
        looked_at += 1;
        if held.velocities(next) != since || length < SHORTEST {
            continue;
        }
        let token = held.0[next].0;
        let token = match by {
            Comparison::Ids => token,
            Comparison::Intervals => {
                let (Some(then), Some(now)) = (last_pitch(&then), last_pitch(&now)) else {
                    continue;
                };
                match (now - then, token) {
                    (0, _) => continue,
                    (by, Token::Pitch(p)) if (0..128).contains(&(i16::from(p) + by)) => {
                        Token::Pitch((i16::from(p) + by) as u8)
                    }
                    (_, Token::Pitch(_)) => continue,
                    (_, token) => token,
                }
            }
        };
        let less = if then[0].1 == now[0].1 {
            0
        } else {
            BAR_POSITION_PENALTY
        };
        found.push((length.saturating_sub(less).max(SHORTEST), token, next));
    }
    found
}

#[test]
fn finds_what_a_look_at_everything_finds_whatever_was_forgotten() {
    let vocabulary = Vocabulary::continuo();
    for seed in 0..30 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut memory, mut stream) = (NgramMemory::new(&vocabulary), Plain::default());
        let (mut learned, mut pieces) = (NgramMemory::new(&vocabulary), Plain::default());
        let key = rng.random_range(1..12);
        let draw = |rng: &mut ChaCha8Rng| {
            let token = match rng.random_range(0..10) {
                0..2 => Token::Velocity(rng.random_range(0..3)),
                2..4 => Token::Duration(6),
                4..7 => Token::Pitch(60),
                7 => Token::Pitch(60 + key),
                8 => Token::Pitch(62),
                _ => Token::Pitch(62 + key),
            };
            (token, rng.random_range(0..2))
        };
        for _ in 0..rng.random_range(0..150) {
            let (token, place) = draw(&mut rng);
            learned.push(id(&vocabulary, token), place);
            pieces.0.push((token, place));
        }
        for turn in 0..250 {
            if rng.random_bool(0.05) {
                let to = rng.random_range(0..=stream.0.len());
                memory.truncate(to);
                stream.0.truncate(to);
            }
            let (token, place) = draw(&mut rng);
            memory.push(id(&vocabulary, token), place);
            stream.0.push((token, place));
            let from = rng.random_range(0..=stream.0.len());
            let within = from..rng.random_range(from..=stream.0.len() + 1);
            for by in [Comparison::Ids, Comparison::Intervals] {
                for (held, plain, within) in
                    [(&memory, &stream, within.clone()), (&learned, &pieces, ALL)]
                {
                    let all = look(&stream, plain, within.clone(), by);
                    let length = all.iter().map(|f| f.0).max();
                    let at = all.iter().filter(|f| Some(f.0) == length).map(|f| f.2);
                    let expected = length.map(|length| (length, at.max()));
                    let found = memory.followed(held, by, within);
                    let what = format!("seed {seed}, turn {turn}, by {by:?}");
                    assert_eq!(
                        found.as_ref().map(|f| (f.length, f.position)),
                        expected,
                        "{what}"
                    );
                    let Some(found) = found else { continue };
                    let length = found.length;
                    let weight = |f: &&(usize, Token, usize)| 0.5f64.powi((length - f.0) as i32);
                    let sum: f64 = all.iter().map(|f| weight(&f)).sum();
                    for &(next, share) in &found.shares {
                        let token = vocabulary.token(next).unwrap();
                        let its = all.iter().filter(|f| f.1 == token).map(|f| weight(&f));
                        let its = its.sum::<f64>() / sum;
                        assert!((f64::from(share) - its).abs() < 1e-4, "{what}");
                    }
                }
            }
        }
    }
}

/// Reads notes of one length, one after the other on consecutive steps.
fn read(memory: &mut NgramMemory, vocabulary: &Vocabulary, pitches: &[u8]) {
    for &pitch in pitches {
        for token in [
            Token::Separator,
            Token::Duration(12),
            Token::Pitch(pitch),
            Token::Duration(12),
            Token::Velocity(9),
        ] {
            memory.push(id(vocabulary, token), 0);
        }
    }
}

#[test]
fn a_theme_comes_back_in_another_key() {
    let vocabulary = Vocabulary::continuo();
    let nothing = NgramMemory::new(&vocabulary);
    let mut memory = NgramMemory::new(&vocabulary);
    let theme = [60, 64, 62, 67, 65];
    read(&mut memory, &vocabulary, &theme);
    read(&mut memory, &vocabulary, &[65, 69, 67]);
    memory.push(id(&vocabulary, Token::Separator), 0);
    memory.push(id(&vocabulary, Token::Duration(12)), 0);
    let expected = id(&vocabulary, Token::Pitch(67 + 5));
    let [same, transposed, ..] = continuations(&memory, ALL, &nothing);
    assert!(same.is_none_or(|f| f.share(expected) == 0.0));
    let first = |followed: Option<Continuations>| {
        let followed = followed.unwrap();
        assert!(followed.shares[0].1 > 0.9, "{followed:?}");
        (followed.shares[0].0, followed.position)
    };
    assert_eq!(first(transposed), (expected, Some(3 * 5 + 2)));

    // The same theme, learned from a file in a third key.
    let mut learned = NgramMemory::new(&vocabulary);
    read(&mut learned, &vocabulary, &theme.map(|p| p - 7));
    let [None, None, _, transposed] = continuations(&memory, 0..0, &learned) else {
        panic!("found where it was not to look");
    };
    assert_eq!(first(transposed), (expected, None));
    // No pitch outside of MIDI's.
    let mut high = NgramMemory::new(&vocabulary);
    read(&mut high, &vocabulary, &[123, 127, 125]);
    high.push(id(&vocabulary, Token::Separator), 0);
    high.push(id(&vocabulary, Token::Duration(12)), 0);
    assert_eq!(continuations(&high, 0..0, &learned)[3], None);
}

#[test]
fn what_lies_elsewhere_in_its_bar_counts_less() {
    let vocabulary = Vocabulary::continuo();
    let mut memory = NgramMemory::new(&vocabulary);
    let note = |memory: &mut NgramMemory, pitch: u8, place: u16| {
        memory.push(id(&vocabulary, Token::Pitch(pitch)), place);
        memory.push(id(&vocabulary, Token::Duration(6)), place);
    };
    for (place, next) in [(0, 50), (6, 51)] {
        [60, 62, 64]
            .iter()
            .for_each(|&pitch| note(&mut memory, pitch, place));
        note(&mut memory, next, place);
    }
    [60, 62, 64]
        .iter()
        .for_each(|&pitch| note(&mut memory, pitch, 0));
    let [followed, ..] = continuations(&memory, ALL, &NgramMemory::new(&vocabulary));
    let followed = followed.unwrap();
    let share = |pitch| followed.share(id(&vocabulary, Token::Pitch(pitch)));
    assert_eq!((followed.length, followed.position), (6, Some(6)));
    // Two tokens less, for it is not shorter than the shortest.
    assert!(
        (share(50) - 0.8).abs() < 1e-6 && (share(51) - 0.2).abs() < 1e-6,
        "{followed:?}"
    );
}

#[test]
fn what_followed_twice_and_longest_counts_most() {
    let vocabulary = Vocabulary::continuo();
    let p = [60, 62, 64].map(|pitch| id(&vocabulary, Token::Pitch(pitch)));
    let loudness = [3, 5, 9].map(|bin| id(&vocabulary, Token::Velocity(bin)));
    let mut memory = NgramMemory::new(&vocabulary);
    let nothing = memory.clone();
    assert_eq!(
        continuations(&memory, ALL, &nothing),
        [None, None, None, None]
    );
    let passage = [p[0], loudness[0], p[1], loudness[1], p[1], p[0]];
    for next in [p[2], p[1], p[2]] {
        passage.iter().for_each(|&id| memory.push(id, 0));
        memory.push(next, 0);
    }
    // Something else, and the same notes played louder.
    [150, p[0], loudness[2], p[1], p[1], p[0]]
        .iter()
        .for_each(|&id| memory.push(id, 0));
    let followed = continuations(&memory, ALL, &nothing)[0].clone().unwrap();
    assert_eq!((followed.length, followed.position), (4, Some(20)));
    assert!(!followed.agreed());
    assert!((followed.share(p[2]) - 2.0 / 3.0).abs() < 1e-6);
    assert!((followed.share(p[1]) - 1.0 / 3.0).abs() < 1e-6);
    let later = continuations(&memory, 14..usize::MAX, &nothing)[0]
        .clone()
        .unwrap();
    assert_eq!((later.share(p[1]), later.agreed()), (0.0, true));
    assert_eq!(continuations(&memory, 21..usize::MAX, &nothing)[0], None);
    // Learned pieces count apart.
    let learned = continuations(&memory, 21..usize::MAX, &memory)[2]
        .clone()
        .unwrap();
    let expected = Continuations {
        position: None,
        ..followed
    };
    assert_eq!(learned, expected);
}

/// A bar of bass and drums, the bass transposed up by `by`.
fn band_bar(by: u8) -> Vec<Token> {
    use Token::{Duration, Pitch, Separator, Velocity};
    let [bass, drums] = [Part::Bass, Part::Drums].map(Token::Part);
    let hit = |key| [Pitch(key), Velocity(8)];
    let half = |key| {
        let note = [bass, Pitch(key + by), Duration(6), Velocity(8), drums];
        let moves = [Separator, Duration(6)];
        [&moves[..], &note, &hit(36), &moves, &hit(42)].concat()
    };
    [half(40), half(43)].concat()
}

#[test]
fn drums_are_not_transposed_and_a_bass_is() {
    let v = Vocabulary::band();
    let bars = [band_bar(0), band_bar(5), band_bar(10)].concat();
    let after = |tokens: &[Token]| {
        let mut memory = NgramMemory::new(&v);
        memory.push(id(&v, Token::Start), 0);
        tokens
            .iter()
            .for_each(|&token| memory.push(id(&v, token), 0));
        let found = continuations(&memory, ALL, &NgramMemory::new(&v));
        found.map(|source| source.and_then(|f| v.token(f.shares[0].0)))
    };
    let at = |token, nth| {
        let positions = bars.iter().enumerate().filter(|(_, t)| **t == token);
        positions.map(|(at, _)| at).nth(nth).unwrap()
    };
    // Before the second bass note of the third bar.
    let [_, other, ..] = after(&bars[..at(Token::Pitch(53), 0)]);
    assert_eq!(other, Some(Token::Pitch(53)));
    // Before the drum beside it: the same drum in any key.
    let [same, other, ..] = after(&bars[..at(Token::Pitch(36), 5)]);
    assert_eq!((same, other), (None, Some(Token::Pitch(36))));
}

#[test]
fn a_part_is_not_continued_as_another() {
    use Token::{Duration, Pitch, Separator, Velocity};
    let v = Vocabulary::band();
    let line = [
        [Pitch(60), Duration(6), Velocity(8), Separator, Duration(6)],
        [Pitch(62), Duration(6), Velocity(8), Separator, Duration(6)],
    ]
    .concat();
    let after = |part| {
        let mut memory = NgramMemory::new(&v);
        let begin = [Token::Start, Token::Part(Part::Lead)];
        let again = [&[Token::Part(part)][..], &line[..5]].concat();
        for token in [&begin[..], &line, &again].concat() {
            memory.push(id(&v, token), 0);
        }
        let [same, ..] = continuations(&memory, ALL, &NgramMemory::new(&v));
        same.and_then(|f| v.token(f.shares[0].0))
    };
    assert_eq!(after(Part::Lead), Some(Pitch(62)));
    assert_eq!(after(Part::Bass), None);
}
