//! Listening: keeps the token stream equal to the input score.
//!
//! A score is encoded in sections from the last checkpoint before its first change, so that one more
//! note costs the same with 65,000 notes in memory as with ten. With merges in the vocabulary the whole
//! score is encoded every time, since a merge may reach over any checkpoint.

use continuo_score::{GrammarState, NoteDecoder, NoteState, Scale, Score, Token, TokenSequence};

use super::Composer;
use super::encoding::{EncodingCheckpoint, EncodingProgress, SECTION};
use crate::error::EngineError;

/// New notes up to which a change is encoded at once; more are encoded in slices.
const MAX_AT_ONCE: usize = 1_024;

/// Half-life of a note's weight in the detection of the scale, in beats: eight bars of four.
const SCALE_HALF_LIFE_BEATS: u32 = 32;

impl Composer {
    /// Begins [`Composer::listen`]; [`Composer::poll`] and [`Composer::poll_notes`] do the work in
    /// slices.
    ///
    /// # Errors
    /// Fails if the score is on another grid than the model.
    pub fn begin_listening(&mut self, score: &Score) -> Result<(), EngineError> {
        self.check_grid(score)?;
        self.end_infill();
        self.change_input(score)
    }

    /// Makes `score` the input and begins to encode it.
    pub(super) fn change_input(&mut self, score: &Score) -> Result<(), EngineError> {
        self.scale = scale_of(score);
        (self.decoder, self.generated, self.pending_answer) =
            (NoteDecoder::default(), Vec::new(), None);
        let merged = !self.model.vocabulary().merges().is_empty();
        let same = if merged || self.input.time_signatures != score.time_signatures {
            0
        } else {
            let pairs = self.input.notes.iter().zip(&score.notes);
            pairs.take_while(|(a, b)| a == b).count()
        };
        self.time_signatures.clone_from(&score.time_signatures);
        // A checkpoint divides no chord, not even one that has grown.
        let is_valid = |checkpoint: &EncodingCheckpoint| {
            let next = score.notes.get(checkpoint.notes);
            checkpoint.notes <= same && next.is_none_or(|next| next.start > checkpoint.step)
        };
        let EncodingProgress {
            checkpoints,
            end,
            is_open,
        } = &mut self.encoding;
        while checkpoints.last().is_some_and(|c| !is_valid(c)) {
            checkpoints.pop();
        }
        *end = checkpoints.last().cloned().unwrap_or_default();
        *is_open = true;
        let new = score.notes.len() - end.notes;
        self.input.clone_from(score);
        if new <= MAX_AT_ONCE {
            self.encode_input(usize::MAX)?;
        }
        Ok(())
    }

    /// Encodes `most` more notes, or a few more than that.
    pub(super) fn encode_input(&mut self, most: usize) -> Result<(), EngineError> {
        let mut encoded = 0;
        while self.encoding.is_open && encoded < most {
            encoded += self.encode_section()?;
        }
        Ok(())
    }

    fn encode_section(&mut self) -> Result<usize, EngineError> {
        let model = self.model.clone();
        let vocabulary = model.vocabulary();
        let merged = !vocabulary.merges().is_empty();
        let notes = &self.input.notes;
        let from = self.encoding.end.notes;
        let mut to = if merged { notes.len() } else { from + SECTION };
        while to < notes.len() && notes[to].start == notes[to - 1].start {
            to += 1;
        }
        let to = to.min(notes.len());
        let part = if self.encoding.end.tokens == 0 {
            let mut begin = Score::new(vocabulary.steps_per_beat);
            begin.notes.extend_from_slice(&notes[..to]);
            TokenSequence::encode_open(&begin, vocabulary)
        } else {
            let EncodingCheckpoint { step, state, .. } = &self.encoding.end;
            TokenSequence::encode_section(*step, state.part, &notes[from..to], vocabulary)
        };
        let mut end = self.encoding.end.clone();
        let positioned = part.positioned_ids(vocabulary);
        let tokens = model.input_tokens(&positioned, &self.time_signatures, &mut end.note_state);
        let common = self.stream[end.tokens..]
            .iter()
            .zip(&tokens)
            .take_while(|(a, b)| a == b)
            .count();
        if common < tokens.len() {
            self.rewind(end.tokens + common)?;
            self.stream.extend_from_slice(&tokens[common..]);
        }
        end.notes = to;
        end.tokens += tokens.len();
        if !part.tokens.is_empty() {
            end.step = part.step();
        }
        end.state = self.state_after(end.state, &part);
        let last = self.encoding.checkpoints.last().map_or(0, |c| c.notes);
        if !merged && to >= last + SECTION / 2 {
            self.encoding.checkpoints.push(end.clone());
        }
        self.encoding.end = end;
        if to == self.input.notes.len() {
            self.finish_encoding()?;
        }
        Ok(to - from)
    }

