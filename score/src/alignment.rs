//! Alignments: earlier passages of a piece laid beside the present one, and what they say comes next.
//!
//! An alignment is a distance in time (steps) and in pitch (semitones). Its similarity is the Jaccard
//! index of the notes of both passages: those in both, divided by those in either, recent onsets
//! counting more. So a theme is followed where it returns varied, with other notes in between or some
//! left out; the n-gram memory ([`crate::ngram`]) sees equal passages only.
//!
//! Aligned are the passages whole bars earlier ([`BARS`]) and those that an n-gram has found lately
//! ([`Alignments::align`]). Similarity is computed from the notes alone, so that the same stream gives
//! the same predictions however it was read.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use crate::ngram::Continuations;
use crate::vocabulary::NoteOrder;
use crate::{Part, Token, Vocabulary};

/// Distances in bars that are always compared.
const BARS: [u32; 8] = [1, 2, 3, 4, 6, 8, 12, 16];
/// Onsets compared, the latest.
const ONSETS: usize = 16;
/// Weight of an onset against the one after it.
const DECAY: f32 = 0.87;
/// Notes that a similarity counts as compared already, and the share of them that agreed.
const PRIOR: (f32, f32) = (2.0, 0.3);
/// An alignment counts `exp(SHARPNESS * similarity)` times.
const SHARPNESS: f32 = 14.0;
/// Tokens for which a proposed alignment is compared.
const PROPOSED_FOR: usize = 64;
/// Proposed alignments compared at most, the latest.
const MAX_PROPOSED: usize = 20;

/// The kind of token that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The first note of a step.
    #[default]
    FirstNote,
    /// Another note of the step, or the move to the next.
    NextNote,
    /// The length of a note.
    Length,
    /// The velocity of a note.
    Velocity,
    /// The length of a move in time.
    Move,
}

impl Phase {
    /// Number of phases.
    pub const COUNT: usize = 5;
}

#[derive(Clone, Copy, Debug)]
struct AlignedNote {
    part: Part,
    pitch: u8,
    /// Steps; 0 until it is known, and for drums.
    length: u16,
    velocity_bin: u8,
}

/// The notes that begin at one step.
#[derive(Clone, Copy, Debug)]
struct Onset {
    step: u32,
    /// Index of its first note.
    first: u32,
    /// Position of its first note in the stream.
    position: u32,
}

/// A distance to an earlier passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alignment {
    /// Steps, 1 or more.
    lag: u32,
    /// Semitones from the pitches then to those now.
    transposition: i8,
}

/// What the notes of two passages have in common.
#[derive(Clone, Copy, Debug, Default)]
struct Overlap {
    both: f32,
    either: f32,
}

/// The reading state after a token; truncation goes back to it.
#[derive(Clone, Copy, Debug, Default)]
struct ReadState {
    step: u32,
    phase: Phase,
    part: Part,
    bar_length: u16,
    onsets: u32,
    notes: u32,
    /// Length of the stream where the last onset was complete.
    complete_at: u32,
}

/// What the alignments say of the next token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlignedContinuations {
    /// Ids and their shares. Its length is 0, and its position is where the onset begins that the
    /// likeliest id comes from.
    pub continuations: Continuations,
    /// Similarity of the most similar passage that says the likeliest id, 0 to 1.
    pub similarity: f32,
}

/// The notes of a piece, and its alignments. A value: its owner may be any thread.
#[derive(Clone, Debug)]
pub struct Alignments {
    vocabulary: Vocabulary,
    notes: Vec<AlignedNote>,
    onsets: Vec<Onset>,
    /// Index of the onset at a step.
    onset_at: HashMap<u32, u32>,
    states: Vec<ReadState>,
    /// Length of the stream at each proposal, in order.
    proposed: Vec<(u32, Alignment)>,
    /// The alignments at the last end of an onset, with the overlap of complete onsets.
    compared: Vec<(Alignment, Overlap)>,
}

