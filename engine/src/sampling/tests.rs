use continuo_score::ngram::Continuations;
use continuo_score::{Grammar, GrammarState, Note, Scale, Token, TokenSequence, Vocabulary};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// As the model predicts: nothing narrowed, nothing warmed.
pub(super) const PLAIN: Sampling = Sampling {
    pitch_temperature: 1.0,
    rhythm_temperature: 1.0,
    top_k: 0,
    top_p: 1.0,
    min_p: 0.0,
    loop_temperature: 1.0,
    constraints: FREE,
};
const FREE: Constraints = Constraints {
    scale: ScaleLock::Off,
    range: (0, 127),
    polyphony: None,
    density: None,
    register: None,
    longest: None,
    velocity: (1, 127),
};

#[test]
fn logits_that_are_none_are_an_error_and_minus_infinity_is_never_chosen() {
    let vocabulary = Vocabulary::continuo();
    let mut sampler = Sampler::new(&vocabulary);
    sampler.begin(0, &PLAIN, 1, None, &[]);
    let grammar = Grammar::new(&vocabulary);
    let state = grammar.next(&GrammarState::default(), Token::Start);
    let pitch = |p| usize::from(vocabulary.id(Token::Pitch(p)).unwrap());
    let mut logits = vec![0.0; vocabulary.size()];
    for bad in [f32::NAN, f32::INFINITY] {
        logits[pitch(60)] = bad;
        let error = sampler.choose(&state, &logits).unwrap_err().to_string();
        assert!(error.contains("not a finite number"), "{error}");
    }
    // Where grammar or constraints forbid the token, its logit is nobody's business.
    let mut narrow = PLAIN;
    narrow.constraints.range = (61, 70);
    sampler.begin(0, &narrow, 1, None, &[]);
    logits[usize::from(vocabulary.id(Token::Velocity(0)).unwrap())] = f32::NAN;
    assert!(sampler.choose(&state, &logits).is_ok());

    let only = pitch(64);
    let mut logits = vec![f32::NEG_INFINITY; vocabulary.size()];
    logits[only] = -3.0;
    for _ in 0..100 {
        assert_eq!(usize::from(sampler.choose(&state, &logits).unwrap()), only);
    }
    // All impossible: the first that is allowed, rather than nothing.
    logits[only] = f32::NEG_INFINITY;
    let separator = usize::from(vocabulary.id(Token::Separator).unwrap());
    let chosen = usize::from(sampler.choose(&state, &logits).unwrap());
    assert_eq!(chosen, separator.min(pitch(61)));
    for wrong in [0, vocabulary.size() - 1, vocabulary.size() + 1] {
        assert!(sampler.choose(&state, &vec![0.0; wrong]).is_err());
    }
    let over = grammar.next(&state, Token::End);
    assert!(
        sampler
            .choose(&over, &vec![0.0; vocabulary.size()])
            .is_err()
    );
}

/// Anything a musician could set, sensible or not.
fn constraints(rng: &mut ChaCha8Rng) -> Constraints {
    let mut maybe = |p: f64| rng.random_bool(p);
    let which = [
        maybe(0.7),
        maybe(0.5),
        maybe(0.5),
        maybe(0.5),
        maybe(0.5),
        maybe(0.5),
        maybe(0.5),
    ];
    let odd = |rng: &mut ChaCha8Rng, ok: f32| match rng.random_range(0..20) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => -1.0,
        _ => ok,
    };
    let scale = Scale {
        tonic: rng.random_range(0..12),
        mode: continuo_score::Mode::ALL[rng.random_range(0..14)],
    };
    let low = rng.random_range(0..=127u8);
    let width = rng.random_range(0..60u8);
    let free = Constraints::default();
    Constraints {
        scale: match which[0] {
            true if rng.random_bool(0.3) => ScaleLock::Heard,
            true => ScaleLock::Fixed(scale),
            false => ScaleLock::Off,
        },
        range: if which[1] {
            (low, low.saturating_add(width))
        } else {
            free.range
        },
        polyphony: which[2].then(|| rng.random_range(0..6)),
        density: which[3]
            .then(|| rng.random_range(0.0..6.0))
            .map(|d| odd(rng, d)),
        register: which[4].then(|| Register {
            centre: rng.random(),
            strength: rng.random_range(-2.0..5.0),
        }),
        longest: which[5]
            .then(|| rng.random_range(0.0..4.0))
            .map(|l| odd(rng, l)),
        velocity: if which[6] {
            (rng.random(), rng.random())
        } else {
            free.velocity
        },
    }
}