    /// Ends encoding: removes later tokens of the stream.
    fn finish_encoding(&mut self) -> Result<(), EngineError> {
        let end = self.encoding.end.clone();
        self.rewind(end.tokens)?;
        (self.state, self.note_state) = (end.state, end.note_state);
        self.answer_start = self.stream.len();
        self.decoder = NoteDecoder::new(self.state.part);
        self.end_run();
        self.encoding.is_open = false;
        Ok(())
    }

    /// The grammar's state after `part`.
    fn state_after(&self, state: GrammarState, part: &TokenSequence) -> GrammarState {
        let tokens = part.tokens.iter();
        tokens.fold(state, |state, t| self.grammar.next(&state, t.token))
    }

    /// Appends the moves to step `at` at the end of the stream.
    pub(super) fn move_to(&mut self, at: u32) -> Result<(), EngineError> {
        if self.stream.is_empty() {
            let nothing = Score::new(self.model.vocabulary().steps_per_beat);
            self.input = nothing;
            self.encoding = EncodingProgress::default();
            self.encoding.is_open = true;
            self.encode_input(usize::MAX)?;
        }
        let model = self.model.clone();
        let vocabulary = model.vocabulary();
        if vocabulary.merges().is_empty() {
            let mut moves = TokenSequence::default();
            moves.tokens.push(continuo_score::PositionedToken {
                token: Token::Start,
                step: self.state.step,
            });
            moves.move_to(at, vocabulary);
            moves.tokens.remove(0);
            let positioned = moves.positioned_ids(vocabulary);
            let tokens =
                model.input_tokens(&positioned, &self.time_signatures, &mut self.note_state);
            self.stream.extend_from_slice(&tokens);
            self.state = self.state_after(self.state, &moves);
            self.end_run();
            return Ok(());
        }
        // The last moves may merge with what is there.
        let ids: Vec<u16> = self.stream.iter().map(|t| t.id).collect();
        // The grammar allowed everything that was read or sampled.
        let mut wanted = TokenSequence::from_ids(&ids, vocabulary)
            .map_err(|e| EngineError::Run(format!("the tokens in memory do not decode: {e}")))?;
        wanted.move_to(at, vocabulary);
        let positioned = wanted.positioned_ids(vocabulary);
        let mut note_state = NoteState::default();
        let tokens = model.input_tokens(&positioned, &self.time_signatures, &mut note_state);
        let pairs = self.stream.iter().zip(&tokens);
        let common = pairs.take_while(|(a, b)| a == b).count();
        self.rewind(common)?;
        self.stream.extend_from_slice(&tokens[common..]);
        self.note_state = note_state;
        self.state = self.state_after(GrammarState::default(), &wanted);
        self.end_run();
        Ok(())
    }

    /// Removes every token from position `to` on. Tokens before it may have to be read again.
    pub(super) fn rewind(&mut self, to: usize) -> Result<(), EngineError> {
        if to >= self.stream.len() {
            return Ok(());
        }
        self.logits = None;
        self.stream.truncate(to);
        self.encoding.truncate(to);
        if let Some(token_memory) = &mut self.token_memory {
            token_memory.rewind(to, self.model.vocabulary());
        }
        self.truncate_runs(to);
        self.rewind_catch_up(to)?;
        self.memory.rewind(to)?;
        Ok(())
    }
}

/// The scale of the last minutes of a score.
fn scale_of(score: &Score) -> Option<Scale> {
    let half_life = SCALE_HALF_LIFE_BEATS * score.steps_per_beat;
    let last = score.notes.last()?.start;
    let from = last.saturating_sub(half_life * 16);
    let notes = &score.notes[score.notes.partition_point(|n| n.start < from)..];
    Scale::detect(notes, f64::from(half_life))
}
