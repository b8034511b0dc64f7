//! Keys and values of consecutive positions.

use std::ops::Range;

use super::index::{EXACT, Hits, VectorIndex};
use crate::error::EngineError;

/// Keys and values of consecutive positions; the oldest may have been dropped.
pub(crate) struct KvStore {
    dim: usize,
    /// The keys; `None` before the first.
    rows: Option<VectorIndex>,
    /// `[rows, dim]`.
    values: Vec<f32>,
    /// Offset from key to value: 0 for its own token, 1 for the next.
    value_offset: usize,
    /// Position of the oldest key.
    pub(super) first: usize,
    /// Position of the stream's beginning.
    pub(super) begin: usize,
}

impl KvStore {
    pub(super) fn new(dim: usize, value_offset: usize) -> Self {
        Self {
            dim,
            rows: None,
            values: Vec::new(),
            value_offset,
            first: 0,
            begin: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.as_ref().map_or(0, VectorIndex::len)
    }

    /// Position of the oldest key, or of the first to come.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// Position of the next key.
    pub(crate) fn end(&self) -> usize {
        self.first + self.len()
    }

    /// Key at a position in the store.
    pub(super) fn key(&self, position: usize) -> &[f32] {
        let keys = self.rows.as_ref().map_or(&[][..], VectorIndex::all);
        &keys[(position - self.first) * self.dim..][..self.dim]
    }

    /// Value of the key at a position in the store; with a value offset of 1 the next position must
    /// be in the store too.
    pub(super) fn value(&self, position: usize) -> &[f32] {
        let row = position - self.first + self.value_offset;
        &self.values[row * self.dim..][..self.dim]
    }

    /// Appends keys and values, each `[tokens, dim]`.
    pub(crate) fn push(&mut self, keys: &[f32], values: &[f32]) -> Result<(), EngineError> {
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => VectorIndex::new(self.dim)?,
        };
        self.rows.insert(rows).push(keys)?;
        self.values.extend_from_slice(values);
        Ok(())
    }

    /// Drops the oldest keys beyond `most`, once there is a sixteenth more, so that the cost is small
    /// on the average.
    pub(crate) fn trim(&mut self, most: usize) -> Result<(), EngineError> {
        let len = self.len();
        if let Some(rows) = &mut self.rows
            && len > most + most / 16
        {
            let gone = len - most;
            rows.drop_first(gone)?;
            self.values.drain(..gone * self.dim);
            self.first += gone;
        }
        Ok(())
    }

    /// Removes every position from `to` on.
    pub(crate) fn truncate(&mut self, to: usize) -> Result<(), EngineError> {
        let held = to.saturating_sub(self.first);
        if let Some(rows) = &mut self.rows
            && held < rows.len()
        {
            if held <= EXACT {
                rows.drop_lists();
            }
            rows.truncate(held)?;
            self.values.truncate(held * self.dim);
        }
        Ok(())
    }

    /// Calls `found` with query, inner product and position of the best `k` keys of each query.
    pub(super) fn search(
        &mut self,
        (queries, k): (&[f32], usize),
        range: Range<usize>,
        exact: bool,
        hits: &mut Hits,
        mut found: impl FnMut(usize, f32, usize),
    ) -> Result<(), EngineError> {
        let (Some(rows), false) = (&mut self.rows, range.is_empty()) else {
            return Ok(());
        };
        let range = range.start - self.first..range.end - self.first;
        if exact {
            rows.search(queries, range, k, hits)?;
        } else {
            rows.search_lists(queries, range, k, hits)?;
        }
        for (at, (&score, &row)) in hits.scores.iter().zip(&hits.rows).enumerate() {
            if let Ok(row) = usize::try_from(row) {
                prefetch(&self.values[(row + self.value_offset) * self.dim..][..self.dim]);
                found(at / k, score, self.first + row);
            }
        }
        Ok(())
    }

    /// The index of all keys.
    #[cfg(test)]
    pub(super) fn rows(&self) -> &VectorIndex {
        self.rows.as_ref().unwrap()
    }
}

/// Prefetches values that will be copied soon: waiting for each in turn took longer than the rest of
/// a search.
fn prefetch(numbers: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(64 / size_of::<f32>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has it; it only hints, and the address is valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}
