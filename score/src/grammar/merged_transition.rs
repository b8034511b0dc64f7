//! Transitions of merged tokens, summarised so that each is as cheap as a base token's.

use super::rules::{Expect, GrammarState, TokenRules};
use crate::vocabulary::Token;

/// The states that allow the same kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Between,
    Length,
    Velocity,
    Move,
}

impl Expect {
    fn entry(self) -> Option<Entry> {
        match self {
            Expect::Step | Expect::NoteDone => Some(Entry::Between),
            Expect::Length => Some(Entry::Length),
            Expect::Velocity => Some(Entry::Velocity),
            Expect::Move => Some(Entry::Move),
            Expect::Start | Expect::Nothing => None,
        }
    }
}

/// The requirements of a merged id on a state, and its effect on that state.
#[derive(Clone, Copy, Debug)]
pub(super) struct MergedTransition {
    /// The kind of state required.
    entry: Entry,
    /// Whether its first token is `<sep>`, so that time must be allowed to move.
    moves_first: bool,
    /// Its first pitch on the step on which it begins, which must be allowed to follow.
    first_pitch: Option<u8>,
    /// Its final state when it begins at step 0 of an empty piece.
    end: GrammarState,
}

impl MergedTransition {
    /// The passage of `tokens` from states that wait for `expect`; `None` where they may
    /// follow none of them.
    pub(super) fn new(rules: &TokenRules, expect: Expect, tokens: &[Token]) -> Option<Self> {
        // The most permissive state, so that the tokens alone decide.
        let mut state = GrammarState {
            expect,
            may_move_again: true,
            ..GrammarState::default()
        };
        let mut first_pitch = None;
        for &token in tokens {
            if !rules.allows(&state, token) {
                return None;
            }
            state = rules.next(&state, token);
            if state.step == 0 && first_pitch.is_none() {
                first_pitch = state.last_pitch;
            }
        }
        Some(Self {
            entry: expect.entry()?,
            moves_first: tokens.first() == Some(&Token::Separator),
            first_pitch,
            end: state,
        })
    }

    /// Whether the id may follow `state`.
    pub(super) fn allowed(&self, rules: &TokenRules, state: &GrammarState) -> bool {
        let follows = |pitch| rules.follows(state.last_pitch, pitch);
        state.expect.entry() == Some(self.entry)
            && (!self.moves_first || state.may_move())
            && self.first_pitch.is_none_or(follows)
    }

    /// The state after the id.
    pub(super) fn next(&self, state: &GrammarState) -> GrammarState {
        let end = &self.end;
        let mut next = GrammarState {
            expect: end.expect,
            step: state.step.saturating_add(end.step),
            ..*state
        };
        if end.step > 0 {
            next.may_move_again = end.may_move_again;
            next.last_pitch = end.last_pitch;
        } else {
            next.last_pitch = end.last_pitch.or(state.last_pitch);
        }
        if end.last_note_end > 0 {
            let sounds = state.step.saturating_add(end.last_note_end);
            next.last_note_end = next.last_note_end.max(sounds);
        }
        next
    }
}
