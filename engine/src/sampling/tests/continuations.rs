//! Continuations of the n-gram memory are drawn by their weights.

use continuo_score::ngram::Continuations;
use continuo_score::{Grammar, GrammarState, Note, Part, Score, Token, Vocabulary};

use super::super::*;
use super::{FREE, PLAIN};

/// The temperature does not change the share of continuations; loop detection lowers it; grammar and
/// constraints exclude continuations.
#[test]
fn continuations_are_drawn_as_often_as_their_weight_says() {
    let v = Vocabulary::continuo();
    let grammar = Grammar::new(&v);
    let state = grammar.next(&GrammarState::default(), Token::Start);
    let id = |token| v.id(token).unwrap();
    let pitch = |p| id(Token::Pitch(p));
    // The network predicts middle C.
    let mut logits = vec![-20.0; v.size()];
    logits[usize::from(pitch(60))] = 20.0;
    let followed = |shares: &[(u16, f32)]| Continuations {
        length: 64,
        shares: shares.to_vec(),
        position: Some(9),
    };
    let two = followed(&[(pitch(64), 0.75), (pitch(67), 0.25)]);
    let count_all =
        |sampling: &Sampling, followed: &[Option<(Continuations, f32)>], looping: bool| {
            let mut sampler = Sampler::new(&v);
            sampler.begin(0, sampling, 3, None, &[]);
            if looping {
                for _ in 0..2_000 {
                    sampler.read(Token::Pitch(60));
                }
            }
            let mut counts = [0u32; 4];
            for _ in 0..4_000 {
                let chosen = sampler.choose_with(&state, &logits, followed);
                let chosen = chosen.unwrap();
                let known = [60, 64, 67].iter().position(|&p| pitch(p) == chosen);
                counts[known.unwrap_or(3)] += 1;
            }
            counts.map(|n| f64::from(n) / 4_000.0)
        };
    let count = |sampling: &Sampling, followed: &Continuations, weight, looping: bool| {
        count_all(sampling, &[None, Some((followed.clone(), weight))], looping)
    };
    let near = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.03);
    let mut hot = PLAIN;
    (hot.pitch_temperature, hot.top_p) = (2.0, 0.5);
    for sampling in [PLAIN, hot] {
        let counts = count(&sampling, &two, 0.8, false);
        assert!(near(counts, [0.2, 0.6, 0.2, 0.0]), "{counts:?}");
    }
    // The second weight applies where the first continuation was not drawn.
    let [one, other] = [64, 67].map(|p| Some((followed(&[(pitch(p), 1.0)]), 0.5)));
    let counts = count_all(&PLAIN, &[one, other], false);
    assert!(near(counts, [0.25, 0.5, 0.25, 0.0]), "{counts:?}");
    assert_eq!(count(&PLAIN, &two, 0.0, false), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(count(&PLAIN, &two, 1.0, true), [1.0, 0.0, 0.0, 0.0]);
    // At temperature 0, the likelier continuation is drawn if its weight is half or more.
    let cold = PLAIN.with_temperature(0.0);
    assert_eq!(count(&cold, &two, 0.6, false), [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(count(&cold, &two, 0.4, false), [1.0, 0.0, 0.0, 0.0]);
    // The grammar forbids a velocity here, and the range a pitch.
    let loud = followed(&[(id(Token::Velocity(3)), 1.0)]);
    assert_eq!(count(&PLAIN, &loud, 1.0, false), [1.0, 0.0, 0.0, 0.0]);
    let mut low = PLAIN;
    low.constraints.range = (50, 65);
    assert_eq!(count(&low, &two, 1.0, false), [0.0, 1.0, 0.0, 0.0]);
    // A strong register around middle C outweighs a continuation an octave above.
    low.constraints = FREE;
    low.constraints.register = Some(Register {
        centre: 60,
        strength: 6.0,
    });
    let high = followed(&[(pitch(72), 1.0)]);
    assert!(count(&low, &high, 1.0, false)[0] > 0.95);
}

/// The memory of a solo predicts moves and keys alone. Without this the bass that is switched on would
/// never enter.
#[test]
fn part_that_is_owed_a_note_outweighs_a_memory_without_it() {
    let v = Vocabulary::band();
    let grammar = Grammar::new(&v);
    let state = grammar.next(&GrammarState::default(), Token::Start);
    let id = |token| v.id(token).unwrap();
    let wanted = |token: &Token| match token {
        Token::Part(Part::Bass | Part::Drums) | Token::Separator => 0.0,
        Token::Part(Part::Lead) => -5.0,
        _ => -20.0,
    };
    let logits: Vec<f32> = grammar.tokens().iter().map(wanted).collect();
    let of = |token| {
        let followed = Continuations {
            length: 64,
            shares: vec![(id(token), 1.0)],
            position: Some(9),
        };
        [Some((followed, 0.98))]
    };
    let solo = Note {
        start: 8 * 48,
        part: Part::Keys,
        ..Note::default()
    };
    let share = |on: &[Part], at: u32, followed: Token, wanted: Token| {
        let mut sampling = PLAIN;
        sampling.constraints.owed = on.iter().copied().collect();
        let mut sampler = Sampler::new(&v);
        sampler.hear_parts(&[solo], &Score::new(12).time_signatures);
        sampler.begin(at, &sampling, 3, None, &[]);
        let chosen = (0..400).map(|_| sampler.choose_with(&state, &logits, &of(followed)).unwrap());
        chosen.filter(|&chosen| chosen == id(wanted)).count() as f64 / 400.0
    };
    let (bass, drums) = (Token::Part(Part::Bass), Token::Part(Part::Drums));
    let (bar, off_beat) = (9 * 48, 9 * 48 + 1);
    for against in [Token::Separator, drums] {
        assert!(share(&[Part::Bass], bar, against, bass) > 0.9);
        assert!(share(&[Part::Bass], off_beat, against, against) > 0.9);
        assert!(share(&[Part::Lead], bar, against, against) < 0.1);
        assert!(share(&[], bar, against, against) > 0.9);
    }
    // Of parts in order, keys and bass come before the drums.
    assert!(share(&[Part::Drums], bar, bass, bass) > 0.9);
}
