use super::*;
use crate::gate::{FEATURES, GateWeights};
use crate::ngram::{BANDS, NgramWeights};
use crate::{Grammar, GrammarState, Part, Token, TokenSequence, tune};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The minuet twice and its beginning, three beats a bar; with its steps in the bar.
fn stream(vocabulary: &Vocabulary) -> Vec<(u16, u16)> {
    let tune = TokenSequence::encode_open(&tune::minuet(), vocabulary).ids(vocabulary);
    let ids: Vec<u16> = [&tune[..], &tune[1..], &tune[1..60]].concat();
    ids.iter()
        .enumerate()
        .map(|(i, &id)| (id, (i % 7) as u16))
        .collect()
}

fn read(stream: &[(u16, u16)], vocabulary: &Vocabulary) -> PieceMemory {
    let mut memory = PieceMemory::new(vocabulary);
    stream
        .iter()
        .for_each(|&(id, bar_step)| memory.push(id, bar_step, 36));
    memory
}

fn weights(gate: Option<Gate>) -> MemoryWeights {
    let ngrams = |weight| NgramWeights([weight; BANDS.len()]);
    MemoryWeights {
        mixture: Mixture {
            same: ngrams(0.6),
            transposed: ngrams(0.25),
        },
        gate,
    }
}

#[test]
fn cut_and_read_again_it_predicts_the_same() {
    let vocabulary = Vocabulary::continuo();
    let stream = stream(&vocabulary);
    let mut memory = read(&stream, &vocabulary);
    for cut in (1..stream.len()).rev().step_by(13) {
        memory.truncate(cut);
        let fresh = read(&stream[..cut], &vocabulary);
        assert_eq!(memory.len(), cut);
        assert_eq!(memory.expected(), fresh.expected(), "cut at {cut}");
        for (id, bar_step) in &stream[cut..(cut + 20).min(stream.len())] {
            memory.push(*id, *bar_step, 36);
        }
        let again = read(&stream[..(cut + 20).min(stream.len())], &vocabulary);
        assert_eq!(memory.expected(), again.expected(), "read again from {cut}");
        memory.truncate(cut);
    }
}

#[test]
fn all_sources_and_the_network_are_a_distribution() {
    let vocabulary = Vocabulary::continuo();
    let stream = stream(&vocabulary);
    let memory = read(&stream, &vocabulary);
    let mut learned = NgramMemory::new(&vocabulary);
    stream
        .iter()
        .for_each(|&(id, bar_step)| learned.push(id, bar_step));
    let logits: Vec<f32> = (0..vocabulary.size()).map(|id| (id % 5) as f32).collect();
    let network = NetworkPrediction::from_logits(&logits);
    let gate = Gate::same(GateWeights([[0.1; FEATURES + 1]; PREDICTORS]));
    for weights in [weights(None), weights(Some(gate))] {
        for (within, recall) in [(ALL, 1.0), (40..90, 1.0), (ALL, 0.3), (ALL, 0.0)] {
            let sources = weights.weigh(&memory, &learned, &within, &network, recall);
            let ids = 0..vocabulary.size() as u16;
            let sum: f64 = ids
                .map(|id| likelihood(&sources, id, f64::from(network.of(id))))
                .sum();
            assert!((sum - 1.0).abs() < 1e-5, "{within:?}, {recall}: {sum}");
            if within == ALL {
                let is_gated = weights.gate.is_some() && recall > 0.0;
                assert_eq!(sources[2].is_some(), is_gated, "{recall}");
            }
            assert_eq!(recall == 0.0, sources.iter().all(Option::is_none));
        }
    }
}

#[test]
fn right_predictors_are_trusted_more_as_they_go_on() {
    let vocabulary = Vocabulary::continuo();
    let stream = stream(&vocabulary);
    let early = read(&stream[..stream.len() / 2], &vocabulary);
    let late = read(&stream, &vocabulary);
    let rate = |memory: &PieceMemory| memory.expected().hit_rates[2];
    assert!(
        rate(&late) > 0.9 && rate(&late) > rate(&early),
        "{} {}",
        rate(&early),
        rate(&late)
    );
}

