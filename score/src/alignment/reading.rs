//! Reading the stream, token by token, and back.

use super::onset::{AlignedNote, Onset};
use super::{Alignments, Phase};
use crate::{Part, Token};

/// The reading state after a token; truncation goes back to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReadState {
    pub(super) step: u32,
    pub(super) phase: Phase,
    pub(super) part: Part,
    /// Whether a part was named whose note comes next.
    pub(super) part_is_open: bool,
    /// Whether a part other than the keys was named.
    pub(super) is_band: bool,
    pub(super) bar_length: u16,
    pub(super) onsets: u32,
    pub(super) notes: u32,
    /// Length of the stream where the last onset was complete.
    pub(super) complete_at: u32,
}

impl Alignments {
    /// Appends an id; `bar_length` is that of its bar in steps, or 0 if it is unknown.
    pub fn push(&mut self, id: u16, bar_length: u16) {
        let mut state = self.state();
        if bar_length > 0 {
            state.bar_length = bar_length;
        }
        if let Some(token) = self.vocabulary.token(id) {
            self.read(token, &mut state);
        } else {
            let tokens: Vec<Token> = self.vocabulary.tokens(id).collect();
            tokens
                .into_iter()
                .for_each(|token| self.read(token, &mut state));
        }
        state.onsets = self.onsets.len() as u32;
        state.notes = self.notes.len() as u32;
        self.states.push(state);
    }

    fn read(&mut self, token: Token, state: &mut ReadState) {
        let position = self.states.len() as u32;
        let has_velocity = self.vocabulary.velocity_bins > 0;
        let after_length = match has_velocity {
            true => Phase::Velocity,
            false => Phase::NextNote,
        };
        match token {
            Token::Pitch(pitch) => {
                if self.onsets.last().is_none_or(|o| o.step != state.step) {
                    self.onsets.push(Onset {
                        step: state.step,
                        first: self.notes.len() as u32,
                        position,
                        pitches: Default::default(),
                    });
                }
                let note = AlignedNote {
                    part: state.part,
                    pitch,
                    length: 0,
                    velocity_bin: 0,
                };
                self.notes.push(note);
                if let Some(onset) = self.onsets.last_mut() {
                    onset.add(&note);
                }
                state.part_is_open = false;
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
            Token::Separator => {
                state.phase = Phase::Move;
                state.complete_at = position + 1;
            }
            Token::Part(part) => {
                (state.part, state.part_is_open) = (part, true);
                state.is_band |= !part.is_keys();
            }
            Token::Start => (state.part, state.phase) = (Part::Keys, Phase::FirstNote),
            Token::End | Token::Pad => {}
        }
    }

    /// Removes every id from position `to` on.
    pub fn truncate(&mut self, to: usize) {
        if to >= self.states.len() {
            return;
        }
        self.states.truncate(to);
        let state = self.state();
        self.onsets.truncate(state.onsets as usize);
        self.notes.truncate(state.notes as usize);
        if let Some(mut last) = self.onsets.pop() {
            last.pitches = Default::default();
            let notes = self.notes.get(last.first as usize..).unwrap_or_default();
            notes.iter().for_each(|note| last.add(note));
            self.onsets.push(last);
        }
        // Those of a complete onset at the end are proposed again.
        let proposals = self.proposed.partition_point(|p| (p.0 as usize) < to);
        self.proposed.truncate(proposals);
        self.compare();
    }
}
