//! The search for the nearest neighbours of consecutive tokens, in both stores.

use std::ops::Range;

use super::index::{BATCH, EXACT};
use super::{KnnMemory, MemoryLocation, NOTHING, Neighbours};
use crate::error::EngineError;

impl KnnMemory {
    /// Positions of the stream that the token at `position` searches, of those it sees.
    fn searched_by(&self, position: usize) -> Range<usize> {
        let seen = self.seen_by(position);
        let (from, earliest) = &self.earliest;
        let limit = position.checked_sub(*from).and_then(|at| earliest.get(at));
        let start = limit.map_or(seen.start, |&limit| limit.clamp(seen.start, seen.end));
        start..seen.end
    }

    /// The nearest neighbours for consecutive tokens from `position` on, which were appended just
    /// before, with L2-normalised `queries` `[tokens, heads, head_dim]`.
    ///
    /// # Errors
    /// Fails if the index fails.
    pub fn search(
        &mut self,
        queries: &[f32],
        heads: usize,
        position: usize,
        out: &mut Neighbours,
    ) -> Result<(), EngineError> {
        let (size, k) = (heads * self.dim, self.k);
        let tokens = queries.len() / size;
        let slots = tokens * heads * k;
        out.scores.clear();
        out.scores.resize(slots, NOTHING);
        out.locations.clear();
        out.locations.resize(slots, MemoryLocation::Empty);
        self.rows.resize(slots, 0);
        let most = (BATCH / heads).max(1);
        let mut at = 0;
        while at < tokens {
            // A batch is either exact or not.
            let exact = |token: usize| self.searched_by(position + token).len() <= EXACT;
            let batch = at..tokens.min(at + most);
            let batch = at..batch
                .clone()
                .find(|&t| exact(t) != exact(at))
                .unwrap_or(batch.end);
            let exact = exact(at);
            // Keys that every token of the batch sees are searched at once; keys that leave the
            // window or are evicted within the batch are compared one by one.
            let [first, last] = [at, batch.end - 1].map(|t| self.searched_by(position + t));
            let mut all = last.start..first.end;
            if all.is_empty() {
                all = 0..0;
            }
            let some = batch.clone().map(|token| {
                let seen = self.searched_by(position + token);
                (
                    token,
                    seen.start..seen.end.min(all.start),
                    seen.start.max(all.end)..seen.end,
                )
            });
            let some: Vec<_> = some
                .filter(|(_, a, b)| !a.is_empty() || !b.is_empty())
                .collect();
            let mut found = Candidates {
                k,
                scores: &mut out.scores[at * heads * k..],
                locations: &mut out.locations[at * heads * k..],
                rows: &mut self.rows[at * heads * k..],
            };
            let batched = &queries[at * size..batch.end * size];
            let learned = self.learned.end().saturating_sub(self.capacity)..self.learned.end();
            let is_exact = learned.len() <= EXACT;
            let hits = &mut self.hits;
            self.learned.search(
                (batched, k),
                learned,
                is_exact,
                hits,
                |query, score, row| {
                    found.offer(query, score, row, MemoryLocation::Learned);
                },
            )?;
            self.song
                .search((batched, k), all, exact, hits, |query, score, row| {
                    found.offer(query, score, row, MemoryLocation::Song(row));
                })?;
            for (token, before, after) in some {
                let queries = &queries[token * size..][..size];
                for seen in before.chain(after) {
                    let key = self.song.key(seen);
                    for (head, query) in queries.chunks_exact(self.dim).enumerate() {
                        let score = query.iter().zip(key).map(|(q, k)| q * k).sum();
                        let query = (token - at) * heads + head;
                        found.offer(query, score, seen, MemoryLocation::Song(seen));
                    }
                }
            }
            at = batch.end;
        }
        // Every slot is written below.
        out.values.resize(slots * self.dim, 0.0);
        let values = out.values.chunks_exact_mut(self.dim);
        for ((value, location), &row) in values.zip(&out.locations).zip(&self.rows) {
            match location {
                MemoryLocation::Empty => value.fill(0.0),
                MemoryLocation::Song(_) => value.copy_from_slice(self.song.value(row)),
                MemoryLocation::Learned => value.copy_from_slice(self.learned.value(row)),
            }
        }
        let last = tokens.saturating_sub(1) * heads * k..;
        let found = out.locations[last.clone()].iter().zip(&out.scores[last]);
        self.latest.clear();
        self.latest
            .extend(found.map(|(&location, &score)| (location, score)));
        Ok(())
    }
}

/// Neighbours being collected, best first in the slots of each query.
struct Candidates<'a> {
    k: usize,
    scores: &'a mut [f32],
    locations: &'a mut [MemoryLocation],
    rows: &'a mut [usize],
}

impl Candidates<'_> {
    /// Inserts a key if it is among the best `k` of a query.
    fn offer(&mut self, query: usize, score: f32, row: usize, location: MemoryLocation) {
        let slots = query * self.k..(query + 1) * self.k;
        let scores = &mut self.scores[slots.clone()];
        let at = scores.partition_point(|&s| s >= score);
        // NaN gets no slot.
        if at == self.k || score.is_nan() {
            return;
        }
        scores.copy_within(at..self.k - 1, at + 1);
        scores[at] = score;
        let locations = &mut self.locations[slots.clone()];
        locations.copy_within(at..self.k - 1, at + 1);
        locations[at] = location;
        let rows = &mut self.rows[slots];
        rows.copy_within(at..self.k - 1, at + 1);
        rows[at] = row;
    }
}
