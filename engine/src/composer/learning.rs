//! What a composer knows from elsewhere: pieces learned by ear, and a session taken up again.
//!
//! Both are read in small steps, so that whoever owns the composer can answer in between.

use std::collections::VecDeque;

use continuo_score::{PositionScore, Score, Sounding};

use super::Composer;
use super::state::{Piece, SessionState};
use super::suffix::Suffix;
use crate::error::EngineError;
use crate::knn::part::Part;
use crate::model::{Fed, Lesson, Model};

/// Tokens read in one step.
const STEP: usize = 128;

/// How far reading has come, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Read.
    pub done: usize,
    /// To read, those read included.
    pub all: usize,
}

/// What is still to be read in the background.
pub(super) struct Reading {
    /// Pieces to learn, and how much of the first is read.
    pieces: VecDeque<Vec<Fed>>,
    at: usize,
    piece: Lesson,
    /// The session's own past, where only its end was read.
    song: Option<(Lesson, Part)>,
    progress: Progress,
}

impl Composer {
    /// Learns pieces: their keys and values enter the kNN memory, and their notes the suffix
    /// memory, for every token from now on, and stay there through rewinds, and when the session
    /// is cleared; the XL memory is not touched by them.
    pub fn learn(&mut self, pieces: &[Score]) -> Result<(), EngineError> {
        self.begin_learning(pieces)?;
        while self.read_on()?.is_some() {}
        Ok(())
    }

    /// The same, to be read by calls of [`Composer::read_on`].
    pub fn begin_learning(&mut self, pieces: &[Score]) -> Result<(), EngineError> {
        for piece in pieces {
            self.check_grid(piece)?;
        }
        self.learned.extend_from_slice(pieces);
        let tokens: Vec<_> = pieces
            .iter()
            .map(|piece| tokens(&self.model, piece))
            .collect();
        if self.memory.knn.is_none() {
            // Nothing is to be read by the network.
            if let Some(suffix) = &mut self.suffix {
                tokens.iter().for_each(|piece| suffix.learn(piece));
            }
            return Ok(());
        }
        let reading = self
            .reading
            .get_or_insert_with(|| Reading::new(&self.model));
        reading.progress.all += tokens.iter().map(Vec::len).sum::<usize>();
        reading.pieces.extend(tokens);
        Ok(())
    }

    /// Forgets what was learned.
    pub fn forget_learned(&mut self) -> Result<(), EngineError> {
        self.learned.clear();
        if let Some(suffix) = &mut self.suffix {
            suffix.forget_learned();
        }
        if let Some(reading) = &mut self.reading {
            reading.pieces.clear();
            (reading.at, reading.piece) = (0, self.model.lesson());
        }
        match &mut self.memory.knn {
            Some(knn) => knn.forget_learned(),
            None => return Ok(()),
        }
        self.refresh()
    }

    /// Pieces learned, or being learned.
    pub fn learned(&self) -> &[Score] {
        &self.learned
    }

    /// What to save of this session. `heard` is the score last listened to, and what was
    /// played since if it shall be remembered.
    pub fn state(&self, heard: &Score) -> SessionState {
        SessionState {
            version: SessionState::VERSION,
            heard: Piece::new(heard),
            learned: self.learned.iter().map(Piece::new).collect(),
        }
    }

