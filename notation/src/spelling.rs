//! Key signatures, and the spelling of pitches.
//!
//! A spelling is a position on the line of fifths: 0 is C, 1 is G, 6 is F#, -2 is Bb. The first of
//! these rules that applies spells a note:
//!
//! 1. Notes of the key signature are spelt as it says.
//! 2. Tones of the chord that is recognised there are spelt as tones of it.
//! 3. A note that is followed by a semitone step is a lowered or raised neighbour of its goal.
//! 4. The rest is spelt as is common in the key: C#, Eb, F#, G# and Bb in C major.

use continuo_score::chord::ChordSpan;
use continuo_score::{Mode, Note, Scale};

/// Names of the notes in the order of the line of fifths.
const STEPS: [char; 7] = ['F', 'C', 'G', 'D', 'A', 'E', 'B'];

/// A key signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Sharps; flats are negative. -7 to 7.
    pub(crate) fifths: i32,
    /// The detected scale; `None` without pitches.
    pub(crate) scale: Option<Scale>,
}

impl Key {
    /// The key of notes.
    pub(crate) fn of(notes: &[Note]) -> Self {
        let scale = Scale::detect(notes, f64::INFINITY);
        let fifths = scale.map_or(0, |scale| {
            // From the tonic to the tonic of the major key with the same signature.
            let to_major = match scale.mode {
                Mode::Lydian => 1,
                Mode::Mixolydian => -1,
                Mode::Dorian => -2,
                Mode::Minor | Mode::HarmonicMinor | Mode::MelodicMinor => -3,
                Mode::Phrygian => -4,
                _ => 0,
            };
            // From Db to F# major, as keys are commonly written.
            nearest(scale.tonic, -to_major - 5) + to_major
        });
        Self { fifths, scale }
    }

    /// MusicXML's name of the mode, if it is major or minor: not every reader knows the others.
    pub(crate) fn mode(&self) -> Option<&'static str> {
        match self.scale?.mode {
            Mode::Major => Some("major"),
            Mode::Minor | Mode::HarmonicMinor | Mode::MelodicMinor => Some("minor"),
            _ => None,
        }
    }

    /// Semitones by which the signature alters a step: 1 for F in G major.
    pub(crate) fn alter(&self, step: char) -> i32 {
        let place = STEPS.iter().position(|&s| s == step).unwrap_or(0) as i32;
        // The spelling of that step among the seven of the key, which begin a fifth below its tonic.
        -(place - self.fifths).div_euclid(7)
    }

    /// The first of the twelve spellings that are common in the key.
    fn common(&self) -> i32 {
        let minor = self.mode() == Some("minor");
        self.fifths - if minor { 2 } else { 3 }
    }
}

/// The spelling of a pitch class among the twelve from `first` on.
fn nearest(pitch_class: u8, first: i32) -> i32 {
    // A fifth is 7 semitones, and 7 * 7 is 1 modulo 12.
    first + (i32::from(pitch_class) * 7 - first).rem_euclid(12)
}

/// A spelling: a step with its accidental.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// `A` to `G`.
    pub(crate) step: char,
    /// Semitones by which it is raised; -2 to 2 as a rule.
    pub(crate) alter: i32,
}

impl Name {
    /// The name of a position on the line of fifths.
    pub(crate) fn of(fifths: i32) -> Self {
        Self {
            step: STEPS[(fifths + 1).rem_euclid(7) as usize],
            alter: (fifths + 1).div_euclid(7),
        }
    }

    /// MusicXML's octave for a MIDI key with this name: 4 begins with middle C.
    pub(crate) fn octave(self, pitch: u8) -> i32 {
        (i32::from(pitch) - self.alter).div_euclid(12) - 1
    }
}

/// Spells the notes of a score.
pub(crate) struct Speller<'a> {
    key: Key,
    /// Ascending.
    chords: &'a [ChordSpan],
    /// Steps in which the next note of a line follows.
    beat: u32,
}

impl<'a> Speller<'a> {
    pub(crate) fn new(key: Key, chords: &'a [ChordSpan], beat: u32) -> Self {
        Self { key, chords, beat }
    }

    /// The names of the notes of one part, which are sorted by start.
    pub(crate) fn names(&self, notes: &[Note]) -> Vec<Name> {
        let name = |index: usize| {
            let note = notes[index];
            let spelt = Name::of(self.fifths(&note, &notes[index + 1..]));
            // As B#, the lowest C would lie outside of MusicXML's octaves.
            match spelt.octave(note.pitch) {
                -1 if note.pitch >= 12 => Name::of(nearest(note.pitch % 12, -5)),
                _ => spelt,
            }
        };
        (0..notes.len()).map(name).collect()
    }

