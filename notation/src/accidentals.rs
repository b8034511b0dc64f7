//! Accidentals: which notes of a bar show one.

use std::collections::HashMap;

use crate::rhythm::Piece;
use crate::spelling::Key;
use crate::voices::{Slice, WrittenNote};

/// One voice in one bar.
#[derive(Clone, Debug)]
pub(crate) struct VoiceBar {
    pub(crate) slices: Vec<Slice>,
    pub(crate) pieces: Vec<Piece>,
}

impl VoiceBar {
    /// The notes of a piece, from low to high; none in a rest.
    pub(crate) fn notes(&self, piece: &Piece) -> &[WrittenNote] {
        match piece.is_rest {
            true => &[],
            false => &self.slices[piece.slice].notes,
        }
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.pieces.iter().all(|piece| piece.is_rest)
    }
}

/// The accidentals of a staff in one bar, by voice, piece and note; each is the alteration to show.
pub(crate) type Shown = HashMap<(usize, usize, usize), i32>;

/// A note shows its accidental where it differs from the last note on its line in the bar, or else from
/// the signature; a tied note never does.
pub(crate) fn shown(key: Key, voices: &[VoiceBar]) -> Shown {
    let mut order: Vec<(u32, usize, usize)> = Vec::new();
    for (number, voice) in voices.iter().enumerate() {
        let pieces = voice.pieces.iter().enumerate();
        order.extend(pieces.map(|(index, piece)| (piece.start, number, index)));
    }
    order.sort_unstable();
    let mut now: HashMap<(char, i32), i32> = HashMap::new();
    let mut shown = Shown::new();
    for (start, number, index) in order {
        let voice = &voices[number];
        for (place, written) in voice.notes(&voice.pieces[index]).iter().enumerate() {
            let name = written.name;
            let line = (name.step, name.octave(written.note.pitch));
            let before = now.get(&line).copied();
            let before = before.unwrap_or_else(|| key.alter(name.step));
            if written.start() == start && before != name.alter {
                now.insert(line, name.alter);
                shown.insert((number, index, place), name.alter);
            }
        }
    }
    shown
}

/// MusicXML's name of the accidental of an alteration.
pub(crate) fn name(alter: i32) -> &'static str {
    match alter {
        ..=-2 => "flat-flat",
        -1 => "flat",
        0 => "natural",
        1 => "sharp",
        2.. => "double-sharp",
    }
}
