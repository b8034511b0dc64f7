//! Weights of the n-gram memory (`continuo_score::ngram`) beside the network, fitted on training
//! songs, so that held-out songs stay a test.

use continuo_score::ngram::{Mixture, NgramMemory, PredictedToken};
use rayon::prelude::*;

use crate::data::corpus::{Corpus, TokenRecord};
use crate::eval::song_losses;
use crate::model::{MemoryMode, Model};

/// Approximate number of tokens that the weights are fitted on.
const TOKENS: u64 = 60_000;

/// Fitted weights and their effect on the songs they were fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NgramFit {
    /// Weights for `model.json`.
    pub weights: Mixture,
    /// Tokens predicted.
    pub tokens: usize,
    /// Loss of the network with both its memories, nats per note.
    pub without: f64,
    /// Loss with the n-gram memory besides, nats per note.
    pub with: f64,
}

/// Fits the weights on training songs from all of `corpus`; `None` without any.
pub fn fit(model: &Model, corpus: &Corpus) -> Option<NgramFit> {
    let songs = corpus.spread(false, |all| all / TOKENS);
    let notes: u64 = songs.iter().map(|&song| corpus.songs[song].notes).sum();
    let predicted: Vec<Vec<PredictedToken>> = songs
        .par_iter()
        .with_max_len(1)
        .map(|&song| predict(model, corpus, song))
        .collect();
    let predicted = predicted.concat();
    if predicted.is_empty() || notes == 0 {
        return None;
    }
    let weights = Mixture::fit(&predicted);
    let nats = |mixture: Mixture| {
        let sum: f64 = predicted.iter().map(|p| -mixture.likelihood(p).ln()).sum();
        sum / notes as f64
    };
    Some(NgramFit {
        weights,
        tokens: predicted.len(),
        without: nats(Mixture::default()),
        with: nats(weights),
    })
}

/// Predictions of network and n-gram memory for every token of a song but the first.
fn predict(model: &Model, corpus: &Corpus, song: usize) -> Vec<PredictedToken> {
    let losses = song_losses(model, corpus, song, MemoryMode::BOTH, |_| ());
    let empty = NgramMemory::new(&corpus.vocabulary);
    let mut memory = empty.clone();
    let count = corpus.songs[song].tokens as usize;
    let mut records = corpus.records(song, 0, count);
    if let Some(first) = records.next() {
        memory.push(first.id, first.bar_step);
    }
    let predict = |(record, loss): (TokenRecord, f32)| {
        let network = f64::from(-loss).exp().max(f64::MIN_POSITIVE);
        let followed = memory.continuations(0..usize::MAX, &empty);
        let predicted = PredictedToken::new(network, &followed, record.id);
        memory.push(record.id, record.bar_step);
        predicted
    };
    records.zip(losses).map(predict).collect()
}