/// Plays `tokens` tokens under random logits; gives the notes.
fn walk(
    vocabulary: &Vocabulary,
    sampling: &Sampling,
    seed: u64,
    heard: Option<Scale>,
    own: &[Note],
    tokens: usize,
) -> (u32, Vec<Note>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let grammar = Grammar::new(vocabulary);
    let mut sampler = Sampler::new(vocabulary);
    let at = own.iter().map(Note::end).max().unwrap_or(0) / 2;
    let from = sampler.begin(at, sampling, seed, heard, own);
    let mut stream = TokenSequence::encode_open(
        &continuo_score::Score::new(vocabulary.steps_per_beat),
        vocabulary,
    );
    stream.move_to(from, vocabulary);
    let mut state = GrammarState::default();
    for placed in &stream.tokens {
        state = grammar.next(&state, placed.token);
    }
    let mut ids = stream.ids(vocabulary);
    let start = ids.len();
    let fixed: Vec<f32> = (0..vocabulary.size())
        .map(|_| rng.random_range(-8.0..8.0))
        .collect();
    let mut drawn = fixed.clone();
    while ids.len() < start + tokens || !state.is_between_notes() {
        // Sometimes a model that wants the same over and over, sometimes one that does not
        // know what it wants.
        if rng.random_bool(0.5) {
            drawn
                .iter_mut()
                .for_each(|l| *l = rng.random_range(-8.0..8.0));
        } else {
            drawn.copy_from_slice(&fixed);
        }
        let id = sampler.choose(&state, &drawn).unwrap();
        vocabulary.tokens(id).for_each(|t| sampler.read(t));
        let next = grammar.next_id(&state, id);
        state = next.unwrap_or_else(|| panic!("seed {seed}: the grammar forbids id {id}"));
        ids.push(id);
    }
    let read =
        TokenSequence::from_ids(&ids, vocabulary).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    let mut notes = read.decode(vocabulary).notes;
    for note in &mut notes {
        note.velocity = sampling.constraints.velocity_of(note.velocity);
    }
    (from, notes)
}

/// Both presets in both orders, with merged tokens every other time.
fn vocabulary(seed: u64) -> Vocabulary {
    use continuo_score::NoteOrder;
    let preset = match seed % 3 {
        0 => Vocabulary::midigen(),
        1 => Vocabulary::continuo(),
        _ => Vocabulary::band(),
    };
    let plain = preset.with_order(if seed % 4 < 2 {
        NoteOrder::HighToLow
    } else {
        NoteOrder::LowToHigh
    });
    match seed % 8 < 4 {
        true => plain,
        false => merged(plain, seed),
    }
}

/// Some sixty merges as byte-pair encoding could find them: notes, moves, chords, figures over
/// several steps, and what lies across their borders.
fn merged(plain: Vocabulary, seed: u64) -> Vocabulary {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let grammar = Grammar::new(&plain);
    let mut sampler = Sampler::new(&plain);
    let mut state = grammar.next(&GrammarState::default(), Token::Start);
    let mut ids = Vec::new();
    for _ in 0..900 {
        // Few different numbers, so that the walk is likely to come by the same again.
        let logit = |t: &Token| match t {
            Token::Pitch(p) if p % 12 < 4 => 0.0,
            Token::Duration(d) if *d < 6 => 0.0,
            Token::Separator => 4.0,
            Token::Velocity(v) if *v < 3 => 0.0,
            Token::Part(_) => 2.0,
            _ => -9.0,
        };
        let logits: Vec<f32> = grammar.tokens().iter().map(logit).collect();
        let id = sampler.choose(&state, &logits).unwrap();
        let token = plain.token(id).unwrap();
        sampler.read(token);
        state = grammar.next(&state, token);
        ids.push(id);
    }
    let mut merges = std::collections::BTreeSet::new();
    let mut list = Vec::new();
    for _ in 0..600 {
        let now = plain.clone().with_merges(list.clone()).unwrap();
        let spelt = now.merge(ids.clone());
        let at = rng.random_range(1..spelt.len());
        let pair = [spelt[at - 1], spelt[at]];
        let length = now.expand(pair[0]).len() + now.expand(pair[1]).len();
        if length <= 12 && merges.insert(pair) {
            list.push(pair);
        }
        if list.len() >= 60 {
            break;
        }
    }
    plain.with_merges(list).unwrap()
}

