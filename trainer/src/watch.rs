//! What a training looks at now and then: held-out songs, and how the model plays.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use continuo_score::manifest::HeldOut;
use rayon::prelude::*;

use crate::corpus::Corpus;
use crate::eval::song_nats;
use crate::model::{Model, Use};
use crate::sample;
use crate::train::{Options, TrainError};

/// Tokens measured, about: `eval` measures all, this is to see how a training goes.
const TOKENS: u64 = 30_000;

/// When it was looked last, and what at.
pub(crate) struct Watch<'a> {
    options: &'a Options<'a>,
    /// Held-out songs, spread over the corpus.
    songs: Vec<usize>,
    measured: Instant,
    sampled: Instant,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(options: &'a Options<'a>) -> Self {
        Self {
            songs: spread(options.corpus),
            options,
            measured: Instant::now(),
            sampled: Instant::now(),
        }
    }

    /// Measures, if it is time or `now`.
    pub(crate) fn measure(&mut self, model: &Model, now: bool) -> Option<HeldOut> {
        if !due(self.options.measure_every, &self.measured, now) || self.songs.is_empty() {
            return None;
        }
        let corpus = self.options.corpus;
        let nats = |&song: &usize| -> f64 {
            let nats = song_nats(model, corpus, song, Use::BOTH, |_| {});
            nats.into_iter().map(f64::from).sum()
        };
        // A GPU is given one thing at a time.
        let nats: Vec<f64> = if self.options.place.gpu {
            self.songs.iter().map(nats).collect()
        } else {
            self.songs.par_iter().with_max_len(1).map(nats).collect()
        };
        let nats: f64 = nats.into_iter().sum();
        let sum = |f: fn(&crate::corpus::Song) -> u64| -> u64 {
            self.songs.iter().map(|&i| f(&corpus.songs[i])).sum()
        };
        let (tokens, notes) = (sum(|s| s.tokens - 1), sum(|s| s.notes));
        self.measured = Instant::now();
        Some(HeldOut {
            songs: self.songs.len(),
            tokens,
            notes,
            nats_per_token: nats / tokens.max(1) as f64,
            nats_per_note: nats / notes.max(1) as f64,
        })
    }

    /// Writes a sample, if it is time or `now`.
    pub(crate) fn sample(
        &mut self,
        model: &Model,
        step: u64,
        now: bool,
    ) -> Result<Option<PathBuf>, TrainError> {
        let Options { corpus, output, .. } = *self.options;
        if !due(self.options.sample_every, &self.sampled, now) || corpus.songs.is_empty() {
            return Ok(None);
        }
        // Without held-out songs, one of the others.
        let song = match self.songs.len() as u64 {
            0 => (step % corpus.songs.len() as u64) as usize,
            songs => self.songs[(step % songs) as usize],
        };
        let path = &corpus.songs[song].path;
        self.sampled = Instant::now();
        let Some(sample) = sample::sample(model, corpus, song, step) else {
            return Ok(None);
        };
        let folder = output.join("samples");
        let title = format!("step {step}, after {path}");
        let written = sample.write(&folder, &format!("step-{step:08}"), &title);
        Ok(Some(written?))
    }
}

fn due(every: Option<Duration>, last: &Instant, now: bool) -> bool {
    every.is_some_and(|every| now || last.elapsed() >= every)
}

/// Held-out songs, evenly from all of the corpus, until there are enough tokens.
fn spread(corpus: &Corpus) -> Vec<usize> {
    let all: Vec<usize> = (0..corpus.songs.len())
        .filter(|&i| corpus.songs[i].held_out)
        .collect();
    let sum: u64 = all.iter().map(|&i| corpus.songs[i].tokens).sum();
    let every = sum.div_ceil(TOKENS).max(1) as usize;
    all.into_iter().step_by(every).collect()
}
