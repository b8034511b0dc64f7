//! The XL memory: keys and values of the tokens read so far, in every layer.
//!
//! A token's keys and values depend only on what came before it. So a rewind is a cut, as
//! long as the window before the cut is still held; [`XlMemory`] holds several windows.

/// Windows of history held beyond the one in use: how far a rewind is free.
const WINDOWS_HELD: usize = 8;

/// Keys and values of the last tokens, one memory a listener; apart from the weights.
pub struct XlMemory {
    head_dim: usize,
    /// Tokens a new one can look back on: the model's window less itself.
    reach: usize,
    /// For each layer, its keys then its values; for each of those its heads; each
    /// `[tokens, head_dim]`, oldest first.
    history: Vec<Vec<Vec<f32>>>,
    /// Position of the oldest token held.
    first: usize,
    /// Position of the oldest token whose keys and values are right in every layer: after a
    /// [`XlMemory::restart`] the first ones saw too little.
    solid: usize,
    /// Position of the next token: how many were read since the stream began.
    next: usize,
}

impl XlMemory {
    /// An empty memory for a network whose layers have so many `heads` of keys and values,
    /// `head_dim` wide, and attend to `window` tokens.
    pub fn new(heads: &[usize], head_dim: usize, window: usize) -> Self {
        let slots = heads.iter().flat_map(|&heads| [heads; 2]);
        Self {
            head_dim,
            reach: window.saturating_sub(1),
            history: slots.map(|heads| vec![Vec::new(); heads]).collect(),
            first: 0,
            solid: 0,
            next: 0,
        }
    }

    /// Tokens read since the stream began: the next token's position.
    pub fn len(&self) -> usize {
        self.next
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Slots it has: two a layer.
    pub fn slots(&self) -> usize {
        self.history.len()
    }

    /// Tokens the next one will look back on.
    pub fn past(&self) -> usize {
        self.reach.min(self.next - self.first)
    }

    /// Copies what the next tokens look back on into `out`, `[heads, past, head_dim]`.
    /// `slot` is twice the layer, plus one for its values.
    pub fn window(&self, slot: usize, out: &mut Vec<f32>) {
        out.clear();
        for head in &self.history[slot] {
            out.extend_from_slice(&head[head.len() - self.past() * self.head_dim..]);
        }
    }

    /// Appends the keys or values of `tokens` new tokens, `[heads, tokens, head_dim]`, to a
    /// slot. Every slot must get its own before [`XlMemory::advance`].
    pub fn append(&mut self, slot: usize, new: &[f32], tokens: usize) {
        let rows = new.chunks_exact(tokens * self.head_dim);
        for (head, rows) in self.history[slot].iter_mut().zip(rows) {
            head.extend_from_slice(rows);
        }
    }

    /// Counts `tokens` new tokens and lets go of what no rewind will need.
    pub fn advance(&mut self, tokens: usize) {
        self.next += tokens;
        let held = self.next - self.first;
        let keep = self.reach * (1 + WINDOWS_HELD);
        // Twice that before cutting, so that cutting costs nothing on the average.
        if held > 2 * keep {
            let drop = held - keep;
            for head in self.history.iter_mut().flatten() {
                head.drain(..drop * self.head_dim);
            }
            self.first += drop;
            self.solid = self.solid.max(self.first);
        }
    }

    /// Tokens that a prediction depends on: through every layer, a window further back.
    pub fn receptive(&self) -> usize {
        self.reach * self.history.len() / 2
    }

    /// Stands at position `at` with nothing held before it. Once [`XlMemory::receptive`] tokens
    /// have been read from there, all is as if everything before had been read too.
    pub fn restart(&mut self, at: usize) {
        self.clear();
        (self.first, self.next) = (at, at);
        if at > 0 {
            self.solid = at + self.receptive() - self.reach;
        }
    }

    /// Forgets every token from position `to` on. `false`, and nothing done, where the
    /// window before `to` is no longer held: then what is needed must be read again.
    pub fn rewind(&mut self, to: usize) -> bool {
        if to >= self.next {
            return true;
        }
        if self.solid > 0 && to < self.solid + self.reach {
            return false;
        }
        let keep = (to - self.first) * self.head_dim;
        for head in self.history.iter_mut().flatten() {
            head.truncate(keep);
        }
        self.next = to;
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        for head in self.history.iter_mut().flatten() {
            head.clear();
        }
        (self.first, self.solid, self.next) = (0, 0, 0);
    }

    /// Shape of a slot's window as the graph takes it: `[1, heads, past, head_dim]`.
    pub fn window_shape(&self, slot: usize) -> [usize; 4] {
        [1, self.history[slot].len(), self.past(), self.head_dim]
    }

    /// Bytes held.
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

    fn new() -> XlMemory {
        XlMemory::new(&[2], 2, 4)
    }

    /// Reads tokens `from..to`, whose key and value rows are just their position.
    fn read(memory: &mut XlMemory, from: usize, to: usize) {
        let rows: Vec<f32> = (0..2)
            .flat_map(|_| (from..to).flat_map(|t| [t as f32; 2]))
            .collect();
        memory.append(0, &rows, to - from);
        memory.append(1, &rows, to - from);
        memory.advance(to - from);
    }

    fn seen(memory: &XlMemory) -> Vec<f32> {
        let mut out = Vec::new();
        memory.window(1, &mut out);
        assert_eq!(out.len(), memory.window_shape(1).iter().product::<usize>());
        out[..out.len() / 2].chunks(2).map(|row| row[0]).collect()
    }

    #[test]
    fn the_window_is_the_last_tokens() {
        let mut memory = new();
        assert!(seen(&memory).is_empty() && memory.is_empty());
        read(&mut memory, 0, 2);
        assert_eq!(seen(&memory), [0.0, 1.0]);
        for at in (2..200).step_by(3) {
            read(&mut memory, at, at + 3);
            assert_eq!(seen(&memory), [at as f32, at as f32 + 1.0, at as f32 + 2.0]);
        }
        // Old keys were let go of: at most twice what a rewind needs, and a chunk.
        assert!(memory.history[0][0].len() <= 2 * (2 * 3 * (1 + WINDOWS_HELD) + 3));
    }

    #[test]
    fn a_rewind_is_as_if_never_read() {
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
    fn a_restart_is_right_after_the_receptive_field() {
        let mut memory = XlMemory::new(&[1, 1], 2, 4);
        let feed = |memory: &mut XlMemory, from: usize, to: usize| {
            (0..4).for_each(|slot| memory.append(slot, &vec![0.0; (to - from) * 2], to - from));
            memory.advance(to - from);
        };
        assert_eq!(memory.receptive(), 6);
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
}
