//! Draws from the categorical distribution over candidate tokens.

use continuo_score::Part;
use rand::Rng;

use super::settings::Sampling;
use crate::error::EngineError;

/// The group of a token, by its first base token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenGroup {
    /// A pitch or a velocity.
    Sound,
    /// A length, or a move in time.
    Time,
}

/// A token that may come next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) id: u16,
    pub(super) group: TokenGroup,
    /// The model's logit.
    pub(super) logit: f32,
    /// Bias of the constraints within its group, in nats.
    pub(super) bias: f32,
    /// Part of the note that it begins or goes on with; `None` for a length or a move in time.
    pub(super) part: Option<Part>,
}

/// The candidates and their distribution. Its buffers are reused, so that a token costs no allocation
/// once they have grown.
#[derive(Clone, Debug, Default)]
pub(super) struct CategoricalSampler {
    pub(super) candidates: Vec<Candidate>,
    /// Log probability and id, likeliest first.
    ranked: Vec<(f32, u16)>,
}

impl CategoricalSampler {
    /// Draws one of `self.candidates`, which hold no id twice.
    ///
    /// The probabilities of the two groups come first: the sums of the model's probabilities, at the
    /// temperature of rhythm and with `time_bias` nats for time. So temperature and bias of pitches
    /// change which pitch is drawn, and not how many notes there are.
    ///
    /// Uses one random number a call. A candidate with a logit of minus infinity is never drawn, unless
    /// all have it; then the lowest id is.
    ///
    /// # Errors
    /// Fails if there is no candidate, or a logit is NaN or infinity.
    pub(super) fn choose(
        &mut self,
        sampling: &Sampling,
        temperature_multiplier: f32,
        time_bias: f32,
        rng: &mut impl Rng,
    ) -> Result<u16, EngineError> {
        let draw: f64 = rng.random();
        if self.candidates.iter().any(|c| unusable(c.logit)) {
            return Err(EngineError::Logits("a logit is not a finite number"));
        }
        let lowest = self.candidates.iter().map(|c| c.id).min();
        let lowest = lowest.ok_or(EngineError::Logits("no token is allowed"))?;
        self.candidates.retain(|c| c.logit > f32::NEG_INFINITY);
        self.rank(sampling, temperature_multiplier, time_bias);
        Ok(self.draw(sampling, draw).unwrap_or(lowest))
    }

    /// Fills `ranked` with the log probabilities of the candidates.
    fn rank(&mut self, sampling: &Sampling, temperature_multiplier: f32, time_bias: f32) {
        self.ranked.clear();
        let rhythm = sampling.rhythm_temperature * temperature_multiplier;
        let sound = self.share(TokenGroup::Sound);
        let time = self.share(TokenGroup::Time) + time_bias;
        let both = soften(sound - sound.max(time), rhythm).exp()
            + soften(time - sound.max(time), rhythm).exp();
        for (group, share, temperature) in [
            (
                TokenGroup::Sound,
                sound,
                sampling.pitch_temperature * temperature_multiplier,
            ),
            (TokenGroup::Time, time, rhythm),
        ] {
            let share = soften(share - sound.max(time), rhythm) - both.ln();
            let own = || self.candidates.iter().filter(|c| c.group == group);
            let best = own()
                .map(|c| c.logit + c.bias)
                .fold(f32::NEG_INFINITY, f32::max);
            let log = |c: &Candidate| soften(c.logit + c.bias - best, temperature);
            let total: f32 = own().map(|c| log(c).exp()).sum();
            let ranked = own().map(|c| (share + log(c) - total.ln(), c.id));
            self.ranked
                .extend(ranked.filter(|r| r.0 > f32::NEG_INFINITY));
        }
        // Ids break ties, so that the order never depends on the sort.
        self.ranked
            .sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    }

    /// Makes a note of `part` likelier by `nats`, at the cost of moves in time and of parts after it. What
    /// comes before it on a step keeps its probability: a part that is owed a note must not keep others
    /// from the beat.
    pub(super) fn favour(&mut self, part: Part, nats: f32) {
        if !self.candidates.iter().any(|c| c.part == Some(part)) {
            return;
        }
        let comes_before = |c: &Candidate| c.part.is_some_and(|own| own < part);
        let before = self.weight(|c| !comes_before(c));
        let own = self.candidates.iter_mut().filter(|c| c.part == Some(part));
        own.for_each(|c| c.logit += nats);
        let more = self.weight(|c| !comes_before(c)) - before;
        if more.is_finite() {
            let earlier = self.candidates.iter_mut().filter(|c| comes_before(c));
            earlier.for_each(|c| c.logit += more);
        }
    }

