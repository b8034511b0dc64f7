//! Reading in slices, so that whoever owns several composers can serve the one that matters most.
//!
//! Three things are owed, in this order ([`PendingWork`]): to have read what was just heard, to have
//! read the past, and to have read what is to be learned.
//!
//! Where much is to be read at once (a project that was loaded, a jump far back), the window
//! first stands [`NEAR`] tokens before the end of the stream, and an answer can begin as soon as
//! those are read: it knows the last bars, and through the suffix memory what followed the same
//! passage before. Meanwhile the past is read beside it: the keys and values of the kNN memory,
//! of which no more are read than it holds, and then the receptive field of the window. When that
//! is done it takes the window's place, and all is as if everything had been read from the
//! beginning: to the last bit with a variant that reads one token a run, to rounding with others.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Composer;
use super::learning::Progress;
use crate::error::EngineError;
use crate::knn::kv_store::KvStore;
use crate::memory::Memory;
use crate::model::{InputToken, Prefill};

/// Tokens read in one run where several may be: large enough to use the machine, small enough
/// that a run stays within a few milliseconds.
pub(super) const CHUNK: usize = 64;

/// How long a slice goes on beginning new runs of the network.
const SLICE: Duration = Duration::from_millis(4);

/// Tokens of what was just heard that an answer waits for.
const SOON: usize = 512;

/// Tokens that an answer waits for where there are more: some dozens of notes.
const NEAR: usize = 192;

/// Tokens that the suffix memory takes in at once.
pub(super) const FOLLOWED: usize = 1_024;

/// Reading that a composer still owes, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PendingWork {
    /// Tokens that an answer waits for.
    Input,
    /// Tokens of the long memories. Until they are read, answers know less of it.
    CatchUp,
    /// Pieces to be learned.
    Learning,
}

/// A few milliseconds of work.
pub(super) struct TimeSlice(Instant);

impl TimeSlice {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.elapsed() >= SLICE
    }
}

/// How the long memories count, 0 to 1, and how many bars back they reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MemorySettings {
    pub(super) recall: f32,
    pub(super) reach: Option<u32>,
}

/// Where a run of the network ends, whenever there is time for it.
#[derive(Default)]
pub(super) struct RunBoundaries {
    /// Ends of what was listened to at once and is not read, rising.
    ends: VecDeque<usize>,
    /// Settings that hold from a position on that is not read.
    changes: VecDeque<(usize, MemorySettings)>,
}

/// The past, being read again beside the window.
#[derive(Default)]
pub(super) struct CatchUp {
    /// Keys and values of the song, where the window's own are not exact.
    song: Option<KvStore>,
    /// Reads those.
    prefill: Option<Prefill>,
    /// Another window, which is to take the place of the one in use.
    window: Option<Memory>,
    logits: Option<Vec<f32>>,
}

impl Composer {
    /// What is still to be read, and what matters most of it.
    pub fn pending_work(&self) -> Option<PendingWork> {
        if self.spelling.is_open || self.pending_answer.is_some() || self.unread() > 0 {
            return Some(PendingWork::Input);
        }
        let ngram = self.ngram.as_ref();
        if self.past.is_some() || ngram.is_some_and(|s| s.behind(&self.stream) > FOLLOWED) {
            return Some(PendingWork::CatchUp);
        }
        self.reading.as_ref().map(|_| PendingWork::Learning)
    }

    /// Whether the window, and what it recalls, is what reading everything would have given.
    pub fn is_exact(&self) -> bool {
        !matches!(
            self.pending_work(),
            Some(PendingWork::Input | PendingWork::CatchUp)
        )
    }

    /// Reads for a few milliseconds. Gives what is owed then; `None` once nothing is left, and all
    /// is in memory.
    ///
    /// # Errors
    /// The network or the index failed, or [`Composer::set_stop`]'s flag is up.
    pub fn poll(&mut self) -> Result<Option<PendingWork>, EngineError> {
        let slice = TimeSlice::begin();
        while let Some(pending_work) = self.pending_work() {
            match pending_work {
                PendingWork::Input => self.read_heard(true)?,
                PendingWork::CatchUp => self.read_past()?,
                PendingWork::Learning => self.read_lesson()?,
            }
            if slice.is_over() {
                break;
            }
        }
        Ok(self.pending_work())
    }

    /// Tokens of the stream that the window has not read.
    fn unread(&self) -> usize {
        self.stream.len().saturating_sub(self.memory.len())
    }

    /// A step towards an answer: spells, begins the answer, or reads a run. `near`: where much is
    /// to be read, it reads the end of it first.
    pub(super) fn read_heard(&mut self, near: bool) -> Result<(), EngineError> {
        if self.spelling.is_open {
            self.spell(if near { SPELT } else { usize::MAX })
        } else if self.pending_answer.is_some() {
            self.start_answer()
        } else if near && self.unread() > SOON {
            self.stand_near();
            Ok(())
        } else {
            let one_by_one = near && self.model.reads_single_tokens();
            self.read_run(if one_by_one { 4 } else { CHUNK })
        }
    }

