//! From logits to the next token: pure, seeded, testable.

use rand::Rng;

use crate::error::EngineError;

/// How to choose among what the model predicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits. 0 always takes the likeliest token, 1 follows the model, more is
    /// more daring.
    pub temperature: f32,
    /// Keeps the likeliest tokens that together have this probability, 0 to 1 (nucleus
    /// sampling, arXiv 1904.09751); at least one stays.
    pub top_p: f32,
}

impl Default for Sampling {
    /// A compromise: nearer to the scale and the beats of what was heard than sampling as the
    /// model predicts, and less square than colder sampling. Figures and command are in the card
    /// of the default model, `models/default/README.md`.
    fn default() -> Self {
        Self {
            temperature: 0.9,
            top_p: 0.9,
        }
    }
}

impl Sampling {
    /// Chooses an id among those `allowed`. `logits` and `allowed` are one entry an id.
    ///
    /// Fails where no id is allowed, or an allowed one has a logit that is not a number or
    /// is infinitely large.
    pub fn choose(
        &self,
        logits: &[f32],
        allowed: &[bool],
        rng: &mut impl Rng,
    ) -> Result<u16, EngineError> {
        let ids = (0..logits.len().min(allowed.len())).filter(|&id| allowed[id]);
        let mut candidates: Vec<(f32, u16)> = ids.map(|id| (logits[id], id as u16)).collect();
        if candidates
            .iter()
            .any(|&(logit, _)| logit.is_nan() || logit == f32::INFINITY)
        {
            return Err(EngineError::Logits("not a number"));
        }
        // Ids break ties, so that the order never depends on the sort.
        candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let Some(&(best, likeliest)) = candidates.first() else {
            return Err(EngineError::Logits("no token is allowed"));
        };
        // One draw a token, also where it decides nothing: streams stay in step.
        let draw: f64 = rng.random();
        if self.temperature <= 0.0 || best == f32::NEG_INFINITY {
            return Ok(likeliest);
        }
        let weight = |logit: f32| f64::from((logit - best) / self.temperature).exp();
        let total: f64 = candidates.iter().map(|&(logit, _)| weight(logit)).sum();
        let nucleus = f64::from(self.top_p.clamp(0.0, 1.0)) * total;
        let mut kept = 0.0;
        let mut count = 0;
        for &(logit, _) in &candidates {
            kept += weight(logit);
            count += 1;
            if kept >= nucleus {
                break;
            }
        }
        let mut left = draw * kept;
        for &(logit, id) in &candidates[..count] {
            left -= weight(logit);
            if left < 0.0 {
                return Ok(id);
            }
        }
        // Rounding only: the draw fell on the very end of the nucleus.
        Ok(candidates[count - 1].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const ALL: [bool; 4] = [true; 4];

    fn counts(sampling: Sampling, logits: &[f32], allowed: &[bool]) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut counts = vec![0; logits.len()];
        for _ in 0..20_000 {
            counts[usize::from(sampling.choose(logits, allowed, &mut rng).unwrap())] += 1;
        }
        counts
    }

    #[test]
    fn follows_the_softmax() {
        let logits = [0.5f32, 0.25, 0.15, 0.1].map(f32::ln);
        let seen = counts(
            Sampling {
                temperature: 1.0,
                top_p: 1.0,
            },
            &logits,
            &ALL,
        );
        for (seen, expected) in seen.iter().zip([10_000, 5_000, 3_000, 2_000]) {
            assert!(seen.abs_diff(expected) < 300, "{seen} for {expected}");
        }
    }

    #[test]
    fn temperature_and_nucleus_narrow() {
        let logits = [0.5f32, 0.25, 0.15, 0.1].map(f32::ln);
        let two = counts(
            Sampling {
                temperature: 1.0,
                top_p: 0.7,
            },
            &logits,
            &ALL,
        );
        assert!(two[1] > 6_000 && two[2] == 0 && two[3] == 0, "{two:?}");
        let cold = counts(
            Sampling {
                temperature: 0.25,
                top_p: 1.0,
            },
            &logits,
            &ALL,
        );
        assert!(cold[0] > 18_000, "{cold:?}");
        for one in [
            Sampling {
                temperature: 0.0,
                top_p: 1.0,
            },
            Sampling {
                temperature: 9.0,
                top_p: 0.0,
            },
        ] {
            assert_eq!(counts(one, &logits, &ALL)[0], 20_000);
        }
    }

    #[test]
    fn the_mask_holds_whatever_the_logits() {
        let logits = [f32::NAN, 100.0, f32::NEG_INFINITY, 0.0];
        let seen = counts(Sampling::default(), &logits, &[false, false, true, true]);
        assert_eq!(seen, [0, 0, 0, 20_000]);
        let only = counts(Sampling::default(), &logits, &[false, false, true, false]);
        assert_eq!(
            only[2], 20_000,
            "what is allowed is taken, however unlikely"
        );
    }

    #[test]
    fn what_cannot_be_chosen_is_an_error() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut choose = |logits: &[f32], allowed: &[bool]| {
            Sampling::default()
                .choose(logits, allowed, &mut rng)
                .is_err()
        };
        assert!(choose(&[0.0, f32::NAN], &[true, true]));
        assert!(choose(&[0.0, f32::INFINITY], &[true, true]));
        assert!(choose(&[0.0, 0.0], &[false, false]));
        assert!(choose(&[], &[]));
    }
}
