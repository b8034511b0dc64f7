//! How sure a model should be of itself. One trained long on few songs knows them by heart and is
//! surer of others than it is right: its logits are divided by the temperature under which songs
//! that it has not seen are likeliest (Guo and others 2017, "On Calibration of Modern Neural
//! Networks", arXiv 1706.04599).

use rayon::prelude::*;

use crate::corpus::Corpus;
use crate::eval::predict;
use crate::model::{Model, Use};

/// Tokens that the temperature is fitted on, about.
const TOKENS: u64 = 60_000;
/// Temperatures that are tried, as natural logarithms: from a quarter to four.
const WITHIN: f64 = 1.386;
/// Steps of the search; each makes what is left 0.618 times as wide.
const STEPS: usize = 24;

/// A temperature, and what it does for the songs it was fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Logits are divided by it.
    pub temperature: f64,
    /// Tokens predicted.
    pub tokens: usize,
    /// Nats a token before.
    pub before: f64,
    /// Nats a token with it.
    pub after: f64,
}

/// One song's logits, one row of the vocabulary's size a token, and the ids that came.
struct Song {
    logits: Vec<f32>,
    targets: Vec<u16>,
}

/// Fits the temperature on songs of `corpus` that are held out, spread over all of it, and makes
/// the model that much less sure, for good: it is taken into the gain of its last norm. `None`
/// without any.
pub fn calibrate(model: &mut Model, corpus: &Corpus) -> Option<Calibration> {
    let songs: Vec<usize> = (0..corpus.songs.len())
        .filter(|&song| corpus.songs[song].held_out)
        .collect();
    let all: u64 = songs.iter().map(|&song| corpus.songs[song].tokens).sum();
    let every = usize::try_from(all / TOKENS).unwrap_or(1).max(1);
    let predict = |&song: &usize| {
        let (mut logits, mut targets) = (Vec::new(), Vec::new());
        predict(model, corpus, song, Use::BOTH, |some, ids| {
            logits.extend(some.into_data().iter::<f32>());
            targets.extend_from_slice(ids);
        });
        Song { logits, targets }
    };
    let songs: Vec<usize> = songs.into_iter().step_by(every).collect();
    let songs: Vec<Song> = songs.par_iter().with_max_len(1).map(predict).collect();
    let tokens: usize = songs.iter().map(|song| song.targets.len()).sum();
    if tokens == 0 {
        return None;
    }
    let nats = |temperature: f64| {
        let sums = songs.par_iter().map(|song| song.nats(temperature));
        sums.sum::<f64>() / tokens as f64
    };
    let temperature = least(nats);
    let calibration = Calibration {
        temperature,
        tokens,
        before: nats(1.0),
        after: nats(temperature),
    };
    model.divide_logits(temperature as f32);
    Some(calibration)
}

impl Song {
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

/// The temperature with the fewest nats, by golden-section search: nats are a convex function of
/// its reciprocal.
fn least(nats: impl Fn(f64) -> f64) -> f64 {
    let golden = (5.0f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-WITHIN, WITHIN);
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
    fn the_temperature_is_that_which_tokens_were_drawn_with() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for expected in [0.5, 1.0, 1.3, 3.0] {
            let mut song = Song {
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
            let found = least(|temperature| song.nats(temperature));
            assert!((found / expected).ln().abs() < 0.03, "{found}, {expected}");
            assert!(song.nats(found) <= song.nats(1.0) + 1e-6);
        }
    }
}
