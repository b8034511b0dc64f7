//! Tokens as inputs of the network.

use continuo_score::manifest::{GridRows, Sizes};
use continuo_score::{NoteContext, NoteState};

use crate::error::EngineError;

/// One token as the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputToken {
    /// Id in the vocabulary.
    pub id: u16,
    /// Time grid, as embedding rows.
    pub rows: GridRows,
    /// Note context, as embedding rows, with step and pitch.
    pub note_context: NoteContext,
    /// Bar number, from the beginning of the score.
    pub bar: u32,
}

impl InputToken {
    /// A token for runs whose result does not matter.
    pub(super) const BLANK: Self = Self {
        id: 0,
        rows: GridRows {
            bar_step: 0,
            bar: 0,
            metre: 0,
        },
        note_context: NoteContext::NOTHING,
        bar: 0,
    };
}

/// Checks that the embeddings have a row for everything in `tokens`: graphs read out of bounds.
///
/// # Errors
/// [`EngineError::Token`] with the first unusable token.
pub(super) fn check(tokens: &[InputToken], sizes: &Sizes) -> Result<(), EngineError> {
    let known = |t: &InputToken| {
        usize::from(t.id) < sizes.vocabulary
            && usize::from(t.rows.bar_step.max(t.rows.metre)) < sizes.bar_steps
            && usize::from(t.rows.bar) < sizes.bars
            && (t.note_context.rows.iter())
                .all(|&row| usize::from(row) < NoteState::ROWS_WITH_PARTS)
    };
    match tokens.iter().find(|t| !known(t)) {
        Some(token) => Err(EngineError::Token {
            id: token.id,
            size: sizes.vocabulary,
        }),
        None => Ok(()),
    }
}
