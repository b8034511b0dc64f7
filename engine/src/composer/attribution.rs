//! Attribution of generated tokens to bars of the song and to learned pieces, for display.

use crate::knn::MemoryLocation;
use crate::model::InputToken;

/// Attributions kept: some bars of music.
pub(super) const MAX_KEPT: usize = 512;

/// Scale of cosine similarities before softmax: the layer's initial value in training (Memorizing
/// Transformers). The trained value and the gate are inside the graph: attribution says where the layer
/// looks, not how much of its output comes from there.
const SHARPNESS: f32 = 20.0;

/// Bars kept of each token.
const MAX_BARS: usize = 8;

/// The bars and pieces that a generated token depends on through the long memories.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribution {
    /// Position after the token, in steps.
    pub step: u32,
    /// `(bar, share)`: bar number from the beginning of the song, and its share, 0 to 1; at most eight,
    /// largest share first.
    pub bars: Vec<(u32, f32)>,
    /// Share of learned pieces, 0 to 1.
    pub learned: f32,
}

impl Attribution {
    /// Gives `weight`, 0 to 1, of the shares to a bar, or with `None` to the learned pieces, and the rest
    /// to the present shares.
    pub(super) fn mix(&mut self, bar: Option<u32>, weight: f32) {
        self.bars
            .iter_mut()
            .for_each(|(_, share)| *share *= 1.0 - weight);
        self.learned *= 1.0 - weight;
        match bar {
            None => self.learned += weight,
            Some(bar) => match self.bars.iter_mut().find(|(known, _)| *known == bar) {
                Some((_, share)) => *share += weight,
                None => self.bars.push((bar, weight)),
            },
        }
        self.sort();
    }

    /// Sorts by share and keeps the largest.
    fn sort(&mut self) {
        self.bars.sort_by(|a, b| b.1.total_cmp(&a.1));
        self.bars.truncate(MAX_BARS);
    }
}

/// The attribution of the neighbours that each head found, at position `step`.
pub(super) fn of_neighbours<'a>(
    heads: impl Iterator<Item = &'a [(MemoryLocation, f32)]>,
    step: u32,
    stream: &[InputToken],
) -> Attribution {
    let mut attribution = Attribution {
        step,
        ..Attribution::default()
    };
    let (mut all, mut weights) = (0.0, Vec::new());
    for found in heads {
        let Some(&(_, best)) = found.first() else {
            continue;
        };
        weights.clear();
        weights.extend(found.iter().map(|f| (SHARPNESS * (f.1 - best)).exp()));
        let sum: f32 = weights.iter().sum();
        for (&(location, _), weight) in found.iter().zip(&weights) {
            let weight = weight / sum;
            match location {
                MemoryLocation::Song(position) => {
                    let Some(token) = stream.get(position) else {
                        continue;
                    };
                    match attribution
                        .bars
                        .iter_mut()
                        .find(|(bar, _)| *bar == token.bar)
                    {
                        Some((_, share)) => *share += weight,
                        None => attribution.bars.push((token.bar, weight)),
                    }
                }
                MemoryLocation::Learned => attribution.learned += weight,
                MemoryLocation::Empty => {}
            }
        }
        all += 1.0;
    }
    if all > 0.0 {
        attribution
            .bars
            .iter_mut()
            .for_each(|(_, share)| *share /= all);
        attribution.learned /= all;
    }
    attribution.sort();
    attribution
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::NoteContext;
    use continuo_score::manifest::GridRows;

    #[test]
    fn heads_have_equal_shares_and_near_neighbours_large_ones() {
        let rows = GridRows {
            bar_step: 0,
            bar: 0,
            metre: 0,
        };
        let token = |bar| InputToken {
            id: 0,
            rows,
            note_context: NoteContext::NOTHING,
            bar,
        };
        let stream: Vec<InputToken> = (0..8).map(|at| token(at / 2)).collect();
        let one = [
            (MemoryLocation::Song(4), 0.9),
            (MemoryLocation::Song(5), 0.9),
        ];
        let two = [
            (MemoryLocation::Learned, 0.8),
            (MemoryLocation::Song(0), -0.9),
        ];
        let heads = [&one[..], &two[..], &[]];
        let attribution = of_neighbours(heads.into_iter(), 7, &stream);
        assert_eq!((attribution.step, attribution.bars[0].0), (7, 2));
        assert!((attribution.bars[0].1 - 0.5).abs() < 1e-6 && attribution.bars[1].1 < 1e-6);
        assert!((attribution.learned - 0.5).abs() < 1e-6);
        assert_eq!(of_neighbours([].into_iter(), 7, &stream).bars, []);
        let mut attribution = attribution;
        attribution.mix(Some(3), 0.8);
        assert_eq!(attribution.bars[0], (3, 0.8));
        assert!((attribution.bars[1].1 - 0.1).abs() < 1e-6);
        assert!((attribution.learned - 0.1).abs() < 1e-6);
        attribution.mix(None, 0.5);
        assert_eq!(attribution.bars[0], (3, 0.4));
        assert!((attribution.learned - 0.55).abs() < 1e-6);
    }
}
