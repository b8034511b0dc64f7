//! Music as Continuo sees it: a standard MIDI file becomes a [`Score`] on a grid of
//! *steps*, a score becomes a [`TokenSequence`] of [`Token`]s, and all the way back.
//!
//! ```text
//! .mid bytes <-> midi::MidiFile <-> Score <-> PositionScore <-> IndexScore
//!                (ticks)           (steps)   (tokens on steps) (numbers a model reads)
//! ```
//!
//! Units: *ticks* are the MIDI file's own division of the quarter note; *steps* are the
//! model's (12 to the quarter by default); *beats* are quarter notes (`f64`), as in every
//! host's transport. Nothing here starts a thread, and nothing here knows of a model: the
//! [`manifest`] only says what is written in a model directory.

pub mod grammar;
pub mod manifest;
mod merges;
pub mod midi;
pub mod ngram;
pub mod note_context;
pub mod part_filter;
pub mod quantise;
#[cfg(feature = "roll")]
pub mod roll;
pub mod scale;
pub mod score;
pub mod sparse;
pub mod time;
pub mod token_ids;
pub mod token_sequence;
pub mod tune;
pub mod vocabulary;

pub use grammar::{Grammar, GrammarState};
pub use midi::{MidiError, MidiFile};
pub use note_context::{NoteContext, NoteState};
pub use part_filter::PartFilter;
pub use quantise::{Drums, MidiPart};
pub use scale::{Mode, Scale};
pub use score::{Note, Score};
pub use sparse::SparseScore;
pub use time::{BarPosition, TempoMap, TimeSignature, TimeSignatureMap};
pub use token_ids::{GridPoint, TokenIds};
pub use token_sequence::{PositionedId, PositionedToken, TokenSequence};
pub use vocabulary::{NoteOrder, Token, Vocabulary};
