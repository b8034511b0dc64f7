//! The grammar of tokens: which token may follow which. Every stream sampled under its mask
//! decodes, and it accepts every stream that [`crate::TokenSequence::encode`] writes: each score
//! has exactly one encoding in base tokens.
//!
//! A merged id is allowed wherever its base tokens are. Its requirements and its effect on a state
//! are computed once for each vocabulary, so that every id costs the same.
//!
//! ```
//! use continuo_score::{Grammar, GrammarState, Token, Vocabulary};
//!
//! let vocabulary = Vocabulary::continuo();
//! let grammar = Grammar::new(&vocabulary);
//! let state = grammar.next(&GrammarState::default(), Token::Start);
//! let mut mask = vec![false; vocabulary.size()];
//! grammar.mask(&state, &mut mask);
//! assert!(grammar.allows(&state, Token::Pitch(60)));
//! assert!(!grammar.allows(&state, Token::Velocity(3)));
//! ```

mod merged_transition;
mod rules;

use crate::vocabulary::{Token, Vocabulary};
use merged_transition::MergedTransition;
use rules::Expect;

pub use rules::GrammarState;
pub(crate) use rules::TokenRules;

/// The grammar of one vocabulary.
#[derive(Clone, Debug)]
pub struct Grammar {
    rules: TokenRules,
    /// Every base token by id, so that a mask is one pass over the vocabulary.
    tokens: Vec<Token>,
    /// For each merged id, its transition from a state that waits for a move, and from others: of
    /// pitched parts, and of the drums.
    transitions: [Vec<[Option<MergedTransition>; 2]>; 2],
}

impl Grammar {
    /// The grammar of `vocabulary`.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let rules = TokenRules::new(vocabulary);
        let (base, size) = (vocabulary.base_size() as u16, vocabulary.size() as u16);
        let transitions = |id, drums| {
            let tokens: Vec<Token> = vocabulary.tokens(id).collect();
            // A duration is a note's or a move's; other tokens have one meaning.
            let other = match tokens.first() {
                Some(Token::Duration(_)) => Expect::Length,
                Some(Token::Velocity(_)) => Expect::Velocity,
                _ => Expect::Step,
            };
            let new = |expect| MergedTransition::new(&rules, expect, drums, &tokens);
            [Expect::Move, other].map(new)
        };
        // Without parts there are no drums.
        let drums = if vocabulary.has_parts() {
            base..size
        } else {
            0..0
        };
        Self {
            rules,
            tokens: (0..base).filter_map(|id| vocabulary.token(id)).collect(),
            transitions: [
                (base..size).map(|id| transitions(id, false)).collect(),
                drums.map(|id| transitions(id, true)).collect(),
            ],
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

    /// Whether an id, of a base or a merged token, may come next; an unknown id never. Takes
    /// constant time.
    pub fn allows_id(&self, state: &GrammarState, id: u16) -> bool {
        match self.tokens.get(usize::from(id)) {
            Some(&token) => self.rules.allows(state, token),
            None => self.transition(state, id).is_some(),
        }
    }

    /// The state after an id; `None` if it is not allowed. Takes constant time.
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
        let transitions = &self.transitions[usize::from(!state.part.is_pitched())];
        let transitions = transitions.get(merged)?;
        let transition = transitions[usize::from(state.expect != Expect::Move)].as_ref()?;
        transition.allowed(&self.rules, state).then_some(transition)
    }

    /// Sets `mask`, one entry for each id of the vocabulary, to whether the id may come next.
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
    use crate::vocabulary::NoteOrder;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Random walks under the mask decode, and the decoded score encodes to the same ids: the
    /// grammar allows one encoding of each score.
    #[test]
    fn every_walk_decodes_and_encodes_to_itself() {
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let preset = match seed % 3 {
                0 => Vocabulary::midigen(),
                1 => Vocabulary::continuo(),
                _ => Vocabulary::band(),
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
