//! Generating: samples tokens, decodes their notes, and records what they depend on.

use std::time::Instant;

use continuo_score::piece_memory::{MIXED_SOURCES, WeightedContinuations};
use continuo_score::{Note, NoteState, Token};

use super::Composer;
use super::attribution::{self, Attribution};
use super::work::{PendingWork, TOKEN_MEMORY_CHUNK, TimeSlice};
use crate::error::EngineError;

impl Composer {
    /// Generates until the stream has passed step `until`, and gives the new notes that start before
    /// it, in order of start. The notes do not depend on the division into calls.
    ///
    /// # Errors
    /// Fails if the network or the index fails, or the flag of [`Composer::set_stop`] is set.
    pub fn play_until(&mut self, until: u32) -> Result<Vec<Note>, EngineError> {
        self.read_all_input(&mut |_| ())?;
        if let Some(token_memory) = &mut self.token_memory {
            token_memory.read(&self.stream, usize::MAX, self.answer_start);
        }
        while !self.is_past(until) {
            self.generate_token()?;
        }
        Ok(self.take_notes(until))
    }

    /// As [`Composer::play_until`], for a few milliseconds: reads the input first, then generates.
    /// `None` if that was not enough time; then call it again. With much input to read, the notes
    /// depend on the last bars alone until [`Composer::is_exact`].
    ///
    /// # Errors
    /// Fails if the network or the index fails, or the flag of [`Composer::set_stop`] is set.
    pub fn poll_notes(&mut self, until: u32) -> Result<Option<Vec<Note>>, EngineError> {
        let slice = TimeSlice::begin();
        loop {
            if self.play_step(until)? {
                return Ok(Some(self.take_notes(until)));
            }
            if slice.is_over() && !self.is_past(until) {
                return Ok(None);
            }
        }
    }

    /// One step towards `until`: reads input, or generates a token. Gives whether the stream has passed
    /// `until`.
    pub(super) fn play_step(&mut self, until: u32) -> Result<bool, EngineError> {
        if self.pending_work() == Some(PendingWork::Input) {
            self.read_input(true)?;
        } else if self.is_past(until) {
            return Ok(true);
        } else if self.logits.is_none() && !self.stream.is_empty() {
            self.memory.rewind(self.stream.len() - 1)?;
        } else {
            self.generate_token()?;
        }
        Ok(false)
    }

    /// Whether the stream has passed step `until`, so that no more notes start before it.
    fn is_past(&self, until: u32) -> bool {
        self.pending_answer.is_none() && self.state.step >= until && self.state.is_between_notes()
    }

    /// Samples a token and reads it.
    fn generate_token(&mut self) -> Result<(), EngineError> {
        let started = Instant::now();
        let id = self.sample()?;
        self.push(id)?;
        let tokens = self.model.vocabulary().tokens(id);
        tokens.for_each(|token| self.sampler.read(token));
        self.stats.record(started.elapsed());
        Ok(())
    }

    /// Takes the generated notes that start before `until`.
    pub(super) fn take_notes(&mut self, until: u32) -> Vec<Note> {
        let later = self
            .generated
            .split_off(self.generated.partition_point(|n| n.start < until));
        std::mem::replace(&mut self.generated, later)
    }

    /// Logits after the last token, `[vocabulary]`.
    ///
    /// # Errors
    /// Fails if there is no token, or the network or the index fails.
    pub fn logits(&mut self) -> Result<&[f32], EngineError> {
        self.read_all_input(&mut |_| ())?;
        if self.logits.is_none() {
            // After a rewind: read the last token again.
            let Some(last) = self.stream.len().checked_sub(1) else {
                return Err(EngineError::Logits("nothing was heard"));
            };
            self.memory.rewind(last)?;
            self.read_all_input(&mut |_| ())?;
        }
        self.logits
            .as_deref()
            .ok_or(EngineError::Logits("nothing was heard"))
    }