    /// Log of the sum of the model's weights of all candidates of a group.
    fn share(&self, group: TokenGroup) -> f32 {
        self.weight(|c| c.group == group)
    }

    /// Log of the sum of the model's weights of the candidates that `is_own` chooses.
    fn weight(&self, is_own: impl Fn(&Candidate) -> bool) -> f32 {
        let own = || self.candidates.iter().filter(|c| is_own(c));
        let best = own().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
        match best == f32::NEG_INFINITY {
            true => best,
            false => best + own().map(|c| (c.logit - best).exp()).sum::<f32>().ln(),
        }
    }

    /// The id of `ranked` at `draw`, 0 to 1, after top-k, min-p and top-p; `None` if there is none.
    fn draw(&self, sampling: &Sampling, draw: f64) -> Option<u16> {
        let (best, likeliest) = *self.ranked.first()?;
        // At temperature 0 ties are not drawn either.
        let cold = sampling.pitch_temperature <= 0.0 && sampling.rhythm_temperature <= 0.0;
        if cold {
            return Some(likeliest);
        }
        let most = match sampling.top_k {
            0 => self.ranked.len(),
            k => self.ranked.len().min(usize::from(k)),
        };
        let floor = best + sampling.min_p.clamp(0.0, 1.0).ln();
        let most = most
            .min(self.ranked.partition_point(|r| r.0 >= floor))
            .max(1);
        let kept = &self.ranked[..most];
        let weight = |log: f32| f64::from(log - best).exp();
        let nucleus = f64::from(sampling.top_p.clamp(0.0, 1.0))
            * kept.iter().map(|r| weight(r.0)).sum::<f64>();
        let mut total = 0.0;
        let mut count = 0;
        for &(log, _) in kept {
            total += weight(log);
            count += 1;
            if total >= nucleus {
                break;
            }
        }
        let mut left = draw * total;
        for &(log, id) in &kept[..count] {
            left -= weight(log);
            if left < 0.0 {
                return Some(id);
            }
        }
        // By rounding, the draw can lie at the end of the nucleus.
        Some(kept[count - 1].1)
    }
}

fn unusable(logit: f32) -> bool {
    logit.is_nan() || logit == f32::INFINITY
}

