//! Keys and values by position.

use std::ops::Range;

use super::EXACT;
use super::index::{Hits, VectorIndex};
use crate::error::EngineError;

/// Keys and values of consecutive positions, of which the oldest may have been let go of.
pub(crate) struct KvStore {
    dim: usize,
    /// None before the first is pushed.
    rows: Option<VectorIndex>,
    /// `[rows, dim]`.
    values: Vec<f32>,
    /// Whose value a key has: 0 its own token's, 1 that of the token which followed.
    value_offset: usize,
    /// Position of the oldest row held.
    pub(super) first: usize,
    /// Position it began at: there was nothing before.
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

    /// Position of the oldest row held, or to be held.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// Position of the next row.
    pub(crate) fn end(&self) -> usize {
        self.first + self.len()
    }

    /// Key at a position that is held.
    pub(super) fn key(&self, position: usize) -> &[f32] {
        let keys = self.rows.as_ref().map_or(&[][..], VectorIndex::all);
        &keys[(position - self.first) * self.dim..][..self.dim]
    }

    /// The value of the key at a position that is held; so must be what followed it, if that is
    /// whose value it has.
    pub(super) fn value(&self, position: usize) -> &[f32] {
        let row = position - self.first + self.value_offset;
        &self.values[row * self.dim..][..self.dim]
    }

    pub(crate) fn push(&mut self, keys: &[f32], values: &[f32]) -> Result<(), EngineError> {
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => VectorIndex::new(self.dim)?,
        };
        self.rows.insert(rows).push(keys)?;
        self.values.extend_from_slice(values);
        Ok(())
    }

    /// Lets go of the oldest rows where there are more than `most`; a sixteenth more before
    /// that costs anything, so that it costs next to nothing on the average.
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

    /// Gives `found` the best `k` rows of each query: the query, the inner product and the
    /// position.
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
                fetch(&self.values[(row + self.value_offset) * self.dim..][..self.dim]);
                found(at / k, score, self.first + row);
            }
        }
        Ok(())
    }

    /// All keys as the exact index has them.
    #[cfg(test)]
    pub(super) fn rows(&self) -> &VectorIndex {
        self.rows.as_ref().unwrap()
    }
}

/// Has these numbers fetched: most of what is found will be copied soon, and waiting for one
/// value after the other took longer than the rest of a search.
fn fetch(numbers: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(64 / size_of::<f32>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has it; it only hints, and the address is valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}