    /// Samples the id of the next token.
    fn sample(&mut self) -> Result<u16, EngineError> {
        self.logits()?;
        let within = self.earliest_source()..self.latest_source();
        let logits = self.logits.as_deref().unwrap_or_default();
        let mut followed = <[WeightedContinuations; MIXED_SOURCES]>::default();
        if let Some(token_memory) = &mut self.token_memory {
            // Catching up leaves a chunk at most; the moves to the answer come after that.
            token_memory.read(&self.stream, 2 * TOKEN_MEMORY_CHUNK, self.answer_start);
            // It predicts once it has read the whole stream.
            if token_memory.unread(&self.stream, self.answer_start) == 0 {
                followed = token_memory.continuations(self.memory_settings.recall, within, logits);
            }
        }
        self.source = largest_source(&followed);
        self.sampler.choose_with(&self.state, logits, &followed)
    }

    /// Appends an id to the stream, reads it, and collects the notes that it completes.
    fn push(&mut self, id: u16) -> Result<(), EngineError> {
        let vocabulary = self.model.vocabulary();
        let allowed = *self.sampler.constraints();
        let mut state = self.state;
        for token in vocabulary.tokens(id) {
            state = self.grammar.next(&state, token);
            let before = self.generated.len();
            (self.decoder).read(token, state.step, vocabulary, &mut self.generated);
            let changed = self.generated.len() > before || matches!(token, Token::Velocity(_));
            let limited = |note: &&mut Note| changed && allowed.parts.contains(note.part);
            if let Some(note) = self.generated.last_mut().filter(limited) {
                note.velocity = allowed.velocity_of(note.velocity);
            }
        }
        let position = self.time_signatures.position(state.step);
        let input_token = self.model.input_token(id, position, &mut self.note_state);
        self.stream.push(input_token);
        if let Err(error) = self.read_all_input(&mut |_| ()) {
            // Restores the stream without the token.
            self.stream.pop();
            self.logits = None;
            let vocabulary = self.model.vocabulary();
            self.note_state = NoteState::default();
            for token in self.stream.iter().flat_map(|t| vocabulary.tokens(t.id)) {
                self.note_state.read(token);
            }
            return Err(error);
        }
        self.state = state;
        self.record_attribution();
        Ok(())
    }

    /// The earliest position that the memory of the piece may use for the next token.
    fn earliest_source(&self) -> usize {
        let (Some(reach), Some(last)) = (self.memory_settings.reach, self.stream.last()) else {
            return 0;
        };
        self.stream
            .partition_point(|t| t.bar.saturating_add(reach) < last.bar)
    }

    /// The position before which the n-gram memory may use tokens: everything before the answer, and of
    /// the answer itself everything up to a bar back. Nearer tokens would be repeated too often.
    fn latest_source(&self) -> usize {
        let now = self.state.step;
        let a_bar_back = now.checked_sub(self.time_signatures.position(now).bar_steps);
        let own = a_bar_back.map_or(0, |step| {
            self.stream.partition_point(|t| t.note_context.step <= step)
        });
        self.answer_start.max(own)
    }

    /// Attributions of the last generated tokens to the kNN memory and the memory of the piece, oldest first.
    /// A token without any has none.
    pub fn attributions(&self) -> impl DoubleEndedIterator<Item = &Attribution> {
        self.attributions.iter()
    }

    /// Records the attribution of the last token.
    fn record_attribution(&mut self) {
        let mut found = match self
            .memory
            .knn()
            .filter(|_| self.memory_settings.recall > 0.0)
        {
            Some(knn) => attribution::of_neighbours(knn.latest(), self.state.step, &self.stream),
            None => attribution::of_neighbours([].into_iter(), self.state.step, &self.stream),
        };
        if let Some((at, weight)) = self.source.take() {
            let token = at.and_then(|at| self.stream.get(at));
            found.mix(token.map(|token| token.bar), weight);
        }
        if found.bars.is_empty() && found.learned == 0.0 {
            return;
        }
        if self.attributions.len() == attribution::MAX_KEPT {
            self.attributions.pop_front();
        }
        self.attributions.push_back(found);
    }
}

/// The source with the largest weight: its position, `None` for learned pieces, and its weight.
fn largest_source(followed: &[WeightedContinuations]) -> Option<(Option<usize>, f32)> {
    let mut left = 1.0;
    let parts = followed.iter().flatten().map(|(followed, weight)| {
        let part = (followed.position, left * weight);
        left *= 1.0 - weight;
        part
    });
    parts.max_by(|a, b| a.1.total_cmp(&b.1))
}