/// Divides `gap`, the difference of a logit from the best one (0 or less), by the temperature. At 0, all
/// but the best become impossible.
fn soften(gap: f32, temperature: f32) -> f32 {
    match temperature > 0.0 {
        // An impossible token is impossible at any temperature.
        true if gap == f32::NEG_INFINITY => gap,
        true => gap / temperature,
        false if gap < 0.0 => f32::NEG_INFINITY,
        // The best, or the difference of two that do not exist.
        false => gap,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::PLAIN;
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Number of times each id is drawn in 20,000 draws; ids from `time` on are about time.
    fn counts(
        sampling: Sampling,
        logits: &[f32],
        time: usize,
        temperature_multiplier: f32,
        time_bias: f32,
    ) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut counts = vec![0; logits.len()];
        let mut chooser = CategoricalSampler::default();
        for _ in 0..20_000 {
            chooser.candidates.clear();
            chooser
                .candidates
                .extend(logits.iter().enumerate().map(|(id, &logit)| Candidate {
                    id: id as u16,
                    group: if id < time {
                        TokenGroup::Sound
                    } else {
                        TokenGroup::Time
                    },
                    logit,
                    bias: 0.0,
                    part: None,
                }));
            let id = chooser
                .choose(&sampling, temperature_multiplier, time_bias, &mut rng)
                .unwrap();
            counts[usize::from(id)] += 1;
        }
        counts
    }

    fn close(counts: &[usize], expected: [usize; 4]) {
        for (seen, expected) in counts.iter().zip(expected) {
            assert!(seen.abs_diff(expected) < 300, "{counts:?}");
        }
    }

    fn logits() -> [f32; 4] {
        [0.5f32, 0.25, 0.15, 0.1].map(f32::ln)
    }

    #[test]
    fn draws_follow_the_softmax() {
        for time in 0..=4 {
            close(
                &counts(PLAIN, &logits(), time, 1.0, 0.0),
                [10_000, 5_000, 3_000, 2_000],
            );
        }
    }

    #[test]
    fn each_group_follows_its_own_temperature() {
        // Two pitches with 0.75 between them, two moves with 0.25.
        let pitch = Sampling {
            pitch_temperature: 0.5,
            ..PLAIN
        };
        close(
            &counts(pitch, &logits(), 2, 1.0, 0.0),
            [12_000, 3_000, 3_000, 2_000],
        );
        let flat = Sampling {
            pitch_temperature: 1e9,
            ..PLAIN
        };
        close(
            &counts(flat, &logits(), 2, 1.0, 0.0),
            [7_500, 7_500, 3_000, 2_000],
        );
        let rhythm = Sampling {
            rhythm_temperature: 1e9,
            ..PLAIN
        };
        close(
            &counts(rhythm, &logits(), 2, 1.0, 0.0),
            [6_667, 3_333, 5_000, 5_000],
        );
        // Warmth is on both.
        close(&counts(PLAIN, &logits(), 2, 1e9, 0.0), [5_000; 4]);
        // Leaning is for time against sound: even odds here.
        close(
            &counts(PLAIN, &logits(), 2, 1.0, 3f32.ln()),
            [6_667, 3_333, 6_000, 4_000],
        );
    }

    #[test]
    fn favoured_part_takes_from_moves_and_later_parts_alone() {
        let mut chooser = CategoricalSampler::default();
        let parts = [Some(Part::Keys), Some(Part::Bass), Some(Part::Drums), None];
        chooser.candidates = (logits().into_iter().zip(parts).enumerate())
            .map(|(id, (logit, part))| Candidate {
                id: id as u16,
                group: match part {
                    Some(_) => TokenGroup::Sound,
                    None => TokenGroup::Time,
                },
                logit,
                bias: 0.0,
                part,
            })
            .collect();
        let probabilities = |chooser: &CategoricalSampler| {
            let all = chooser.weight(|_| true);
            [0, 1, 2, 3].map(|id| (chooser.candidates[id].logit - all).exp())
        };
        let close = |found: [f32; 4], expected: [f32; 4]| {
            let differ = |(found, expected): (f32, f32)| (found - expected).abs() > 1e-5;
            assert!(!found.into_iter().zip(expected).any(differ), "{found:?}");
        };
        chooser.favour(Part::Lead, 5.0);
        close(probabilities(&chooser), [0.5, 0.25, 0.15, 0.1]);
        // The bass gets twice the odds against drums and move.
        chooser.favour(Part::Bass, 2f32.ln());
        close(
            probabilities(&chooser),
            [0.5, 0.5 * 0.5 / 0.75, 0.5 * 0.15 / 0.75, 0.5 * 0.1 / 0.75],
        );
        chooser.favour(Part::Drums, 50.0);
        let odds = [0.5, 1.0 / 3.0, 1.0 / 6.0, 0.0];
        close(probabilities(&chooser), odds);
    }

    #[test]
    fn top_k_top_p_and_min_p_exclude_unlikely_tokens() {
        let two = [13_333, 6_667, 0, 0];
        for narrow in [
            Sampling { top_k: 2, ..PLAIN },
            Sampling {
                top_p: 0.7,
                ..PLAIN
            },
            Sampling {
                min_p: 0.4,
                ..PLAIN
            },
        ] {
            close(&counts(narrow, &logits(), 4, 1.0, 0.0), two);
        }
        for one in [
            PLAIN.with_temperature(0.0),
            Sampling {
                top_p: 0.0,
                ..PLAIN.with_temperature(9.0)
            },
            Sampling {
                top_k: 1,
                ..PLAIN.with_temperature(9.0)
            },
            Sampling {
                min_p: 1.0,
                ..PLAIN
            },
        ] {
            assert_eq!(counts(one, &logits(), 4, 1.0, 0.0)[0], 20_000);
        }
        // At 0 the first of equals.
        assert_eq!(
            counts(PLAIN.with_temperature(0.0), &[1.0; 4], 2, 1.0, 0.0)[0],
            20_000
        );
    }
}
