//! `eval`: what a model makes of songs it was never trained on.

use std::collections::BTreeMap;

use continuo_score::Token;
use continuo_score::manifest::HeldOut;
use rayon::prelude::*;
use serde::Serialize;

use crate::corpus::Corpus;
use crate::learner::nats;
use crate::model::{Input, Memory, Model};

/// Tokens fed at a time. The result does not depend on it: chunked is streamed.
const CHUNK: usize = 256;

/// Sums over some songs. A song's first token (`<sos>`) is given, all others are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measure {
    /// Songs.
    pub songs: usize,
    /// Tokens predicted.
    pub tokens: u64,
    /// Notes among them.
    pub notes: u64,
    /// The model's negative log-likelihood, nats.
    pub nats: f64,
    /// The same, had each token been as likely as it is in the training songs.
    pub unigram_nats: f64,
    /// The same, had all tokens been alike.
    pub uniform_nats: f64,
}

impl Measure {
    fn add(mut self, other: Self) -> Self {
        self.songs += other.songs;
        self.tokens += other.tokens;
        self.notes += other.notes;
        self.nats += other.nats;
        self.unigram_nats += other.unigram_nats;
        self.uniform_nats += other.uniform_nats;
        self
    }

    /// Any of the sums, a token.
    pub fn per_token(&self, nats: f64) -> f64 {
        nats / self.tokens.max(1) as f64
    }

    /// Any of the sums, a note.
    pub fn per_note(&self, nats: f64) -> f64 {
        nats / self.notes.max(1) as f64
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// All held-out songs.
    pub all: Measure,
    /// By style.
    pub styles: BTreeMap<String, Measure>,
    /// Tokens and nats by what was to be predicted: `pitch`, `duration`, `velocity`, `time`
    /// (whether and how far time moves on) and `end`.
    pub kinds: BTreeMap<&'static str, Kind>,
    /// For the model directory.
    pub held_out: HeldOut,
}

/// Sums over tokens of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Kind {
    /// Tokens.
    pub tokens: u64,
    /// The model's negative log-likelihood, nats.
    pub nats: f64,
}

/// Measures a model on the held-out songs; `progress(done, all)` is told in tokens. `None` if
/// there are none.
pub fn evaluate(
    model: &Model,
    corpus: &Corpus,
    progress: impl Fn(u64, u64) + Sync,
) -> Option<Evaluation> {
    let mut songs: Vec<usize> = (0..corpus.songs.len())
        .filter(|&i| corpus.songs[i].held_out)
        .collect();
    if songs.is_empty() {
        return None;
    }
    // Longest first, so that no core is left with a long one at the end.
    songs.sort_by_key(|&i| std::cmp::Reverse(corpus.songs[i].tokens));
    let unigram = unigram_nats(corpus);
    let all: u64 = songs.iter().map(|&i| corpus.songs[i].tokens - 1).sum();
    let done = std::sync::atomic::AtomicU64::new(0);
    let measured: Vec<_> = songs
        .par_iter()
        .with_max_len(1)
        .map(|&song| {
            let losses = song_nats(model, corpus, song, |tokens| {
                let before = done.fetch_add(tokens, std::sync::atomic::Ordering::Relaxed);
                progress(before + tokens, all);
            });
            (song, losses)
        })
        .collect();
    let uniform = (corpus.vocabulary.size() as f64).ln();
    let mut styles: BTreeMap<String, Measure> = BTreeMap::new();
    let mut kinds: BTreeMap<&'static str, Kind> = BTreeMap::new();
    for (song, losses) in measured {
        let info = &corpus.songs[song];
        let targets = corpus.records(song, 1, info.tokens as usize);
        let mut measure = Measure {
            songs: 1,
            notes: info.notes,
            ..Measure::default()
        };
        let mut before = None;
        for (record, loss) in targets.zip(losses) {
            measure.tokens += 1;
            measure.nats += f64::from(loss);
            measure.unigram_nats += unigram[usize::from(record.id)];
            measure.uniform_nats += uniform;
            let token = corpus.vocabulary.token(record.id);
            let kind = kinds.entry(kind(before, token)).or_default();
            kind.tokens += 1;
            kind.nats += f64::from(loss);
            before = token;
        }
        let style = styles.entry(info.style.clone()).or_default();
        *style = style.add(measure);
    }
    let all = styles
        .values()
        .fold(Measure::default(), |sum, m| sum.add(*m));
    let held_out = HeldOut {
        songs: all.songs,
        tokens: all.tokens,
        notes: all.notes,
        nats_per_token: all.per_token(all.nats),
        nats_per_note: all.per_note(all.nats),
    };
    Some(Evaluation {
        all,
        styles,
        kinds,
        held_out,
    })
}

fn kind(before: Option<Token>, token: Option<Token>) -> &'static str {
    match (before, token) {
        (_, Some(Token::Pitch(_))) => "pitch",
        (_, Some(Token::Velocity(_))) => "velocity",
        (_, Some(Token::Separator)) | (Some(Token::Separator), _) => "time",
        (_, Some(Token::Duration(_))) => "duration",
        _ => "end",
    }
}

/// Nats of every token but the first, with the memory a player has.
pub(crate) fn song_nats(
    model: &Model,
    corpus: &Corpus,
    song: usize,
    progress: impl Fn(u64),
) -> Vec<f32> {
    let inputs = corpus.songs[song].tokens as usize - 1;
    let mut memory = Memory::default();
    let mut losses = Vec::with_capacity(inputs);
    for from in (0..inputs).step_by(CHUNK) {
        let count = CHUNK.min(inputs - from);
        let mut input = Input {
            lanes: 1,
            length: count,
            ..Input::default()
        };
        input.extend(corpus, song, from, count, 0);
        let targets: Vec<u16> = corpus
            .records(song, from + 1, from + 1 + count)
            .map(|r| r.id)
            .collect();
        let chunk = nats(model.forward(&input, &mut memory), &targets).into_data();
        losses.extend(chunk.iter::<f32>());
        progress(count as u64);
    }
    losses
}

/// Nats of each id, by how often the training songs have it; one is added to each count, so
/// that none is infinite.
fn unigram_nats(corpus: &Corpus) -> Vec<f64> {
    let mut counts = vec![1u64; corpus.vocabulary.size()];
    for (i, song) in corpus.songs.iter().enumerate().filter(|(_, s)| !s.held_out) {
        for r in corpus.records(i, 1, song.tokens as usize) {
            counts[usize::from(r.id)] += 1;
        }
    }
    let all: u64 = counts.iter().sum();
    counts
        .into_iter()
        .map(|n| (all as f64 / n as f64).ln())
        .collect()
}
