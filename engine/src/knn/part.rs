//! Keys and values by position.

use std::ops::Range;

use super::EXACT;
use super::index::{Hits, Rows};
use crate::error::EngineError;

/// Keys and values of consecutive positions, of which the oldest may have been let go of.
pub(crate) struct Part {
    dim: usize,
    /// None before the first is pushed.
    rows: Option<Rows>,
    /// `[rows, dim]`.
    values: Vec<f32>,
    /// Position of the oldest row held.
    pub(super) first: usize,
    /// Position it began at: there was nothing before.
    pub(super) begin: usize,
}

impl Part {
    pub(super) fn new(dim: usize) -> Self {
        Self {
            dim,
            rows: None,
            values: Vec::new(),
            first: 0,
            begin: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.as_ref().map_or(0, Rows::len)
    }

    /// Position of the next row.
    pub(crate) fn end(&self) -> usize {
        self.first + self.len()
    }

    /// Key and value at a position that is held.
    pub(super) fn row(&self, position: usize) -> (&[f32], &[f32]) {
        let at = (position - self.first) * self.dim;
        let keys = self.rows.as_ref().map_or(&[][..], Rows::all);
        (&keys[at..][..self.dim], &self.values[at..][..self.dim])
    }

    pub(crate) fn push(&mut self, keys: &[f32], values: &[f32]) -> Result<(), EngineError> {
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => Rows::new(self.dim)?,
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

    /// Gives `found` the best `k` rows of each query: the query, the inner product, the position
    /// and the value.
    pub(super) fn search(
        &mut self,
        (queries, k): (&[f32], usize),
        range: Range<usize>,
        exact: bool,
        hits: &mut Hits,
        mut found: impl FnMut(usize, f32, usize, &[f32]),
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
                let value = &self.values[row * self.dim..][..self.dim];
                found(at / k, score, self.first + row, value);
            }
        }
        Ok(())
    }

    /// All keys as the exact index has them.
    #[cfg(test)]
    pub(super) fn rows(&self) -> &Rows {
        self.rows.as_ref().unwrap()
    }
}
