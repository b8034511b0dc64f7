//! Learning from files, between two thoughts.

use std::path::PathBuf;

use continuo_score::Score;

use super::{Player, Session};
use crate::file_learning::{OpenedPath, SavedPiece};
use crate::snapshot::{LearnedPiece, LearningState};

/// Why files are refused where they cannot be learned at all.
const NO_MEMORY: &str =
    "this model has no long memory, so it learns nothing from files; load one that has";

impl<P: Player> Session<P> {
    /// These files, and those in these folders, are to be learned when there is time.
    pub fn learn(&mut self, paths: Vec<PathBuf>) {
        self.file_learning.enqueue(paths);
    }

    /// Forgets the first so many of the pieces learned, and gives them; what was still to be
    /// learned is forgotten as well.
    pub(super) fn take_learned(&mut self, pieces: usize) -> Result<Vec<SavedPiece>, P::Error> {
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

    /// Pieces that were forgotten are learned again, as if before those there are.
    pub(super) fn prepend_learned(&mut self, pieces: &[SavedPiece]) -> Result<(), P::Error> {
        let all = [pieces, self.file_learning.learned()].concat();
        self.restore_learned(&all).map(drop)
    }

    /// The next file or folder to be opened, by [`crate::file_learning::open`]. Nothing while one is
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

    /// What was found in it.
    pub fn file_opened(&mut self, opened: OpenedPath) {
        self.file_learning.file_opened(opened);
    }

    /// Whether files are to be opened, or open.
    pub fn waits_for_files(&self) -> bool {
        self.file_learning.waiting() > 0
    }

    /// Whether there is something for [`Session::learn_slice`].
    pub(super) fn has_unread_files(&self) -> bool {
        self.file_learning.has_unread()
    }

    /// Has the player learn what is new, or reads on in it.
    pub(super) fn learn_slice(&mut self) -> Result<(), P::Error> {
        if let Some(unread) = self.file_learning.unread() {
            return match unread.evicted {
                true => self.relearn_all(),
                false => self.player.learn(&unread.scores),
            };
        }
        self.player.poll()
    }

    /// What a project kept takes the place of what was learned. Gives how many notes of it made
    /// no sense.
    pub(super) fn restore_learned(&mut self, learned: &[SavedPiece]) -> Result<usize, P::Error> {
        // A host may load the same state over and over.
        if self.file_learning.learned() == learned {
            return Ok(0);
        }
        let lost = self.file_learning.restore(learned);
        self.relearn_all()?;
        Ok(lost)
    }

    /// The player learns everything anew.
    pub(super) fn relearn_all(&mut self) -> Result<(), P::Error> {
        self.player.forget_learned()?;
        let pieces = self.file_learning.learned().iter();
        let scores: Vec<Score> = pieces.filter_map(SavedPiece::score).collect();
        self.player.learn(&scores)
    }

    /// How far it is.
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
        }
    }
}