/// A random band that the grammar allows, with few pitches so that it repeats itself.
fn random_band(vocabulary: &Vocabulary, length: usize, seed: u64) -> Vec<(u16, GrammarState)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let grammar = Grammar::new(vocabulary);
    let mut state = grammar.next(&GrammarState::default(), Token::Start);
    let mut mask = vec![false; vocabulary.size()];
    let mut stream = vec![(vocabulary.id(Token::Start).unwrap(), state)];
    while stream.len() < length {
        grammar.mask(&state, &mut mask);
        let few = |id: &u16| match vocabulary.token(*id) {
            Some(Token::Pitch(pitch)) => [36, 60, 62, 64].contains(&pitch),
            Some(Token::Duration(steps)) => [6, 12].contains(&steps),
            Some(Token::Velocity(bin)) => bin == 9,
            Some(Token::End) => false,
            Some(Token::Part(part)) => part != Part::Lead,
            token => token.is_some(),
        };
        let allowed = (0..vocabulary.size() as u16).filter(|id| mask[usize::from(*id)]);
        let allowed: Vec<u16> = allowed.filter(few).collect();
        let Some(&id) = allowed.get(rng.random_range(0..allowed.len().max(1))) else {
            break;
        };
        state = grammar.next(&state, vocabulary.token(id).unwrap());
        stream.push((id, state));
    }
    stream
}

#[test]
fn aligned_passages_predict_only_what_the_grammar_allows() {
    let vocabulary = Vocabulary::band();
    let grammar = Grammar::new(&vocabulary);
    let mut predicted = 0;
    for seed in 0..4 {
        let mut memory = PieceMemory::new(&vocabulary);
        let mut mask = vec![false; vocabulary.size()];
        for (id, state) in random_band(&vocabulary, 1_500, seed) {
            memory.push(id, 0, 24);
            grammar.mask(&state, &mut mask);
            let aligned = memory.expected().continuations[2].iter();
            for (id, _) in aligned.flat_map(|aligned| &aligned.shares) {
                let token = vocabulary.token(*id).unwrap();
                assert!(
                    mask[usize::from(*id)],
                    "seed {seed}: {token} after {state:?}"
                );
                predicted += 1;
            }
        }
        assert!(memory.expected().is_band);
    }
    assert!(predicted > 2_000, "{predicted}");
}

/// Cut again and again at one place, and at places drawn at random, with many passages found.
#[test]
fn cuts_leave_no_trace() {
    for (vocabulary, seed) in [(Vocabulary::band(), 8), (Vocabulary::continuo(), 9)] {
        let ids = random_band(&vocabulary, 700, seed);
        let read = |to: usize| {
            let mut memory = PieceMemory::new(&vocabulary);
            ids[..to].iter().for_each(|&(id, _)| memory.push(id, 0, 24));
            memory
        };
        let mut memory = read(ids.len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let separator = vocabulary.id(Token::Separator);
        let ends: Vec<usize> = (1..ids.len())
            .filter(|&at| Some(ids[at - 1].0) == separator)
            .collect();
        for _ in 0..60 {
            let cut = match rng.random_bool(0.5) {
                true => ends[ends.len() / 2],
                false => rng.random_range(1..memory.len()),
            };
            memory.truncate(cut);
            let to = (cut + rng.random_range(0..120)).min(ids.len());
            ids[memory.len().min(to)..to]
                .iter()
                .for_each(|&(id, _)| memory.push(id, 0, 24));
            assert_eq!(
                memory.expected(),
                read(memory.len()).expected(),
                "cut at {cut}, read to {to}"
            );
            while memory.len() < ends[ends.len() / 2] + 1 {
                memory.push(ids[memory.len()].0, 0, 24);
            }
        }
    }
}

#[test]
fn generated_tokens_leave_the_hit_rates() {
    let vocabulary = Vocabulary::continuo();
    let stream = stream(&vocabulary);
    let half = stream.len() / 2;
    let mut generated = read(&stream[..half], &vocabulary);
    let before = generated.expected().hit_rates;
    for &(id, bar_step) in &stream[half..] {
        generated.push_generated(id, bar_step, 36);
    }
    let input = read(&stream, &vocabulary);
    assert_eq!(generated.expected().hit_rates, before);
    assert_ne!(input.expected().hit_rates, before);
    let continuations = |memory: &PieceMemory| memory.expected().continuations.clone();
    assert_eq!(continuations(&generated), continuations(&input));
}
