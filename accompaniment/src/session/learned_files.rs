//! Learning from files, between two thoughts.

use std::path::PathBuf;

use continuo_score::Score;

use super::{Player, Session};
use crate::file_learning::{Learned, Opened};
use crate::snapshot::{LearnedPiece, LearningState};

/// Why files are refused where they cannot be learned at all.
const NO_MEMORY: &str =
    "this model has no long memory, so it learns nothing from files; load one that has";

impl<P: Player> Session<P> {
    /// These files, and those in these folders, are to be learned when there is time.
    pub fn learn(&mut self, paths: Vec<PathBuf>) {
        self.lessons.ask(paths);
    }

    /// Forgets the first so many of the pieces learned, and gives them; what was still to be
    /// learned is forgotten as well.
    pub(super) fn forget_lessons(&mut self, pieces: usize) -> Result<Vec<Learned>, P::Error> {
        let mut learned = self.lessons.learned().to_vec();
        let later = learned.split_off(pieces.min(learned.len()));
        self.lessons.clear();
        if later.is_empty() {
            self.player.forget_learned()?;
        } else {
            self.restore_lessons(&later)?;
        }
        Ok(learned)
    }

    /// Pieces that were forgotten are learned again, as if before those there are.
    pub(super) fn learn_again(&mut self, pieces: &[Learned]) -> Result<(), P::Error> {
        let all = [pieces, self.lessons.learned()].concat();
        self.restore_lessons(&all).map(drop)
    }

    /// The next file or folder to be opened, by [`crate::file_learning::open`]. Nothing while one is
    /// open.
    pub fn next_file(&mut self) -> Option<PathBuf> {
        if !self.player.is_ready() {
            return None;
        }
        if !self.player.learns() {
            self.lessons.refuse_all(NO_MEMORY);
        }
        self.lessons.next_file()
    }

    /// What was found in it.
    pub fn opened(&mut self, opened: Opened) {
        self.lessons.opened(opened);
    }

    /// Whether files are to be opened, or open.
    pub fn waits_for_files(&self) -> bool {
        self.lessons.waiting() > 0
    }

    /// Whether there is something for [`Session::study`].
    pub(super) fn has_lessons(&self) -> bool {
        self.lessons.has_fresh()
    }

    /// Has the player learn what is new, or reads on in it.
    pub(super) fn study(&mut self) -> Result<(), P::Error> {
        if let Some(fresh) = self.lessons.fresh() {
            return match fresh.crowded {
                true => self.relearn(),
                false => self.player.learn(&fresh.scores),
            };
        }
        self.player.read_on()
    }

    /// What a project kept takes the place of what was learned. Gives how many notes of it made
    /// no sense.
    pub(super) fn restore_lessons(&mut self, learned: &[Learned]) -> Result<usize, P::Error> {
        // A host may load the same state over and over.
        if self.lessons.learned() == learned {
            return Ok(0);
        }
        let lost = self.lessons.restore(learned);
        self.relearn()?;
        Ok(lost)
    }

    /// The player learns everything anew.
    pub(super) fn relearn(&mut self) -> Result<(), P::Error> {
        self.player.forget_learned()?;
        let pieces = self.lessons.learned().iter();
        let scores: Vec<Score> = pieces.filter_map(Learned::score).collect();
        self.player.learn(&scores)
    }

    /// How far it is.
    pub(super) fn learning(&self) -> LearningState {
        let piece = |piece: &Learned| LearnedPiece {
            name: piece.name.clone(),
            notes: piece.notes,
        };
        LearningState {
            possible: self.player.learns(),
            pieces: self.lessons.learned().iter().map(piece).collect(),
            waiting: self.lessons.waiting(),
            progress: self
                .player
                .learning()
                .map(|(done, all)| done as f32 / all.max(1) as f32),
            refused: self.lessons.refused().cloned().collect(),
        }
    }
}
