//! The KV cache: keys and values of the last tokens, in every layer.
//!
//! A token's keys and values depend only on the tokens before it. So a rewind truncates the cache, as
//! long as the window before that position is still there; [`KvCache`] keeps several windows.
//!
//! Graphs that update their caches in place have the newest rows in buffers of their own
//! ([`CacheLayout`]); this cache fills those after a rewind.

/// Windows kept beyond the one in use, which bound a rewind without reading again.
const EXTRA_WINDOWS: usize = 8;

/// The rows of a cache that a graph updates in place (`GroupQueryAttention` with
/// `sliding_window_cache`): tokens fill the rows from 0 on, in order, and are compacted to a window
/// when the buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLayout {
    /// Rows of a buffer: a window or more.
    pub rows: usize,
    window: usize,
}

impl CacheLayout {
    /// The layout of buffers with `rows` rows, at least `window`.
    pub fn new(rows: usize, window: usize) -> Self {
        let rows = rows.max(window);
        Self { rows, window }
    }

    /// Tokens from one compaction to the next.
    pub fn period(self) -> usize {
        self.rows - self.window + 1
    }

    /// Rows in use after `count` tokens in an empty buffer.
    pub fn used(self, count: usize) -> usize {
        let over = count.saturating_sub(self.rows);
        count - self.period() * over.div_ceil(self.period())
    }
}

/// Keys and values of the last tokens of one listener, in every layer. Owned by the thread of its
/// composer.
pub struct KvCache {
    head_dim: usize,
    /// Number of earlier tokens that a new one attends to: the model's window less itself.
    reach: usize,
    /// Layout of the caches that graphs update in place; `None` for other graphs.
    layout: Option<CacheLayout>,
    /// For each layer, its keys then its values; for each of those its heads; each
    /// `[tokens, head_dim]`, oldest first.
    history: Vec<Vec<Vec<f32>>>,
    /// Position of the last restart with an empty cache.
    origin: usize,
    /// Position of the oldest token.
    first: usize,
    /// First position with exact predictions: after [`KvCache::restart`] the first tokens see too few
    /// earlier ones.
    exact_from: usize,
    /// Position of the next token.
    next: usize,
    /// Number of changes that invalidate buffers filled from here.
    generation: u64,
}

impl KvCache {
    /// An empty cache for a network whose layers have `heads` key and value heads, `head_dim` wide, and
    /// attend to `window` tokens; with a `layout` for graphs that update their caches in place.
    pub fn new(
        heads: &[usize],
        head_dim: usize,
        window: usize,
        layout: Option<CacheLayout>,
    ) -> Self {
        let slots = heads.iter().flat_map(|&heads| [heads; 2]);
        Self {
            head_dim,
            reach: window.saturating_sub(1),
            layout,
            history: slots.map(|heads| vec![Vec::new(); heads]).collect(),
            origin: 0,
            first: 0,
            exact_from: 0,
            next: 0,
            generation: 0,
        }
    }

    /// Number of tokens since the stream began, which is the next position.
    pub fn len(&self) -> usize {
        self.next
    }

    /// Whether no token was read.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Number of slots: two a layer.
    pub fn slots(&self) -> usize {
        self.history.len()
    }

    /// Number of earlier tokens that the next one attends to.
    pub fn past(&self) -> usize {
        self.reach.min(self.next - self.first)
    }

    /// Number of tokens since the last restart, as buffers updated in place count them.
    pub fn counted(&self) -> usize {
        self.next - self.origin
    }

    /// A number that changes whenever buffers updated in place must be filled again.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Copies the rows that the next tokens attend to into `out`, `[heads, past, head_dim]`. `slot` is
    /// twice the layer, plus one for the values.
    pub fn window(&self, slot: usize, out: &mut Vec<f32>) {
        out.clear();
        for head in &self.history[slot] {
            out.extend_from_slice(&head[head.len() - self.past() * self.head_dim..]);
        }
    }

    /// The rows in use in a buffer updated in place: for every head of a slot the last tokens,
    /// `[tokens, head_dim]`.
    pub fn in_use(&self, slot: usize) -> impl Iterator<Item = &[f32]> {
        let used = self.layout.map_or(0, |layout| layout.used(self.counted()));
        let from = move |head: &Vec<f32>| head.len() - used * self.head_dim;
        self.history[slot]
            .iter()
            .map(move |head| &head[from(head)..])
    }

