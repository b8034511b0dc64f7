//! Music as data: a standard MIDI file becomes a [`Score`] on a grid of *steps*, a score becomes a
//! [`TokenSequence`] of [`Token`]s, and back.
//!
//! ```text
//! .mid bytes <-> midi::MidiFile <-> Score <-> TokenSequence <-> TokenIds
//!                (ticks)           (steps)   (base tokens)     (ids, as a model reads them)
//! ```
//!
//! Units: *ticks* are the MIDI file's division of the quarter note; *steps* are the vocabulary's (12
//! to the quarter note by default); *beats* are quarter notes (`f64`), as in every host's transport.
//!
//! Nothing here runs a network or starts a thread. Some modules are data that the trainer and the
//! engine share: [`manifest`] describes `model.json`, and [`piece_memory`] is the memory of a piece
//! ([`ngram`], [`alignment`]), which a [`gate`] mixes with a network's prediction.
//!
//! ```
//! use continuo_score::{Drums, Score, TokenIds, Vocabulary, midi};
//!
//! let vocabulary = Vocabulary::continuo();
//! let bytes = continuo_score::tune::minuet().to_midi().to_bytes().unwrap();
//! let file = midi::read_bytes(&bytes).unwrap();
//! let score = Score::from_midi(&file, vocabulary.steps_per_beat, Drums::Drop);
//! let ids = TokenIds::encode(&score, &vocabulary);
//! assert_eq!(ids.decode(&vocabulary).unwrap().notes.len(), score.notes.len());
//! ```

pub mod alignment;
pub mod chord;
pub mod gate;
pub mod grammar;
pub mod manifest;
mod merge_parts;
mod merges;
pub mod midi;
mod midi_tracks;
pub mod ngram;
pub mod note_context;
mod note_decoder;
pub mod part;
pub mod part_filter;
pub mod part_rule;
pub mod piece_memory;
pub mod quantise;
#[cfg(feature = "roll")]
pub mod roll;
pub mod scale;
pub mod score;
pub mod sparse;
pub mod time;
mod to_midi;
pub mod token_ids;
mod token_parts;
pub mod token_sequence;
pub mod tune;
pub mod vocabulary;

pub use chord::{Chord, ChordPlan};
pub use grammar::{Grammar, GrammarState};
pub use merge_parts::merge_parts;
pub use midi::{MidiError, MidiFile};
pub use midi_tracks::{MidiTrack, midi_tracks};
pub use note_context::{NoteContext, NoteState};
pub use note_decoder::NoteDecoder;
pub use part::{Part, PartSet};
pub use part_filter::PartFilter;
pub use part_rule::PartRule;
pub use quantise::Drums;
pub use scale::{Mode, Scale};
pub use score::{Note, Score};
pub use sparse::SparseScore;
pub use time::{BarPosition, TempoMap, TimeSignature, TimeSignatureMap};
pub use token_ids::{GridPoint, TokenIds};
pub use token_parts::TokenParts;
pub use token_sequence::{PositionedId, PositionedToken, TokenSequence};
pub use vocabulary::{NoteOrder, Token, Vocabulary};
