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
    /// At index *p* - 1: number of consecutive tokens equal to those *p* tokens before.
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

    /// Reads a generated token; equal tokens have equal numbers. Takes time proportional to [`LONGEST`];
    /// allocates nothing.
    pub(super) fn push(&mut self, token: u32) {
        let mut intensity = 0.0f32;
        let periods = self.seen.min(LONGEST);
        for period in 1..=periods {
            let before = self.past[(self.seen - period) % LONGEST];
            let same = &mut self.same[period - 1];
            *same = if before == token { *same + 1 } else { 0 };
            // Two rounds beyond the first are free. The next two raise the intensity from 0 to 1.
            let free = (TIMES * period).max(SHORTEST);
            if *same as usize > free {
                intensity = intensity.max((*same as usize - free) as f32 / free as f32);
            }
        }
        self.past[self.seen % LONGEST] = token;
        self.seen += 1;
        self.intensity = (self.intensity * COOLING).max(intensity).min(1.0);
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
    fn loop_raises_the_intensity_gradually_and_its_end_lowers_it() {
        for period in [5usize, 16, 40, 120, 500] {
            let mut rng = ChaCha8Rng::seed_from_u64(period as u64);
            let pattern: Vec<u32> = (0..period).map(|_| rng.random_range(0..300)).collect();
            let mut loop_detector = LoopDetector::default();
            let mut intensities = Vec::new();
            let rounds = (5 * period).max(period + 3 * SHORTEST);
            for i in 0..rounds {
                loop_detector.push(pattern[i % period]);
                intensities.push(loop_detector.intensity());
            }
            assert!(
                intensities.is_sorted(),
                "period {period}: rises during the loop"
            );
            let free = period + (TIMES * period).max(SHORTEST);
            assert_eq!(intensities[free - 1], 0.0, "period {period}");
            assert!(intensities[free + 1] > 0.0, "period {period}");
            let steepest = intensities
                .windows(2)
                .map(|w| w[1] - w[0])
                .fold(0.0, f32::max);
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
    fn music_without_loops_has_no_intensity() {
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
