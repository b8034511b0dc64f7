//! Reading in slices, so that the owner of several composers can serve the most urgent one.
//!
//! There are three kinds of reading, in order of urgency ([`PendingWork`]): the input, earlier tokens
//! for the long memories, and pieces to be learned.
//!
//! A long input (a project that was loaded, a jump far back) is read from near its end first, so that
//! an answer can begin soon. It then depends on the last bars, and through the memory of the piece on
//! similar passages before. Meanwhile [catching up](super::catch_up) reads the earlier tokens; after that,
//! everything is as if it had been read from the beginning: to the last bit with a variant that reads
//! one token a run, to rounding with others.

use std::sync::atomic::Ordering;

use super::Composer;
use super::work::{
    CHUNK, MAX_WAIT, MemorySettings, PendingWork, Progress, TOKEN_MEMORY_CHUNK, TimeSlice,
};
use crate::error::EngineError;
use crate::model::InputToken;

/// Notes encoded in one step of a slice.
const ENCODED_AT_ONCE: usize = 256;

impl Composer {
    /// The most urgent reading to do; `None` if there is none.
    pub fn pending_work(&self) -> Option<PendingWork> {
        if self.encoding.is_open || self.pending_answer.is_some() || self.unread() > 0 {
            return Some(PendingWork::Input);
        }
        let unread_by_tokens = self
            .token_memory
            .as_ref()
            .map_or(0, |memory| memory.unread(&self.stream, self.answer_start));
        if self.catch_up.is_some() || unread_by_tokens > TOKEN_MEMORY_CHUNK {
            return Some(PendingWork::CatchUp);
        }
        self.learning.as_ref().map(|_| PendingWork::Learning)
    }

    /// Whether predictions are those of reading everything from the beginning.
    pub fn is_exact(&self) -> bool {
        !matches!(
            self.pending_work(),
            Some(PendingWork::Input | PendingWork::CatchUp)
        )
    }

    /// Reads for a few milliseconds, and gives the most urgent reading that is left; `None` once
    /// everything is read.
    ///
    /// # Errors
    /// Fails if the network or the index fails, or the flag of [`Composer::set_stop`] is set.
    pub fn poll(&mut self) -> Result<Option<PendingWork>, EngineError> {
        let slice = TimeSlice::begin();
        while let Some(pending_work) = self.pending_work() {
            match pending_work {
                PendingWork::Input => self.read_input(true)?,
                PendingWork::CatchUp => self.catch_up_step()?,
                PendingWork::Learning => self.learn_step()?,
            }
            if slice.is_over() {
                break;
            }
        }
        Ok(self.pending_work())
    }

    /// Number of unread tokens of the stream.
    pub(super) fn unread(&self) -> usize {
        self.stream.len().saturating_sub(self.memory.len())
    }

    /// One step towards an answer: encodes, begins the answer, or reads a run. With `near`, a long input
    /// is read from near its end.
    pub(super) fn read_input(&mut self, near: bool) -> Result<(), EngineError> {
        if self.encoding.is_open {
            self.encode_input(if near { ENCODED_AT_ONCE } else { usize::MAX })
        } else if self.pending_answer.is_some() {
            self.start_answer()
        } else if near && self.unread() > MAX_WAIT && !self.infill_rereads() {
            self.begin_near_end();
            Ok(())
        } else {
            let one_by_one = near && self.model.reads_single_tokens();
            self.read_run(if one_by_one { 4 } else { CHUNK })
        }
    }

    /// Reads the whole input, however long it takes; `report` is called after every run of the network.
    pub(super) fn read_all_input(
        &mut self,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        let from = self.memory.len();
        while self.pending_work() == Some(PendingWork::Input) {
            self.read_input(false)?;
            let read = |tokens: usize| tokens.saturating_sub(from);
            report(Progress {
                done: read(self.memory.len()),
                all: read(self.stream.len()),
            });
        }
        Ok(())
    }

    /// Fails if the stop flag is set.
    pub(super) fn check_stop(&self) -> Result<(), EngineError> {
        match &self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(EngineError::Stopped),
            _ => Ok(()),
        }
    }

    /// Reads the next run, of at most `most` tokens.
    fn read_run(&mut self, most: usize) -> Result<(), EngineError> {
        self.check_stop()?;
        let from = self.memory.len();
        self.apply_changes(from);
        let ends = self.run_boundaries.ends.iter().copied();
        let changes = self.run_boundaries.changes.iter().map(|&(at, _)| at);
        let end = ends.chain(changes).filter(|&end| end > from).min();
        let to = self.stream.len().min(from + most);
        let to = end.map_or(to, |end| to.min(end));
        let tokens = self.stream[from..to].to_vec();
        self.limit_reach(from, &tokens);
        let mut logits =
            self.model
                .forward(&mut self.memory, &tokens, self.memory_settings.recall)?;
        while self
            .run_boundaries
            .ends
            .front()
            .is_some_and(|&end| end <= to)
        {
            self.run_boundaries.ends.pop_front();
        }
        if let Some(loss) = &mut self.loss {
            loss.add(from, &logits, self.model.sizes().vocabulary, &self.stream);
        }
        let last = logits.len() - self.model.sizes().vocabulary;
        self.logits = (to == self.stream.len()).then(|| logits.split_off(last));
        self.apply_changes(to);
        Ok(())
    }

    /// Ends a run at the end of the stream, so that rounding does not depend on the division into
    /// slices.
    pub(super) fn end_run(&mut self) {
        let end = self.stream.len();
        if end > self.memory.len() && self.run_boundaries.ends.back() != Some(&end) {
            self.run_boundaries.ends.push_back(end);
        }
    }

    /// Adjusts the boundaries to a stream that was cut to `to` tokens.
    pub(super) fn truncate_runs(&mut self, to: usize) {
        self.run_boundaries.ends.retain(|&end| end <= to);
        for (at, _) in &mut self.run_boundaries.changes {
            *at = to.min(*at);
        }
    }

    /// The settings of the last change.
    pub(super) fn wanted_memory_settings(&self) -> MemorySettings {
        let last = self.run_boundaries.changes.back();
        last.map_or(self.memory_settings, |&(_, looking)| looking)
    }

    /// Changes the settings; earlier input is still read under the old ones.
    pub(super) fn change_memory_settings(&mut self, wanted: MemorySettings) {
        if wanted == self.wanted_memory_settings() {
            return;
        }
        if self.unread() == 0 || self.encoding.is_open {
            self.run_boundaries.changes.clear();
            self.memory_settings = wanted;
        } else {
            self.run_boundaries
                .changes
                .push_back((self.stream.len(), wanted));
        }
    }

    /// Applies the changes of settings up to position `at`.
    fn apply_changes(&mut self, at: usize) {
        while let Some(&(from, looking)) = self.run_boundaries.changes.front()
            && from <= at
        {
            self.memory_settings = looking;
            self.run_boundaries.changes.pop_front();
        }
    }

    /// Limits how far back tokens at `position` search: each by its own bar, so that the division into
    /// runs has no influence.
    pub(super) fn limit_reach(&mut self, position: usize, tokens: &[InputToken]) {
        let (stream, reach) = (&self.stream, self.memory_settings.reach);
        let earliest = |token: &InputToken, reach: u32| {
            stream.partition_point(|t| t.bar.saturating_add(reach) < token.bar)
        };
        let earliest = reach.map_or(Vec::new(), |reach| {
            tokens.iter().map(|token| earliest(token, reach)).collect()
        });
        if let Some(knn) = &mut self.memory.knn {
            knn.limit_reach(position, earliest);
        }
    }
}
