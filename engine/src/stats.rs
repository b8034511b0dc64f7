//! Statistics of decode time.

use std::time::Duration;

/// Number of times kept: enough for a quantile of 0.99.
const KEPT: usize = 4096;

/// Decode times of one composer: for each sampled token the time of its run through the network. Owned
/// by the thread of its composer.
#[derive(Clone, Debug, Default)]
pub struct DecodeStats {
    tokens: u64,
    /// Milliseconds of the last [`KEPT`] tokens, a ring buffer.
    times: Vec<f32>,
}

impl DecodeStats {
    pub(crate) fn record(&mut self, took: Duration) {
        let ms = took.as_secs_f32() * 1e3;
        if self.times.len() < KEPT {
            self.times.push(ms);
        } else {
            self.times[(self.tokens % KEPT as u64) as usize] = ms;
        }
        self.tokens += 1;
    }

    /// Number of tokens sampled so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Quantile of the decode times of the last 4096 tokens, in milliseconds. `share` is from 0 to 1; 0.5
    /// is the median. `None` before the first token.
    pub fn quantile(&self, share: f64) -> Option<f32> {
        let mut sorted = self.times.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let index = (share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64).round();
        sorted.get(index as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_last_tokens() {
        let mut stats = DecodeStats::default();
        assert_eq!(stats.quantile(0.5), None);
        for _ in 0..KEPT {
            stats.record(Duration::from_millis(1000));
        }
        for ms in 0..KEPT {
            stats.record(Duration::from_millis(ms as u64 % 101));
        }
        assert_eq!(stats.tokens(), 2 * KEPT as u64);
        assert!((stats.quantile(0.5).unwrap() - 50.0).abs() <= 1.0);
        assert_eq!(stats.quantile(1.0), Some(100.0));
    }
}
