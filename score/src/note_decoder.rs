//! Decodes base tokens into notes, one token at a time.

use crate::part::Part;
use crate::score::Note;
use crate::vocabulary::{Token, Vocabulary};

/// The state of decoding between two tokens. A value: its owner may be any thread.
#[derive(Clone, Debug, Default)]
pub struct NoteDecoder {
    /// Pitch of the note whose duration is still to come.
    pitch: Option<u8>,
    /// Whether the next duration is a move in time.
    moves: bool,
    /// The part of the next note.
    part: Part,
}

impl NoteDecoder {
    /// A decoder for a stream that goes on in `part` ([`crate::GrammarState::part`]).
    pub fn new(part: Part) -> Self {
        Self {
            part,
            ..Self::default()
        }
    }

    /// Reads a base token that the grammar allows, at the position `step`. A duration, or the pitch
    /// of a drum hit, completes a note, which is appended to `notes` with
    /// [`Vocabulary::DEFAULT_VELOCITY`]; a velocity sets that of the last note.
    pub fn read(
        &mut self,
        token: Token,
        step: u32,
        vocabulary: &Vocabulary,
        notes: &mut Vec<Note>,
    ) {
        match token {
            Token::Start => self.part = Part::Keys,
            Token::Part(part) => self.part = part,
            Token::Pitch(pitch) if !self.part.is_pitched() => notes.push(Note {
                start: step,
                length: 1,
                pitch,
                velocity: Vocabulary::DEFAULT_VELOCITY,
                part: self.part,
            }),
            Token::Pitch(pitch) => self.pitch = Some(pitch),
            Token::Duration(length) if !self.moves => {
                if let Some(pitch) = self.pitch.take() {
                    notes.push(Note {
                        start: step,
                        length: u32::from(length).max(1),
                        pitch,
                        velocity: Vocabulary::DEFAULT_VELOCITY,
                        part: self.part,
                    });
                }
            }
            Token::Velocity(bin) => {
                if let Some(note) = notes.last_mut() {
                    note.velocity = vocabulary.bin_velocity(bin);
                }
            }
            _ => {}
        }
        self.moves = token == Token::Separator;
    }
}
