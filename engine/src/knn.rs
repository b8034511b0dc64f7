//! The kNN memory: keys and values of one layer for every token of the session, searched for
//! the memories most like what is being played (Memorizing Transformers, arXiv 2203.08913).
//!
//! Two parts are searched together. What the **song** itself said is held by position in the
//! stream, and rewinds with it. What was **learned** from other music is seen by every token
//! and stays until it is cleared by itself.
//!
//! A memory is a token's key and value; or, for a model trained so
//! ([`KnnMemory::with_next_values`]), its key and the value of the token that followed it.
//!
//! A token sees at most `capacity` memories of each part: those that entered last. Up to
//! [`EXACT`] of them the search is exact; beyond, it looks through the lists of an index that
//! is trained on the song's own keys.

mod blas;
mod index;
pub(crate) mod kv_store;

use std::ops::Range;

use crate::error::EngineError;
use index::Hits;
use kv_store::KvStore;

/// Memories up to which every one is compared.
pub const EXACT: usize = 65_536;

/// Score of a slot in which nothing was found. Finite, as graphs compute with it.
pub const NOTHING: f32 = -1e30;

/// Queries in one search: bounds what it needs beside its results.
const BATCH: usize = 64;

/// The memories found for some tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbours {
    /// Cosine similarities, best first, `[tokens, heads, k]`; [`NOTHING`] in empty slots.
    pub scores: Vec<f32>,
    /// The values, `[tokens, heads, k, head_dim]`; 0 in empty slots.
    pub values: Vec<f32>,
    /// Where they stand, `[tokens, heads, k]`.
    pub locations: Vec<MemoryLocation>,
}

/// Where a memory stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryLocation {
    /// Nowhere: the slot is empty.
    #[default]
    Empty,
    /// In the stream, at this position.
    Song(usize),
    /// In what was learned.
    Learned,
}

/// Keys and values of one layer: one key and one value a token, shared by all query heads.
pub struct KnnMemory {
    dim: usize,
    k: usize,
    capacity: usize,
    /// A token sees what is at least this far behind it.
    window: usize,
    /// Tokens of the stream held: evicted ones too, as a rewind may want them back.
    held: usize,
    /// From this position on, how far back each token looks at most; any other looks back as far
    /// as the capacity lets it.
    earliest: (usize, Vec<usize>),
    song: KvStore,
    learned: KvStore,
    /// Whose value a key has, counted from its own token: 0 or 1.
    value_offset: usize,
    /// The last key of the piece being learned, while what followed it is not known.
    pending_key: Vec<f32>,
    hits: Hits,
    /// Of a search: which row of its part each place is, `[tokens, heads, k]`.
    rows: Vec<usize>,
    /// What the last token searched for has found: `[heads, k]`, best first in each head.
    latest: Vec<(MemoryLocation, f32)>,
}

impl KnnMemory {
    /// An empty memory of rows `dim` wide, of which a query gets the best `k` (1 or more). A
    /// token sees at most `capacity` of each part, and of the song what stands `window` tokens
    /// or more before it: what has left its window. Up to `again` of the last tokens can be
    /// searched for again at any time.
    pub fn new(dim: usize, k: usize, capacity: usize, window: usize, again: usize) -> Self {
        Self {
            dim,
            k,
            capacity,
            window,
            held: window + capacity + capacity.max(2 * again),
            earliest: (0, Vec::new()),
            song: KvStore::new(dim, 0),
            learned: KvStore::new(dim, 0),
            value_offset: 0,
            pending_key: Vec::new(),
            hits: Hits::default(),
            rows: Vec::new(),
            latest: Vec::new(),
        }
    }

    /// An empty memory like this one, in which a key has the value of the token that followed
    /// its own: for windows of 2 tokens or more, so that what followed is always there.
    pub fn with_next_values(self) -> Self {
        let value_offset = 1;
        Self {
            value_offset,
            song: KvStore::new(self.dim, value_offset),
            ..self
        }
    }

