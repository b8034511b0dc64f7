//! Encoding of scores into input tokens, section by section.

use continuo_score::{GrammarState, Note, NoteState, Score, TokenSequence};

use crate::model::{InputToken, Model};

/// Notes encoded at once.
pub(super) const SECTION: usize = 128;

/// A place between two chords from which encoding can continue.
#[derive(Clone, Default)]
pub(super) struct EncodingCheckpoint {
    /// Number of notes before it.
    pub(super) notes: usize,
    /// Number of tokens before it; 0 is before `<sos>`.
    pub(super) tokens: usize,
    /// Position, in steps.
    pub(super) step: u32,
    pub(super) note_state: NoteState,
    pub(super) state: GrammarState,
}

/// Progress of encoding the input.
#[derive(Default)]
pub(super) struct EncodingProgress {
    /// Checkpoints, rising.
    pub(super) checkpoints: Vec<EncodingCheckpoint>,
    /// End of the encoded part.
    pub(super) end: EncodingCheckpoint,
    /// Whether notes are still to be encoded.
    pub(super) is_open: bool,
}

impl EncodingProgress {
    /// Drops the checkpoints after a stream that was cut to `tokens` tokens.
    pub(super) fn truncate(&mut self, tokens: usize) {
        let kept = self
            .checkpoints
            .partition_point(|checkpoint| checkpoint.tokens <= tokens);
        self.checkpoints.truncate(kept);
    }
}

/// Encodes a piece to be learned, a few notes at a time.
pub(super) struct PieceEncoder {
    notes: std::vec::IntoIter<Note>,
    score: Score,
    begun: bool,
    step: u32,
    note_state: NoteState,
}

impl PieceEncoder {
    pub(super) fn new(mut score: Score) -> Self {
        let notes = std::mem::take(&mut score.notes).into_iter();
        Self {
            notes,
            score,
            begun: false,
            step: 0,
            note_state: NoteState::default(),
        }
    }

    /// Number of notes still to be encoded.
    pub(super) fn left(&self) -> usize {
        self.notes.len()
    }

    /// The next tokens; `None` at the end of the piece.
    pub(super) fn next(&mut self, model: &Model) -> Option<Vec<InputToken>> {
        let vocabulary = model.vocabulary();
        if self.begun && self.notes.len() == 0 {
            return None;
        }
        let rest = self.notes.as_slice();
        let mut to = match vocabulary.merges().is_empty() {
            true => SECTION.min(rest.len()),
            false => rest.len(),
        };
        while to > 0 && to < rest.len() && rest[to].start == rest[to - 1].start {
            to += 1;
        }
        let section = if self.begun {
            let part = self.note_state.part();
            TokenSequence::encode_section(self.step, part, &rest[..to], vocabulary)
        } else {
            self.score.notes = rest[..to].to_vec();
            TokenSequence::encode_open(&self.score, vocabulary)
        };
        self.begun = true;
        self.step = section.step();
        for _ in 0..to {
            self.notes.next();
        }
        let positioned = section.positioned_ids(vocabulary);
        Some(model.input_tokens(
            &positioned,
            &self.score.time_signatures,
            &mut self.note_state,
        ))
    }
}
