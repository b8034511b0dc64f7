//! The kNN memory: keys and values of one layer for every token of the session, searched for the
//! nearest neighbours of each query (Memorizing Transformers, arXiv 2203.08913).
//!
//! Two stores are searched together. The **song** holds keys by position in the stream and rewinds
//! with it. The **learned** store holds keys of other music; every token sees them, and they stay
//! until [`KnnMemory::forget_learned`].
//!
//! A key is stored with the value of its own token or, for a model trained so
//! ([`KnnMemory::with_next_values`]), with that of the next token.
//!
//! A token sees at most `capacity` keys of each store: the newest ones. Up to [`EXACT`] of them the
//! search is exact; beyond, it searches the nearest lists of an index trained on the song's oldest
//! keys.

mod blas;
mod index;
pub(crate) mod kv_store;
mod search;

use std::ops::Range;

use crate::error::EngineError;
pub use index::EXACT;
use index::Hits;
use kv_store::KvStore;

/// Score of an empty slot. Finite, since graphs compute with it.
pub const NOTHING: f32 = -1e30;

/// The neighbours found for some tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbours {
    /// Cosine similarities, best first, `[tokens, heads, k]`; [`NOTHING`] in empty slots.
    pub scores: Vec<f32>,
    /// Values, `[tokens, heads, k, head_dim]`; 0 in empty slots.
    pub values: Vec<f32>,
    /// Locations, `[tokens, heads, k]`.
    pub locations: Vec<MemoryLocation>,
}

/// Location of a neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryLocation {
    /// None: the slot is empty.
    #[default]
    Empty,
    /// The stream, at this position.
    Song(usize),
    /// The learned store.
    Learned,
}

/// Keys and values of one layer: one key and one value a token, shared by all query heads. Owned by
/// the thread of its composer.
pub struct KnnMemory {
    dim: usize,
    k: usize,
    capacity: usize,
    /// A token sees keys at least this many positions before it.
    window: usize,
    /// Keys of the stream that are kept, evicted ones included, since a rewind may need them.
    held: usize,
    /// A position, and for each token from there on the earliest position it searches. Other tokens
    /// search as far back as the capacity allows.
    earliest: (usize, Vec<usize>),
    song: KvStore,
    learned: KvStore,
    /// Offset from key to value: 0 for its own token, 1 for the next.
    value_offset: usize,
    /// Last key of the piece being learned, until its next token is known.
    pending_key: Vec<f32>,
    hits: Hits,
    /// Positions of the neighbours in their store, `[tokens, heads, k]`.
    rows: Vec<usize>,
    /// Neighbours of the last token, `[heads, k]`, best first in each head.
    latest: Vec<(MemoryLocation, f32)>,
}

impl KnnMemory {
    /// An empty memory of keys `dim` wide; a query gets its `k` (1 or more) nearest neighbours. A
    /// token sees at most `capacity` keys of each store, and of the song only those that have left
    /// its window, `window` tokens or more before it. Up to `again` of the last tokens can be
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

    /// An empty memory like this one in which a key has the value of the next token. The window must
    /// be 2 tokens or more, so that the next token always exists.
    pub fn with_next_values(self) -> Self {
        let value_offset = 1;
        Self {
            value_offset,
            song: KvStore::new(self.dim, value_offset),
            ..self
        }
    }

    /// Neighbours of the last token, for each head: location and cosine similarity, best first,
    /// without empty slots.
    pub fn latest(&self) -> impl Iterator<Item = &[(MemoryLocation, f32)]> {
        self.latest.chunks(self.k).map(|found| {
            let full = found.partition_point(|&(location, _)| location != MemoryLocation::Empty);
            &found[..full]
        })
    }

    /// Number of appended tokens of the stream, which is the next position.
    pub fn len(&self) -> usize {
        self.song.end()
    }

    /// Whether the stream is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of learned keys that a token sees.
    pub fn learned(&self) -> usize {
        self.learned.len().min(self.capacity)
    }

