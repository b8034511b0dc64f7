//! Music as Continuo sees it: a standard MIDI file becomes a [`Score`] on a grid of
//! *steps*, a score becomes a [`PositionScore`] of [`Token`]s, and all the way back.
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

pub mod encode;
pub mod grammar;
pub mod hearing;
pub mod index;
pub mod manifest;
mod merges;
pub mod midi;
pub mod quantise;
#[cfg(feature = "roll")]
pub mod roll;
pub mod scale;
pub mod score;
pub mod sounding;
pub mod sparse;
pub mod suffix;
pub mod time;
pub mod tune;
pub mod vocabulary;

pub use encode::{Placed, PlacedId, PositionScore};
pub use grammar::{Grammar, State};
pub use hearing::Hearing;
pub use index::{GridPoint, IndexScore};
pub use midi::{MidiError, MidiFile};
pub use quantise::{Drums, MidiPart};
pub use scale::{Mode, Scale};
pub use score::{Note, Score};
pub use sounding::{Sounding, Told};
pub use sparse::SparseScore;
pub use time::{Metre, MetreMap, Place, TempoMap};
pub use vocabulary::{Order, Token, Vocabulary};
