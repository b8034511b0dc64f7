//! Base tokens, and the order of the notes of a step.

use serde::{Deserialize, Serialize};

use crate::part::Part;

/// A base token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Token {
    /// `<pad>`: fills up; never predicted, never counted.
    Pad,
    /// `<sos>`: a piece begins.
    Start,
    /// `<eos>`: a piece ends.
    End,
    /// `<sep>`: time is about to move.
    Separator,
    /// `n60`: a note of this MIDI key starts here.
    Pitch(u8),
    /// `d12`: after a pitch the note's length, after `<sep>` the move in time, both in steps.
    Duration(u16),
    /// `v7`: the velocity bin of the note before it.
    Velocity(u8),
    /// `<bass>`: the following notes are of this part.
    Part(Part),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Pad => f.write_str("<pad>"),
            Token::Start => f.write_str("<sos>"),
            Token::End => f.write_str("<eos>"),
            Token::Separator => f.write_str("<sep>"),
            Token::Pitch(p) => write!(f, "n{p}"),
            Token::Duration(d) => write!(f, "d{d}"),
            Token::Velocity(v) => write!(f, "v{v}"),
            Token::Part(part) => write!(f, "<{part}>"),
        }
    }
}

/// The order of the notes that start on one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteOrder {
    /// Melody first, as the reference model has it.
    HighToLow,
    /// Bass first.
    LowToHigh,
}
