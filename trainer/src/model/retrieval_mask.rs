//! Tokens that the kNN layer may retrieve.

use std::ops::Range;

use super::config::ModelConfig;
use super::input::Input;
use super::memory::Memory;

/// Ranges of tokens that may be retrieved, as indices of the tokens that the kNN layer holds:
/// those of the kNN memory, of the window and of the input, in this order.
pub(super) struct RetrievalMask {
    /// Factor of the gate, 0 to 1.
    pub(super) recall: f32,
    /// Stream position of the first token that the layer holds.
    pub(super) first: u64,
    /// Range of each input token, row after row.
    pub(super) visible: Vec<Range<usize>>,
    /// Tokens that stay in the kNN memory after this pass.
    pub(super) kept: Option<Range<usize>>,
}

impl RetrievalMask {
    pub(super) fn new(config: &ModelConfig, input: &Input, memory: &Memory, recall: f32) -> Self {
        let Input {
            batch_rows, length, ..
        } = *input;
        let capacity = config.shape.knn.map_or(0, |knn| knn.capacity);
        let past = memory.length();
        let first = memory.position - (past + memory.recallable()) as u64;
        let index = |position: u64| position.saturating_sub(first) as usize;
        let visible = |(i, &song_start): (usize, &u64)| {
            let own = memory.position + (i % length) as u64;
            let end = index((own + 1).saturating_sub(config.shape.window as u64));
            let start = index(song_start).max(end.saturating_sub(capacity));
            start.min(end)..end
        };
        // A token that precedes the current song of every row is never retrieved again.
        let oldest = (1..=batch_rows)
            .map(|row| input.song_start[row * length - 1])
            .min();
        let all = memory.recallable() + past + length;
        let end = all - (past + length).min(config.shape.window - 1);
        let start = end.saturating_sub(capacity).max(oldest.map_or(end, index));
        Self {
            recall,
            first,
            visible: input.song_start.iter().enumerate().map(visible).collect(),
            kept: (start < end).then_some(start..end),
        }
    }

    /// The range that covers all visible tokens; `None` if no token sees any.
    pub(super) fn candidates(&self) -> Option<Range<usize>> {
        let seeing = || self.visible.iter().filter(|v| !v.is_empty());
        let start = seeing().map(|v| v.start).min()?;
        let end = seeing().map(|v| v.end).max()?;
        Some(start..end)
    }
}
