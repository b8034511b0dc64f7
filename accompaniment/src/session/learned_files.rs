//! Learning from files, between other work of the session.

use std::path::{Path, PathBuf};

use continuo_score::Score;

use super::{Player, Session};
use crate::file_learning::{OpenedPath, SavedPiece};
use crate::snapshot::{LearnedPiece, LearningState};

/// Reason for refusing all files.
const NO_MEMORY: &str =
    "this model has no long memory, so it learns nothing from files; load one that has";

impl<P: Player> Session<P> {
    /// Enqueues files, and the files in folders.
    pub fn learn(&mut self, paths: Vec<PathBuf>) {
        self.file_learning.enqueue(paths);
    }

    /// Removes and returns the first `pieces` learned pieces, and clears the queue; with 0 it does
    /// nothing.
    pub(super) fn take_learned(&mut self, pieces: usize) -> Result<Vec<SavedPiece>, P::Error> {
        if pieces == 0 {
            return Ok(Vec::new());
        }
        let mut learned = self.file_learning.learned().to_vec();
        let later = learned.split_off(pieces.min(learned.len()));
        self.file_learning.clear();
        if later.is_empty() {
            self.player.forget_learned()?;
        } else {
            self.restore_learned(&later)?;
        }
        Ok(learned)
    }

    /// Learns removed pieces again, before those there are.
    pub(super) fn prepend_learned(&mut self, pieces: &[SavedPiece]) -> Result<(), P::Error> {
        let all = [pieces, self.file_learning.learned()].concat();
        self.restore_learned(&all).map(drop)
    }

    /// The next file or folder to open with [`crate::file_learning::open`]; `None` while one is
    /// open.
    pub fn next_file(&mut self) -> Option<PathBuf> {
        if !self.player.is_ready() {
            return None;
        }
        if !self.player.can_learn() {
            self.file_learning.refuse_all(NO_MEMORY);
        }
        self.file_learning.next_file()
    }

    /// The file or folder that is open; `None` if the queue was cleared since.
    pub fn open_path(&self) -> Option<&Path> {
        self.file_learning.open_path()
    }

    /// Takes the result of [`crate::file_learning::open`].
    pub fn file_opened(&mut self, opened: OpenedPath) {
        self.file_learning.file_opened(opened);
    }

    /// Whether a file is open or waits in the queue.
    pub fn waits_for_files(&self) -> bool {
        self.file_learning.waiting() > 0
    }

    /// Whether [`Session::learn_slice`] has work.
    pub(super) fn has_unread_files(&self) -> bool {
        self.file_learning.has_unread()
    }

    /// Passes new pieces to the player, or lets it read for a slice.
    pub(super) fn learn_slice(&mut self) -> Result<(), P::Error> {
        if let Some(unread) = self.file_learning.unread() {
            return match unread.evicted {
                true => self.relearn_all(),
                false => self.player.learn(&unread.scores),
            };
        }
        self.player.poll()
    }

    /// Replaces the learned pieces by saved ones. Returns the number of invalid notes.
    pub(super) fn restore_learned(&mut self, learned: &[SavedPiece]) -> Result<usize, P::Error> {
        // A host may load the same state over and over.
        if self.file_learning.learned() == learned {
            return Ok(0);
        }
        let lost = self.file_learning.restore(learned);
        self.relearn_all()?;
        Ok(lost)
    }

    /// Makes the player learn all pieces from the beginning.
    pub(super) fn relearn_all(&mut self) -> Result<(), P::Error> {
        self.player.forget_learned()?;
        let pieces = self.file_learning.learned().iter();
        let scores: Vec<Score> = pieces.filter_map(SavedPiece::score).collect();
        self.player.learn(&scores)
    }

    /// Learning progress for the snapshot.
    pub(super) fn learning_state(&self) -> LearningState {
        let piece = |piece: &SavedPiece| LearnedPiece {
            name: piece.name.clone(),
            notes: piece.notes,
        };
        LearningState {
            possible: self.player.can_learn(),
            pieces: self.file_learning.learned().iter().map(piece).collect(),
            waiting: self.file_learning.waiting(),
            progress: self
                .player
                .learning()
                .map(|(done, all)| done as f32 / all.max(1) as f32),
            refused: self.file_learning.refused().cloned().collect(),
            refusals: self.file_learning.refusals(),
        }
    }
}
