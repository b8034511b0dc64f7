//! Measurement of a model on the held-out songs.

use std::collections::BTreeMap;
use std::time::Instant;

use continuo_score::Token;
use continuo_score::TokenParts;
use continuo_score::manifest::HeldOut;
use rayon::prelude::*;
use serde::Serialize;

use crate::data::corpus::Corpus;
use crate::eval::memory_ablation::{MeasuredSong, MemoryAblation};
use crate::eval::prediction::song_losses;
use crate::model::{MemoryMode, Model};

/// Sums over some songs. The first token of a song (`<sos>`) is given, all others are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measure {
    /// Songs.
    pub songs: usize,
    /// Tokens predicted.
    pub tokens: u64,
    /// Notes among them.
    pub notes: u64,
    /// Loss of the model, nats.
    pub nats: f64,
    /// Loss of the token frequencies in the training songs, nats.
    pub unigram_nats: f64,
    /// Loss of a uniform distribution, nats.
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

    /// Mean of a sum per token.
    pub fn per_token(&self, nats: f64) -> f64 {
        nats / self.tokens.max(1) as f64
    }

    /// Mean of a sum per note.
    pub fn per_note(&self, nats: f64) -> f64 {
        nats / self.notes.max(1) as f64
    }
}

/// Result of an evaluation. The keys are those of `eval --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// All held-out songs.
    pub all: Measure,
    /// By style.
    pub styles: BTreeMap<String, Measure>,
    /// By group of the predicted token: `part`, `pitch`, `duration`, `velocity`, `time` (whether and how
    /// far time moves on), `end`, and `merged` for any merged token.
    #[serde(rename = "kinds")]
    pub token_groups: BTreeMap<&'static str, TokenGroupLoss>,
    /// By the part of the note that a token belongs to, by name; empty for a vocabulary without
    /// parts. Moves in time and the end belong to no note.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<&'static str, PartLoss>,
    /// With and without each memory of the model, all memories first; empty if not requested.
    #[serde(rename = "cells")]
    pub ablations: Vec<MemoryAblation>,
    /// Summary for the model directory.
    pub held_out: HeldOut,
}

/// Sums over the tokens of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TokenGroupLoss {
    /// Tokens.
    pub tokens: u64,
    /// Loss of the model, nats.
    pub nats: f64,
}

/// Sums over the notes of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PartLoss {
    /// Notes.
    pub notes: u64,
    /// Tokens: parts, pitches, durations and velocities.
    pub tokens: u64,
    /// Loss of the model, nats.
    pub nats: f64,
}

impl PartLoss {
    /// Loss of a note, nats.
    pub fn per_note(&self) -> f64 {
        self.nats / self.notes.max(1) as f64
    }
}

/// Measures a model on the held-out songs, and with `memories` also without each of its memories.
/// Calls `progress(done, all)`, in tokens, on any thread. `None` if no songs are held out.
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
    let mut modes = vec![MemoryMode::BOTH];
    if memories {
        let recalls = [1.0, 0.0];
        let recalls = &recalls[..if model.config.shape.knn.is_some() {
            2
        } else {
            1
        }];
        modes = [true, false]
            .iter()
            .flat_map(|&xl| recalls.iter().map(move |&recall| MemoryMode { xl, recall }))
            .collect();
    }
    // Longest first, so that no core works alone on a long song at the end.
    songs.sort_by_key(|&i| std::cmp::Reverse(corpus.songs[i].tokens));
    let all: u64 = songs.iter().map(|&i| corpus.songs[i].tokens - 1).sum();
    let all = all * modes.len() as u64;
    let done = std::sync::atomic::AtomicU64::new(0);
    // Per song: the loss of every token with both memories, and its measurement in every mode.
    let measured: Vec<(Vec<f32>, Vec<MeasuredSong>)> = songs
        .par_iter()
        .with_max_len(1)
        .map(|&song| {
            let mut measured = Vec::with_capacity(modes.len());
            let mut both = Vec::new();
            for &mode in &modes {
                let started = Instant::now();
                let losses = song_losses(model, corpus, song, mode, |tokens| {
                    let before = done.fetch_add(tokens, std::sync::atomic::Ordering::Relaxed);
                    progress(before + tokens, all);
                });
                measured.push(MeasuredSong {
                    tokens: losses.len() as u64,
                    notes: corpus.songs[song].notes,
                    nats: losses.iter().map(|&n| f64::from(n)).sum(),
                    seconds: started.elapsed().as_secs_f64(),
                });
                if mode == MemoryMode::BOTH {
                    both = losses;
                }
            }
            (both, measured)
        })
        .collect();
    let ablation = |(i, &mode): (usize, &MemoryMode)| {
        let songs: Vec<MeasuredSong> = measured.iter().map(|(_, modes)| modes[i]).collect();
        let recall = mode.recall * f32::from(u8::from(model.config.shape.knn.is_some()));
        MemoryAblation::new(
            MemoryMode { recall, ..mode },
            model.config.shape.window,
            &songs,
        )
    };
    let ablations: Vec<_> = modes.iter().enumerate().map(ablation).collect();
    let losses = songs.iter().copied().zip(measured.into_iter().map(|m| m.0));
    let Breakdown {
        styles,
        token_groups,
        parts,
    } = breakdown(corpus, losses);
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
        token_groups,
        parts,
        ablations: if memories { ablations } else { Vec::new() },
        held_out,
    })
}

