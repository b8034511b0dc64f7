//! Names of chords, as musicians write them.

use std::fmt;
use std::str::FromStr;

use super::{Chord, Quality};
use crate::scale::{Mode, Scale};

/// The name of silence, and of notes that form no chord.
const NO_CHORD: &str = "N.C.";

/// Positions on the line of fifths (C is 0, G is 1, F is -1) at which a root lies, from its tonic on:
/// the lowered second to the raised fourth.
const AROUND_TONIC: std::ops::RangeInclusive<i32> = -5..=6;

impl Quality {
    /// The name after the root: `m7`, and nothing for a major triad.
    pub const fn suffix(self) -> &'static str {
        match self {
            Quality::Major => "",
            Quality::Minor => "m",
            Quality::Diminished => "dim",
            Quality::Augmented => "aug",
            Quality::Dominant7 => "7",
            Quality::Major7 => "maj7",
            Quality::Minor7 => "m7",
            Quality::HalfDiminished7 => "m7b5",
            Quality::Diminished7 => "dim7",
            Quality::Suspended2 => "sus2",
            Quality::Suspended4 => "sus4",
            Quality::Sixth => "6",
            Quality::MinorSixth => "m6",
            Quality::Power => "5",
        }
    }

    /// Whether the third is minor.
    fn is_minor(self) -> bool {
        self.intervals().contains(&3)
    }
}

impl Chord {
    /// The name in a key, which decides between sharps and flats: `Bb` in D major, `A#dim` in B major.
    /// Without a key roots have their commonest name.
    pub fn name(self, key: Option<Scale>) -> String {
        let mut name = pitch_class_name(self.root_fifths(key)) + self.quality.suffix();
        if self.bass != self.root {
            name += "/";
            name += &pitch_class_name(self.tone_fifths(self.bass, key));
        }
        name
    }

    /// The root on the line of fifths, as [`Chord::name`] spells it: 0 is C, 1 is G, 6 is F#, -2 is
    /// Bb.
    pub fn root_fifths(self, key: Option<Scale>) -> i32 {
        let tonic = match key {
            Some(key) => fifths(key.tonic, if is_minor(key.mode) { -3 } else { -5 }),
            // The commonest minor chords reach from Ebm to G#m, others from Db to F#.
            None if self.quality.is_minor() => 2,
            None => 0,
        };
        fifths(self.root, tonic + AROUND_TONIC.start())
    }

    /// A pitch class on the line of fifths, spelt as a tone of the chord: in E major, the 8 is G#.
    /// The result is from Fb (-8) to B# (12).
    pub fn tone_fifths(self, pitch_class: u8, key: Option<Scale>) -> i32 {
        let root = self.root_fifths(key);
        let interval = (pitch_class % 12 + 12 - self.root) % 12;
        // Whether the sixth, the fourth or the fifth is altered depends on the chord.
        let diminished = self.quality.intervals().contains(&6);
        let steps = match interval {
            1 => -5,
            2 => 2,
            3 => -3,
            4 => 4,
            5 => -1,
            6 if diminished => -6,
            6 => 6,
            7 => 1,
            8 if self.quality == Quality::Augmented => 8,
            8 => -4,
            9 if self.quality == Quality::Diminished7 => -9,
            9 => 3,
            10 => -2,
            11 => 5,
            _ => 0,
        };
        // From Fb to B#; beyond that, the other name of the key.
        match root + steps {
            far if far > 12 => far - 12,
            far if far < -8 => far + 12,
            near => near,
        }
    }
}

/// Returns the name of a chord, or of none: `N.C.`.
pub fn name_or_none(chord: Option<Chord>, key: Option<Scale>) -> String {
    chord.map_or_else(|| NO_CHORD.into(), |chord| chord.name(key))
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name(None))
    }
}

/// A text that is no name of a chord.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no chord: a root, a quality and a bass, as in \"C\", \"F#m7\" or \"G7/B\"; qualities are \
     {}",
    Quality::ALL.map(Quality::suffix).join(" ").trim()
)]
pub struct ParseChordError {
    /// The text.
    text: String,
}

impl FromStr for Chord {
    type Err = ParseChordError;

    fn from_str(text: &str) -> Result<Self, ParseChordError> {
        let read = || {
            let (chord, bass) = match text.split_once('/') {
                Some((chord, bass)) => (chord, Some(bass)),
                None => (text, None),
            };
            let (root, suffix) = pitch_class(chord)?;
            let quality = Quality::ALL.into_iter().find(|q| q.suffix() == suffix)?;
            let chord = Chord::new(root, quality);
            match bass.map(pitch_class) {
                None => Some(chord),
                Some(Some((bass, ""))) => Some(chord.over(bass)),
                Some(_) => None,
            }
        };
        read().ok_or_else(|| ParseChordError { text: text.into() })
    }
}

/// The pitch class at the beginning of a text, and the rest of it.
fn pitch_class(text: &str) -> Option<(u8, &str)> {
    let letter = "FCGDAEB".find(text.chars().next()?)?;
    let rest = text[1..].trim_start_matches(['#', 'b']);
    let accidentals = text[1..text.len() - rest.len()].chars();
    let sharps: i32 = accidentals.map(|c| if c == '#' { 1 } else { -1 }).sum();
    let fifths = letter as i32 - 1 + 7 * sharps;
    Some(((fifths * 7).rem_euclid(12) as u8, rest))
}

/// The position of a pitch class on the line of fifths, among the twelve from `first` on.
fn fifths(pitch_class: u8, first: i32) -> i32 {
    // A fifth is 7 semitones, and 7 * 7 is 1 modulo 12.
    first + (i32::from(pitch_class) * 7 - first).rem_euclid(12)
}

/// The name of a position on the line of fifths: `C` is 0, `F#` is 6, `Bb` is -2.
fn pitch_class_name(fifths: i32) -> String {
    let letter = (fifths + 1).rem_euclid(7) as usize;
    let accidentals = (fifths + 1).div_euclid(7);
    let sign = if accidentals < 0 { "b" } else { "#" };
    "FCGDAEB"[letter..=letter].to_string() + &sign.repeat(accidentals.unsigned_abs() as usize)
}

/// Whether the scale has a minor third.
fn is_minor(mode: Mode) -> bool {
    mode.degrees().contains(&3) && !mode.degrees().contains(&4)
}