    /// Appends the keys or values of `tokens` new tokens, `[heads, tokens, head_dim]`, to a slot. Call
    /// it for every slot before [`KvCache::advance`].
    pub fn append(&mut self, slot: usize, new: &[f32], tokens: usize) {
        let rows = new.chunks_exact(tokens * self.head_dim);
        for (head, rows) in self.history[slot].iter_mut().zip(rows) {
            head.extend_from_slice(rows);
        }
    }

    /// Counts `tokens` new tokens.
    pub fn advance(&mut self, tokens: usize) {
        self.next += tokens;
    }

    /// Drops tokens that are further back than eight windows.
    pub fn trim(&mut self) {
        let held = self.next - self.first;
        let keep = self.reach * (1 + EXTRA_WINDOWS);
        // Drops at twice that number, so that the cost is small on the average.
        if held > 2 * keep {
            let drop = held - keep;
            for head in self.history.iter_mut().flatten() {
                head.drain(..drop * self.head_dim);
            }
            self.first += drop;
        }
    }

    /// Number of tokens that a prediction depends on: a window for every layer.
    pub fn receptive_field(&self) -> usize {
        (self.reach * self.history.len() / 2).max(self.reach + 1)
    }

    /// The position at which to restart so that predictions from `to` - 1 on are exact: more than
    /// [`KvCache::receptive_field`] tokens before `to`, and a whole number of periods from the
    /// beginning. Then buffers updated in place have the same tokens in the same rows as if everything
    /// had been read, and sums over them are equal to the last bit.
    pub fn restart_for(&self, to: usize) -> usize {
        let from = to.saturating_sub(self.receptive_field() + 1);
        from - from % self.layout.map_or(1, CacheLayout::period)
    }

    /// Empties the cache and continues at position `at`. Predictions are exact again after
    /// [`KvCache::receptive_field`] tokens.
    pub fn restart(&mut self, at: usize) {
        self.clear();
        (self.origin, self.first, self.next) = (at, at, at);
        if at > 0 {
            self.exact_from = at + self.receptive_field();
        }
    }

    /// As [`KvCache::restart`], but predictions from `at` on count as exact, though they depend on no
    /// earlier token.
    pub fn begin_at(&mut self, at: usize) {
        self.restart(at);
        self.exact_from = at;
    }

    /// Removes every token from position `to` on. Returns `false` and changes nothing if too few of the
    /// tokens before `to` are left, so that they must be read again.
    pub fn rewind(&mut self, to: usize) -> bool {
        if to >= self.next {
            return true;
        }
        if to < self.exact_from.max(self.first) {
            return false;
        }
        let needed = match self.layout {
            Some(layout) => layout.used(to - self.origin),
            None => self.reach.min(to - self.origin),
        };
        if to - self.first < needed {
            return false;
        }
        self.truncate(to);
        true
    }

