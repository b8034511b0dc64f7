//! The suffix memory: what followed the longest passages that are like the last one, token for
//! token. Music repeats itself literally more than a small network can remember, so where the
//! piece has been here before, what came next is added to what the network expects:
//!
//! ```text
//! p(next) = (1 - w) · network(next) + w · followed(next)
//! ```
//!
//! `followed` are the shares of what came after the passages found, and `w` depends on how long
//! the longest of them is ([`SuffixWeights`]). This is an n-gram model without bound mixed with a
//! network, as infini-gram (Liu et al. 2024, arXiv 2401.17377), over the session alone; where the
//! kNN memory finds what is alike, it finds what is the same. How loud a note was is not
//! compared, as players never are the same there.
//!
//! Plain data without a model: the engine plays with it, the trainer fits its weights.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Token, Vocabulary};

/// Tokens, velocities not counted, that a passage must have in common with the last one: a note
/// and what it begins on.
const SHORTEST: usize = 4;
/// More are not compared.
const LONGEST: usize = 64;
/// Of the passages with the last [`SHORTEST`] tokens in common, so many are looked at: the latest.
const LOOKED_AT: usize = 64;

/// Lengths in common at which each of the [`SuffixWeights`] begins.
pub const BANDS: [usize; 9] = [SHORTEST, 6, 8, 12, 16, 24, 32, 48, LONGEST];

/// How much what followed counts, 0 to 1, by the length in common; see [`BANDS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SuffixWeights(pub [f32; BANDS.len()]);

/// The tokens of a session so far, and where each passage of four ends.
#[derive(Clone, Debug)]
pub struct SuffixMemory {
    /// By id: whether it is not compared.
    passed_over: Vec<bool>,
    ids: Vec<u16>,
    /// Positions of the ids that are compared.
    compared: Vec<u32>,
    /// Of the last [`SHORTEST`] ids compared: indices into `compared` where they end.
    ends: HashMap<[u16; SHORTEST], Vec<u32>>,
}

/// What followed the passages found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    /// Tokens that the longest of them has in common with the last one, velocities not counted:
    /// [`BANDS`]`[0]` or more.
    pub length: usize,
    /// Ids and their shares, which sum to 1, largest first and of equals the lower id. A passage counts half as much for each token less
    /// that it has in common.
    pub shares: Vec<(u16, f32)>,
    /// Where the passage that counts most, of these the latest, was followed: a position.
    pub at: usize,
}

impl SuffixMemory {
    /// An empty memory of ids of `vocabulary`.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let loudness = |id| {
            let mut tokens = vocabulary.tokens(id).peekable();
            tokens.peek().is_some() && tokens.all(|t| matches!(t, Token::Velocity(_)))
        };
        Self {
            passed_over: (0..vocabulary.size() as u16).map(loudness).collect(),
            ids: Vec::new(),
            compared: Vec::new(),
            ends: HashMap::new(),
        }
    }

    /// Ids held: the next one's position.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn is_passed_over(&self, id: u16) -> bool {
        self.passed_over
            .get(usize::from(id))
            .copied()
            .unwrap_or(false)
    }

    /// The last [`SHORTEST`] ids compared, up to index `end` of `compared`.
    fn passage(&self, end: usize) -> Option<[u16; SHORTEST]> {
        let from = (end + 1).checked_sub(SHORTEST)?;
        let mut ids = [0; SHORTEST];
        for (id, &position) in ids.iter_mut().zip(&self.compared[from..=end]) {
            *id = self.ids[position as usize];
        }
        Some(ids)
    }

    /// One more id.
    pub fn push(&mut self, id: u16) {
        let position = self.ids.len() as u32;
        self.ids.push(id);
        if self.is_passed_over(id) {
            return;
        }
        let end = self.compared.len();
        self.compared.push(position);
        if let Some(passage) = self.passage(end) {
            self.ends.entry(passage).or_default().push(end as u32);
        }
    }

    /// Forgets every id from position `to` on.
    pub fn truncate(&mut self, to: usize) {
        while let Some(end) = self.compared.len().checked_sub(1)
            && self.compared[end] as usize >= to
        {
            if let Some(passage) = self.passage(end)
                && let Some(ends) = self.ends.get_mut(&passage)
            {
                // It was the last to come in.
                ends.pop();
                if ends.is_empty() {
                    self.ends.remove(&passage);
                }
            }
            self.compared.pop();
        }
        self.ids.truncate(to);
    }

    /// What followed the passages most like the last one, at the positions `within`; `None` if
    /// there is none.
    pub fn followed(&self, within: Range<usize>) -> Option<Followed> {
        let last = self.compared.len().checked_sub(1)?;
        // A velocity may have come since.
        let since = self.ids.len() - 1 - self.compared[last] as usize;
        // One for each passage that ends as the last one does, itself included, oldest first.
        let ends = self.ends.get(&self.passage(last)?)?;
        let next_of = |end: u32| self.compared[end as usize] as usize + since + 1;
        let wanted = within.start..within.end.min(self.ids.len());
        let wanted = ends.partition_point(|&end| next_of(end) < wanted.start)
            ..ends.partition_point(|&end| next_of(end) < wanted.end);
        let mut found: Vec<(usize, usize)> = Vec::new();
        for &end in ends.get(wanted)?.iter().rev().take(LOOKED_AT) {
            let next = next_of(end);
            let velocities = &self.ids[next - since..next];
            if velocities.iter().all(|&id| self.is_passed_over(id)) {
                found.push((self.in_common(end as usize, last), next));
            }
        }
        let length = found.iter().map(|&(length, _)| length).max()?;
        let mut followed = Followed {
            length,
            ..Followed::default()
        };
        let mut sum = 0.0;
        for &(its, next) in &found {
            let weight = 0.5f32.powi((length - its) as i32);
            sum += weight;
            if its == length {
                followed.at = followed.at.max(next);
            }
            let id = self.ids[next];
            match followed.shares.iter_mut().find(|(known, _)| *known == id) {
                Some((_, share)) => *share += weight,
                None => followed.shares.push((id, weight)),
            }
        }
        let shares = &mut followed.shares;
        shares.iter_mut().for_each(|(_, share)| *share /= sum);
        shares.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Some(followed)
    }

    /// How many ids up to the two indices of `compared` are the same.
    fn in_common(&self, end: usize, last: usize) -> usize {
        let id = |index: usize| self.ids[self.compared[index] as usize];
        (0..LONGEST.min(end + 1))
            .take_while(|&back| id(end - back) == id(last - back))
            .count()
    }
}

