//! The weights of the n-gram memory against the network, and how they are fitted.

use serde::{Deserialize, Serialize};

use super::continuations::{Continuations, LONGEST, SHORTEST};

/// Number of sources, in this order: the session in the same key, the session in other keys, the
/// learned pieces in the same key, the learned pieces in other keys.
pub const SOURCES: usize = 4;

/// Factor on the weight of learned pieces whose n-grams do not agree on the next token: of many
/// pieces that share an n-gram, most go on differently.
const DISAGREEMENT: f32 = 0.5;

/// Shortest n-gram length of each band of [`NgramWeights`], in tokens.
pub const BANDS: [usize; 9] = [SHORTEST, 6, 8, 12, 16, 24, 32, 48, LONGEST];

/// Iterations of expectation maximisation.
const ITERATIONS: usize = 100;

/// Weights of the continuations, 0 to 1, one for each band of n-gram lengths ([`BANDS`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NgramWeights(pub [f32; BANDS.len()]);

/// The prediction of one token by one source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SourcePrediction {
    /// [`Continuations::length`]; 0 if there are none.
    pub length: usize,
    /// [`Continuations::agreed`].
    pub agreed: bool,
    /// Share of the token, 0 to 1.
    pub share: f64,
}

/// The predictions of one token by the network and by every source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PredictedToken {
    /// The network's probability.
    pub network: f64,
    /// The predictions of n-grams, by source.
    pub sources: [SourcePrediction; SOURCES],
}

impl PredictedToken {
    /// The predictions of token `id`, which the network gave the probability `network`.
    pub fn new(network: f64, followed: &[Option<Continuations>; SOURCES], id: u16) -> Self {
        let said = |followed: &Option<Continuations>| {
            followed
                .as_ref()
                .map_or(SourcePrediction::default(), |f| SourcePrediction {
                    length: f.length,
                    agreed: f.agreed(),
                    share: f64::from(f.share(id)),
                })
        };
        let said = std::array::from_fn(|source| said(&followed[source]));
        Self {
            network,
            sources: said,
        }
    }
}

/// The mixture of all sources and the network. Each source takes its weight of the probability that
/// the sources before it left, and the network takes the rest:
///
/// ```text
/// p = w · same + (1 - w) · (v · transposed + (1 - v) · (…the learned pieces, likewise…, network))
/// ```
///
/// Learned pieces have the same weights as the session if their n-grams agree, else half of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mixture {
    /// *w*: weights of continuations in the same key.
    pub same: NgramWeights,
    /// *v*: weights of continuations in other keys.
    pub transposed: NgramWeights,
}

impl NgramWeights {
    /// The weight of an n-gram length.
    pub fn of(&self, length: usize) -> f32 {
        band(length).map_or(0.0, |band| self.0[band])
    }

    /// The weights multiplied by `recall`, 0 to 1.
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
    /// The weights multiplied by `recall`, 0 to 1.
    pub fn times(self, recall: f32) -> Self {
        Self {
            same: self.same.times(recall),
            transposed: self.transposed.times(recall),
        }
    }

    /// The weight of a source, of the probability that the sources before it left.
    pub fn weight(&self, source: usize, length: usize, agreed: bool) -> f32 {
        let (weights, is_learned) = match source {
            0 => (self.same, false),
            1 => (self.transposed, false),
            2 => (self.same, true),
            _ => (self.transposed, true),
        };
        let less = if is_learned && !agreed {
            DISAGREEMENT
        } else {
            1.0
        };
        less * weights.of(length)
    }

    /// The weighted probability from each source, then from the network; they sum to the
    /// probability of the token.
    fn parts(&self, p: &PredictedToken) -> [f64; SOURCES + 1] {
        let mut left = 1.0;
        let mut parts = [0.0; SOURCES + 1];
        for (source, said) in p.sources.iter().enumerate() {
            let counts = left * f64::from(self.weight(source, said.length, said.agreed));
            parts[source] = counts * said.share;
            left -= counts;
        }
        parts[SOURCES] = left * p.network;
        parts
    }

    /// The probability of the token.
    pub fn likelihood(&self, p: &PredictedToken) -> f64 {
        self.parts(p).iter().sum()
    }

    /// The weights that maximise the likelihood of tokens predicted without learned pieces, by
    /// expectation maximisation. A band without a token has weight 0.
    pub fn fit(tokens: &[PredictedToken]) -> Self {
        let half = NgramWeights([0.5; BANDS.len()]);
        let mut mixture = Self {
            same: half,
            transposed: half,
        };
        for _ in 0..ITERATIONS {
            // For each band, the expected number of tokens from this source, and from it or later ones.
            let mut counts = [[(0.0, 0.0); BANDS.len()]; 2];
            for token in tokens {
                let parts = mixture.parts(token);
                let sum = parts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                let mut left = 1.0;
                for (source, counts) in counts.iter_mut().enumerate() {
                    let its = parts[source] / sum;
                    if let Some(band) = band(token.sources[source].length) {
                        let (was, of) = &mut counts[band];
                        (*was, *of) = (*was + its, *of + left);
                    }
                    left -= its;
                }
            }
            let [same, transposed] = counts.map(|bands| {
                NgramWeights(bands.map(|(was, of)| match of > 0.0 {
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

    fn said(length: usize, share: f64) -> SourcePrediction {
        SourcePrediction {
            length,
            agreed: true,
            share,
        }
    }

    #[test]
    fn a_mixture_is_a_distribution() {
        let weights = |weight| NgramWeights([weight; BANDS.len()]);
        let mixture = Mixture {
            same: weights(0.6),
            transposed: weights(0.25),
        };
        // Three tokens; what followed says nothing of the last, what is transposed of the first.
        let tokens = [(0.1, 0.75, 0.0), (0.7, 0.25, 0.5), (0.2, 0.0, 0.5)];
        let predict = |lengths: [usize; SOURCES], agreed: bool| {
            tokens.map(|(network, same, transposed)| {
                let shares = [same, transposed, same, transposed];
                let said = std::array::from_fn(|i| SourcePrediction {
                    agreed,
                    ..said(lengths[i], shares[i])
                });
                mixture.likelihood(&PredictedToken {
                    network,
                    sources: said,
                })
            })
        };
        for (lengths, agreed, expected) in [
            ([9, 4, 0, 0], true, [0.48, 0.41, 0.11]),
            ([9, 4, 0, 0], false, [0.48, 0.41, 0.11]),
            ([3, 0, 0, 0], true, [0.1, 0.7, 0.2]),
            ([0, 0, 5, 0], true, [0.49, 0.43, 0.08]),
            ([0, 0, 5, 0], false, [0.295, 0.565, 0.14]),
            ([0, 0, 5, 70], true, [0.48, 0.41, 0.11]),
            ([4, 0, 0, 9], true, [0.48, 0.41, 0.11]),
        ] {
            let mixed = predict(lengths, agreed);
            for (mixed, expected) in mixed.iter().zip(expected) {
                let what = format!("{lengths:?}, {agreed}: {mixed}, {expected}");
                assert!((mixed - expected).abs() < 1e-6, "{what}");
            }
        }
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
                let [same, transposed] = [0, 1].map(|i| said(lengths[i], shares[i]));
                PredictedToken {
                    network: 0.1,
                    sources: [
                        same,
                        transposed,
                        SourcePrediction::default(),
                        SourcePrediction::default(),
                    ],
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
