//! The stream of tokens that spells what was listened to, and changes of it.
//!
//! A score is spelt in parts, chord by chord, from the last mark before its first change: with
//! 65,000 notes in memory one note more costs what it costs with ten. Only where the vocabulary
//! has merges is the whole score spelt every time, for a merge may reach over any mark.

use continuo_score::{GrammarState, Note, NoteState, Score, Token, TokenSequence};

use super::Composer;
use crate::error::EngineError;

/// Notes spelt at once.
const PART: usize = 128;

/// Changes of at most so many notes are spelt where they are heard of, larger ones in slices.
const AT_ONCE: usize = 1_024;

/// A place between two chords of the score in memory, to spell on from.
#[derive(Clone, Default)]
pub(super) struct EncodingCheckpoint {
    /// Notes of the score before it.
    notes: usize,
    /// Tokens of the stream before it; 0 stands before `<sos>`.
    tokens: usize,
    /// The step at which the stream stands.
    step: u32,
    sounding: NoteState,
    state: GrammarState,
}

/// How far the score in memory is spelt.
#[derive(Default)]
pub(super) struct EncodingProgress {
    /// Places to begin again from, rising.
    marks: Vec<EncodingCheckpoint>,
    /// Up to here it is spelt.
    end: EncodingCheckpoint,
    /// Whether notes are missing.
    pub(super) is_open: bool,
}

impl EncodingProgress {
    /// The stream was cut at `tokens`.
    fn cut(&mut self, tokens: usize) {
        let held = self.marks.partition_point(|mark| mark.tokens <= tokens);
        self.marks.truncate(held);
    }
}

impl Composer {
    /// Begins to make memory exactly the notes of `score`, as [`Composer::listen`] does:
    /// [`Composer::poll`] and [`Composer::poll_notes`] do the rest in slices.
    ///
    /// # Errors
    /// The score is on another grid than the model.
    pub fn begin_listening(&mut self, score: &Score) -> Result<(), EngineError> {
        self.check_grid(score)?;
        self.scale = super::scale_of(score);
        (self.pitch, self.written, self.pending_answer) = (None, Vec::new(), None);
        let merged = !self.model.vocabulary().merges().is_empty();
        let same = if merged || self.heard.time_signatures != score.time_signatures {
            0
        } else {
            let pairs = self.heard.notes.iter().zip(&score.notes);
            pairs.take_while(|(a, b)| a == b).count()
        };
        self.time_signatures.clone_from(&score.time_signatures);
        // A mark divides no chord, not even one that has grown.
        let holds = |mark: &EncodingCheckpoint| {
            let next = score.notes.get(mark.notes);
            mark.notes <= same && next.is_none_or(|next| next.start > mark.step)
        };
        let EncodingProgress {
            marks,
            end,
            is_open,
        } = &mut self.spelling;
        while marks.last().is_some_and(|mark| !holds(mark)) {
            marks.pop();
        }
        *end = marks.last().cloned().unwrap_or_default();
        *is_open = true;
        let new = score.notes.len() - end.notes;
        self.heard.clone_from(score);
        if new <= AT_ONCE {
            self.spell(usize::MAX)?;
        }
        Ok(())
    }

    /// Spells `most` notes more, or a few more than that.
    pub(super) fn spell(&mut self, most: usize) -> Result<(), EngineError> {
        let mut spelt = 0;
        while self.spelling.is_open && spelt < most {
            spelt += self.spell_part()?;
        }
        Ok(())
    }

    fn spell_part(&mut self) -> Result<usize, EngineError> {
        let model = self.model.clone();
        let vocabulary = model.vocabulary();
        let merged = !vocabulary.merges().is_empty();
        let notes = &self.heard.notes;
        let from = self.spelling.end.notes;
        let mut to = if merged { notes.len() } else { from + PART };
        while to < notes.len() && notes[to].start == notes[to - 1].start {
            to += 1;
        }
        let to = to.min(notes.len());
        let part = if self.spelling.end.tokens == 0 {
            let mut begin = Score::new(vocabulary.steps_per_beat);
            begin.notes.extend_from_slice(&notes[..to]);
            TokenSequence::encode_open(&begin, vocabulary)
        } else {
            TokenSequence::encode_part(self.spelling.end.step, &notes[from..to], vocabulary)
        };
        let mut end = self.spelling.end.clone();
        let placed = part.positioned_ids(vocabulary);
        let tokens = model.input_tokens(&placed, &self.time_signatures, &mut end.sounding);
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
        let last = self.spelling.marks.last().map_or(0, |mark| mark.notes);
        if !merged && to >= last + PART / 2 {
            self.spelling.marks.push(end.clone());
        }
        self.spelling.end = end;
        if to == self.heard.notes.len() {
            self.close_spelling()?;
        }
        Ok(to - from)
    }