impl Followed {
    /// The share of an id.
    pub fn share(&self, id: u16) -> f32 {
        let of = |&&(known, _): &&(u16, f32)| known == id;
        self.shares.iter().find(of).map_or(0.0, |&(_, share)| share)
    }
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

    /// How likely a token is by the mixture, which was as likely as `network` to the network and has
    /// the share `followed` of what followed a passage with `length` in common.
    pub fn mixed(&self, length: usize, network: f64, followed: f64) -> f64 {
        let weight = f64::from(self.of(length));
        (1.0 - weight) * network + weight * followed
    }

    /// Whether every weight is from 0 to 1.
    pub fn is_valid(&self) -> bool {
        self.0.iter().all(|w| (0.0..=1.0).contains(w))
    }

    /// The weights under which tokens are likeliest, by expectation maximisation: for each token
    /// predicted the length in common, and how likely it was to the network and by what followed.
    /// A band that no token fell into has 0.
    pub fn fit(tokens: &[(usize, f64, f64)]) -> Self {
        let mut bands: [Vec<(f64, f64)>; BANDS.len()] = Default::default();
        for &(length, network, followed) in tokens {
            if let Some(band) = band(length) {
                bands[band].push((network, followed));
            }
        }
        Self(bands.map(|tokens| {
            if tokens.is_empty() {
                return 0.0;
            }
            let mut weight = 0.5;
            for _ in 0..ROUNDS {
                let by_followed = |&(network, followed): &(f64, f64)| {
                    let part = weight * followed;
                    part / f64::max((1.0 - weight) * network + part, f64::MIN_POSITIVE)
                };
                weight = tokens.iter().map(by_followed).sum::<f64>() / tokens.len() as f64;
            }
            weight as f32
        }))
    }
}

/// Of expectation maximisation.
const ROUNDS: usize = 100;

