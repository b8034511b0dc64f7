//! `eval`: what a model makes of songs it was never trained on.

pub mod cells;

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::Tensor;
use continuo_score::Token;
use continuo_score::manifest::HeldOut;
use rayon::prelude::*;
use serde::Serialize;

use crate::corpus::Corpus;
use crate::learner::nats;
use crate::model::{Input, Memory, Model, Use};
use cells::{Cell, Song};

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
    /// (whether and how far time moves on), `end`, and `merged` for any merged token.
    pub kinds: BTreeMap<&'static str, Kind>,
    /// With and without each of the memories that the model has, both first; empty if nobody
    /// asked.
    pub cells: Vec<Cell>,
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

/// Measures a model on the held-out songs, and each of its memories by leaving it out, if
/// `memories` says so; `progress(done, all)` is told in tokens. `None` if there are no songs.
pub fn evaluate(
    model: &Model,
    corpus: &Corpus,
    memories: bool,
    progress: impl Fn(u64, u64) + Sync,
) -> Option<Evaluation> {
    let mut songs: Vec<usize> = (0..corpus.songs.len())
        .filter(|&i| corpus.songs[i].held_out)
        .collect();
    if songs.is_empty() {
        return None;
    }
    let mut uses = vec![Use::BOTH];
    if memories {
        let recalls = [1.0, 0.0];
        let recalls = &recalls[..if model.shape.knn.is_some() { 2 } else { 1 }];
        uses = [true, false]
            .iter()
            .flat_map(|&xl| recalls.iter().map(move |&recall| Use { xl, recall }))
            .collect();
    }
    // Longest first, so that no core is left with a long one at the end.
    songs.sort_by_key(|&i| std::cmp::Reverse(corpus.songs[i].tokens));
    let all: u64 = songs.iter().map(|&i| corpus.songs[i].tokens - 1).sum();
    let all = all * uses.len() as u64;
    let done = std::sync::atomic::AtomicU64::new(0);
    // What each song gives: nats of every token with both memories, and all cells.
    let measured: Vec<(Vec<f32>, Vec<Song>)> = songs
        .par_iter()
        .with_max_len(1)
        .map(|&song| {
            let mut cells = Vec::with_capacity(uses.len());
            let mut both = Vec::new();
            for &memories in &uses {
                let began = Instant::now();
                let nats = song_nats(model, corpus, song, memories, |tokens| {
                    let before = done.fetch_add(tokens, std::sync::atomic::Ordering::Relaxed);
                    progress(before + tokens, all);
                });
                cells.push(Song {
                    tokens: nats.len() as u64,
                    notes: corpus.songs[song].notes,
                    nats: nats.iter().map(|&n| f64::from(n)).sum(),
                    seconds: began.elapsed().as_secs_f64(),
                });
                if memories == Use::BOTH {
                    both = nats;
                }
            }
            (both, cells)
        })
        .collect();
    let cell = |(i, &memories): (usize, &Use)| {
        let songs: Vec<Song> = measured.iter().map(|(_, cells)| cells[i]).collect();
        let recall = memories.recall * f32::from(u8::from(model.shape.knn.is_some()));
        Cell::new(Use { recall, ..memories }, model.shape.window, &songs)
    };
    let cells: Vec<Cell> = uses.iter().enumerate().map(cell).collect();
    let losses = songs.iter().copied().zip(measured.into_iter().map(|m| m.0));
    let (styles, kinds) = breakdown(corpus, losses);
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
        cells: if memories { cells } else { Vec::new() },
        held_out,
    })
}

type Breakdown = (BTreeMap<String, Measure>, BTreeMap<&'static str, Kind>);

/// By style, and by what was to be predicted.
fn breakdown(corpus: &Corpus, losses: impl Iterator<Item = (usize, Vec<f32>)>) -> Breakdown {
    let unigram = unigram_nats(corpus);
    let uniform = (corpus.vocabulary.size() as f64).ln();
    let mut styles: BTreeMap<String, Measure> = BTreeMap::new();
    let mut kinds: BTreeMap<&'static str, Kind> = BTreeMap::new();
    for (song, losses) in losses {
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
            let mut tokens = corpus.vocabulary.tokens(record.id);
            let (token, last) = (tokens.next(), tokens.last());
            let kind = match last {
                Some(_) => "merged",
                None => kind(before, token),
            };
            let kind = kinds.entry(kind).or_default();
            kind.tokens += 1;
            kind.nats += f64::from(loss);
            before = last.or(token);
        }
        let style = styles.entry(info.style.clone()).or_default();
        *style = style.add(measure);
    }
    (styles, kinds)
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

/// Nats of every token but the first.
pub(crate) fn song_nats(
    model: &Model,
    corpus: &Corpus,
    song: usize,
    memories: Use,
    progress: impl Fn(u64),
) -> Vec<f32> {
    let mut losses = Vec::with_capacity(corpus.songs[song].tokens as usize);
    predict(model, corpus, song, memories, |logits, targets| {
        losses.extend(nats(logits, targets).into_data().iter::<f32>());
        progress(targets.len() as u64);
    });
    losses
}

/// Predicts every token of a song but the first: logits `[tokens, vocabulary]`, and the ids that
/// came, some at a time. Fed a window at a time, which changes no result but lets the model
/// without XL memory do only its own work.
pub(crate) fn predict(
    model: &Model,
    corpus: &Corpus,
    song: usize,
    memories: Use,
    mut each: impl FnMut(Tensor<2>, &[u16]),
) {
    let inputs = corpus.songs[song].tokens as usize - 1;
    let chunk = model.shape.window;
    let mut memory = Memory::default();
    for from in (0..inputs).step_by(chunk) {
        let count = chunk.min(inputs - from);
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
        let logits = model.forward_with(&input, &mut memory, memories);
        each(logits, &targets);
    }
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