impl Alignments {
    /// No notes; ids are those of `vocabulary`.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        Self {
            vocabulary: vocabulary.clone(),
            notes: Vec::new(),
            onsets: Vec::new(),
            onset_at: HashMap::new(),
            states: Vec::new(),
            proposed: Vec::new(),
            compared: Vec::new(),
        }
    }

    fn state(&self) -> ReadState {
        self.states.last().copied().unwrap_or_default()
    }

    /// The kind of the next token.
    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Appends an id; `bar_length` is that of its bar in steps, or 0 if it is unknown.
    pub fn push(&mut self, id: u16, bar_length: u16) {
        let mut state = self.state();
        if bar_length > 0 {
            state.bar_length = bar_length;
        }
        let position = self.states.len() as u32;
        let tokens: Vec<Token> = self.vocabulary.tokens(id).collect();
        for token in tokens {
            self.read(token, position, &mut state);
            if token == Token::Separator {
                state.complete_at = position + 1;
            }
        }
        state.onsets = self.onsets.len() as u32;
        state.notes = self.notes.len() as u32;
        self.states.push(state);
    }

    /// Whether the last id completed an onset. Then call [`Alignments::align`].
    pub fn completes_onset(&self) -> bool {
        self.state().complete_at as usize == self.states.len()
    }

    fn read(&mut self, token: Token, position: u32, state: &mut ReadState) {
        let has_velocity = self.vocabulary.velocity_bins > 0;
        let after_length = match has_velocity {
            true => Phase::Velocity,
            false => Phase::NextNote,
        };
        match token {
            Token::Pitch(pitch) => {
                if self.onsets.last().is_none_or(|o| o.step != state.step) {
                    let index = self.onsets.len() as u32;
                    self.onset_at.insert(state.step, index);
                    self.onsets.push(Onset {
                        step: state.step,
                        first: self.notes.len() as u32,
                        position,
                    });
                }
                self.notes.push(AlignedNote {
                    part: state.part,
                    pitch,
                    length: 0,
                    velocity_bin: 0,
                });
                state.phase = match state.part {
                    Part::Drums => after_length,
                    _ => Phase::Length,
                };
            }
            Token::Duration(steps) if state.phase == Phase::Move => {
                state.step = state.step.saturating_add(u32::from(steps));
                state.phase = Phase::FirstNote;
            }
            Token::Duration(length) => {
                if let Some(note) = self.notes.last_mut() {
                    note.length = length;
                }
                state.phase = after_length;
            }
            Token::Velocity(bin) => {
                if let Some(note) = self.notes.last_mut() {
                    note.velocity_bin = bin;
                }
                state.phase = Phase::NextNote;
            }
            Token::Separator => state.phase = Phase::Move,
            Token::Part(part) => state.part = part,
            Token::Start | Token::End | Token::Pad => {}
        }
    }

    /// Removes every id from position `to` on.
    pub fn truncate(&mut self, to: usize) {
        if to >= self.states.len() {
            return;
        }
        self.states.truncate(to);
        let state = self.state();
        while self.onsets.len() > state.onsets as usize {
            if let Some(onset) = self.onsets.pop() {
                self.onset_at.remove(&onset.step);
            }
        }
        self.notes.truncate(state.notes as usize);
        let proposals = self.proposed.partition_point(|p| p.0 as usize <= to);
        self.proposed.truncate(proposals);
        self.compare();
    }

    /// Aligns earlier passages with the present one after a complete onset. For the next tokens those
    /// `found` are among them: each the position in the stream where the passage then stood as the
    /// present one does now, and the semitones from its pitches to those now.
    pub fn align(&mut self, found: impl IntoIterator<Item = (usize, i8)>) {
        for (then, transposition) in found {
            let Some(state) = self.states.get(then) else {
                continue;
            };
            let lag = self.state().step.saturating_sub(state.step);
            if lag > 0 {
                let alignment = Alignment { lag, transposition };
                self.proposed.push((self.states.len() as u32, alignment));
            }
        }
        self.compare();
    }

    fn onset_notes(&self, index: usize) -> &[AlignedNote] {
        let range = self.onset_range(index);
        self.notes.get(range).unwrap_or_default()
    }

    fn onset_range(&self, index: usize) -> Range<usize> {
        let first = |o: &Onset| o.first as usize;
        let end = self.onsets.get(index + 1).map_or(self.notes.len(), first);
        self.onsets.get(index).map_or(end, first)..end
    }

    /// Index of the onset `lag` steps before `step`, if there is one.
    fn onset_before(&self, step: u32, lag: u32) -> Option<usize> {
        let index = self.onset_at.get(&step.checked_sub(lag)?)?;
        Some(*index as usize)
    }

    /// Computes the alignments of the present, and what they have in common with it.
    fn compare(&mut self) {
        let now = self.state();
        // As at the end of the last complete onset, wherever the stream was cut since.
        let position = now.complete_at as usize;
        let state = match position.checked_sub(1) {
            Some(last) => self.states[last],
            None => ReadState::default(),
        };
        // Without a known bar there are only those proposed.
        let bar = u32::from(state.bar_length);
        let bars = BARS.iter().filter(|_| bar > 0).map(|bars| Alignment {
            lag: bars * bar,
            transposition: 0,
        });
        let mut alignments: Vec<Alignment> = bars.collect();
        let proposed = self.proposed.iter().rev().take(MAX_PROPOSED);
        let lately = |(at, _): &&(u32, Alignment)| *at as usize + PROPOSED_FOR > position;
        for (_, alignment) in proposed.take_while(lately) {
            if !alignments.contains(alignment) {
                alignments.push(*alignment);
            }
        }
        // A note may still follow at an open step.
        let is_open = now.phase != Phase::Move && self.is_open(now);
        let complete = self.onsets.len() - usize::from(is_open);
        let compared = alignments.into_iter();
        self.compared = compared
            .map(|alignment| (alignment, self.overlap(alignment, complete)))
            .collect();
    }

    /// Whether the present step has notes.
    fn is_open(&self, state: ReadState) -> bool {
        self.onsets.last().is_some_and(|o| o.step == state.step)
    }

    /// What the first `complete` onsets have in common with those of the passage then.
    fn overlap(&self, alignment: Alignment, complete: usize) -> Overlap {
        let Alignment { lag, .. } = alignment;
        let mut sum = Overlap::default();
        let mut weight = 1.0;
        for index in (0..complete).rev().take(ONSETS) {
            let now = self.onset_notes(index);
            let step = self.onsets[index].step;
            let then = self.onset_before(step, lag);
            let then = then.map_or(&[][..], |index| self.onset_notes(index));
            let both = count_common(then, now, alignment.transposition);
            sum.both += weight * both as f32;
            sum.either += weight * (now.len() + then.len() - both) as f32;
            // Notes then between this onset and the one before it are none now.
            if let Some(before) = index.checked_sub(1)
                && let Some(until) = step.checked_sub(lag)
            {
                let from = i64::from(self.onsets[before].step) - i64::from(lag);
                let first = self.onsets.partition_point(|o| i64::from(o.step) <= from);
                let end = self.onsets.partition_point(|o| o.step < until);
                let missing: usize = (first..end).map(|i| self.onset_range(i).len()).sum();
                sum.either += weight * missing as f32;
            }
            weight *= DECAY;
        }
        sum
    }

    /// Similarity of an aligned passage, given the overlap of complete onsets.
    fn similarity(&self, alignment: Alignment, overlap: Overlap, state: ReadState) -> f32 {
        let (mut both, mut either) = (overlap.both, overlap.either);
        if state.phase != Phase::Move && self.is_open(state) {
            let now = self.onset_notes(self.onsets.len() - 1);
            if let Some(then) = self.onset_before(state.step, alignment.lag) {
                both += count_common(self.onset_notes(then), now, alignment.transposition) as f32;
            }
            either += now.len() as f32;
        }
        let (notes, share) = PRIOR;
        (both + notes * share) / (either + notes)
    }

    /// What the aligned passages say of the next token; of their onsets only those that begin at the
    /// positions `within` count. `None` if there is none.
    pub fn continuations(&self, within: &Range<usize>) -> Option<AlignedContinuations> {
        let state = self.state();
        // Id, weight, largest similarity, and position of its onset.
        let mut said: Vec<(u16, f32, f32, usize)> = Vec::new();
        for &(alignment, overlap) in &self.compared {
            let Some((token, onset)) = self.next(alignment, state) else {
                continue;
            };
            let position = self.onsets[onset].position as usize;
            let Some(id) = self
                .vocabulary
                .id(token)
                .filter(|_| within.contains(&position))
            else {
                continue;
            };
            let similarity = self.similarity(alignment, overlap, state);
            let weight = (SHARPNESS * similarity).exp();
            match said.iter_mut().find(|s| s.0 == id) {
                Some(known) => {
                    known.1 += weight;
                    if similarity > known.2 {
                        (known.2, known.3) = (similarity, position);
                    }
                }
                None => said.push((id, weight, similarity, position)),
            }
        }
        said.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let &(_, _, similarity, position) = said.first()?;
        let sum: f32 = said.iter().map(|s| s.1).sum();
        Some(AlignedContinuations {
            continuations: Continuations {
                length: 0,
                shares: said.iter().map(|s| (s.0, s.1 / sum)).collect(),
                position: Some(position),
            },
            similarity,
        })
    }

    /// The token that comes next where a passage goes on as then, and the index of the onset that says
    /// so.
    fn next(&self, alignment: Alignment, state: ReadState) -> Option<(Token, usize)> {
        let Alignment { lag, transposition } = alignment;
        let then = state.step.checked_sub(lag)?;
        if state.phase == Phase::Move {
            let next = self.onsets.partition_point(|o| o.step <= then);
            let steps = self.onsets.get(next)?.step - then;
            let steps = steps.min(u32::from(self.vocabulary.longest));
            return Some((Token::Duration(steps as u16), next));
        }
        let last = self.notes.last().filter(|_| self.is_open(state));
        let onset = self.onset_before(state.step, lag);
        let notes = onset.map_or(&[][..], |onset| self.onset_notes(onset));
        if matches!(state.phase, Phase::FirstNote | Phase::NextNote) {
            let is_later = |note: &&AlignedNote| {
                let Some(last) = last else {
                    return true;
                };
                let pitch = moved(note, transposition);
                match note.part.cmp(&last.part) {
                    Ordering::Equal => pitch.is_some_and(|pitch| match self.vocabulary.order {
                        NoteOrder::HighToLow => pitch < last.pitch,
                        NoteOrder::LowToHigh => pitch > last.pitch,
                    }),
                    order => order.is_gt(),
                }
            };
            let token = match notes.iter().find(is_later) {
                Some(note) if note.part != state.part => Token::Part(note.part),
                Some(note) => Token::Pitch(moved(note, transposition)?),
                // No other note then; where no note has begun, it says nothing.
                None => last.map(|_| Token::Separator)?,
            };
            let before = self.onsets.partition_point(|o| o.step <= then);
            return Some((token, before.checked_sub(1)?));
        }
        // Length and velocity of the nearest note of the part.
        let last = last?;
        let of_part = notes.iter().filter(|note| note.part == last.part);
        let distance = |note: &&AlignedNote| {
            let pitch = moved(note, transposition).unwrap_or(note.pitch);
            pitch.abs_diff(last.pitch)
        };
        let nearest = of_part.min_by_key(distance)?;
        let token = match state.phase {
            Phase::Length => Token::Duration(nearest.length),
            _ => Token::Velocity(nearest.velocity_bin),
        };
        Some((token, onset?))
    }
}

/// The pitch of a note now; drums are never transposed. `None` beyond the keyboard.
fn moved(note: &AlignedNote, transposition: i8) -> Option<u8> {
    match note.part {
        Part::Drums => Some(note.pitch),
        _ => note
            .pitch
            .checked_add_signed(transposition)
            .filter(|p| *p < 128),
    }
}

/// Number of the notes then that there are now as well.
fn count_common(then: &[AlignedNote], now: &[AlignedNote], transposition: i8) -> usize {
    let is_now = |note: &&AlignedNote| {
        let pitch = moved(note, transposition);
        now.iter()
            .any(|n| n.part == note.part && Some(n.pitch) == pitch)
    };
    then.iter().filter(is_now).count()
}

#[cfg(test)]
mod tests;