    /// Everything is spelt: whatever else stands in the stream is forgotten.
    fn close_spelling(&mut self) -> Result<(), EngineError> {
        let end = self.spelling.end.clone();
        self.rewind(end.tokens)?;
        (self.state, self.sounding) = (end.state, end.sounding);
        self.answer_from = self.stream.len();
        self.end_run();
        self.spelling.is_open = false;
        Ok(())
    }

    fn state_after(&self, state: GrammarState, part: &TokenSequence) -> GrammarState {
        let tokens = part.tokens.iter();
        tokens.fold(state, |state, t| self.grammar.next(&state, t.token))
    }

    /// Moves time on to step `at` at the end of the stream.
    pub(super) fn move_to(&mut self, at: u32) -> Result<(), EngineError> {
        if self.stream.is_empty() {
            let nothing = Score::new(self.model.vocabulary().steps_per_beat);
            self.heard = nothing;
            self.spelling = EncodingProgress::default();
            self.spelling.is_open = true;
            self.spell(usize::MAX)?;
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
            let placed = moves.positioned_ids(vocabulary);
            let tokens = model.input_tokens(&placed, &self.time_signatures, &mut self.sounding);
            self.stream.extend_from_slice(&tokens);
            self.state = self.state_after(self.state, &moves);
            self.end_run();
            return Ok(());
        }
        // The last moves may merge with what is there.
        let ids: Vec<u16> = self.stream.iter().map(|t| t.id).collect();
        // Whatever was read or sampled, the grammar allowed.
        let mut wanted = TokenSequence::from_ids(&ids, vocabulary)
            .map_err(|e| EngineError::Run(format!("what is in memory is no music: {e}")))?;
        wanted.move_to(at, vocabulary);
        let placed = wanted.positioned_ids(vocabulary);
        let mut sounding = NoteState::default();
        let tokens = model.input_tokens(&placed, &self.time_signatures, &mut sounding);
        let pairs = self.stream.iter().zip(&tokens);
        let common = pairs.take_while(|(a, b)| a == b).count();
        self.rewind(common)?;
        self.stream.extend_from_slice(&tokens[common..]);
        self.sounding = sounding;
        self.state = self.state_after(GrammarState::default(), &wanted);
        self.end_run();
        Ok(())
    }

    /// Forgets every token from position `to` on. Tokens before it may have to be read again.
    pub(super) fn rewind(&mut self, to: usize) -> Result<(), EngineError> {
        if to >= self.stream.len() {
            return Ok(());
        }
        self.logits = None;
        self.stream.truncate(to);
        self.spelling.cut(to);
        if let Some(ngram) = &mut self.ngram {
            ngram.rewind(to, self.model.vocabulary());
        }
        self.cut_runs(to);
        self.rewind_past(to)?;
        self.memory.rewind(to)?;
        Ok(())
    }
}

/// A piece to be learned, spelt a few notes at a time.
pub(super) struct PieceEncoder {
    notes: std::vec::IntoIter<Note>,
    score: Score,
    begun: bool,
    step: u32,
    sounding: NoteState,
}

impl PieceEncoder {
    pub(super) fn new(mut score: Score) -> Self {
        let notes = std::mem::take(&mut score.notes).into_iter();
        Self {
            notes,
            score,
            begun: false,
            step: 0,
            sounding: NoteState::default(),
        }
    }

    /// Notes that are still to be spelt.
    pub(super) fn left(&self) -> usize {
        self.notes.len()
    }

    /// The next tokens, `None` at its end.
    pub(super) fn next(&mut self, model: &crate::Model) -> Option<Vec<crate::model::InputToken>> {
        let vocabulary = model.vocabulary();
        if self.begun && self.notes.len() == 0 {
            return None;
        }
        let rest = self.notes.as_slice();
        let mut to = match vocabulary.merges().is_empty() {
            true => PART.min(rest.len()),
            false => rest.len(),
        };
        while to > 0 && to < rest.len() && rest[to].start == rest[to - 1].start {
            to += 1;
        }
        let part = if self.begun {
            TokenSequence::encode_part(self.step, &rest[..to], vocabulary)
        } else {
            self.score.notes = rest[..to].to_vec();
            TokenSequence::encode_open(&self.score, vocabulary)
        };
        self.begun = true;
        self.step = part.step();
        for _ in 0..to {
            self.notes.next();
        }
        let placed = part.positioned_ids(vocabulary);
        Some(model.input_tokens(&placed, &self.score.time_signatures, &mut self.sounding))
    }
}
