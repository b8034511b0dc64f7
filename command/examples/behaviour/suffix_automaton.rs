//! A suffix automaton over pieces, to find passages of one piece in others.

use std::collections::HashMap;

use continuo_score::Note;

use crate::measures::moves;

/// A passage that occurs in a learned piece.
pub(crate) struct Match {
    /// Number of notes.
    pub(crate) notes: usize,
    /// Steps from its first onset to its last.
    pub(crate) steps: u32,
}

/// A suffix automaton (Blumer and others, 1985) of learned pieces. It finds every passage in any
/// transposition, by steps and semitones between consecutive notes.
pub(crate) struct SuffixAutomaton {
    states: Vec<State>,
    last: usize,
}

#[derive(Default)]
struct State {
    next: HashMap<(u32, i16), usize>,
    link: usize,
    length: usize,
}

impl SuffixAutomaton {
    /// Creates an empty automaton.
    pub(crate) fn new() -> Self {
        Self {
            states: vec![State::default()],
            last: 0,
        }
    }

    /// Adds a piece. No passage spans two pieces.
    pub(crate) fn add(&mut self, notes: &[Note]) {
        self.last = 0;
        for step in moves(notes) {
            self.push(step);
        }
    }

    fn push(&mut self, step: (u32, i16)) {
        // A piece that begins like an earlier one follows the existing states.
        if let Some(&there) = self.states[self.last].next.get(&step) {
            if self.states[there].length == self.states[self.last].length + 1 {
                self.last = there;
                return;
            }
            self.last = self.split(self.last, there, step);
            return;
        }
        let new = self.states.len();
        let length = self.states[self.last].length + 1;
        self.states.push(State {
            length,
            ..State::default()
        });
        let mut at = self.last;
        self.last = new;
        loop {
            if let Some(&there) = self.states[at].next.get(&step) {
                let link = if self.states[there].length == self.states[at].length + 1 {
                    there
                } else {
                    self.split(at, there, step)
                };
                self.states[new].link = link;
                return;
            }
            self.states[at].next.insert(step, new);
            if at == 0 {
                return;
            }
            at = self.states[at].link;
        }
    }

    /// Splits off a state for the shorter passages that end in `there` after `at`.
    fn split(&mut self, mut at: usize, there: usize, step: (u32, i16)) -> usize {
        let copy = self.states.len();
        let (next, link) = (self.states[there].next.clone(), self.states[there].link);
        self.states.push(State {
            next,
            link,
            length: self.states[at].length + 1,
        });
        self.states[there].link = copy;
        loop {
            match self.states[at].next.get_mut(&step) {
                Some(to) if *to == there => *to = copy,
                _ => return copy,
            }
            if at == 0 {
                return copy;
            }
            at = self.states[at].link;
        }
    }

    /// Returns the longest known passages of a piece: one by notes, and one by steps among passages
    /// of at least `least` notes.
    pub(crate) fn longest(&self, notes: &[Note], least: usize) -> (Match, Match) {
        let none = || Match { notes: 0, steps: 0 };
        let (mut by_notes, mut by_steps) = (none(), none());
        let (mut at, mut length) = (0, 0);
        for (i, step) in moves(notes).into_iter().enumerate() {
            loop {
                if let Some(&next) = self.states[at].next.get(&step) {
                    (at, length) = (next, length + 1);
                    break;
                }
                if at == 0 {
                    length = 0;
                    break;
                }
                at = self.states[at].link;
                length = self.states[at].length;
            }
            let steps = notes[i + 1].start - notes[i + 1 - length].start;
            let count = if length == 0 { 0 } else { length + 1 };
            if count > by_notes.notes {
                by_notes = Match {
                    notes: count,
                    steps,
                };
            }
            if count >= least && steps > by_steps.steps {
                by_steps = Match {
                    notes: count,
                    steps,
                };
            }
        }
        (by_notes, by_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::tune;

    #[test]
    fn passages_are_found_in_any_key() {
        let minuet = tune::minuet();
        let higher: Vec<Note> = minuet
            .notes
            .iter()
            .map(|n| Note {
                pitch: n.pitch + 3,
                start: n.start + 7,
                ..*n
            })
            .collect();
        let mut known = SuffixAutomaton::new();
        known.add(&minuet.notes[..20]);
        known.add(&minuet.notes[10..40]);
        let (by_notes, by_steps) = known.longest(&higher, 4);
        assert_eq!(by_notes.notes, 30);
        let span = |a: usize, b: usize| minuet.notes[b - 1].start - minuet.notes[a].start;
        assert_eq!(by_notes.steps, span(10, 40));
        assert_eq!(by_steps.steps, span(10, 40));
        assert_eq!(SuffixAutomaton::new().longest(&higher, 4).0.notes, 0);
    }

    /// Compares with an exhaustive search, on few kinds of moves, so that all branches are covered.
    #[test]
    fn longest_passage_equals_exhaustive_search() {
        let mut seed = 1u64;
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for round in 0..200 {
            let mut piece = |length: usize| {
                let mut start = 0;
                let note = |_| {
                    start += 1 + draw(2) as u32;
                    Note {
                        start,
                        length: 1,
                        pitch: 60 + draw(2) as u8,
                        velocity: 64,
                        ..Note::default()
                    }
                };
                (0..length).map(note).collect::<Vec<_>>()
            };
            let pieces = [piece(12), piece(20), piece(15)];
            let other = piece(30);
            let mut known = SuffixAutomaton::new();
            pieces.iter().for_each(|p| known.add(p));
            let wanted = moves(&other);
            let mut best = 0;
            for all in pieces.iter().map(|p| moves(p)) {
                for length in 1..=all.len().min(wanted.len()) {
                    if all
                        .windows(length)
                        .any(|a| wanted.windows(length).any(|b| a == b))
                    {
                        best = best.max(length + 1);
                    }
                }
            }
            assert_eq!(known.longest(&other, 2).0.notes, best, "round {round}");
        }
    }
}
