use super::*;
use crate::gate::FEATURES;
use crate::ngram::{BANDS, NgramWeights};
use crate::{TokenSequence, tune};

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
    let gate = Gate([[0.1; FEATURES + 1]; PREDICTORS]);
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