    /// The spelling of a note; `later` are the notes after it.
    fn fifths(&self, note: &Note, later: &[Note]) -> i32 {
        let class = note.pitch % 12;
        let first = self.key.fifths - 1;
        let in_key = nearest(class, first);
        if in_key < first + 7 {
            return in_key;
        }
        let after = self.chords.partition_point(|span| span.end <= note.start);
        let span = self
            .chords
            .get(after)
            .filter(|span| span.start <= note.start);
        if let Some(chord) = span.and_then(|span| span.chord)
            && chord.contains(note.pitch)
        {
            return chord.tone_fifths(class, self.key.scale);
        }
        let line = later.iter().skip_while(|next| next.start == note.start);
        let mut line = line.take_while(|next| next.start <= note.end() + self.beat);
        let goal = line.find(|next| next.pitch.abs_diff(note.pitch) == 1);
        match goal {
            Some(goal) => {
                let goal_fifths = nearest(goal.pitch % 12, first);
                // A semitone up is five fifths down, and the other way round.
                goal_fifths + if goal.pitch > note.pitch { 5 } else { -5 }
            }
            None => nearest(class, self.key.common()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::{Score, chord, tune};

    fn key(text: &str) -> Key {
        Key::of(&tune::parse(text, 12).unwrap().notes)
    }

    fn names(text: &str) -> String {
        let score: Score = tune::parse(text, 12).unwrap();
        let chords = chord::recognise(&score);
        let speller = Speller::new(Key::of(&score.notes), &chords, 12);
        let name = |name: Name| {
            let sign = if name.alter < 0 { "b" } else { "#" };
            name.step.to_string() + &sign.repeat(name.alter.unsigned_abs() as usize)
        };
        let names: Vec<String> = speller.names(&score.notes).into_iter().map(name).collect();
        names.join(" ")
    }

    #[test]
    fn signatures_are_those_of_the_detected_scale() {
        let major = "C4:1 D4:1 E4:1 F4:1 G4:2 E4:1 G4:1 C4:1 B3:1 C4:2";
        assert_eq!(key(major).fifths, 0);
        assert_eq!(key(major).mode(), Some("major"));
        for (semitones, fifths) in [(1, -5), (2, 2), (3, -3), (6, 6), (7, 1), (10, -2), (11, 5)] {
            let score = tune::parse(major, 12)
                .unwrap()
                .transposed(semitones)
                .unwrap();
            assert_eq!(Key::of(&score.notes).fifths, fifths, "{semitones}");
        }
        let minor = key("A3:1 B3:1 C4:1 D4:1 E4:2 C4:1 A3:1 G#3:1 B3:1 A3:2 E4:1 A3:1");
        assert_eq!((minor.fifths, minor.mode()), (0, Some("minor")));
        assert_eq!(
            Key::of(&[]),
            Key {
                fifths: 0,
                scale: None
            }
        );
    }

    #[test]
    fn a_signature_alters_its_steps() {
        let key = |fifths| Key {
            fifths,
            scale: None,
        };
        let altered = |fifths: i32| {
            let alters = STEPS.map(|step| key(fifths).alter(step));
            alters.iter().sum::<i32>()
        };
        for fifths in -7..=7 {
            assert_eq!(altered(fifths), fifths);
        }
        assert_eq!((key(1).alter('F'), key(1).alter('C')), (1, 0));
        assert_eq!((key(-1).alter('B'), key(-1).alter('E')), (-1, 0));
    }

    #[test]
    fn octaves_belong_to_names() {
        let of = |fifths, pitch| (Name::of(fifths).step, Name::of(fifths).octave(pitch));
        assert_eq!(of(0, 60), ('C', 4));
        assert_eq!(of(12, 60), ('B', 3));
        assert_eq!(of(-7, 59), ('C', 4));
        assert_eq!(of(-1, 127 - 2), ('F', 9));
    }

    #[test]
    fn chords_and_lines_decide_between_sharps_and_flats() {
        let home = "C3+E3+G3+C5:4 G3+B3+D4+G4:4 C3+E3+G3+C5:4 F3+A3+C4+F4:4 ";
        // The third of E, and the root of Ab.
        assert!(names(&format!("{home} E3+G#3+B3:4 A3+C4+E4:4")).contains("E G# B"));
        assert!(names(&format!("{home} G#3+C4+D#4:4 G3+B3+D4:4")).contains("Ab C Eb"));
        // Passing notes between tones of C.
        let line = format!("{home} voice\n-:16 C5:1 C#5:1 D5:1 D#5:1 E5:2 Eb5:1 D5:1 Db5:1 C5:2");
        let spelt = names(&line.replace("voice", "\nvoice"));
        assert!(spelt.ends_with("C C# D D# E Eb D Db C"), "{spelt}");
    }
}