    /// Takes up a session again, in place of what is in memory. What its next notes depend on
    /// most, the last windows, is read at once; the rest by calls of [`Composer::read_on`].
    /// Until that is done it plays on with the memories it has; then all is as if it had never
    /// been away.
    pub fn restore(&mut self, state: &SessionState) -> Result<(), EngineError> {
        if state.version != SessionState::VERSION {
            let (had, reads) = (state.version, SessionState::VERSION);
            let reason = format!("version {had}, this build reads {reads}");
            return Err(EngineError::State(reason));
        }
        let heard_score = state.heard.score()?;
        let learned: Vec<Score> = state
            .learned
            .iter()
            .map(Piece::score)
            .collect::<Result<_, _>>()?;
        for score in learned.iter().chain([&heard_score]) {
            self.check_grid(score)?;
        }
        self.memory.clear();
        self.stream.clear();
        self.suffix = Suffix::of(&self.model);
        (self.logits, self.reading) = (None, None);
        self.forget_learned()?;
        self.begin_learning(&learned)?;
        let heard = tokens(&self.model, &heard_score);
        let end = heard.len();
        let from = self.memory.restart(end);
        if let Some(knn) = &mut self.memory.knn
            && from > 0
        {
            knn.restart(from);
            let song = (self.model.lesson(), knn.empty_song());
            let reading = self
                .reading
                .get_or_insert_with(|| Reading::new(&self.model));
            reading.song = Some(song);
            reading.progress.all += end;
        }
        self.stream = heard;
        self.read_again(from)?;
        self.listen(&heard_score)
    }

    /// Reads a little of what is still to be read in the background: a few milliseconds. Gives
    /// how far it is; `None` once nothing is left, and all is in memory.
    pub fn read_on(&mut self) -> Result<Option<Progress>, EngineError> {
        let (Some(mut reading), Some(knn)) = (self.reading.take(), &mut self.memory.knn) else {
            return Ok(None);
        };
        if let Some(piece) = reading.pieces.front() {
            let step = &piece[reading.at..piece.len().min(reading.at + STEP)];
            let (keys, values) = self.model.study(&mut reading.piece, step)?;
            knn.learn(&keys, &values)?;
            if let Some(suffix) = &mut self.suffix {
                suffix.learn(step);
            }
            reading.at += step.len();
            reading.progress.done += step.len();
            if reading.at == piece.len() {
                knn.end_piece();
                reading.pieces.pop_front();
                (reading.at, reading.piece) = (0, self.model.lesson());
            }
        } else if let Some((lesson, song)) = &mut reading.song {
            let at = song.end();
            // It may have grown since, or have been rewound.
            let step = &self.stream[at..self.stream.len().min(at + STEP)];
            let (keys, values) = self.model.study(lesson, step)?;
            song.push(&keys, &values)?;
            song.trim(knn.held_most())?;
            reading.progress.done += step.len();
            reading.progress.all = reading.progress.all.max(reading.progress.done);
            if song.end() == self.stream.len()
                && let Some((_, song)) = reading.song.take()
            {
                knn.replace_song(song);
            }
        }
        if reading.pieces.is_empty() && reading.song.is_none() {
            self.refresh()?;
            return Ok(None);
        }
        let progress = reading.progress;
        self.reading = Some(reading);
        Ok(Some(progress))
    }

    /// Reads the last windows again, since the memories they saw have changed: what is in
    /// memory then depends on the notes alone, not on when they were learned.
    fn refresh(&mut self) -> Result<(), EngineError> {
        if self.stream.is_empty() {
            return Ok(());
        }
        self.logits = None;
        let from = self.memory.restart(self.stream.len());
        self.read_again(from)
    }

    /// After a rewind of the stream to `to`: what is being read of it must not be from beyond.
    pub(super) fn rewind_reading(&mut self, to: usize) {
        if let Some(reading) = &mut self.reading
            && let Some((lesson, song)) = &mut reading.song
            && song.end() > to
            && let Some(knn) = &self.memory.knn
        {
            // From the beginning: seldom, and simple.
            (*lesson, *song) = (self.model.lesson(), knn.empty_song());
        }
    }
}

impl Reading {
    fn new(model: &Model) -> Self {
        Self {
            pieces: VecDeque::new(),
            at: 0,
            piece: model.lesson(),
            song: None,
            progress: Progress::default(),
        }
    }
}

/// A score as the network reads it.
fn tokens(model: &Model, score: &Score) -> Vec<Fed> {
    let encoded = PositionScore::encode_open(score, model.vocabulary());
    let ids = encoded.placed_ids(model.vocabulary());
    model.fed_all(&ids, &score.metres, &mut Sounding::default())
}
