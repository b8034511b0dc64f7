//! The grammar of base tokens: states, and the transitions between them.

use crate::part::Part;
use crate::vocabulary::{NoteOrder, Token, Vocabulary};

/// The kind of token expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Expect {
    /// At the beginning: `<sos>`.
    #[default]
    Start,
    /// After `<sos>` or a move in time: a note, the end, or, after `<sos>` or a move of the longest
    /// duration, another move.
    Step,
    /// After a part: a pitch of it.
    Pitch,
    /// After a pitch: its duration.
    Length,
    /// After a note's duration: its velocity.
    Velocity,
    /// After a whole note: another on the same step, a move, or the end.
    NoteDone,
    /// After `<sep>`: the duration of the move.
    Move,
    /// After `<eos>`: nothing.
    Nothing,
}

/// The state of the grammar after some tokens; the default is before `<sos>`. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct GrammarState {
    pub(super) expect: Expect,
    /// Last pitch on this step in this part, if any.
    pub(super) last_pitch: Option<u8>,
    /// Whether the last move had the longest duration (or there was none), so that another may
    /// follow at once.
    pub(super) may_move_again: bool,
    /// The part of the last note or part token; a stream begins in [`Part::Keys`].
    pub part: Part,
    /// Steps since the beginning of the piece.
    pub step: u32,
    /// Step at which the last note so far ends; no piece ends before it.
    pub last_note_end: u32,
}

impl GrammarState {
    /// Whether every note is complete, so that a note may begin or time may move.
    pub fn is_between_notes(&self) -> bool {
        matches!(self.expect, Expect::Step | Expect::NoteDone)
    }

    /// Whether `part` may follow, if the state is between notes: the notes of a step are ordered
    /// by part.
    pub(super) fn may_change_to(&self, part: Part) -> bool {
        match self.expect {
            Expect::NoteDone => part > self.part,
            _ => part != self.part,
        }
    }

    /// Whether time may move, if the state is between notes.
    pub(super) fn may_move(&self) -> bool {
        self.expect == Expect::NoteDone || self.may_move_again
    }
}

/// The transition rules of one vocabulary, for base tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRules {
    order: NoteOrder,
    longest: u16,
    has_velocity: bool,
    has_parts: bool,
}

impl TokenRules {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        Self {
            order: vocabulary.order,
            longest: vocabulary.longest,
            has_velocity: vocabulary.velocity_bins > 0,
            has_parts: vocabulary.has_parts(),
        }
    }

    /// Whether a pitch may follow the last one on its step.
    pub(super) fn follows(&self, last: Option<u8>, pitch: u8) -> bool {
        match (last, self.order) {
            (None, _) => true,
            (Some(last), NoteOrder::HighToLow) => pitch < last,
            (Some(last), NoteOrder::LowToHigh) => pitch > last,
        }
    }

    /// Whether `token` may come next.
    pub(crate) fn allows(&self, state: &GrammarState, token: Token) -> bool {
        use Expect as E;
        match (state.expect, token) {
            (E::Start, Token::Start) => true,
            (E::Step | E::NoteDone, Token::Pitch(p)) => self.follows(state.last_pitch, p),
            (E::Pitch, Token::Pitch(_)) => true,
            (E::Step | E::NoteDone, Token::Part(part)) => {
                self.has_parts && state.may_change_to(part)
            }
            (E::Step | E::NoteDone, Token::Separator) => state.may_move(),
            (E::Step | E::NoteDone, Token::End) => state.step >= state.last_note_end,
            (E::Length | E::Move, Token::Duration(d)) => d > 0,
            (E::Velocity, Token::Velocity(_)) => true,
            _ => false,
        }
    }

    /// The state after an allowed `token`.
    pub(crate) fn next(&self, state: &GrammarState, token: Token) -> GrammarState {
        let mut next = *state;
        next.expect = match token {
            Token::Start => {
                next.may_move_again = true;
                Expect::Step
            }
            Token::Pitch(p) => {
                next.last_pitch = Some(p);
                if next.part.is_pitched() {
                    Expect::Length
                } else {
                    // A drum hit has no length.
                    let end = next.step.saturating_add(1);
                    next.last_note_end = next.last_note_end.max(end);
                    self.after_length()
                }
            }
            Token::Part(part) => {
                (next.part, next.last_pitch) = (part, None);
                Expect::Pitch
            }
            Token::Duration(d) if state.expect == Expect::Move => {
                // Wrapping is out of reach: a step is at least a millisecond, u32 of them
                // are weeks; saturating keeps a hostile stream from panicking.
                next.step = next.step.saturating_add(u32::from(d));
                next.last_pitch = None;
                next.may_move_again = d == self.longest;
                Expect::Step
            }
            Token::Duration(d) => {
                let end = next.step.saturating_add(u32::from(d));
                next.last_note_end = next.last_note_end.max(end);
                self.after_length()
            }
            Token::Velocity(_) => Expect::NoteDone,
            Token::Separator => Expect::Move,
            Token::End | Token::Pad => Expect::Nothing,
        };
        next
    }

    /// The token that follows a note's duration, or the pitch of a drum hit.
    fn after_length(&self) -> Expect {
        match self.has_velocity {
            true => Expect::Velocity,
            false => Expect::NoteDone,
        }
    }
}