    /// What the last token searched for has found, for each head: where, and the cosine
    /// similarity, best first. Empty slots are left out.
    pub fn latest(&self) -> impl Iterator<Item = &[(MemoryLocation, f32)]> {
        self.latest.chunks(self.k).map(|found| {
            let full = found.partition_point(|&(place, _)| place != MemoryLocation::Empty);
            &found[..full]
        })
    }

    /// Tokens of the stream that were appended: the next one's position.
    pub fn len(&self) -> usize {
        self.song.end()
    }

    /// Whether nothing of the stream was appended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Learned memories a token sees.
    pub fn learned(&self) -> usize {
        self.learned.len().min(self.capacity)
    }

    /// Bytes held, faiss's own included.
    pub fn bytes(&self) -> usize {
        // A key and a value each; the lists hold the keys once more, but seldom exist.
        (self.song.len() + self.learned.len()) * self.dim * 8
    }

    /// Appends tokens of the stream: L2-normalised keys and values, each `[tokens, head_dim]`.
    /// No token sees them before they have left its window.
    pub fn append(&mut self, keys: &[f32], values: &[f32]) -> Result<(), EngineError> {
        self.song.push(keys, values)
    }

    /// Lets go of what neither a token nor a rewind will need.
    pub fn trim(&mut self) -> Result<(), EngineError> {
        self.song.trim(self.held)
    }

    /// Adds learned memories, keys and values of consecutive tokens of a piece; the oldest
    /// beyond the capacity are forgotten.
    pub fn learn(&mut self, keys: &[f32], values: &[f32]) -> Result<(), EngineError> {
        if self.value_offset == 0 {
            self.learned.push(keys, values)?;
        } else if !keys.is_empty() {
            // Rows of their own, so that no piece is followed by another.
            let (paired, last) = keys.split_at(keys.len() - self.dim);
            let first = if self.pending_key.is_empty() {
                self.dim
            } else {
                0
            };
            self.pending_key.extend_from_slice(paired);
            self.learned.push(&self.pending_key, &values[first..])?;
            self.pending_key.clear();
            self.pending_key.extend_from_slice(last);
        }
        self.learned.trim(self.capacity)
    }

    /// The piece that was being learned is over; what is learned next is another.
    pub fn end_piece(&mut self) {
        self.pending_key.clear();
    }

    /// Whether all is held that tokens from position `from` on see.
    pub fn holds(&self, from: usize) -> bool {
        self.seen_by(from).start >= self.song.first
    }

    /// Forgets the stream from position `to` on.
    pub fn truncate(&mut self, to: usize) -> Result<(), EngineError> {
        if to < self.song.first {
            // Even the oldest row is from after that: nothing is held of what was before.
            let begin = self.song.begin;
            self.restart(to);
            self.song.begin = begin.min(to);
            return Ok(());
        }
        self.song.truncate(to)
    }

    /// Forgets the stream, and stands at position `at` as if nothing before it had been played:
    /// for a memory that is read from its end. What was learned stays.
    pub(crate) fn restart(&mut self, at: usize) {
        self.clear();
        self.song.first = at;
        self.song.begin = at;
    }

    /// Takes the song's keys and values out, and stands at position `at` without any.
    pub(crate) fn take_song(&mut self, at: usize) -> KvStore {
        let song = std::mem::replace(&mut self.song, KvStore::new(self.dim, self.value_offset));
        self.restart(at);
        song
    }

    /// Has these keys and values for those of the song it holds, which take their place.
    pub(crate) fn exchange_song(&mut self, song: &mut KvStore) {
        std::mem::swap(&mut self.song, song);
    }

    /// A part of a song's keys and values from position `first` on, to be filled apart from this
    /// memory.
    pub(crate) fn empty_song_from(&self, first: usize) -> KvStore {
        let mut song = KvStore::new(self.dim, self.value_offset);
        song.first = first;
        song
    }

    /// Whether a song holds all that tokens from position `from` on see.
    pub(crate) fn serves(&self, song: &KvStore, from: usize) -> bool {
        (from + 1).saturating_sub(self.window + self.capacity) >= song.first
    }

    /// Rows of a song that are worth holding.
    pub(crate) fn held_most(&self) -> usize {
        self.held
    }

