//! What may follow what. Sampling under this grammar's mask always gives a stream that
//! decodes, and every stream [`crate::TokenSequence::encode`] writes is allowed: each score
//! has one spelling in base tokens, and that spelling is the grammar.
//!
//! A merged id may stand where the base tokens it stands for may. What it needs of a state and
//! what it does to one is worked out beforehand, so that every id costs the same.

mod merged_transition;

use crate::vocabulary::{NoteOrder, Token, Vocabulary};
use merged_transition::MergedTransition;

/// What the last token was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Expect {
    /// Nothing yet: `<sos>`.
    #[default]
    Start,
    /// After `<sos>` or time moved by less than the longest duration: a note, a move (only
    /// straight after `<sos>`), or the end.
    Step,
    /// After a pitch: its duration.
    Length,
    /// After a note's duration: its velocity.
    Velocity,
    /// After a whole note: another on the same step, a move, or the end.
    NoteDone,
    /// After `<sep>`: how far.
    Move,
    /// After `<eos>`: nothing.
    Nothing,
}

/// Where a stream stands. Starts as [`GrammarState::default`], before `<sos>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct GrammarState {
    expect: Expect,
    /// Last pitch on this step, if any.
    last_pitch: Option<u8>,
    /// Whether the last move was of the longest duration (or there was none), so that
    /// another may follow at once.
    may_move_again: bool,
    /// Absolute step.
    pub step: u32,
    /// The step at which the last of the notes so far has ended: no piece ends before it.
    pub last_note_end: u32,
}

impl GrammarState {
    /// Whether the stream stands between notes: every note on it is whole, and time may
    /// move or a note may begin.
    pub fn is_between_notes(&self) -> bool {
        matches!(self.expect, Expect::Step | Expect::NoteDone)
    }

    /// Whether time may move, where the state is settled.
    fn may_move(&self) -> bool {
        self.expect == Expect::NoteDone || self.may_move_again
    }
}

/// The rules of one vocabulary, for base tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRules {
    order: NoteOrder,
    longest: u16,
    has_velocity: bool,
}

impl TokenRules {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        Self {
            order: vocabulary.order,
            longest: vocabulary.longest,
            has_velocity: vocabulary.velocity_bins > 0,
        }
    }

    /// Whether a pitch may come after those on its step.
    fn follows(&self, last: Option<u8>, pitch: u8) -> bool {
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
                Expect::Length
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
                if self.has_velocity {
                    Expect::Velocity
                } else {
                    Expect::NoteDone
                }
            }
            Token::Velocity(_) => Expect::NoteDone,
            Token::Separator => Expect::Move,
            Token::End | Token::Pad => Expect::Nothing,
        };
        next
    }
}

/// The grammar of one vocabulary.
#[derive(Clone, Debug)]
pub struct Grammar {
    rules: TokenRules,
    /// Every base token by id, so that a mask is one pass over the vocabulary.
    tokens: Vec<Token>,
    /// For each merged id, its passage from a state that waits for a move, and from others.
    transitions: Vec<[Option<MergedTransition>; 2]>,
}

impl Grammar {
    /// The grammar of `vocabulary`.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let rules = TokenRules::new(vocabulary);
        let (base, size) = (vocabulary.base_size() as u16, vocabulary.size() as u16);
        let transitions = |id| {
            let tokens: Vec<Token> = vocabulary.tokens(id).collect();
            // A duration is a note's or a move's; what other tokens are says the token.
            let other = match tokens.first() {
                Some(Token::Duration(_)) => Expect::Length,
                Some(Token::Velocity(_)) => Expect::Velocity,
                _ => Expect::NoteDone,
            };
            [Expect::Move, other].map(|expect| MergedTransition::new(&rules, expect, &tokens))
        };
        Self {
            rules,
            tokens: (0..base).filter_map(|id| vocabulary.token(id)).collect(),
            transitions: (base..size).map(transitions).collect(),
        }
    }

    /// Whether a base token may come next.
    pub fn allows(&self, state: &GrammarState, token: Token) -> bool {
        self.rules.allows(state, token)
    }

    /// The state after an allowed base token.
    pub fn next(&self, state: &GrammarState, token: Token) -> GrammarState {
        self.rules.next(state, token)
    }

    /// Whether an id may come next, a merged one or a base token's; an unknown one never. In
    /// constant time.
    pub fn allows_id(&self, state: &GrammarState, id: u16) -> bool {
        match self.tokens.get(usize::from(id)) {
            Some(&token) => self.rules.allows(state, token),
            None => self.transition(state, id).is_some(),
        }
    }

    /// The state after an allowed id, or `None` for one that is not allowed. In constant time.
    pub fn next_id(&self, state: &GrammarState, id: u16) -> Option<GrammarState> {
        match self.tokens.get(usize::from(id)) {
            Some(&token) => {
                let allowed = self.rules.allows(state, token);
                allowed.then(|| self.rules.next(state, token))
            }
            None => Some(self.transition(state, id)?.next(state)),
        }
    }

    fn transition(&self, state: &GrammarState, id: u16) -> Option<&MergedTransition> {
        let merged = usize::from(id).checked_sub(self.tokens.len())?;
        let transitions = self.transitions.get(merged)?;
        let transition = transitions[usize::from(state.expect != Expect::Move)].as_ref()?;
        transition.allowed(&self.rules, state).then_some(transition)
    }

    /// For each id, whether it may come next. `mask` has the vocabulary's size.
    pub fn mask(&self, state: &GrammarState, mask: &mut [bool]) {
        for (allowed, id) in mask.iter_mut().zip(0..) {
            *allowed = self.allows_id(state, id);
        }
    }

    /// The base tokens, by id.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenSequence;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Random walks under the mask decode, and what they decode to is spelled the same way
    /// again: the grammar allows one spelling a score.
    #[test]
    fn every_walk_is_some_score_in_its_own_spelling() {
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let preset = if seed % 2 == 0 {
                Vocabulary::midigen()
            } else {
                Vocabulary::continuo()
            };
            let order = if seed % 4 < 2 {
                NoteOrder::HighToLow
            } else {
                NoteOrder::LowToHigh
            };
            let v = preset.with_order(order);
            let grammar = Grammar::new(&v);
            let mut state = GrammarState::default();
            let mut mask = vec![false; v.size()];
            let mut ids = Vec::new();
            let length = rng.random_range(1..200);
            loop {
                grammar.mask(&state, &mut mask);
                let allowed: Vec<u16> =
                    (0..v.size() as u16).filter(|&i| mask[i as usize]).collect();
                if allowed.is_empty() {
                    break;
                }
                // Once long enough, the walk heads for its end.
                let way_out = [Token::End, Token::Separator, Token::Duration(v.longest)];
                let way_out = way_out.into_iter().filter_map(|t| v.id(t));
                let id = match way_out.into_iter().find(|id| allowed.contains(id)) {
                    Some(id) if ids.len() > length => id,
                    _ => *allowed.choose(&mut rng).unwrap(),
                };
                ids.push(id);
                state = grammar.next(&state, v.token(id).unwrap());
                // A walk that ended must have ended with <eos>.
                assert!(ids.len() < length + 10, "seed {seed}: no way to end");
            }
            assert_eq!(
                v.token(*ids.last().unwrap()),
                Some(Token::End),
                "seed {seed}"
            );
            let read = TokenSequence::from_ids(&ids, &v).expect("a walk decodes");
            let again = TokenSequence::encode(&read.decode(&v), &v).ids(&v);
            assert_eq!(again, ids, "seed {seed}");
        }
    }
}
