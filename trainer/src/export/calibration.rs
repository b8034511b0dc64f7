//! Calibration of a model's certainty. A model trained long on few songs memorises them and
//! predicts other songs with too much certainty: its logits are divided by the temperature that
//! minimises the loss of unseen songs (Guo and others 2017, "On Calibration of Modern Neural
//! Networks", arXiv 1706.04599).

use rayon::prelude::*;

use crate::data::corpus::Corpus;
use crate::eval::predict;
use crate::model::{MemoryMode, Model};

/// Approximate number of tokens that the temperature is fitted on.
const TOKENS: u64 = 60_000;
/// Range of the temperature's natural logarithm: from a quarter to four.
const LOG_RANGE: f64 = 1.386;
/// Steps of the search; each narrows the range to 0.618 of its width.
const STEPS: usize = 24;

/// A fitted temperature and its effect on the songs it was fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Divisor of the logits.
    pub temperature: f64,
    /// Tokens predicted.
    pub tokens: usize,
    /// Loss before, nats per token.
    pub before: f64,
    /// Loss with the temperature, nats per token.
    pub after: f64,
}

/// Logits of one song, `[tokens, vocabulary]`, and its target ids.
struct SongLogits {
    logits: Vec<f32>,
    targets: Vec<u16>,
}

/// Fits the temperature on held-out songs from all of `corpus`, and divides the gain of the
/// model's last norm by it. `None` without held-out songs.
pub fn calibrate(model: &mut Model, corpus: &Corpus) -> Option<Calibration> {
    let predict = |&song: &usize| {
        let (mut logits, mut targets) = (Vec::new(), Vec::new());
        predict(model, corpus, song, MemoryMode::BOTH, |some, ids| {
            logits.extend(some.into_data().iter::<f32>());
            targets.extend_from_slice(ids);
        });
        SongLogits { logits, targets }
    };
    let songs = corpus.spread(true, |all| all.div_ceil(TOKENS));
    let songs: Vec<SongLogits> = songs.par_iter().with_max_len(1).map(predict).collect();
    let tokens: usize = songs.iter().map(|song| song.targets.len()).sum();
    if tokens == 0 {
        return None;
    }
    let nats = |temperature: f64| {
        let sums = songs.par_iter().map(|song| song.nats(temperature));
        sums.sum::<f64>() / tokens as f64
    };
    let temperature = minimum(nats);
    let calibration = Calibration {
        temperature,
        tokens,
        before: nats(1.0),
        after: nats(temperature),
    };
    model.divide_logits(temperature as f32);
    Some(calibration)
}

impl SongLogits {
    /// Total loss in nats at a temperature.
    fn nats(&self, temperature: f64) -> f64 {
        let rows = self
            .logits
            .chunks_exact(self.logits.len() / self.targets.len());
        let nats = rows.zip(&self.targets).map(|(row, &id)| {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let over = |logit: f32| f64::from(logit - most) / temperature;
            let sum: f64 = row.iter().map(|&logit| over(logit).exp()).sum();
            sum.ln() - over(row[usize::from(id)])
        });
        nats.sum()
    }
}

/// The temperature of the smallest loss, by golden-section search: the loss is a convex function
/// of its reciprocal.
fn minimum(nats: impl Fn(f64) -> f64) -> f64 {
    let golden = (5.0f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-LOG_RANGE, LOG_RANGE);
    let at = |log: f64| (log, nats(log.exp()));
    let mut left = at(high - golden * (high - low));
    let mut right = at(low + golden * (high - low));
    for _ in 0..STEPS {
        if left.1 <= right.1 {
            (high, right) = (right.0, left);
            left = at(high - golden * (high - low));
        } else {
            (low, left) = (left.0, right);
            right = at(low + golden * (high - low));
        }
    }
    ((low + high) / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn fitted_temperature_is_the_sampling_temperature() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for expected in [0.5, 1.0, 1.3, 3.0] {
            let mut song = SongLogits {
                logits: Vec::new(),
                targets: Vec::new(),
            };
            for _ in 0..20_000 {
                let row: [f32; 6] = std::array::from_fn(|_| rng.random_range(-4.0..4.0));
                let odds = row.map(|logit| (f64::from(logit) / expected).exp());
                let mut left = rng.random::<f64>() * odds.iter().sum::<f64>();
                let drawn = odds.iter().position(|odds| {
                    left -= odds;
                    left < 0.0
                });
                song.targets.push(drawn.unwrap_or(5) as u16);
                song.logits.extend(row);
            }
            let found = minimum(|temperature| song.nats(temperature));
            assert!((found / expected).ln().abs() < 0.03, "{found}, {expected}");
            assert!(song.nats(found) <= song.nats(1.0) + 1e-6);
        }
    }
}
