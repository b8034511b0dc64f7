//! How much a model should trust its suffix memory (`continuo_score::ngram`): weights fitted on
//! songs it was trained on, so that held-out songs stay a test.

use continuo_score::ngram::{Mixture, NgramMemory, PredictedToken};
use rayon::prelude::*;

use crate::corpus::{Corpus, Record};
use crate::eval::song_nats;
use crate::model::{Model, Use};

/// Tokens that weights are fitted on, about.
const TOKENS: u64 = 60_000;

/// Weights, and what they do for the songs they were fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// For `model.json`.
    pub weights: Mixture,
    /// Tokens predicted.
    pub tokens: usize,
    /// Nats a note by the network alone, with both its memories.
    pub without: f64,
    /// Nats a note with the suffix memory besides.
    pub with: f64,
}

/// Fits the weights on songs of `corpus` that are not held out, spread over all of it; `None`
/// without any.
pub fn fit(model: &Model, corpus: &Corpus) -> Option<Fit> {
    let songs: Vec<usize> = (0..corpus.songs.len())
        .filter(|&song| !corpus.songs[song].held_out)
        .collect();
    let all: u64 = songs.iter().map(|&song| corpus.songs[song].tokens).sum();
    let every = usize::try_from(all / TOKENS).unwrap_or(1).max(1);
    let songs: Vec<usize> = songs.into_iter().step_by(every).collect();
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
    Some(Fit {
        weights,
        tokens: predicted.len(),
        without: nats(Mixture::default()),
        with: nats(weights),
    })
}

fn predict(model: &Model, corpus: &Corpus, song: usize) -> Vec<PredictedToken> {
    let nats = song_nats(model, corpus, song, Use::BOTH, |_| ());
    let nothing = NgramMemory::new(&corpus.vocabulary);
    let mut memory = nothing.clone();
    let count = corpus.songs[song].tokens as usize;
    let mut records = corpus.records(song, 0, count);
    if let Some(first) = records.next() {
        memory.push(first.id, first.bar_step);
    }
    let predict = |(record, nats): (Record, f32)| {
        let network = f64::from(-nats).exp().max(f64::MIN_POSITIVE);
        let followed = memory.look(0..usize::MAX, &nothing);
        let predicted = PredictedToken::new(network, &followed, record.id);
        memory.push(record.id, record.bar_step);
        predicted
    };
    records.zip(nats).map(predict).collect()
}
