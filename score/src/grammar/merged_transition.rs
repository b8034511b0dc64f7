//! Merged tokens in the grammar: summaries that make each as cheap as a base token.

use super::{Expect, GrammarState, TokenRules};
use crate::vocabulary::Token;

/// What a state is between, by the kind of token that may come.
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

/// What a merged id needs of a state, and what it does to one.
#[derive(Clone, Copy, Debug)]
pub(super) struct MergedTransition {
    /// What the state must be waiting for.
    entry: Entry,
    /// Its first token is `<sep>`: time must be allowed to move.
    moves_first: bool,
    /// The first pitch it has on the step it begins on: it must be allowed to follow.
    first_pitch: Option<u8>,
    /// The state it leads to from step 0, where nothing was before.
    end: GrammarState,
}

impl MergedTransition {
    /// The passage of `tokens` from states that wait for `expect`; `None` where they may
    /// follow none of them.
    pub(super) fn new(rules: &TokenRules, expect: Expect, tokens: &[Token]) -> Option<Self> {
        // As permissive as a state can be: all that follows is decided by the tokens.
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

    pub(super) fn allowed(&self, rules: &TokenRules, state: &GrammarState) -> bool {
        let follows = |pitch| rules.follows(state.last_pitch, pitch);
        state.expect.entry() == Some(self.entry)
            && (!self.moves_first || state.may_move())
            && self.first_pitch.is_none_or(follows)
    }

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