    /// Bytes in use, those of faiss included.
    pub fn bytes(&self) -> usize {
        // A key and a value each; lists would hold the keys once more, but seldom exist.
        (self.song.len() + self.learned.len()) * self.dim * 8
    }

    /// Appends L2-normalised keys and values of the stream, each `[tokens, head_dim]`. A token sees
    /// them once they have left its window.
    ///
    /// # Errors
    /// Fails if memory runs out.
    pub fn append(&mut self, keys: &[f32], values: &[f32]) -> Result<(), EngineError> {
        self.song.push(keys, values)
    }

    /// Drops the keys that neither a token nor a rewind can need.
    ///
    /// # Errors
    /// Fails if the index fails.
    pub fn trim(&mut self) -> Result<(), EngineError> {
        self.song.trim(self.held)
    }

    /// Appends learned keys and values of consecutive tokens of a piece, each `[tokens, head_dim]`;
    /// the oldest beyond the capacity are dropped.
    ///
    /// # Errors
    /// Fails if memory runs out.
    pub fn learn(&mut self, keys: &[f32], values: &[f32]) -> Result<(), EngineError> {
        if self.value_offset == 0 {
            self.learned.push(keys, values)?;
        } else if !keys.is_empty() {
            // Pairs within a piece, so that no piece continues in another.
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

    /// Ends the piece being learned; the next keys belong to another.
    pub fn end_piece(&mut self) {
        self.pending_key.clear();
    }

    /// Whether it has every key that tokens from position `from` on see.
    pub fn holds(&self, from: usize) -> bool {
        self.seen_by(from).start >= self.song.first
    }

    /// Removes the stream from position `to` on.
    ///
    /// # Errors
    /// Fails if the index fails.
    pub fn truncate(&mut self, to: usize) -> Result<(), EngineError> {
        if to < self.song.first {
            // Even the oldest key is later: nothing before `to` is left.
            let begin = self.song.begin;
            self.restart(to);
            self.song.begin = begin.min(to);
            return Ok(());
        }
        self.song.truncate(to)
    }

    /// Removes the stream and continues at position `at` as if the stream began there. The learned
    /// store stays.
    pub(crate) fn restart(&mut self, at: usize) {
        self.clear();
        self.song.first = at;
        self.song.begin = at;
    }

    /// Takes the song's store out, and continues at position `at` with an empty one.
    pub(crate) fn take_song(&mut self, at: usize) -> KvStore {
        let song = std::mem::replace(&mut self.song, KvStore::new(self.dim, self.value_offset));
        self.restart(at);
        song
    }

    /// Exchanges the song's store with `song`.
    pub(crate) fn exchange_song(&mut self, song: &mut KvStore) {
        std::mem::swap(&mut self.song, song);
    }

    /// An empty store of a song from position `first` on, to be filled outside of this memory.
    pub(crate) fn empty_song_from(&self, first: usize) -> KvStore {
        let mut song = KvStore::new(self.dim, self.value_offset);
        song.first = first;
        song
    }

    /// Whether `song` has every key that tokens from position `from` on see.
    pub(crate) fn serves(&self, song: &KvStore, from: usize) -> bool {
        (from + 1).saturating_sub(self.window + self.capacity) >= song.first
    }

    /// Maximum number of keys of a song that can be of use.
    pub(crate) fn held_most(&self) -> usize {
        self.held
    }

    /// Removes the stream; the learned store stays.
    pub fn clear(&mut self) {
        self.song = self.empty_song_from(0);
    }

    /// Removes the learned store; the stream stays.
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

    /// Limits how far back tokens from `position` on search: to these positions of the stream, in
    /// rising order, one for each token. Later tokens search without a limit.
    pub(crate) fn limit_reach(&mut self, position: usize, earliest: Vec<usize>) {
        self.earliest = (position, earliest);
    }
}

#[cfg(test)]
mod tests;
