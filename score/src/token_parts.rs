//! Parts of the tokens of a stream.

use crate::part::Part;
use crate::vocabulary::Token;

/// Tells which part each base token of a stream belongs to: a part, pitch, duration or velocity
/// belongs to the part of its note; moves in time and special tokens belong to none. A value: its
/// owner may be any thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenParts {
    part: Part,
    /// Whether the next duration is a move.
    moves: bool,
}

impl TokenParts {
    /// Reads a base token.
    pub fn read(&mut self, token: Token) -> Option<Part> {
        let moves = std::mem::replace(&mut self.moves, token == Token::Separator);
        match token {
            Token::Start => self.part = Part::Keys,
            Token::Part(part) => self.part = part,
            _ => {}
        }
        match token {
            Token::Part(_) | Token::Pitch(_) | Token::Velocity(_) => Some(self.part),
            Token::Duration(_) if !moves => Some(self.part),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_belong_to_the_part_of_their_note() {
        use Token::{Duration, Pitch, Separator, Start, Velocity};
        let mut parts = TokenParts::default();
        let bass = Token::Part(Part::Bass);
        for (token, part) in [
            (Start, None),
            (Pitch(60), Some(Part::Keys)),
            (Duration(6), Some(Part::Keys)),
            (Velocity(3), Some(Part::Keys)),
            (bass, Some(Part::Bass)),
            (Pitch(40), Some(Part::Bass)),
            (Duration(6), Some(Part::Bass)),
            (Separator, None),
            (Duration(6), None),
            (Pitch(41), Some(Part::Bass)),
            (Start, None),
            (Pitch(41), Some(Part::Keys)),
        ] {
            assert_eq!(parts.read(token), part, "{token}");
        }
    }
}
