//! Merged tokens: byte-pair encoding over base ids (arXiv 1508.07909; for music arXiv
//! 2301.11975). A *merge* replaces two adjacent ids by one. Merges are applied in the order of their
//! rank, the leftmost pair first, until none applies, exactly as in the Hugging Face `tokenizers`
//! crate, with which `continuo-trainer vocab` finds the merges.
//!
//! Two merges whose results expand to the same base tokens make the same id, so that no two ids
//! have the same meaning.

use std::collections::HashMap;

/// The merges of a vocabulary, and the base ids of every id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merges {
    /// The pair of each merge, by rank.
    pairs: Vec<[u16; 2]>,
    /// The id that each merge makes, by rank.
    makes: Vec<u16>,
    /// The base ids of all ids, concatenated.
    expansions: Vec<u16>,
    /// First index of each id's expansion, and the end of the last.
    bounds: Vec<u32>,
    /// For each left id, the first index of its merges in `rules`, and the end of the last.
    lefts: Vec<u32>,
    /// `(right id, rank)` of all merges, by left id, then right id.
    rules: Vec<(u16, u16)>,
}

impl Merges {
    /// Maximum number of base tokens of an id, which bounds the memory of a small file.
    pub(crate) const LONGEST: usize = 64;
    /// No neighbour: before the first id, or after the last.
    const NONE: u32 = u32::MAX;

    /// Merges of `pairs` over the base ids `0..base`; ids in `closed` are never merged.
    ///
    /// # Errors
    /// A text for people with the unusable merge and the reason.
    pub(crate) fn new(base: u16, closed: &[u16], pairs: Vec<[u16; 2]>) -> Result<Self, String> {
        let mut merges = Self {
            makes: Vec::with_capacity(pairs.len()),
            expansions: (0..base).collect(),
            bounds: (0..=u32::from(base)).collect(),
            lefts: Vec::new(),
            rules: Vec::with_capacity(pairs.len()),
            pairs,
        };
        if merges.pairs.len() + usize::from(base) > usize::from(u16::MAX) {
            return Err(format!("{} merges are too many", merges.pairs.len()));
        }
        let mut known: HashMap<Vec<u16>, u16> = HashMap::new();
        for rank in 0..merges.pairs.len() {
            let [left, right] = merges.pairs[rank];
            let wrong = |why: &str| Err(format!("merge {rank} of {left} and {right}: {why}"));
            let next = merges.size() as u16;
            if left.max(right) >= next {
                return wrong("no such id before it");
            }
            if closed.contains(&left) || closed.contains(&right) {
                return wrong("<sos>, <eos> and <pad> are never merged");
            }
            let spelled = [merges.expand(left), merges.expand(right)].concat();
            if spelled.len() > Self::LONGEST {
                return wrong("more base tokens than an id may stand for (64)");
            }
            let made = *known.entry(spelled).or_insert_with_key(|spelled| {
                merges.expansions.extend_from_slice(spelled);
                merges.bounds.push(merges.expansions.len() as u32);
                next
            });
            merges.makes.push(made);
        }
        let ranked = (0..).zip(&merges.pairs);
        let mut sorted: Vec<([u16; 2], u16)> = ranked.map(|(rank, &pair)| (pair, rank)).collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(format!("two merges of {:?}", twice[0].0));
        }
        let begins = |left: usize| sorted.partition_point(|&(pair, _)| usize::from(pair[0]) < left);
        merges.lefts = (0..=merges.size()).map(|l| begins(l) as u32).collect();
        merges.rules = sorted.into_iter().map(|(p, rank)| (p[1], rank)).collect();
        Ok(merges)
    }

    /// The pairs, by rank.
    pub(crate) fn pairs(&self) -> &[[u16; 2]] {
        &self.pairs
    }

    /// Number of ids, base ids included.
    pub(crate) fn size(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// The base ids of an id; none for an unknown id.
    pub(crate) fn expand(&self, id: u16) -> &[u16] {
        match self.bounds.get(usize::from(id)..usize::from(id) + 2) {
            Some(bounds) => &self.expansions[bounds[0] as usize..bounds[1] as usize],
            None => &[],
        }
    }

    /// The rank of a pair's merge.
    fn rank(&self, left: u16, right: u16) -> Option<u16> {
        let left = usize::from(left);
        let rules = &self.rules[self.lefts[left] as usize..self.lefts[left + 1] as usize];
        let found = rules.binary_search_by_key(&right, |rule| rule.0);
        found.ok().map(|at| rules[at].1)
    }

    /// Applies the merges to base ids, in time proportional to the ids and the merges.
    pub(crate) fn apply(&self, base: Vec<u16>) -> Vec<u16> {
        if self.pairs.is_empty() {
            return base;
        }
        let mut ids = base;
        let count = ids.len() as u32;
        // The neighbours of each remaining id; an id merged into the one before it is its own
        // successor.
        let mut after: Vec<u32> = (1..=count).collect();
        let mut before: Vec<u32> = (0..count).map(|at| at.wrapping_sub(1)).collect();
        if let Some(last) = after.last_mut() {
            *last = Self::NONE;
        }
        let mut queue = MergeQueue::new(self.pairs.len(), ids.len());
        for (at, pair) in (0..).zip(ids.windows(2)) {
            if let Some(rank) = self.rank(pair[0], pair[1]) {
                queue.add(rank, at);
            }
        }
        let (mut places, mut rank) = (Vec::new(), 0);
        while rank < self.pairs.len() {
            queue.take(rank, &mut places);
            // In stream order, which they nearly have.
            places.sort_unstable();
            let mut lowest = rank + 1;
            for (done, &at) in places.iter().enumerate() {
                let (here, next) = (at as usize, after[at as usize]);
                if next == Self::NONE || next == at {
                    continue;
                }
                // The ids here may have changed since the merge was queued.
                let made = self.makes[rank];
                let now = self.rank(ids[here], ids[next as usize]);
                if now.is_none_or(|now| self.makes[usize::from(now)] != made) {
                    continue;
                }
                ids[here] = made;
                let beyond = std::mem::replace(&mut after[next as usize], next);
                after[here] = beyond;
                let mut add = |left: u32, right: u32| {
                    let rule = self.rank(ids[left as usize], ids[right as usize]);
                    if let Some(rule) = rule {
                        queue.add(rule, left);
                        lowest = lowest.min(rule.into());
                    }
                };
                if beyond != Self::NONE {
                    before[beyond as usize] = at;
                    add(at, beyond);
                }
                if before[here] != Self::NONE {
                    add(before[here], at);
                }
                // An id that several merges make may take part in an earlier merge.
                if lowest < rank {
                    let rest = places[done + 1..].iter();
                    rest.for_each(|&at| queue.add(rank as u16, at));
                    break;
                }
            }
            rank = lowest;
        }
        let mut left = 0;
        for at in 0..count {
            if after[at as usize] != at {
                ids[left] = ids[at as usize];
                left += 1;
            }
        }
        ids.truncate(left);
        ids
    }
}

