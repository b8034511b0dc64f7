//! Chords: their names, their pitch classes, and their recognition from notes.
//!
//! [`recognise`] names the chord of every beat of a score. A [`ChordPlan`] says which chord an answer
//! is to follow at each step.

mod beats;
mod name;
mod plan;
mod recognition;
mod templates;

pub use beats::{Accent, Beat, beats};
pub use name::{ParseChordError, name_or_none};
pub use plan::ChordPlan;
pub use recognition::{ChordSpan, chord_of_keys, recognise, recognise_range};

/// The intervals of a chord above its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// Major triad.
    Major,
    /// Minor triad.
    Minor,
    /// Diminished triad.
    Diminished,
    /// Augmented triad.
    Augmented,
    /// Major triad with the minor seventh.
    Dominant7,
    /// Major triad with the major seventh.
    Major7,
    /// Minor triad with the minor seventh.
    Minor7,
    /// Diminished triad with the minor seventh.
    HalfDiminished7,
    /// Diminished triad with the diminished seventh.
    Diminished7,
    /// Second and fifth.
    Suspended2,
    /// Fourth and fifth.
    Suspended4,
    /// Major triad with the major sixth.
    Sixth,
    /// Minor triad with the major sixth.
    MinorSixth,
    /// Fifth alone.
    Power,
}

impl Quality {
    /// Every quality.
    pub const ALL: [Quality; 14] = [
        Quality::Major,
        Quality::Minor,
        Quality::Diminished,
        Quality::Augmented,
        Quality::Dominant7,
        Quality::Major7,
        Quality::Minor7,
        Quality::HalfDiminished7,
        Quality::Diminished7,
        Quality::Suspended2,
        Quality::Suspended4,
        Quality::Sixth,
        Quality::MinorSixth,
        Quality::Power,
    ];

    /// Semitones above the root, the root's 0 first.
    pub const fn intervals(self) -> &'static [u8] {
        match self {
            Quality::Major => &[0, 4, 7],
            Quality::Minor => &[0, 3, 7],
            Quality::Diminished => &[0, 3, 6],
            Quality::Augmented => &[0, 4, 8],
            Quality::Dominant7 => &[0, 4, 7, 10],
            Quality::Major7 => &[0, 4, 7, 11],
            Quality::Minor7 => &[0, 3, 7, 10],
            Quality::HalfDiminished7 => &[0, 3, 6, 10],
            Quality::Diminished7 => &[0, 3, 6, 9],
            Quality::Suspended2 => &[0, 2, 7],
            Quality::Suspended4 => &[0, 5, 7],
            Quality::Sixth => &[0, 4, 7, 9],
            Quality::MinorSixth => &[0, 3, 7, 9],
            Quality::Power => &[0, 7],
        }
    }
}

/// A chord: its root, its quality and its lowest note.
///
/// ```
/// use continuo_score::chord::{Chord, Quality};
///
/// let chord: Chord = "F#m7/C#".parse().unwrap();
/// assert_eq!((chord.root, chord.quality, chord.bass), (6, Quality::Minor7, 1));
/// assert_eq!(chord.to_string(), "F#m7/C#");
/// assert!(chord.contains(69) && !chord.contains(70));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chord {
    /// Pitch class of the root, 0 (C) to 11 (B).
    pub root: u8,
    /// Its intervals.
    pub quality: Quality,
    /// Pitch class of the lowest note; the root's, except in inversions and over a foreign bass.
    pub bass: u8,
}

impl Chord {
    /// A chord in root position.
    pub fn new(root: u8, quality: Quality) -> Self {
        let root = root % 12;
        Self {
            root,
            quality,
            bass: root,
        }
    }

    /// The chord over another bass.
    pub fn over(self, bass: u8) -> Self {
        Self {
            bass: bass % 12,
            ..self
        }
    }

    /// A bit for each pitch class, 0 (C) to 11 (B), set if it belongs to the chord. A bass that is no
    /// tone of the chord belongs to it too.
    pub fn pitch_classes(self) -> u16 {
        let bit = |interval: &u8| 1u16 << ((self.root + interval) % 12);
        let tones = self.quality.intervals().iter().map(bit);
        tones.fold(1 << (self.bass % 12), |set, bit| set | bit)
    }

    /// Whether a MIDI key belongs to the chord.
    pub fn contains(self, pitch: u8) -> bool {
        self.pitch_classes() >> (pitch % 12) & 1 == 1
    }
}

#[cfg(test)]
mod tests;
