//! What the kNN memory recalls while playing, by bars: for those who look on.

use super::Composer;
use crate::knn::MemoryLocation;
use crate::model::InputToken;

/// Tokens remembered of what they recalled: some bars of music.
const MOST: usize = 512;

/// How much more a memory counts that is nearer by one, in e-folds: the scale the layer begins
/// training with (Memorizing Transformers). What it has learned since is inside the graph, and so
/// is the gate: what is counted here says where it looks, not how much comes of it.
const SHARPNESS: f32 = 20.0;

/// Of one token's bars, so many are kept.
const BARS: usize = 8;

/// Where a token that was played looked back to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribution {
    /// The step the stream stood at when it had been read.
    pub step: u32,
    /// Bars of the song, counted from its beginning, each with its share of all that was
    /// recalled, 0 to 1; largest first, and no more than a few.
    pub bars: Vec<(u32, f32)>,
    /// The share of what was learned.
    pub learned: f32,
}

impl Composer {
    /// What the tokens played last recalled, oldest first, by the kNN memory and the suffix memory;
    /// nothing without either, or where nothing is to be recalled.
    pub fn attributions(&self) -> impl DoubleEndedIterator<Item = &Attribution> {
        self.attributions.iter()
    }

    /// Notes down what the token read last has recalled.
    pub(super) fn recollect(&mut self) {
        let mut recalled = match self.memory.knn().filter(|_| self.looking.recall > 0.0) {
            Some(knn) => share(knn.latest(), self.state.step, &self.stream),
            None => share([].into_iter(), self.state.step, &self.stream),
        };
        if let Some((at, weight)) = self.followed.take() {
            let token = at.and_then(|at| self.stream.get(at));
            recalled.mix(token.map(|token| token.bar), weight);
        }
        if recalled.bars.is_empty() && recalled.learned == 0.0 {
            return;
        }
        if self.attributions.len() == MOST {
            self.attributions.pop_front();
        }
        self.attributions.push_back(recalled);
    }
}

impl Attribution {
    /// A bar, or else what was learned, has `weight` of all that was recalled, 0 to 1, and what was
    /// there the rest.
    fn mix(&mut self, bar: Option<u32>, weight: f32) {
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

    /// Largest first, and no more than a few.
    fn sort(&mut self) {
        self.bars.sort_by(|a, b| b.1.total_cmp(&a.1));
        self.bars.truncate(BARS);
    }
}

/// The shares of what each head found.
fn share<'a>(
    heads: impl Iterator<Item = &'a [(MemoryLocation, f32)]>,
    step: u32,
    stream: &[InputToken],
) -> Attribution {
    let mut recalled = Attribution {
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
        for (&(place, _), weight) in found.iter().zip(&weights) {
            let weight = weight / sum;
            match place {
                MemoryLocation::Song(position) => {
                    let Some(token) = stream.get(position) else {
                        continue;
                    };
                    match recalled.bars.iter_mut().find(|(bar, _)| *bar == token.bar) {
                        Some((_, share)) => *share += weight,
                        None => recalled.bars.push((token.bar, weight)),
                    }
                }
                MemoryLocation::Learned => recalled.learned += weight,
                MemoryLocation::Empty => {}
            }
        }
        all += 1.0;
    }
    if all > 0.0 {
        recalled
            .bars
            .iter_mut()
            .for_each(|(_, share)| *share /= all);
        recalled.learned /= all;
    }
    recalled.sort();
    recalled
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::NoteContext;
    use continuo_score::manifest::GridRows;

    #[test]
    fn heads_have_equal_parts_and_near_memories_large_ones() {
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
        let recalled = share(heads.into_iter(), 7, &stream);
        assert_eq!((recalled.step, recalled.bars[0].0), (7, 2));
        assert!((recalled.bars[0].1 - 0.5).abs() < 1e-6 && recalled.bars[1].1 < 1e-6);
        assert!((recalled.learned - 0.5).abs() < 1e-6);
        assert_eq!(share([].into_iter(), 7, &stream).bars, []);
        let mut recalled = recalled;
        recalled.mix(Some(3), 0.8);
        assert_eq!(recalled.bars[0], (3, 0.8));
        assert!((recalled.bars[1].1 - 0.1).abs() < 1e-6);
        assert!((recalled.learned - 0.1).abs() < 1e-6);
        recalled.mix(None, 0.5);
        assert_eq!(recalled.bars[0], (3, 0.4));
        assert!((recalled.learned - 0.55).abs() < 1e-6);
    }
}
