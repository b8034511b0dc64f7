//! Learning from files, between two thoughts.

use std::path::PathBuf;

use continuo_score::Score;

use super::{Player, Session};
use crate::editor_link::{LearnedPiece, Learning};
use crate::learning::Learned;

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
        self.reading = None;
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

    /// Takes a little of what waits to be learned in. Whether there is more.
    pub(super) fn study(&mut self) -> Result<bool, P::Error> {
        if !self.player.learns() {
            self.lessons.refuse_all(NO_MEMORY);
            return Ok(false);
        }
        if self.lessons.waiting() > 0 {
            self.lessons.open_next(self.player.steps_per_beat());
            return Ok(true);
        }
        if let Some(fresh) = self.lessons.fresh() {
            if fresh.crowded {
                self.relearn()?;
            } else {
                self.player.learn(&fresh.scores)?;
            }
            self.reading = Some((0, 1));
        }
        if self.reading.is_some() {
            self.reading = self.player.read_on()?;
        }
        Ok(self.reading.is_some())
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
        self.reading = (!scores.is_empty() && self.player.learns()).then_some((0, 1));
        self.player.learn(&scores)
    }

    /// How far it is.
    pub(super) fn learning(&self) -> Learning {
        let piece = |piece: &Learned| LearnedPiece {
            name: piece.name.clone(),
            notes: piece.notes,
        };
        Learning {
            possible: self.player.learns(),
            pieces: self.lessons.learned().iter().map(piece).collect(),
            waiting: self.lessons.waiting(),
            progress: self
                .reading
                .map(|(done, all)| done as f32 / all.max(1) as f32),
            refused: self.lessons.refused().cloned().collect(),
        }
    }
}
