//! Transitions of merged tokens, summarised so that each is as cheap as a base token's.

use super::rules::{Expect, GrammarState, TokenRules};
use crate::part::Part;
use crate::vocabulary::Token;

/// The states that allow the same kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Between,
    Pitch,
    Length,
    Velocity,
    Move,
}

impl Expect {
    fn entry(self) -> Option<Entry> {
        match self {
            Expect::Step | Expect::NoteDone => Some(Entry::Between),
            Expect::Pitch => Some(Entry::Pitch),
            Expect::Length => Some(Entry::Length),
            Expect::Velocity => Some(Entry::Velocity),
            Expect::Move => Some(Entry::Move),
            Expect::Start | Expect::Nothing => None,
        }
    }
}

/// A part token that a merged token contains.
#[derive(Clone, Copy, Debug)]
struct PartChange {
    to: Part,
    /// Whether a note of the merged token precedes it on its step, so that it must be a later
    /// part than the present one.
    later: bool,
}

/// The requirements of a merged id on a state, and its effect on that state.
#[derive(Clone, Copy, Debug)]
pub(super) struct MergedTransition {
    /// The kind of state required.
    entry: Entry,
    /// Its first token.
    first: Token,
    /// Its first pitch on the step on which it begins and in the part that it finds there, which
    /// must be allowed to follow.
    first_pitch: Option<u8>,
    /// Its first part, which must be allowed after the present one.
    first_part: Option<PartChange>,
    /// Its final state when it begins at step 0 of an empty piece.
    end: GrammarState,
}

impl MergedTransition {
    /// The transition by `tokens` from states that wait for `expect`, in the drums or in another
    /// part; `None` where they may follow none of them.
    pub(super) fn new(
        rules: &TokenRules,
        expect: Expect,
        drums: bool,
        tokens: &[Token],
    ) -> Option<Self> {
        let &first = tokens.first()?;
        let part = tokens.iter().find_map(|token| match token {
            Token::Part(part) => Some(*part),
            _ => None,
        });
        // The most permissive state, so that the tokens alone decide.
        let mut state = GrammarState {
            expect,
            may_move_again: true,
            part: match (drums, part) {
                (true, _) => Part::Drums,
                (false, Some(Part::Keys)) => Part::Lead,
                (false, _) => Part::Keys,
            },
            ..GrammarState::default()
        };
        let (mut first_pitch, mut first_part) = (None, None);
        for &token in tokens {
            if !rules.allows(&state, token) {
                return None;
            }
            if let (Token::Part(to), None) = (token, first_part) {
                let later = state.expect == Expect::NoteDone;
                first_part = Some(PartChange { to, later });
            }
            state = rules.next(&state, token);
            if state.step == 0 && first_pitch.is_none() && first_part.is_none() {
                first_pitch = state.last_pitch;
            }
        }
        Some(Self {
            entry: expect.entry()?,
            first,
            first_pitch,
            first_part,
            end: state,
        })
    }

    /// Whether the id may follow `state`, which is in the drums, or is not, as the transition.
    pub(super) fn allowed(&self, rules: &TokenRules, state: &GrammarState) -> bool {
        let enters = match state.expect.entry() {
            Some(Entry::Pitch) => matches!(self.first, Token::Pitch(_)),
            entry => entry == Some(self.entry),
        };
        let follows = |pitch| rules.follows(state.last_pitch, pitch);
        let changes = |change: PartChange| match (self.first, change.later) {
            (Token::Part(_), _) => state.may_change_to(change.to),
            (_, true) => change.to > state.part,
            (_, false) => change.to != state.part,
        };
        enters
            && (self.first != Token::Separator || state.may_move())
            && self.first_pitch.is_none_or(follows)
            && self.first_part.is_none_or(changes)
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
        }
        if end.step > 0 || self.first_part.is_some() {
            next.last_pitch = end.last_pitch;
        } else {
            next.last_pitch = end.last_pitch.or(state.last_pitch);
        }
        if self.first_part.is_some() {
            next.part = end.part;
        }
        if end.last_note_end > 0 {
            let sounds = state.step.saturating_add(end.last_note_end);
            next.last_note_end = next.last_note_end.max(sounds);
        }
        next
    }
}