/// Sums by style, by group of the predicted token and by part.
#[derive(Default)]
struct Breakdown {
    styles: BTreeMap<String, Measure>,
    token_groups: BTreeMap<&'static str, TokenGroupLoss>,
    parts: BTreeMap<&'static str, PartLoss>,
}

fn breakdown(corpus: &Corpus, losses: impl Iterator<Item = (usize, Vec<f32>)>) -> Breakdown {
    let unigram = unigram_losses(corpus);
    let uniform = (corpus.vocabulary.size() as f64).ln();
    let mut sums = Breakdown::default();
    for (song, losses) in losses {
        let info = &corpus.songs[song];
        let targets = corpus.records(song, 1, info.tokens as usize);
        let mut measure = Measure {
            songs: 1,
            notes: info.notes,
            ..Measure::default()
        };
        let mut before = None;
        let mut parts = TokenParts::default();
        for (record, loss) in targets.zip(losses) {
            measure.tokens += 1;
            measure.nats += f64::from(loss);
            measure.unigram_nats += unigram[usize::from(record.id)];
            measure.uniform_nats += uniform;
            let mut tokens = corpus.vocabulary.tokens(record.id);
            let (token, last) = (tokens.next(), tokens.last());
            let group = match last {
                Some(_) => "merged",
                None => token_group(before, token),
            };
            let group = sums.token_groups.entry(group).or_default();
            group.tokens += 1;
            group.nats += f64::from(loss);
            if corpus.vocabulary.has_parts() {
                let tokens = corpus.vocabulary.tokens(record.id);
                sums.add_to_part(&mut parts, tokens, f64::from(loss));
            }
            before = last.or(token);
        }
        let style = sums.styles.entry(info.style.clone()).or_default();
        *style = style.add(measure);
    }
    sums
}

impl Breakdown {
    /// Adds the loss of a token to the part of the first note that it belongs to, and its notes to
    /// theirs.
    fn add_to_part(
        &mut self,
        parts: &mut TokenParts,
        tokens: impl Iterator<Item = Token>,
        nats: f64,
    ) {
        let mut owner = None;
        for token in tokens {
            let part = parts.read(token);
            owner = owner.or(part);
            if let (Some(part), Token::Pitch(_)) = (part, token) {
                self.parts.entry(part.name()).or_default().notes += 1;
            }
        }
        if let Some(owner) = owner {
            let sum = self.parts.entry(owner.name()).or_default();
            sum.tokens += 1;
            sum.nats += nats;
        }
    }
}

/// Group of a token, given the one before.
fn token_group(before: Option<Token>, token: Option<Token>) -> &'static str {
    match (before, token) {
        (_, Some(Token::Pitch(_))) => "pitch",
        (_, Some(Token::Part(_))) => "part",
        (_, Some(Token::Velocity(_))) => "velocity",
        (_, Some(Token::Separator)) | (Some(Token::Separator), _) => "time",
        (_, Some(Token::Duration(_))) => "duration",
        _ => "end",
    }
}

/// Loss of each id by its frequency in the training songs. One is added to each count, so that no
/// loss is infinite.
fn unigram_losses(corpus: &Corpus) -> Vec<f64> {
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
