//! Alignments: earlier passages of a piece laid beside the present one, which predict the next token.
//!
//! An alignment is a distance in time (steps) and in pitch (semitones). Its similarity is the Jaccard
//! index of the notes of both passages: those in both, divided by those in either, recent onsets
//! counting more. So a theme is followed where it returns varied, with other notes in between or some
//! left out; the n-gram memory ([`crate::ngram`]) sees equal passages only.
//!
//! Two kinds of passages are aligned: those a whole number of bars earlier (1 to 16), and those that an
//! n-gram has found lately ([`Alignments::align`]). Similarity is computed from the notes alone, so that
//! the same stream gives the same predictions however it was read. Vocabularies with merged tokens have
//! no alignments, since a passage may be divided into tokens in many ways.

mod onset;
mod reading;

use std::cmp::Ordering;
use std::ops::Range;

use crate::ngram::Continuations;
use crate::vocabulary::NoteOrder;
use crate::{Token, Vocabulary};
use onset::{AlignedNote, Onset};
use reading::ReadState;

/// Distances in bars that are always compared.
const BARS: [u32; 8] = [1, 2, 3, 4, 6, 8, 12, 16];
/// Most recent onsets compared.
const ONSETS: usize = 16;
/// Weight of an onset against the one after it.
const DECAY: f32 = 0.87;
/// Notes that a similarity counts as compared already, and the share of them that agreed.
const PRIOR: (f32, f32) = (2.0, 0.3);
/// An alignment counts `exp(SHARPNESS * similarity)` times.
const SHARPNESS: f32 = 14.0;
/// Tokens for which a proposed alignment is compared.
const PROPOSED_FOR: usize = 64;
/// Largest number of proposed alignments compared; the latest ones are.
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

/// A distance to an earlier passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alignment {
    /// Steps, 1 or more.
    lag: u32,
    /// Semitones from the pitches then to those now.
    transposition: i8,
}

/// Weighted numbers of notes in both of two passages, and in either.
#[derive(Clone, Copy, Debug, Default)]
struct Overlap {
    both: f32,
    either: f32,
}

/// A prediction of the next token by the alignments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlignedContinuations {
    /// Ids and their shares. Its length is 0, and its position is where the onset begins that the
    /// likeliest id comes from.
    pub continuations: Continuations,
    /// Similarity of the most similar passage that predicts the likeliest id, 0 to 1.
    pub similarity: f32,
}

