//! Weights of the memories of tokens (`continuo_score::piece_memory`) beside the network, fitted on
//! training songs, so that held-out songs stay a test.

use continuo_score::gate::{Example, Gate, NetworkPrediction};
use continuo_score::ngram::{Mixture, PredictedToken};
use continuo_score::piece_memory::{MemoryWeights, PieceMemory, predicted_by_ngrams};
use rayon::prelude::*;

use crate::data::corpus::Corpus;
use crate::eval;
use crate::model::{MemoryMode, Model, values};

/// Approximate number of tokens that the weights are fitted on.
const TOKENS: u64 = 300_000;

/// Fitted weights and their effect on the songs they were fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryFit {
    /// Weights for `model.json`.
    pub weights: MemoryWeights,
    /// Tokens predicted.
    pub tokens: usize,
    /// Loss of the network with both its memories, nats per note.
    pub without: f64,
    /// Loss with the memory of the piece besides, nats per note.
    pub with: f64,
}

/// A predicted token, for both fits.
type Predicted = (PredictedToken, Example);

/// Fits the weights on training songs from all of `corpus`; `None` without any.
pub fn fit(model: &Model, corpus: &Corpus) -> Option<MemoryFit> {
    let songs = corpus.spread(false, |all| all / TOKENS);
    let notes: u64 = songs.iter().map(|&song| corpus.songs[song].notes).sum();
    let predicted: Vec<Vec<Predicted>> = songs
        .par_iter()
        .with_max_len(1)
        .map(|&song| predict(model, corpus, song))
        .collect();
    let (tokens, examples): (Vec<_>, Vec<_>) = predicted.into_iter().flatten().unzip();
    if tokens.is_empty() || notes == 0 {
        return None;
    }
    let gate = Gate::fit(&examples);
    let nats: f64 = examples.iter().map(Example::network_loss).sum();
    Some(MemoryFit {
        tokens: tokens.len(),
        without: nats / notes as f64,
        with: gate.loss(&examples) * examples.len() as f64 / notes as f64,
        weights: MemoryWeights {
            mixture: Mixture::fit(&tokens),
            gate: Some(gate),
        },
    })
}

/// Predictions of network and memory for every token of a song but the first.
fn predict(model: &Model, corpus: &Corpus, song: usize) -> Vec<Predicted> {
    let mut memory = PieceMemory::new(&corpus.vocabulary);
    let count = corpus.songs[song].tokens as usize;
    let mut records = corpus.records(song, 0, count);
    let mut predicted = Vec::with_capacity(count);
    eval::predict(model, corpus, song, MemoryMode::BOTH, |logits, targets| {
        let size = corpus.vocabulary.size();
        for (logits, &id) in values(&logits).chunks_exact(size).zip(targets) {
            let Some(record) = records.next() else {
                return;
            };
            let bar_length = model.config.shape.sizes.bar_length(record.metre);
            memory.push(record.id, record.bar_step, bar_length);
            let network = NetworkPrediction::from_logits(logits);
            let likelihood = f64::from(network.of(id)).max(f64::MIN_POSITIVE);
            let by_ngrams = predicted_by_ngrams(&memory, id, likelihood);
            predicted.push((by_ngrams, Example::new(memory.expected(), &network, id)));
        }
    });
    predicted
}