/// Random constraints and random logits: every walk decodes, obeys, and never ends.
#[test]
fn constraints_hold_and_leave_a_way_on() {
    for seed in 0..56 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let v = vocabulary(seed);
        let c = constraints(&mut rng);
        let heard = Scale {
            tonic: 2,
            mode: continuo_score::Mode::Dorian,
        };
        let sampling = Sampling {
            pitch_temperature: rng.random_range(0.0..3.0),
            rhythm_temperature: rng.random_range(0.0..3.0),
            top_k: rng.random_range(0..20),
            top_p: rng.random_range(0.0..1.0),
            min_p: rng.random_range(0.0..1.0),
            loop_temperature: rng.random_range(0.0..4.0),
            constraints: c,
        };
        let own: Vec<Note> = (0..rng.random_range(0..12))
            .map(|i| Note {
                start: i * 3,
                length: rng.random_range(1..60),
                pitch: rng.random_range(0..128),
                velocity: 80,
                ..Note::default()
            })
            .collect();
        let (from, notes) = walk(&v, &sampling, seed, Some(heard), &own, 160);
        assert_eq!(
            (from, &notes),
            (from, &walk(&v, &sampling, seed, Some(heard), &own, 160).1)
        );

        let (low, high) = (c.range.0.min(c.range.1).min(127), c.range.0.max(c.range.1));
        let scale = match c.scale {
            ScaleLock::Off => None,
            ScaleLock::Fixed(scale) => Some(scale),
            ScaleLock::Heard => Some(heard),
        };
        let in_scale = (low..=high.min(127)).any(|p| scale.is_none_or(|s| s.contains(p)));
        let beat = v.steps_per_beat;
        let longest = c.longest.filter(|l| !l.is_nan());
        let (soft, loud) = (
            c.velocity.0.min(c.velocity.1),
            c.velocity.0.max(c.velocity.1),
        );
        let what = format!("seed {seed}: {c:?}");
        assert!(!notes.is_empty(), "{what}");
        for note in &notes {
            // The key of a drum is no pitch, and it does not sound on.
            let pitched = note.part.is_pitched();
            assert!(
                !pitched || (low..=high).contains(&note.pitch),
                "{what}: {note:?}"
            );
            if let Some(scale) = scale.filter(|_| in_scale && pitched) {
                assert!(scale.contains(note.pitch), "{what}: {note:?}");
            }
            if let Some(longest) = longest {
                let most = (longest * beat as f32).round().max(1.0);
                assert!(note.length as f32 <= most, "{what}: {note:?}");
            }
            assert!(
                (soft.clamp(1, 127)..=loud.clamp(1, 127)).contains(&note.velocity),
                "{what}: {note:?}"
            );
            let own = own.iter().filter(|n| n.start < from);
            let all: Vec<&Note> = notes.iter().chain(own).collect();
            let sounding = all
                .iter()
                .filter(|n| n.part.is_pitched() && n.start <= note.start && n.end() > note.start);
            if let Some(polyphony) = c.polyphony.filter(|_| pitched) {
                assert!(
                    sounding.count() <= usize::from(polyphony.max(1)),
                    "{what}: {note:?}"
                );
            }
            if let Some(density) = c.density.filter(|d| d.is_finite()) {
                let most = (2.0 * density.max(0.0)).ceil().max(1.0) as usize;
                let begun = all
                    .iter()
                    .filter(|n| n.start <= note.start && n.start + beat > note.start);
                assert!(begun.count() <= most, "{what}: {note:?}");
            }
        }
    }
}

/// Settings that change while notes sound may leave nothing: then they yield, and hold again
/// as soon as they can.
#[test]
fn changed_constraints_yield_rather_than_stop() {
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let v = vocabulary(seed);
        let grammar = Grammar::new(&v);
        let mut sampler = Sampler::new(&v);
        let mut sampling = PLAIN;
        sampler.begin(0, &sampling, seed, None, &[]);
        let mut state = grammar.next(&GrammarState::default(), Token::Start);
        let mut ids = vec![v.id(Token::Start).unwrap()];
        for _ in 0..400 {
            if rng.random_bool(0.1) {
                sampling.constraints = constraints(&mut rng);
                sampler.tune(&sampling);
            }
            let logits: Vec<f32> = (0..v.size()).map(|_| rng.random_range(-5.0..5.0)).collect();
            let id = sampler
                .choose(&state, &logits)
                .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            v.tokens(id).for_each(|t| sampler.read(t));
            state = grammar.next_id(&state, id).unwrap();
            ids.push(id);
        }
        assert!(TokenSequence::from_ids(&ids, &v).is_ok(), "seed {seed}");
    }
}

