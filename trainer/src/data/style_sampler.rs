//! Songs drawn by style: the next style by its weight, then the songs of that style in a new
//! random order each pass.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::data::corpus::Corpus;

/// Training songs of one style.
struct Style {
    /// Indices in the corpus.
    songs: Vec<usize>,
    /// Cumulative tokens of the songs, each included.
    tokens: Vec<u64>,
    /// Probability that the next song or segment is of this style.
    probability: f64,
    /// Song order of the current pass, and the number of that pass.
    order: Vec<usize>,
    pass: Option<u64>,
}

/// Draws training songs of a corpus.
pub(super) struct StyleSampler {
    styles: Vec<Style>,
    seed: u64,
}

impl StyleSampler {
    /// A sampler whose styles have their share of the corpus to the power of `balance`. By song
    /// a style is drawn in proportion to that share; with `by_token`, per token of the share.
    pub(super) fn new(corpus: &Corpus, seed: u64, balance: f64, by_token: bool) -> Self {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, song) in corpus.songs.iter().enumerate().filter(|(_, s)| !s.held_out) {
            by_name.entry(&song.style).or_default().push(i);
        }
        let mut styles: Vec<Style> = by_name
            .into_values()
            .map(|songs| {
                let mut sum = 0;
                let tokens = songs.iter().map(|&i| {
                    sum += corpus.songs[i].tokens;
                    sum
                });
                Style {
                    tokens: tokens.collect(),
                    songs,
                    probability: 0.0,
                    order: Vec::new(),
                    pass: None,
                }
            })
            .collect();
        let tokens = |s: &Style| s.tokens.last().copied().unwrap_or(0) as f64;
        let all: f64 = styles.iter().map(tokens).sum();
        for style in &mut styles {
            style.probability = (tokens(style) / all).powf(balance);
            if !by_token {
                // A drawn song is played with all its tokens.
                style.probability /= tokens(style) / style.songs.len() as f64;
            }
        }
        let sum: f64 = styles.iter().map(|s| s.probability).sum();
        styles.iter_mut().for_each(|s| s.probability /= sum);
        Self { styles, seed }
    }

    /// Number of styles that have training songs.
    pub(super) fn len(&self) -> usize {
        self.styles.len()
    }

    /// Draws a style.
    pub(super) fn draw_style(&self, random: &mut impl Rng) -> usize {
        let mut rest = random.random::<f64>();
        for (i, style) in self.styles.iter().enumerate() {
            if rest < style.probability {
                return i;
            }
            rest -= style.probability;
        }
        self.styles.len() - 1
    }

    /// Draws a song of a style in proportion to its tokens.
    pub(super) fn draw_by_token(&self, style: usize, random: &mut impl Rng) -> usize {
        let style = &self.styles[style];
        let all = style.tokens.last().copied().unwrap_or(1);
        let token = random.random_range(0..all);
        style.songs[style.tokens.partition_point(|&sum| sum <= token)]
    }

    /// Song number `drawn` of a style, counted from 0 over all passes.
    pub(super) fn in_order(&mut self, index: usize, drawn: u64) -> usize {
        let style = &mut self.styles[index];
        let songs = style.songs.len() as u64;
        let (pass, at) = (drawn / songs, drawn % songs);
        if style.pass != Some(pass) {
            let mixed = self.seed ^ (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut random = ChaCha8Rng::seed_from_u64(mixed);
            random.set_stream(pass);
            style.order = style.songs.clone();
            style.order.shuffle(&mut random);
            style.pass = Some(pass);
        }
        style.order[at as usize]
    }
}
