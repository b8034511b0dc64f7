//! Validation during a training: the loss on held-out songs, and samples.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use continuo_score::manifest::HeldOut;
use rayon::prelude::*;

use crate::data::corpus::Song;
use crate::eval::song_losses;
use crate::model::{MemoryMode, Model};
use crate::train::error::TrainError;
use crate::train::options::TrainOptions;
use crate::train::sample;

/// Approximate number of tokens measured; `eval` measures all.
const TOKENS: u64 = 30_000;

/// Held-out songs and the times of the latest measurement and sample.
pub(crate) struct Validation<'a> {
    options: &'a TrainOptions<'a>,
    /// Held-out songs, evenly spread over the corpus.
    songs: Vec<usize>,
    measured: Instant,
    sampled: Instant,
}

impl<'a> Validation<'a> {
    pub(crate) fn new(options: &'a TrainOptions<'a>) -> Self {
        Self {
            songs: options.corpus.spread(true, |all| all.div_ceil(TOKENS)),
            options,
            measured: Instant::now(),
            sampled: Instant::now(),
        }
    }

    /// Measures the loss if it is due, or if `now` is set and measurements are wanted.
    pub(crate) fn measure(&mut self, model: &Model, now: bool) -> Option<HeldOut> {
        if !due(self.options.measure_every, &self.measured, now) || self.songs.is_empty() {
            return None;
        }
        let corpus = self.options.corpus;
        let nats = |&song: &usize| -> f64 {
            let losses = song_losses(model, corpus, song, MemoryMode::BOTH, |_| {});
            losses.into_iter().map(f64::from).sum()
        };
        // A GPU is used from one thread.
        let nats: Vec<f64> = if self.options.devices.gpu {
            self.songs.iter().map(nats).collect()
        } else {
            self.songs.par_iter().with_max_len(1).map(nats).collect()
        };
        let nats: f64 = nats.into_iter().sum();
        let sum =
            |f: fn(&Song) -> u64| -> u64 { self.songs.iter().map(|&i| f(&corpus.songs[i])).sum() };
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

    /// Writes a sample if it is due, or if `now` is set and samples are wanted.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn sample(
        &mut self,
        model: &Model,
        step: u64,
        now: bool,
    ) -> Result<Option<PathBuf>, TrainError> {
        let TrainOptions { corpus, output, .. } = *self.options;
        if !due(self.options.sample_every, &self.sampled, now) || corpus.songs.is_empty() {
            return Ok(None);
        }
        // Without held-out songs, a training song.
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