#[test]
fn the_scale_yields_to_the_range() {
    let v = Vocabulary::continuo();
    let mut sampling = PLAIN;
    sampling.constraints.scale = ScaleLock::Fixed("C major".parse().unwrap());
    sampling.constraints.range = (61, 61);
    let (_, notes) = walk(&v, &sampling, 1, None, &[], 200);
    assert!(notes.iter().all(|n| n.pitch == 61));
}

/// More or fewer notes a beat when asked, and the pitches nearer when pulled.
#[test]
fn density_and_register_pull() {
    let v = Vocabulary::continuo();
    let grammar = Grammar::new(&v);
    // Something like a model: moves of about an eighth, notes of about a quarter.
    let mut logits = vec![0.0; v.size()];
    for (logit, token) in logits.iter_mut().zip(grammar.tokens()) {
        match token {
            Token::Duration(d) => *logit = -2.0 * (f32::from(*d) / 9.0).ln().abs(),
            Token::Separator => *logit = 4.5,
            _ => {}
        }
    }
    let with = |density, register: Option<u8>| {
        let mut sampling = PLAIN;
        sampling.constraints.density = density;
        sampling.constraints.register = register.map(|centre| Register {
            centre,
            strength: 2.0,
        });
        let mut sampler = Sampler::new(&v);
        sampler.begin(0, &sampling, 5, None, &[]);
        let mut state = grammar.next(&GrammarState::default(), Token::Start);
        let (mut notes, mut pitches) = (0u32, 0u32);
        for _ in 0..4000 {
            let id = sampler.choose(&state, &logits).unwrap();
            let token = v.token(id).unwrap();
            if let Token::Pitch(p) = token {
                (notes, pitches) = (notes + 1, pitches + u32::from(p));
            }
            sampler.read(token);
            state = grammar.next(&state, token);
        }
        let density = f64::from(notes) * 12.0 / f64::from(state.step);
        (density, f64::from(pitches) / f64::from(notes))
    };
    let (free, mean) = with(None, None);
    for aim in [0.5f32, 1.0, 2.0, 4.0, 8.0] {
        let (density, _) = with(Some(aim), None);
        let off = |density: f64| (density / f64::from(aim)).ln().abs();
        assert!(
            off(density) < off(free) / 2.0 || off(density) < 0.4,
            "{aim}: {density}, free {free}"
        );
    }
    for centre in [40, 60, 90] {
        let (density, pulled) = with(None, Some(centre));
        assert!(
            (pulled - f64::from(centre)).abs() < 6.0,
            "{centre}: {pulled}"
        );
        // Which pitches, not how many.
        assert!(
            (density / free).ln().abs() < 0.2,
            "{density}, {free}, {mean}"
        );
    }
}

/// A model stuck in a circle gets out by warmth, and cools again.
#[test]
fn circling_warms_and_ends() {
    let v = Vocabulary::continuo();
    let grammar = Grammar::new(&v);
    let tune = "n60 d6 v8 <sep> d6 n64 d6 v8 <sep> d6 n67 d6 v8 <sep> d12";
    let circle: Vec<Token> = tune
        .split(' ')
        .map(|name| {
            grammar
                .tokens()
                .iter()
                .copied()
                .find(|t| t.to_string() == name)
                .unwrap()
        })
        .collect();
    let play = |loop_temperature: f32| {
        let sampling = Sampling {
            loop_temperature,
            ..PLAIN
        };
        let mut sampler = Sampler::new(&v);
        sampler.begin(0, &sampling, 3, None, &[]);
        let mut state = grammar.next(&GrammarState::default(), Token::Start);
        let (mut warmest_seen, mut left) = (1.0f32, None);
        for step in 0..1500 {
            // Sure of the next token of the circle as long as it follows it.
            let mut logits = vec![0.0; v.size()];
            let wanted = circle[step % circle.len()];
            logits[usize::from(v.id(wanted).unwrap())] = 20.0;
            let id = sampler.choose(&state, &logits).unwrap();
            let token = v.token(id).unwrap();
            if token != wanted && left.is_none() {
                left = Some((step, sampler.temperature_multiplier()));
            }
            warmest_seen = warmest_seen.max(sampler.temperature_multiplier());
            sampler.read(token);
            state = grammar.next(&state, token);
            if let Some((when, _)) = left
                && step == when + 60
            {
                return (warmest_seen, left, sampler.temperature_multiplier());
            }
        }
        (warmest_seen, left, sampler.temperature_multiplier())
    };
    let (never, stuck, _) = play(1.0);
    assert_eq!((never, stuck), (1.0, None), "without warmth it stays");
    let (loop_temperature, left, after) = play(4.0);
    let (_, temperature_multiplier) = left.expect("it gets out");
    assert!(
        temperature_multiplier > 1.2 && loop_temperature <= 4.0,
        "{temperature_multiplier}, {loop_temperature}"
    );
    assert!(
        after < 1.0 + (loop_temperature - 1.0) / 2.0,
        "{after} after {loop_temperature}"
    );
}