    /// Removes every token from position `to` on, of those read since the last [`KvCache::trim`].
    pub(crate) fn truncate(&mut self, to: usize) {
        let keep = (to - self.first) * self.head_dim;
        for head in self.history.iter_mut().flatten() {
            head.truncate(keep);
        }
        self.next = to;
        self.generation += 1;
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        for head in self.history.iter_mut().flatten() {
            head.clear();
        }
        (self.origin, self.first, self.exact_from, self.next) = (0, 0, 0, 0);
        self.generation += 1;
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.history
            .iter()
            .flatten()
            .map(|head| head.len() * 4)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> KvCache {
        KvCache::new(&[2], 2, 4, None)
    }

    /// Reads tokens `from..to`; the rows of their keys and values have their positions as numbers.
    fn read(memory: &mut KvCache, from: usize, to: usize) {
        let rows: Vec<f32> = (0..2)
            .flat_map(|_| (from..to).flat_map(|t| [t as f32; 2]))
            .collect();
        memory.append(0, &rows, to - from);
        memory.append(1, &rows, to - from);
        memory.advance(to - from);
        memory.trim();
    }

    fn seen(memory: &KvCache) -> Vec<f32> {
        let mut out = Vec::new();
        memory.window(1, &mut out);
        // Two heads of two numbers a token.
        assert_eq!(out.len(), memory.past() * 4);
        out[..out.len() / 2].chunks(2).map(|row| row[0]).collect()
    }

    #[test]
    fn window_has_the_last_tokens() {
        let mut memory = new();
        assert!(seen(&memory).is_empty() && memory.is_empty());
        read(&mut memory, 0, 2);
        assert_eq!(seen(&memory), [0.0, 1.0]);
        for at in (2..200).step_by(3) {
            read(&mut memory, at, at + 3);
            assert_eq!(seen(&memory), [at as f32, at as f32 + 1.0, at as f32 + 2.0]);
        }
        // Old keys are dropped: at most twice as many as a rewind needs remain, and a chunk.
        assert!(memory.history[0][0].len() <= 2 * (2 * 3 * (1 + EXTRA_WINDOWS) + 3));
    }

    #[test]
    fn rewind_equals_never_having_read() {
        let mut memory = new();
        read(&mut memory, 0, 30);
        assert!(memory.rewind(20) && memory.len() == 20);
        assert_eq!(seen(&memory), [17.0, 18.0, 19.0]);
        read(&mut memory, 20, 21);
        assert_eq!(seen(&memory), [18.0, 19.0, 20.0]);
        assert!(memory.rewind(1), "the beginning is held");
        assert_eq!(seen(&memory), [0.0]);

        memory.clear();
        read(&mut memory, 0, 100);
        assert!(!memory.rewind(10), "let go of");
        assert_eq!(memory.len(), 100);
        assert!(memory.rewind(memory.first + 3));
        assert_eq!(seen(&memory).len(), 3);
    }

    #[test]
    fn restart_is_exact_after_the_receptive_field() {
        let mut memory = KvCache::new(&[1, 1], 2, 4, None);
        let feed = |memory: &mut KvCache, from: usize, to: usize| {
            (0..4).for_each(|slot| memory.append(slot, &vec![0.0; (to - from) * 2], to - from));
            memory.advance(to - from);
        };
        assert_eq!(memory.receptive_field(), 6);
        memory.restart(100);
        assert_eq!((memory.len(), memory.past()), (100, 0));
        feed(&mut memory, 100, 110);
        assert!(!memory.rewind(105), "what stands before it saw too little");
        assert!(memory.rewind(106));
        assert_eq!(memory.past(), 3);
        memory.restart(0);
        feed(&mut memory, 0, 10);
        assert!(memory.rewind(1));
    }

    /// A buffer that is updated in place as ONNX Runtime's operator is described has exactly the rows of
    /// [`KvCache::in_use`].
    #[test]
    fn rows_in_use_are_those_of_a_buffer_updated_in_place() {
        for rows in 4..=12 {
            let layout = CacheLayout::new(rows, 4);
            let mut memory = KvCache::new(&[2], 2, 4, Some(layout));
            let mut buffer: Vec<f32> = Vec::new();
            for position in 0..200 {
                if buffer.len() == rows {
                    buffer.drain(..layout.period());
                }
                buffer.push(position as f32);
                read(&mut memory, position, position + 1);
                assert_eq!(layout.used(memory.counted()), buffer.len());
                for head in memory.in_use(1) {
                    let held: Vec<f32> = head.chunks(2).map(|row| row[0]).collect();
                    assert_eq!(held, buffer, "{rows} rows, position {position}");
                }
            }
        }
    }

    /// After a restart the same tokens are in the same rows as if everything had been read.
    #[test]
    fn restart_keeps_the_rows() {
        for (rows, to) in [(4, 50), (7, 51), (8, 60), (11, 77), (7, 3)] {
            let layout = CacheLayout::new(rows, 4);
            let mut memory = KvCache::new(&[1, 1], 2, 4, Some(layout));
            let from = memory.restart_for(to);
            assert!(to - from > memory.receptive_field().min(to - 1));
            memory.restart(from);
            (0..4).for_each(|slot| memory.append(slot, &vec![0.0; (to - from) * 2], to - from));
            memory.advance(to - from);
            assert_eq!(
                layout.used(memory.counted()),
                layout.used(to),
                "{rows} {to}"
            );
            assert!(memory.rewind(to - 1), "its prediction is right");
            assert_eq!(layout.used(memory.counted()), layout.used(to - 1));
        }
    }
}