    /// Reads all that was heard, however long it takes; `report` is called after every run of the
    /// network.
    pub(super) fn read_all_heard(
        &mut self,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        let from = self.memory.len();
        while self.pending_work() == Some(PendingWork::Input) {
            self.read_heard(false)?;
            let read = |tokens: usize| tokens.saturating_sub(from);
            report(Progress {
                done: read(self.memory.len()),
                all: read(self.stream.len()),
            });
        }
        Ok(())
    }

    pub(super) fn check_stop(&self) -> Result<(), EngineError> {
        match &self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(EngineError::Stopped),
            _ => Ok(()),
        }
    }

    /// The next run of the window, of `most` tokens at most.
    fn read_run(&mut self, most: usize) -> Result<(), EngineError> {
        self.check_stop()?;
        let from = self.memory.len();
        self.take_changes(from);
        let ends = self.runs.ends.iter().copied();
        let changes = self.runs.changes.iter().map(|&(at, _)| at);
        let end = ends.chain(changes).filter(|&end| end > from).min();
        let to = self.stream.len().min(from + most);
        let to = end.map_or(to, |end| to.min(end));
        let tokens = self.stream[from..to].to_vec();
        self.look_back(from, &tokens);
        let mut logits = self
            .model
            .forward(&mut self.memory, &tokens, self.looking.recall)?;
        while self.runs.ends.front().is_some_and(|&end| end <= to) {
            self.runs.ends.pop_front();
        }
        let last = logits.len() - self.model.sizes().vocabulary;
        self.logits = (to == self.stream.len()).then(|| logits.split_off(last));
        self.take_changes(to);
        Ok(())
    }

    /// What was listened to ends here, and so does a run: rounding must not hang on how much time
    /// there was.
    pub(super) fn end_run(&mut self) {
        let end = self.stream.len();
        if end > self.memory.len() && self.runs.ends.back() != Some(&end) {
            self.runs.ends.push_back(end);
        }
    }

    /// The stream was cut at `to`.
    pub(super) fn cut_runs(&mut self, to: usize) {
        self.runs.ends.retain(|&end| end <= to);
        for (at, _) in &mut self.runs.changes {
            *at = to.min(*at);
        }
    }

    /// The settings last asked for.
    pub(super) fn wanted(&self) -> MemorySettings {
        let last = self.runs.changes.back();
        last.map_or(self.looking, |&(_, looking)| looking)
    }

    /// What was heard before is read under the settings it was heard under.
    pub(super) fn look(&mut self, wanted: MemorySettings) {
        if wanted == self.wanted() {
            return;
        }
        if self.unread() == 0 || self.spelling.is_open {
            self.runs.changes.clear();
            self.looking = wanted;
        } else {
            self.runs.changes.push_back((self.stream.len(), wanted));
        }
    }

    fn take_changes(&mut self, at: usize) {
        while let Some(&(from, looking)) = self.runs.changes.front()
            && from <= at
        {
            self.looking = looking;
            self.runs.changes.pop_front();
        }
    }

    /// How far back tokens read at `position` may recall from: each by its own bar, so that it
    /// does not matter in which portions they are read.
    fn look_back(&mut self, position: usize, tokens: &[InputToken]) {
        let (stream, reach) = (&self.stream, self.looking.reach);
        let earliest = |token: &InputToken, reach: u32| {
            stream.partition_point(|t| t.bar.saturating_add(reach) < token.bar)
        };
        let earliest = reach.map_or(Vec::new(), |reach| {
            tokens.iter().map(|token| earliest(token, reach)).collect()
        });
        if let Some(knn) = &mut self.memory.knn {
            knn.look_back(position, earliest);
        }
    }

    /// Has the window stand shortly before the end of the stream, and the past read beside it.
    fn stand_near(&mut self) {
        let len = self.stream.len();
        let at = len.saturating_sub(NEAR);
        let again = self.memory.xl.restart_for(len);
        let before = self.past.take();
        let mut past = CatchUp::default();
        if let Some(knn) = &mut self.memory.knn {
            let fresh = knn.empty_song_from(len.saturating_sub(knn.held_most()));
            let known = match before {
                // The song in use is not exact while another is read.
                Some(CatchUp { song, .. }) if self.is_near => song,
                _ => Some(knn.take_song(at)),
            };
            let serves = |song: &KvStore| song.end() >= fresh.end() && knn.serves(song, again);
            past.song = Some(known.filter(serves).unwrap_or(fresh));
        }
        self.memory.stand_at(at);
        (self.logits, self.is_near, self.past) = (None, true, Some(past));
    }

    /// The memories have changed: the window is read again beside the one in use, and takes its
    /// place. So what is in memory depends on the notes alone, not on when they were learned.
    pub(super) fn refresh(&mut self) {
        if self.stream.is_empty() {
            return;
        }
        let past = self.past.get_or_insert_default();
        (past.window, past.logits) = (None, None);
    }

    /// A step of reading the past.
    fn read_past(&mut self) -> Result<(), EngineError> {
        self.check_stop()?;
        if let Some(ngram) = &mut self.ngram
            && ngram.behind(&self.stream) > FOLLOWED
        {
            ngram.follow(&self.stream, FOLLOWED);
            return Ok(());
        }
        let Some(mut past) = self.past.take() else {
            return Ok(());
        };
        match self.read_past_on(&mut past) {
            Ok(false) => self.past = Some(past),
            Ok(true) => self.change_window(past),
            Err(error) => {
                self.past = Some(past);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether it is read.
    fn read_past_on(&mut self, past: &mut CatchUp) -> Result<bool, EngineError> {
        let len = self.memory.len();
        let one_by_one = self.model.reads_single_tokens();
        let window = match past.window.take() {
            Some(window) => window,
            None => {
                let again = self.memory.xl.restart_for(len);
                if let Some(knn) = &self.memory.knn {
                    if past.song.is_none() && !knn.holds(again) {
                        let from = len.saturating_sub(knn.held_most());
                        past.song = Some(knn.empty_song_from(from));
                    }
                    if let Some(song) = &mut past.song
                        && song.end() < len
                    {
                        let prefill = past
                            .prefill
                            .get_or_insert_with(|| self.model.prefill_before(song.end()));
                        let at = prefill.position();
                        let to = len.min(at + if one_by_one { 8 } else { CHUNK });
                        let (keys, values) =
                            self.model.prefill_keys(prefill, &self.stream[at..to])?;
                        let known = song.end().clamp(at, to) - at;
                        let skip = known * self.model.sizes().head_dim;
                        if skip < keys.len() {
                            song.push(&keys[skip..], &values[skip..])?;
                            song.trim(knn.held_most())?;
                        }
                        return Ok(false);
                    }
                }
                past.prefill = None;
                self.model.window_at(again)
            }
        };
        let mut window = window;
        let from = window.len();
        let to = len.min(from + if one_by_one { 4 } else { CHUNK });
        let tokens = self.stream[from..to].to_vec();
        self.look_back(from, &tokens);
        // One index is searched by both windows; only the song may be another.
        let mut exchange = |knn: &mut Option<crate::knn::KnnMemory>| {
            if let (Some(knn), Some(song)) = (knn, &mut past.song) {
                knn.exchange_song(song);
            }
        };
        exchange(&mut self.memory.knn);
        std::mem::swap(&mut window.knn, &mut self.memory.knn);
        let input_token = self
            .model
            .forward(&mut window, &tokens, self.looking.recall);
        std::mem::swap(&mut window.knn, &mut self.memory.knn);
        exchange(&mut self.memory.knn);
        let at = window.len();
        past.window = Some(window);
        let mut logits = input_token?;
        let last = logits.len().checked_sub(self.model.sizes().vocabulary);
        if let Some(last) = last {
            past.logits = Some(logits.split_off(last));
        }
        Ok(at >= len)
    }

    /// The window that was read beside takes the place of the one in use.
    fn change_window(&mut self, past: CatchUp) {
        let CatchUp {
            song,
            window,
            logits,
            ..
        } = past;
        let Some(window) = window else { return };
        (self.memory.xl, self.memory.io_buffers) = (window.xl, window.io_buffers);
        if let (Some(knn), Some(mut song)) = (&mut self.memory.knn, song) {
            knn.exchange_song(&mut song);
        }
        self.is_near = false;
        if self.unread() == 0 {
            self.logits = logits;
        }
    }

    /// The stream was cut at `to`: what is read of the past must not be from beyond.
    pub(super) fn rewind_past(&mut self, to: usize) -> Result<(), EngineError> {
        let Some(past) = &mut self.past else {
            return Ok(());
        };
        past.logits = None;
        if let (Some(song), Some(knn)) = (&mut past.song, &self.memory.knn) {
            // From here the window will be read again: what it sees from there on must be held.
            let again = self.memory.xl.restart_for(to);
            if to >= song.first() && knn.serves(song, again) {
                song.truncate(to)?;
            } else {
                *song = knn.empty_song_from(to.saturating_sub(knn.held_most()));
                (past.prefill, past.window) = (None, None);
            }
        }
        if past
            .prefill
            .as_mut()
            .is_some_and(|prefill| !prefill.rewind(to))
        {
            past.prefill = None;
        }
        let window = past.window.as_mut();
        if window.is_some_and(|window| !window.xl.rewind(to)) {
            past.window = None;
        }
        Ok(())
    }
}

/// Notes spelt in one step.
const SPELT: usize = 256;
