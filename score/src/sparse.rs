//! A score as a sparse matrix of steps by keys.

use crate::part::Part;
use crate::score::{Note, Score};

/// A sparse matrix of steps by keys: only steps with an onset have a row, and a row has its notes
/// by part, then from low to high. It is a view of the score's notes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparseScore<'a> {
    notes: &'a [Note],
}

impl<'a> SparseScore<'a> {
    /// The view of a score in [`Score::normalise`]'s order.
    pub fn new(score: &'a Score) -> Self {
        Self::of(&score.notes)
    }

    /// The view of notes in [`Score::normalise`]'s order.
    pub fn of(notes: &'a [Note]) -> Self {
        debug_assert!(notes.is_sorted_by_key(|n| (n.start, n.part, n.pitch)));
        Self { notes }
    }

    /// The rows as `(step, notes)`, in order.
    pub fn rows(self) -> impl Iterator<Item = (u32, &'a [Note])> {
        let rows = self.notes.chunk_by(|a, b| a.start == b.start);
        rows.map(|row| (row[0].start, row))
    }

    /// The notes with their onset on a step; empty for most steps.
    pub fn row(self, step: u32) -> &'a [Note] {
        let from = self.notes.partition_point(|n| n.start < step);
        let rest = &self.notes[from..];
        &rest[..rest.partition_point(|n| n.start == step)]
    }

    /// The note of a part's key with its onset on a step.
    pub fn get(self, step: u32, part: Part, pitch: u8) -> Option<&'a Note> {
        let row = self.row(step);
        let found = row.binary_search_by_key(&(part, pitch), |n| (n.part, n.pitch));
        found.ok().map(|index| &row[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune;

    #[test]
    fn rows_and_cells() {
        let minuet = tune::minuet();
        let sparse = SparseScore::new(&minuet);
        let pitches = |row: &[Note]| row.iter().map(|n| n.pitch).collect::<Vec<_>>();
        assert_eq!(pitches(sparse.row(0)), [55, 59, 62, 74]);
        assert_eq!(sparse.row(1), []);
        assert_eq!(sparse.get(0, Part::Keys, 59).map(|n| n.pitch), Some(59));
        assert_eq!(
            (sparse.get(0, Part::Keys, 60), sparse.get(0, Part::Lead, 59)),
            (None, None)
        );
        let rows: Vec<_> = sparse.rows().collect();
        assert!(rows.iter().all(|&(step, row)| row == sparse.row(step)));
        let notes: usize = rows.iter().map(|(_, row)| row.len()).sum();
        assert_eq!(notes, minuet.notes.len());
    }
}