    /// Forgets the stream; what was learned stays.
    pub fn clear(&mut self) {
        self.song = self.empty_song_from(0);
    }

    /// Forgets what was learned; the stream stays.
    pub fn forget_learned(&mut self) {
        self.learned = KvStore::new(self.dim, 0);
        self.pending_key.clear();
    }

    /// Positions of the stream that the token at `position` sees.
    fn seen_by(&self, position: usize) -> Range<usize> {
        let to = (position + 1)
            .saturating_sub(self.window)
            .max(self.song.begin);
        to.saturating_sub(self.capacity).max(self.song.begin)..to
    }

    /// The tokens from `position` on recall from no earlier position of the stream than these,
    /// which must not fall; tokens after the last of them from as early as anything is held.
    pub(crate) fn look_back(&mut self, position: usize, earliest: Vec<usize>) {
        self.earliest = (position, earliest);
    }

    /// Positions of the stream that the token at `position` looks at, of those it sees.
    fn looked_at_by(&self, position: usize) -> Range<usize> {
        let seen = self.seen_by(position);
        let (from, earliest) = &self.earliest;
        let limit = position.checked_sub(*from).and_then(|at| earliest.get(at));
        let start = limit.map_or(seen.start, |&limit| limit.clamp(seen.start, seen.end));
        start..seen.end
    }

    /// The best memories for consecutive tokens from `position` on, which were appended just
    /// before, with L2-normalised `queries` `[tokens, heads, head_dim]`.
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
            let exact = |token: usize| self.looked_at_by(position + token).len() <= EXACT;
            let batch = at..tokens.min(at + most);
            let batch = at..batch
                .clone()
                .find(|&t| exact(t) != exact(at))
                .unwrap_or(batch.end);
            let exact = exact(at);
            // What every token of the batch sees is searched at once; what only some of them
            // see, as it leaves the window or is evicted in between, one by one.
            let [first, last] = [at, batch.end - 1].map(|t| self.looked_at_by(position + t));
            let mut all = last.start..first.end;
            if all.is_empty() {
                all = 0..0;
            }
            let some = batch.clone().map(|token| {
                let seen = self.looked_at_by(position + token);
                (
                    token,
                    seen.start..seen.end.min(all.start),
                    seen.start.max(all.end)..seen.end,
                )
            });
            let some: Vec<_> = some
                .filter(|(_, a, b)| !a.is_empty() || !b.is_empty())
                .collect();
            let mut found = Found {
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
        for ((value, place), &row) in values.zip(&out.locations).zip(&self.rows) {
            match place {
                MemoryLocation::Empty => value.fill(0.0),
                MemoryLocation::Song(_) => value.copy_from_slice(self.song.value(row)),
                MemoryLocation::Learned => value.copy_from_slice(self.learned.value(row)),
            }
        }
        let last = tokens.saturating_sub(1) * heads * k..;
        let found = out.locations[last.clone()].iter().zip(&out.scores[last]);
        self.latest.clear();
        self.latest
            .extend(found.map(|(&place, &score)| (place, score)));
        Ok(())
    }
}

/// Results being gathered, best first in every query's slots.
struct Found<'a> {
    k: usize,
    scores: &'a mut [f32],
    locations: &'a mut [MemoryLocation],
    rows: &'a mut [usize],
}

impl Found<'_> {
    /// Takes a memory in if it is among the best `k` of a query.
    fn offer(&mut self, query: usize, score: f32, row: usize, place: MemoryLocation) {
        let slots = query * self.k..(query + 1) * self.k;
        let scores = &mut self.scores[slots.clone()];
        let at = scores.partition_point(|&s| s >= score);
        // Also what is no number ends up nowhere.
        if at == self.k || score.is_nan() {
            return;
        }
        scores.copy_within(at..self.k - 1, at + 1);
        scores[at] = score;
        let locations = &mut self.locations[slots.clone()];
        locations.copy_within(at..self.k - 1, at + 1);
        locations[at] = place;
        let rows = &mut self.rows[slots];
        rows.copy_within(at..self.k - 1, at + 1);
        rows[at] = row;
    }
}

#[cfg(test)]
mod tests;
