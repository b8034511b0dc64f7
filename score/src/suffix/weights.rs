//! How much the suffix memory counts beside a network, and how that is learned.

use serde::{Deserialize, Serialize};

use super::{LONGEST, SHORTEST};

/// Lengths in common at which each of the [`SuffixWeights`] begins.
pub const BANDS: [usize; 9] = [SHORTEST, 6, 8, 12, 16, 24, 32, 48, LONGEST];

/// Of expectation maximisation.
const ROUNDS: usize = 100;

/// How much what followed counts, 0 to 1, by the length in common; see [`BANDS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SuffixWeights(pub [f32; BANDS.len()]);

/// One token predicted: how likely it was to the network, and by what followed the same passage and
/// by what followed it in another key, each with the length in common (0 where nothing did).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Predicted {
    /// By the network.
    pub network: f64,
    /// In common, and the share.
    pub same: (usize, f64),
    /// The same of what is transposed.
    pub transposed: (usize, f64),
}

/// The weights of what is the same and of what is transposed:
///
/// ```text
/// p = w · same + (1 - w) · (v · transposed + (1 - v) · network)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mixture {
    /// *w*.
    pub same: SuffixWeights,
    /// *v*.
    pub transposed: SuffixWeights,
}

impl SuffixWeights {
    /// The weight for a length in common.
    pub fn of(&self, length: usize) -> f32 {
        band(length).map_or(0.0, |band| self.0[band])
    }

    /// The same, `recall` times as much, 0 to 1.
    pub fn times(self, recall: f32) -> Self {
        let recall = if recall > 0.0 { recall.min(1.0) } else { 0.0 };
        Self(self.0.map(|weight| weight * recall))
    }

    /// Whether every weight is from 0 to 1.
    pub fn is_valid(&self) -> bool {
        self.0.iter().all(|w| (0.0..=1.0).contains(w))
    }
}

impl Mixture {
    /// The same, `recall` times as much, 0 to 1.
    pub fn times(self, recall: f32) -> Self {
        Self {
            same: self.same.times(recall),
            transposed: self.transposed.times(recall),
        }
    }

    /// How likely each of the three says the token is, times what that one counts; they sum to how
    /// likely it is.
    fn parts(&self, p: &Predicted) -> [f64; 3] {
        let same = f64::from(self.same.of(p.same.0));
        let transposed = (1.0 - same) * f64::from(self.transposed.of(p.transposed.0));
        [
            same * p.same.1,
            transposed * p.transposed.1,
            (1.0 - same - transposed) * p.network,
        ]
    }

    /// How likely the token is.
    pub fn likelihood(&self, p: &Predicted) -> f64 {
        self.parts(p).iter().sum()
    }

    /// The weights under which tokens are likeliest, by expectation maximisation. A band that no
    /// token fell into has 0.
    pub fn fit(tokens: &[Predicted]) -> Self {
        let half = SuffixWeights([0.5; BANDS.len()]);
        let mut mixture = Self {
            same: half,
            transposed: half,
        };
        for _ in 0..ROUNDS {
            // For each band, how often it was this one, of those that were not one before it.
            let mut counts = [[(0.0, 0.0); BANDS.len()]; 2];
            for token in tokens {
                let parts = mixture.parts(token);
                let sum = parts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                let [same, transposed, _] = parts.map(|part| part / sum);
                if let Some(band) = band(token.same.0) {
                    let (was, of) = &mut counts[0][band];
                    (*was, *of) = (*was + same, *of + 1.0);
                }
                if let Some(band) = band(token.transposed.0) {
                    let (was, of) = &mut counts[1][band];
                    (*was, *of) = (*was + transposed, *of + 1.0 - same);
                }
            }
            let [same, transposed] = counts.map(|bands| {
                SuffixWeights(bands.map(|(was, of)| match of > 0.0 {
                    true => (was / of) as f32,
                    false => 0.0,
                }))
            });
            mixture = Self { same, transposed };
        }
        mixture
    }
}

fn band(length: usize) -> Option<usize> {
    BANDS.iter().rposition(|&from| from <= length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_mixture_is_a_distribution() {
        let weights = |weight| SuffixWeights([weight; BANDS.len()]);
        let mixture = Mixture {
            same: weights(0.6),
            transposed: weights(0.25),
        };
        // Three tokens; what followed says nothing of the last, what is transposed of the first.
        let tokens = [(0.1, 0.75, 0.0), (0.7, 0.25, 0.5), (0.2, 0.0, 0.5)];
        let predict = |length: [usize; 2]| {
            let [one, other] = length;
            let predict = |(network, same, transposed)| {
                mixture.likelihood(&Predicted {
                    network,
                    same: (one, same),
                    transposed: (other, transposed),
                })
            };
            tokens.map(predict)
        };
        for (mixed, expected) in predict([9, 4]).iter().zip([0.48, 0.41, 0.11]) {
            assert!((mixed - expected).abs() < 1e-6, "{mixed}, {expected}");
        }
        assert_eq!(predict([3, 0]), [0.1, 0.7, 0.2], "too short");
    }

    #[test]
    fn weights_are_those_the_tokens_were_drawn_with() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        // The network knows nothing of ten ids; what followed, or else what did in another key, is
        // right as often as they should count.
        let mut draw = |lengths: [usize; 2], right: [f64; 2]| {
            let predicted = |_| {
                let network = |rng: &mut ChaCha8Rng| f64::from(u8::from(rng.random_bool(0.1)));
                let shares = match right.map(|right| rng.random_bool(right)) {
                    [true, _] => [1.0, network(&mut rng)],
                    [_, true] => [network(&mut rng), 1.0],
                    _ => [network(&mut rng), network(&mut rng)],
                };
                Predicted {
                    network: 0.1,
                    same: (lengths[0], shares[0]),
                    transposed: (lengths[1], shares[1]),
                }
            };
            (0..40_000).map(predicted).collect::<Vec<_>>()
        };
        let tokens = [
            draw([4, 0], [0.2, 0.0]),
            draw([70, 13], [0.9, 0.5]),
            draw([0, 24], [0.0, 0.7]),
        ]
        .concat();
        let Mixture { same, transposed } = Mixture::fit(&tokens);
        assert!((same.of(5) - 0.2).abs() < 0.02, "{same:?}");
        assert!((same.of(64) - 0.9).abs() < 0.02, "{same:?}");
        assert!((transposed.of(12) - 0.5).abs() < 0.05, "{transposed:?}");
        assert!((transposed.of(24) - 0.7).abs() < 0.02, "{transposed:?}");
        assert_eq!((same.of(3), same.of(30), transposed.of(4)), (0.0, 0.0, 0.0));
        assert!(same.is_valid() && transposed.is_valid());
    }
}