/// Continuations are chosen as often as their weight says, whatever the temperature; less the more the
/// playing circles, and never where the grammar or the musician is against it.
#[test]
fn what_followed_is_taken_as_often_as_it_counts() {
    let v = Vocabulary::continuo();
    let grammar = Grammar::new(&v);
    let state = grammar.next(&GrammarState::default(), Token::Start);
    let id = |token| v.id(token).unwrap();
    let pitch = |p| id(Token::Pitch(p));
    // The network wants nothing but middle C.
    let mut logits = vec![-20.0; v.size()];
    logits[usize::from(pitch(60))] = 20.0;
    let followed = |shares: &[(u16, f32)]| Continuations {
        length: 64,
        shares: shares.to_vec(),
        position: Some(9),
    };
    let two = followed(&[(pitch(64), 0.75), (pitch(67), 0.25)]);
    let count_all =
        |sampling: &Sampling, followed: &[Option<(Continuations, f32)>], circling: bool| {
            let mut sampler = Sampler::new(&v);
            sampler.begin(0, sampling, 3, None, &[]);
            if circling {
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
    let count = |sampling: &Sampling, followed: &Continuations, weight, circling: bool| {
        count_all(
            sampling,
            &[None, Some((followed.clone(), weight))],
            circling,
        )
    };
    let near = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.03);
    let mut hot = PLAIN;
    (hot.pitch_temperature, hot.top_p) = (2.0, 0.5);
    for sampling in [PLAIN, hot] {
        let counts = count(&sampling, &two, 0.8, false);
        assert!(near(counts, [0.2, 0.6, 0.2, 0.0]), "{counts:?}");
    }
    // The next one counts where the first was not taken.
    let [one, other] = [64, 67].map(|p| Some((followed(&[(pitch(p), 1.0)]), 0.5)));
    let counts = count_all(&PLAIN, &[one, other], false);
    assert!(near(counts, [0.25, 0.5, 0.25, 0.0]), "{counts:?}");
    assert_eq!(count(&PLAIN, &two, 0.0, false), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(count(&PLAIN, &two, 1.0, true), [1.0, 0.0, 0.0, 0.0]);
    // Nothing is left to chance: the likelier of the two, if it counts for half or more.
    let cold = PLAIN.with_temperature(0.0);
    assert_eq!(count(&cold, &two, 0.6, false), [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(count(&cold, &two, 0.4, false), [1.0, 0.0, 0.0, 0.0]);
    // A velocity cannot stand here, nor a pitch that is not in the range.
    let loud = followed(&[(id(Token::Velocity(3)), 1.0)]);
    assert_eq!(count(&PLAIN, &loud, 1.0, false), [1.0, 0.0, 0.0, 0.0]);
    let mut low = PLAIN;
    low.constraints.range = (50, 65);
    assert_eq!(count(&low, &two, 1.0, false), [0.0, 1.0, 0.0, 0.0]);
    // A pull to middle C is stronger than what followed an octave above.
    low.constraints = FREE;
    low.constraints.register = Some(Register {
        centre: 60,
        strength: 6.0,
    });
    let high = followed(&[(pitch(72), 1.0)]);
    assert!(count(&low, &high, 1.0, false)[0] > 0.95);
}