/// The notes of a piece, and its alignments. A value: its owner may be any thread.
#[derive(Clone, Debug)]
pub struct Alignments {
    vocabulary: Vocabulary,
    notes: Vec<AlignedNote>,
    /// Sorted by step.
    onsets: Vec<Onset>,
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
            states: Vec::new(),
            proposed: Vec::new(),
            compared: Vec::new(),
        }
    }

    fn state(&self) -> ReadState {
        self.states.last().copied().unwrap_or_default()
    }

    /// Whether the piece has parts other than the keys so far.
    pub fn is_band(&self) -> bool {
        self.state().is_band
    }

    /// The kind of the next token.
    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Whether the last id completed an onset. Then call [`Alignments::align`].
    pub fn completes_onset(&self) -> bool {
        self.state().complete_at as usize == self.states.len()
    }

    /// Aligns earlier passages with the present one after a complete onset. Each of `found` is an equal
    /// passage: the position of its last token, and the semitones from its pitches to the present ones.
    /// It is compared for 64 tokens.
    pub fn align(&mut self, found: impl IntoIterator<Item = (usize, i8)>) {
        for (end, transposition) in found {
            let Some(state) = self.states.get(end) else {
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
        let earlier = step.checked_sub(lag)?;
        let found = self
            .onsets
            .binary_search_by_key(&earlier, |onset| onset.step);
        found.ok()
    }

    /// Computes the alignments of the present, and their overlap with it. Uses the state at the last
    /// complete onset, so that the result does not depend on truncations.
    fn compare(&mut self) {
        self.compared.clear();
        if !self.vocabulary.merges().is_empty() {
            return;
        }
        let now = self.state();
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
        let largest = alignments.len() + MAX_PROPOSED;
        let is_recent = |(at, _): &&(u32, Alignment)| *at as usize + PROPOSED_FOR > position;
        for (_, alignment) in self.proposed.iter().rev().take_while(is_recent) {
            if alignments.len() < largest && !alignments.contains(alignment) {
                alignments.push(*alignment);
            }
        }
        // A note may still follow at an open step.
        let is_open = now.phase != Phase::Move && self.is_open(now);
        let complete = self.onsets.len() - usize::from(is_open);
        let overlaps = alignments.into_iter();
        self.compared = overlaps
            .map(|alignment| (alignment, self.overlap(alignment, complete)))
            .collect();
    }

    /// Whether the present step has notes.
    fn is_open(&self, state: ReadState) -> bool {
        self.onsets.last().is_some_and(|o| o.step == state.step)
    }

    /// The overlap of the first `complete` onsets with those of the earlier passage.
    fn overlap(&self, alignment: Alignment, complete: usize) -> Overlap {
        let Alignment { lag, transposition } = alignment;
        let mut sum = Overlap::default();
        let mut weight = 1.0;
        for index in (0..complete).rev().take(ONSETS) {
            let present = &self.onsets[index];
            let earlier = self.onset_before(present.step, lag);
            let (mut both, mut either) = (0, present.count());
            if let Some(earlier) = earlier.map(|earlier| &self.onsets[earlier]) {
                both = present.count_common(earlier, transposition);
                either += earlier.count() - both;
            }
            sum.both += weight * both as f32;
            sum.either += weight * either as f32;
            // Notes of the earlier passage between this onset and the one before it have no
            // counterpart: they count as missing.
            if let Some(before) = index.checked_sub(1)
                && let Some(until) = present.step.checked_sub(lag)
            {
                let after = self.onsets[before].step.checked_sub(lag);
                let is_before = |o: &Onset| after.is_some_and(|after| o.step <= after);
                let first = self.onsets.partition_point(is_before);
                let end = self.onsets.partition_point(|o| o.step < until);
                let missing = self.first_note(end).saturating_sub(self.first_note(first));
                sum.either += weight * missing as f32;
            }
            weight *= DECAY;
        }
        sum
    }

    /// Index of the first note of an onset; the number of notes for one that does not exist yet.
    fn first_note(&self, onset: usize) -> usize {
        let first = self.onsets.get(onset).map(|onset| onset.first as usize);
        first.unwrap_or(self.notes.len())
    }

    /// Similarity of an aligned passage, given the overlap of complete onsets.
    fn similarity(&self, alignment: Alignment, overlap: Overlap, state: ReadState) -> f32 {
        let (mut both, mut either) = (overlap.both, overlap.either);
        if state.phase != Phase::Move
            && let Some(present) = self.onsets.last().filter(|_| self.is_open(state))
        {
            if let Some(earlier) = self.onset_before(state.step, alignment.lag) {
                let earlier = &self.onsets[earlier];
                both += present.count_common(earlier, alignment.transposition) as f32;
            }
            either += present.count() as f32;
        }
        let (notes, share) = PRIOR;
        (both + notes * share) / (either + notes)
    }

    /// Predicts the next token by the aligned passages. Only those of their onsets count that begin at
    /// the positions `within`. `None` if there is none.
    pub fn continuations(&self, within: &Range<usize>) -> Option<AlignedContinuations> {
        let state = self.state();
        // Id, weight, largest similarity, and position of its onset.
        let mut candidates: Vec<(u16, f32, f32, usize)> = Vec::new();
        for &(alignment, overlap) in &self.compared {
            let Some((token, onset)) = self.predict_token(alignment, state) else {
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
            match candidates.iter_mut().find(|candidate| candidate.0 == id) {
                Some(known) => {
                    known.1 += weight;
                    if similarity > known.2 {
                        (known.2, known.3) = (similarity, position);
                    }
                }
                None => candidates.push((id, weight, similarity, position)),
            }
        }
        candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let &(_, _, similarity, position) = candidates.first()?;
        let sum: f32 = candidates.iter().map(|candidate| candidate.1).sum();
        let share = |candidate: &(u16, f32, f32, usize)| (candidate.0, candidate.1 / sum);
        Some(AlignedContinuations {
            continuations: Continuations {
                length: 0,
                shares: candidates.iter().map(share).collect(),
                position: Some(position),
            },
            similarity,
        })
    }

    /// The next token if the passage goes on as the earlier one, and the index of the onset that it comes
    /// from.
    fn predict_token(&self, alignment: Alignment, state: ReadState) -> Option<(Token, usize)> {
        let Alignment { lag, transposition } = alignment;
        let earlier = state.step.checked_sub(lag)?;
        if state.phase == Phase::Move {
            let next = self.onsets.partition_point(|o| o.step <= earlier);
            let steps = self.onsets.get(next)?.step - earlier;
            let steps = steps.min(u32::from(self.vocabulary.longest));
            return Some((Token::Duration(steps as u16), next));
        }
        let last = self.notes.last().filter(|_| self.is_open(state));
        let onset = self.onset_before(state.step, lag);
        let notes = onset.map_or(&[][..], |onset| self.onset_notes(onset));
        if matches!(state.phase, Phase::FirstNote | Phase::NextNote) {
            let later = |note: &&AlignedNote| self.is_later(note, transposition, last);
            if state.part_is_open {
                // The part has been named: a note of it follows.
                let note = notes
                    .iter()
                    .filter(later)
                    .find(|note| note.part == state.part)?;
                return Some((Token::Pitch(note.transposed(transposition)?), onset?));
            }
            let token = match notes.iter().find(later) {
                Some(note) if note.part != state.part => Token::Part(note.part),
                Some(note) => Token::Pitch(note.transposed(transposition)?),
                // The earlier step has no further note: the step ends. Before its first note nothing
                // is predicted.
                None => last.map(|_| Token::Separator)?,
            };
            let before = self.onsets.partition_point(|o| o.step <= earlier);
            return Some((token, before.checked_sub(1)?));
        }
        // Length and velocity of the nearest note of the part.
        let last = last?;
        let of_part = notes.iter().filter(|note| note.part == last.part);
        let distance = |note: &&AlignedNote| {
            let pitch = note.transposed(transposition).unwrap_or(note.pitch);
            pitch.abs_diff(last.pitch)
        };
        let nearest = of_part.min_by_key(distance)?;
        let token = match state.phase {
            Phase::Length => Token::Duration(nearest.length),
            _ => Token::Velocity(nearest.velocity_bin),
        };
        Some((token, onset?))
    }

    /// Whether a note of an earlier step would come after the last note of the present step.
    fn is_later(&self, note: &AlignedNote, transposition: i8, last: Option<&AlignedNote>) -> bool {
        let Some(last) = last else {
            return true;
        };
        match note.part.cmp(&last.part) {
            Ordering::Equal => {
                let pitch = note.transposed(transposition);
                pitch.is_some_and(|pitch| match self.vocabulary.order {
                    NoteOrder::HighToLow => pitch < last.pitch,
                    NoteOrder::LowToHigh => pitch > last.pitch,
                })
            }
            order => order.is_gt(),
        }
    }
}

#[cfg(test)]
mod tests;
