//! Learning pieces: reads them into the kNN memory and the n-gram memory, in slices
//! ([`Composer::poll`]).

use continuo_score::Score;

use super::Composer;
use super::encoding::PieceEncoder;
use super::work::{CHUNK, LearningQueue, Progress};
use crate::error::EngineError;
use crate::model::InputToken;

impl Composer {
    /// Learns pieces: adds their keys and values to the kNN memory, and their tokens to the n-gram
    /// memory, where they stay through rewinds. The KV cache is unchanged.
    ///
    /// # Errors
    /// Fails if a piece is on another grid, the network or the index fails, or the flag of
    /// [`Composer::set_stop`] is set.
    pub fn learn(&mut self, pieces: &[Score]) -> Result<(), EngineError> {
        self.begin_learning(pieces)?;
        while self.poll()?.is_some() {}
        Ok(())
    }

    /// Begins [`Composer::learn`]; calls of [`Composer::poll`] do the queue.
    ///
    /// # Errors
    /// Fails if a piece is on another grid.
    pub fn begin_learning(&mut self, pieces: &[Score]) -> Result<(), EngineError> {
        for piece in pieces {
            self.check_grid(piece)?;
        }
        if !self.model.can_learn() || pieces.is_empty() {
            return Ok(());
        }
        let queue = self
            .learning
            .get_or_insert_with(|| LearningQueue::new(&self.model));
        for piece in pieces {
            queue.progress.all += piece.notes.len();
            queue.pieces.push_back(PieceEncoder::new(piece.clone()));
        }
        Ok(())
    }

    /// Removes learned pieces, and those still to be learned.
    ///
    /// # Errors
    /// Fails if the network or the index fails, or the flag of [`Composer::set_stop`] is set.
    pub fn forget_learned(&mut self) -> Result<(), EngineError> {
        self.begin_forgetting();
        while self.poll()?.is_some() {}
        Ok(())
    }

    /// Begins [`Composer::forget_learned`]; calls of [`Composer::poll`] read the window again.
    pub fn begin_forgetting(&mut self) {
        self.learning = None;
        if let Some(token_memory) = &mut self.token_memory {
            token_memory.forget_learned(self.model.vocabulary());
        }
        if let Some(knn) = &mut self.memory.knn {
            let had_learned = knn.learned() > 0;
            knn.forget_learned();
            if had_learned {
                self.refresh_window();
            }
        }
    }

    /// Progress of learning; `None` if nothing is to be learned.
    pub fn learning(&self) -> Option<Progress> {
        self.learning.as_ref().map(|queue| queue.progress)
    }

    /// One step of learning.
    pub(super) fn learn_step(&mut self) -> Result<(), EngineError> {
        self.check_stop()?;
        let Some(mut queue) = self.learning.take() else {
            return Ok(());
        };
        let read = self.learn_from(&mut queue);
        if queue.pieces.is_empty() && read.is_ok() {
            if self.memory.knn.is_some() {
                self.refresh_window();
            }
        } else {
            self.learning = Some(queue);
        }
        read
    }

    /// One run of learning.
    fn learn_from(&mut self, queue: &mut LearningQueue) -> Result<(), EngineError> {
        let Some(piece) = queue.pieces.front_mut() else {
            return Ok(());
        };
        if queue.tokens.is_empty() {
            let left = piece.left();
            match piece.next(&self.model) {
                Some(tokens) => queue.tokens.extend(tokens),
                None => {
                    queue.pieces.pop_front();
                    queue.prefill = self.model.prefill();
                    if let Some(knn) = &mut self.memory.knn {
                        knn.end_piece();
                    }
                    return Ok(());
                }
            }
            queue.progress.done += left - piece.left();
        }
        let most = if self.model.reads_single_tokens() {
            8
        } else {
            CHUNK
        };
        let most = most.min(queue.tokens.len());
        let step: Vec<InputToken> = queue.tokens.range(..most).copied().collect();
        if let Some(knn) = &mut self.memory.knn {
            let (keys, values) = self.model.prefill_keys(&mut queue.prefill, &step)?;
            knn.learn(&keys, &values)?;
        }
        if let Some(token_memory) = &mut self.token_memory {
            token_memory.learn(&step);
        }
        queue.tokens.drain(..most);
        Ok(())
    }
}
