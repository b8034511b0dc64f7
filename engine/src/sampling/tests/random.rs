//! Random constraints, vocabularies and walks, drawn from seeds.

use continuo_score::{Grammar, GrammarState, Note, Part, Scale, Token, TokenSequence, Vocabulary};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::*;
use super::PLAIN;

/// Random constraints, sensible or not.
pub(super) fn constraints(rng: &mut ChaCha8Rng) -> Constraints {
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
        parts: match rng.random_bool(0.5) {
            true => free.parts,
            false => (Part::ALL.into_iter())
                .filter(|_| rng.random_bool(0.5))
                .collect(),
        },
        of_part: free.of_part.map(|free| match rng.random_bool(0.3) {
            true => {
                let low = rng.random_range(0..=127u8);
                PartLimits {
                    range: (low, low.saturating_add(30)),
                    polyphony: Some(rng.random_range(0..4)),
                }
            }
            false => free,
        }),
        ..free
    }
}

/// Draws at least `tokens` tokens from random logits. Returns the first step and the notes.
pub(super) fn walk(
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
        // Half of the time the logits repeat, half of the time they are new.
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

/// Draws `tokens` tokens from random logits while `change` changes the settings before a tenth of
/// them; there must always be one to draw, and the stream must be one that decodes.
pub(super) fn walk_through_changes(
    seed: u64,
    tokens: usize,
    mut change: impl FnMut(&mut ChaCha8Rng, &Vocabulary, &mut Sampler),
) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let vocabulary = vocabulary(seed);
    let grammar = Grammar::new(&vocabulary);
    let mut sampler = Sampler::new(&vocabulary);
    sampler.begin(0, &PLAIN, seed, None, &[]);
    let mut state = grammar.next(&GrammarState::default(), Token::Start);
    let mut ids = vec![vocabulary.id(Token::Start).unwrap()];
    for _ in 0..tokens {
        if rng.random_bool(0.1) {
            change(&mut rng, &vocabulary, &mut sampler);
        }
        let logits: Vec<f32> = (0..vocabulary.size())
            .map(|_| rng.random_range(-5.0..5.0))
            .collect();
        let id = sampler.choose(&state, &logits);
        let id = id.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        vocabulary.tokens(id).for_each(|t| sampler.read(t));
        state = grammar.next_id(&state, id).unwrap();
        ids.push(id);
    }
    assert!(
        TokenSequence::from_ids(&ids, &vocabulary).is_ok(),
        "seed {seed}"
    );
}

/// One of both presets in both note orders, without and with merged tokens.
pub(super) fn vocabulary(seed: u64) -> Vocabulary {
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

/// The vocabulary with up to sixty merges as byte-pair encoding could find them: notes, moves, chords,
/// figures over several steps, and pairs across their borders.
fn merged(plain: Vocabulary, seed: u64) -> Vocabulary {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let grammar = Grammar::new(&plain);
    let mut sampler = Sampler::new(&plain);
    let mut state = grammar.next(&GrammarState::default(), Token::Start);
    let mut ids = Vec::new();
    for _ in 0..900 {
        // Few different tokens are likely, so that pairs repeat.
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
