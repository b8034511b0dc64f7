//! Notes, and the notes that begin together.

use crate::Part;

/// A note of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct AlignedNote {
    pub(super) part: Part,
    pub(super) pitch: u8,
    /// Steps; 0 until it is known, and for drums.
    pub(super) length: u16,
    pub(super) velocity_bin: u8,
}

/// The notes that begin at one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onset {
    pub(super) step: u32,
    /// Index of its first note.
    pub(super) first: u32,
    /// Position of its first note in the stream.
    pub(super) position: u32,
    /// One bit a pitch, for each part.
    pub(super) pitches: [u128; Part::COUNT],
}

impl Onset {
    pub(super) fn add(&mut self, note: &AlignedNote) {
        self.pitches[note.part.index()] |= 1 << (note.pitch & 127);
    }

    /// Number of different notes.
    pub(super) fn count(&self) -> u32 {
        self.pitches
            .iter()
            .map(|pitches| pitches.count_ones())
            .sum()
    }

    /// Number of the notes of `earlier`, transposed, that are here too.
    pub(super) fn count_common(&self, earlier: &Self, transposition: i8) -> u32 {
        let common = Part::ALL.iter().map(|part| {
            let [earlier, here] = [earlier, self].map(|onset| onset.pitches[part.index()]);
            let semitones = match part {
                Part::Drums => 0,
                _ => transposition,
            };
            let distance = u32::from(semitones.unsigned_abs());
            let moved = match semitones >= 0 {
                true => earlier.checked_shl(distance),
                false => earlier.checked_shr(distance),
            };
            (moved.unwrap_or(0) & here).count_ones()
        });
        common.sum()
    }
}

impl AlignedNote {
    /// The pitch that many semitones higher; drums are never transposed. `None` beyond the keyboard.
    pub(super) fn transposed(&self, semitones: i8) -> Option<u8> {
        match self.part {
            Part::Drums => Some(self.pitch),
            _ => {
                let pitch = self.pitch.checked_add_signed(semitones);
                pitch.filter(|pitch| *pitch < 128)
            }
        }
    }
}
