//! Detects that generated tokens repeat in a loop, so that the sampler raises the temperature until the
//! loop ends.
//!
//! This is no repetition penalty: music repeats, and themes may come again. Only generated tokens count,
//! not the input.

/// Longest period detected, in tokens: some eight bars of melody.
const LONGEST: usize = 512;
/// Repeats beyond the first round that count as music.
const TIMES: usize = 2;
/// Shortest repeat in tokens that counts: a few repeated notes are a figure of accompaniment.
const SHORTEST: usize = 48;
/// Factor on the intensity for each token after the loop has ended.
const COOLING: f32 = 0.94;

/// Compares, for every period up to [`LONGEST`], each token with the one a period ago.
#[derive(Clone, Debug)]
pub(super) struct LoopDetector {
    /// The last tokens, a ring.
    past: Vec<u32>,
    /// Tokens seen.
    seen: usize,
    /// For each period less one: how many tokens in a row were as they were a period ago.
    same: Vec<u32>,
    /// Intensity of the loop, 0 to 1.
    intensity: f32,
}

impl Default for LoopDetector {
    fn default() -> Self {
        Self {
            past: vec![0; LONGEST],
            seen: 0,
            same: vec![0; LONGEST],
            intensity: 0.0,
        }
    }
}

impl LoopDetector {
    /// Resets the detector.
    pub(super) fn clear(&mut self) {
        self.same.fill(0);
        (self.seen, self.intensity) = (0, 0.0);
    }

    /// One more token was played; `token` is any number that stands for it. Time proportional
    /// to [`LONGEST`]; never allocates.
    pub(super) fn push(&mut self, token: u32) {
        let mut circling = 0.0f32;
        let periods = self.seen.min(LONGEST);
        for period in 1..=periods {
            let before = self.past[(self.seen - period) % LONGEST];
            let same = &mut self.same[period - 1];
            *same = if before == token { *same + 1 } else { 0 };
            // Two rounds beyond the first are free, then each further one warms by its share
            // of another two.
            let free = (TIMES * period).max(SHORTEST);
            if *same as usize > free {
                circling = circling.max((*same as usize - free) as f32 / free as f32);
            }
        }
        self.past[self.seen % LONGEST] = token;
        self.seen += 1;
        self.intensity = (self.intensity * COOLING).max(circling).min(1.0);
    }

    /// Intensity of the loop: 0 without one, up to 1.
    pub(super) fn intensity(&self) -> f32 {
        self.intensity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_circle_warms_gradually_and_leaving_it_cools() {
        for period in [5usize, 16, 40, 120, 500] {
            let mut rng = ChaCha8Rng::seed_from_u64(period as u64);
            let circle: Vec<u32> = (0..period).map(|_| rng.random_range(0..300)).collect();
            let mut loop_detector = LoopDetector::default();
            let mut heats = Vec::new();
            let rounds = (5 * period).max(period + 3 * SHORTEST);
            for i in 0..rounds {
                loop_detector.push(circle[i % period]);
                heats.push(loop_detector.intensity());
            }
            assert!(heats.is_sorted(), "period {period}: warms while it circles");
            let free = period + (TIMES * period).max(SHORTEST);
            assert_eq!(heats[free - 1], 0.0, "period {period}");
            assert!(heats[free + 1] > 0.0, "period {period}");
            let steepest = heats.windows(2).map(|w| w[1] - w[0]).fold(0.0, f32::max);
            assert!(steepest < 0.05, "period {period}: by {steepest} at once");
            assert!(loop_detector.intensity() > 0.9, "period {period}");
            for _ in 0..100 {
                let before = loop_detector.intensity();
                loop_detector.push(rng.random_range(1000..100_000));
                assert!(loop_detector.intensity() < before || before == 0.0);
            }
            assert!(loop_detector.intensity() < 0.01);
        }
    }

    #[test]
    fn music_that_does_not_circle_stays_cold() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut loop_detector = LoopDetector::default();
        let theme: Vec<u32> = (0..200).map(|_| rng.random_range(0..40)).collect();
        // Theme, theme, other, theme, other: a rondo.
        for part in 0..20 {
            for &token in &theme {
                let token = if part % 3 == 2 {
                    token + 100 + part
                } else {
                    token
                };
                loop_detector.push(token);
                assert_eq!(loop_detector.intensity(), 0.0);
            }
        }
    }
}