/// Positions at which each merge is to be tried: a list for each rank, all in one vector.
struct MergeQueue {
    /// The last entry of each rank.
    last: Vec<u32>,
    /// Position, and the entry before it of the same rank.
    entries: Vec<(u32, u32)>,
}

impl MergeQueue {
    fn new(ranks: usize, ids: usize) -> Self {
        Self {
            last: vec![Merges::NONE; ranks],
            entries: Vec::with_capacity(ids * 2),
        }
    }

    fn add(&mut self, rank: u16, at: u32) {
        let last = &mut self.last[usize::from(rank)];
        self.entries.push((at, *last));
        *last = self.entries.len() as u32 - 1;
    }

    /// Takes the positions of a rank, in the order in which they were added.
    fn take(&mut self, rank: usize, places: &mut Vec<u32>) {
        places.clear();
        let mut entry = std::mem::replace(&mut self.last[rank], Merges::NONE);
        while let Some(&(at, previous)) = self.entries.get(entry as usize) {
            places.push(at);
            entry = previous;
        }
        // From the first added on.
        places.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merges(pairs: &[[u16; 2]]) -> Merges {
        Merges::new(4, &[0], pairs.to_vec()).unwrap()
    }

    #[test]
    fn merges_apply_by_rank_then_from_the_left() {
        let m = merges(&[[1, 2], [2, 3], [4, 3], [1, 1]]);
        assert_eq!((m.size(), m.expand(6)), (8, &[1, 2, 3][..]));
        assert_eq!(m.apply(vec![1, 2, 3]), [6]);
        assert_eq!(m.apply(vec![2, 3, 1, 2]), [5, 4]);
        assert_eq!(m.apply(vec![0, 1, 1, 1, 0]), [0, 7, 1, 0]);
        assert_eq!(m.apply(vec![1, 1, 2]), [1, 4]);
        assert!(m.apply(vec![]).is_empty());
        assert_eq!(
            (m.expand(3), m.expand(8), m.expand(u16::MAX)),
            (&[3][..], &[][..], &[][..])
        );
    }

    #[test]
    fn merges_with_equal_expansions_share_an_id() {
        // (1 2) 3 and 1 (2 3) are the same.
        let m = merges(&[[1, 2], [4, 3], [2, 3], [1, 6]]);
        assert_eq!(m.size(), 7);
        assert_eq!(m.expand(5), [1, 2, 3]);
        assert_eq!(m.makes, [4, 5, 6, 5]);
    }

    #[test]
    fn unusable_merges_are_refused() {
        for pairs in [&[[1, 4]][..], &[[0, 1]], &[[1, 0]], &[[1, 2], [1, 2]]] {
            assert!(Merges::new(4, &[0], pairs.to_vec()).is_err(), "{pairs:?}");
        }
        // Twice as long each time.
        let doubling: Vec<[u16; 2]> = [1].into_iter().chain(4..40).map(|id| [id, id]).collect();
        assert!(Merges::new(4, &[0], doubling[..6].to_vec()).is_ok());
        assert!(Merges::new(4, &[0], doubling).unwrap_err().contains("64"));
        let many = vec![[1, 2]; 65_536];
        assert!(Merges::new(4, &[0], many).unwrap_err().contains("too many"));
    }
}