fn band(length: usize) -> Option<usize> {
    BANDS.iter().rposition(|&from| from <= length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// An id of the `continuo` vocabulary that is a pitch, and one that is a velocity.
    fn ids(vocabulary: &Vocabulary) -> (Vec<u16>, Vec<u16>) {
        let of = |wanted: fn(&Token) -> bool| {
            let ids = 0..vocabulary.size() as u16;
            ids.filter(|&id| vocabulary.tokens(id).all(|t| wanted(&t)))
                .take(3)
                .collect()
        };
        (
            of(|t| matches!(t, Token::Pitch(_))),
            of(|t| matches!(t, Token::Velocity(_))),
        )
    }

    #[test]
    fn finds_what_a_look_at_everything_finds_whatever_was_forgotten() {
        let vocabulary = Vocabulary::continuo();
        let (pitches, loudness) = ids(&vocabulary);
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut memory = SuffixMemory::new(&vocabulary);
            let mut stream: Vec<u16> = Vec::new();
            for turn in 0..300 {
                if rng.random_bool(0.05) {
                    let to = rng.random_range(0..=stream.len());
                    memory.truncate(to);
                    stream.truncate(to);
                }
                let id = match rng.random_bool(0.2) {
                    true => loudness[rng.random_range(0..loudness.len())],
                    false => pitches[rng.random_range(0..2)],
                };
                memory.push(id);
                stream.push(id);
                let from = rng.random_range(0..=stream.len());
                let within = from..rng.random_range(from..=stream.len() + 1);
                let found = memory.followed(within.clone()).map(|f| (f.length, f.at));
                let expected = longest(&stream, &loudness, within);
                assert_eq!(found, expected, "seed {seed}, turn {turn}: {stream:?}");
            }
        }
    }

    /// Compares the end of the stream with every passage before it.
    fn longest(stream: &[u16], loudness: &[u16], within: Range<usize>) -> Option<(usize, usize)> {
        let bare = |to: usize| -> Vec<u16> {
            let is_compared = |id: &&u16| !loudness.contains(id);
            stream[..to].iter().filter(is_compared).copied().collect()
        };
        let tail = |to: usize| {
            let is_loudness = |id: &&u16| loudness.contains(id);
            stream[..to].iter().rev().take_while(is_loudness).count()
        };
        let (all, since) = (bare(stream.len()), tail(stream.len()));
        let mut places = Vec::new();
        for next in 1..stream.len() {
            let before = bare(next);
            // As many velocities have come since, or there are more to come and these are some.
            let length = before
                .iter()
                .rev()
                .zip(all.iter().rev())
                .take(LONGEST)
                .take_while(|(a, b)| a == b)
                .count();
            if tail(next) == since && length >= SHORTEST {
                places.push((before.len(), length, next));
            }
        }
        // The latest so many passages of those wanted, whatever followed their notes.
        let position = |end: usize| {
            let is_compared = |at: &usize| !loudness.contains(&stream[*at]);
            (0..stream.len()).filter(is_compared).nth(end - 1).unwrap()
        };
        let is_wanted = |end: &usize| {
            let next = position(*end) + since + 1;
            next < stream.len() && within.contains(&next)
        };
        let mut ends: Vec<usize> = (1..all.len())
            .filter(|&end| {
                end >= SHORTEST && all[end - SHORTEST..end] == all[all.len() - SHORTEST..]
            })
            .collect();
        ends.retain(is_wanted);
        ends.reverse();
        ends.truncate(LOOKED_AT);
        places.retain(|(end, ..)| ends.contains(end));
        let most = places.iter().map(|p| p.1).max()?;
        let at = places.iter().filter(|p| p.1 == most).map(|p| p.2).max()?;
        Some((most, at))
    }

    #[test]
    fn what_followed_twice_and_longest_counts_most() {
        let vocabulary = Vocabulary::continuo();
        let (p, loudness) = ids(&vocabulary);
        let mut memory = SuffixMemory::new(&vocabulary);
        assert_eq!(memory.followed(0..usize::MAX), None);
        let passage = [p[0], loudness[0], p[1], loudness[1], p[1], p[0]];
        for next in [p[2], p[1], p[2]] {
            passage.iter().for_each(|&id| memory.push(id));
            memory.push(next);
        }
        // Something else, and the same notes played louder.
        [150, p[0], loudness[2], p[1], p[1], p[0]]
            .iter()
            .for_each(|&id| memory.push(id));
        let followed = memory.followed(0..usize::MAX).unwrap();
        assert_eq!((followed.length, followed.at), (4, 20));
        assert!((followed.share(p[2]) - 2.0 / 3.0).abs() < 1e-6);
        assert!((followed.share(p[1]) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(memory.followed(14..usize::MAX).unwrap().share(p[1]), 0.0);
        assert_eq!(memory.followed(21..usize::MAX), None);
    }

    #[test]
    fn a_mixture_is_a_distribution() {
        let weights = SuffixWeights([0.6; BANDS.len()]);
        let tokens = [(0.1, 0.75), (0.7, 0.25), (0.2, 0.0)];
        let mixed = tokens.map(|(network, followed)| weights.mixed(9, network, followed));
        for (mixed, expected) in mixed.iter().zip([0.49, 0.43, 0.08]) {
            assert!((mixed - expected).abs() < 1e-6, "{mixed}, {expected}");
        }
        assert_eq!(weights.mixed(3, 0.3, 0.9), 0.3, "too short");
    }

    #[test]
    fn weights_are_those_the_tokens_were_drawn_with() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        // The network knows nothing of ten ids, and what followed is right as often as `right`.
        let mut draw = |length: usize, right: f64| {
            (0..20_000)
                .map(|_| match rng.random_bool(right + (1.0 - right) / 10.0) {
                    true => (length, 0.1, 1.0),
                    false => (length, 0.1, 0.0),
                })
                .collect::<Vec<_>>()
        };
        let tokens = [draw(4, 0.2), draw(70, 0.95), draw(2, 0.5)].concat();
        let weights = SuffixWeights::fit(&tokens);
        assert!((weights.of(5) - 0.2).abs() < 0.02, "{weights:?}");
        assert!((weights.of(64) - 0.95).abs() < 0.02, "{weights:?}");
        assert_eq!((weights.of(3), weights.of(30)), (0.0, 0.0));
        assert!(weights.is_valid());
    }
}
