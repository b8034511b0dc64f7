//! Pieces that a composer learns by ear, read in slices ([`Composer::poll`]).

use std::collections::VecDeque;

use continuo_score::Score;

use super::Composer;
use super::reading::CHUNK;
use super::token_stream::PieceEncoder;
use crate::error::EngineError;
use crate::model::{InputToken, Model, Prefill};

/// How far reading has come: in tokens of what is heard, in notes of what is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Read.
    pub done: usize,
    /// To read, those read included.
    pub all: usize,
}

/// What is still to be learned.
pub(super) struct LearningQueue {
    pieces: VecDeque<PieceEncoder>,
    /// Of the first piece, tokens that are spelt and not read.
    tokens: VecDeque<InputToken>,
    prefill: Prefill,
    progress: Progress,
}

impl Composer {
    /// Learns pieces: their keys and values enter the kNN memory, and their notes the suffix
    /// memory, for every token from now on, and stay there through rewinds, and when the session
    /// is cleared; the XL memory is not touched by them.
    pub fn learn(&mut self, pieces: &[Score]) -> Result<(), EngineError> {
        self.begin_learning(pieces)?;
        while self.poll()?.is_some() {}
        Ok(())
    }

    /// The same, to be read by calls of [`Composer::poll`].
    pub fn begin_learning(&mut self, pieces: &[Score]) -> Result<(), EngineError> {
        for piece in pieces {
            self.check_grid(piece)?;
        }
        if !self.model.can_learn() || pieces.is_empty() {
            return Ok(());
        }
        let reading = self
            .reading
            .get_or_insert_with(|| LearningQueue::new(&self.model));
        for piece in pieces {
            reading.progress.all += piece.notes.len();
            reading.pieces.push_back(PieceEncoder::new(piece.clone()));
        }
        Ok(())
    }

    /// Forgets what was learned, and what was still to be learned.
    pub fn forget_learned(&mut self) -> Result<(), EngineError> {
        self.begin_forgetting();
        while self.poll()?.is_some() {}
        Ok(())
    }

    /// The same; what the window saw of it is read again by calls of [`Composer::poll`].
    pub fn begin_forgetting(&mut self) {
        self.reading = None;
        if let Some(ngram) = &mut self.ngram {
            ngram.forget_learned(self.model.vocabulary());
        }
        if let Some(knn) = &mut self.memory.knn {
            let knew = knn.learned() > 0;
            knn.forget_learned();
            if knew {
                self.refresh();
            }
        }
    }

    /// How far learning has come; `None` where nothing is to be learned.
    pub fn learning(&self) -> Option<Progress> {
        self.reading.as_ref().map(|reading| reading.progress)
    }

    /// A step of learning.
    pub(super) fn read_lesson(&mut self) -> Result<(), EngineError> {
        self.check_stop()?;
        let Some(mut reading) = self.reading.take() else {
            return Ok(());
        };
        let read = self.read_lesson_on(&mut reading);
        if reading.pieces.is_empty() && read.is_ok() {
            if self.memory.knn.is_some() {
                self.refresh();
            }
        } else {
            self.reading = Some(reading);
        }
        read
    }

    fn read_lesson_on(&mut self, reading: &mut LearningQueue) -> Result<(), EngineError> {
        let Some(piece) = reading.pieces.front_mut() else {
            return Ok(());
        };
        if reading.tokens.is_empty() {
            let left = piece.left();
            match piece.next(&self.model) {
                Some(tokens) => reading.tokens.extend(tokens),
                None => {
                    reading.pieces.pop_front();
                    reading.prefill = self.model.prefill();
                    if let Some(knn) = &mut self.memory.knn {
                        knn.end_piece();
                    }
                    return Ok(());
                }
            }
            reading.progress.done += left - piece.left();
        }
        let most = if self.model.reads_single_tokens() {
            8
        } else {
            CHUNK
        };
        let most = most.min(reading.tokens.len());
        let step: Vec<InputToken> = reading.tokens.range(..most).copied().collect();
        if let Some(knn) = &mut self.memory.knn {
            let (keys, values) = self.model.prefill_keys(&mut reading.prefill, &step)?;
            knn.learn(&keys, &values)?;
        }
        if let Some(ngram) = &mut self.ngram {
            ngram.learn(&step);
        }
        reading.tokens.drain(..most);
        Ok(())
    }
}

impl LearningQueue {
    fn new(model: &Model) -> Self {
        Self {
            pieces: VecDeque::new(),
            tokens: VecDeque::new(),
            prefill: model.prefill(),
            progress: Progress::default(),
        }
    }
}
