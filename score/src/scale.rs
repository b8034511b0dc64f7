//! Scales: named sets of pitch classes, and the detection of a scale from notes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::score::Note;
use crate::tune::parse_pitch;

/// The intervals of a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Ionian.
    Major,
    /// Natural minor, Aeolian.
    Minor,
    /// Minor with the raised seventh.
    HarmonicMinor,
    /// Minor with raised sixth and seventh, as it ascends.
    MelodicMinor,
    /// Minor with the raised sixth.
    Dorian,
    /// Minor with the lowered second.
    Phrygian,
    /// Major with the raised fourth.
    Lydian,
    /// Major with the lowered seventh.
    Mixolydian,
    /// Minor with lowered second and fifth.
    Locrian,
    /// Five notes of major.
    MajorPentatonic,
    /// Five notes of minor.
    MinorPentatonic,
    /// Minor pentatonic and the flattened fifth.
    Blues,
    /// Six whole tones.
    WholeTone,
    /// All twelve.
    Chromatic,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 14] = [
        Mode::Major,
        Mode::Minor,
        Mode::HarmonicMinor,
        Mode::MelodicMinor,
        Mode::Dorian,
        Mode::Phrygian,
        Mode::Lydian,
        Mode::Mixolydian,
        Mode::Locrian,
        Mode::MajorPentatonic,
        Mode::MinorPentatonic,
        Mode::Blues,
        Mode::WholeTone,
        Mode::Chromatic,
    ];

    /// English name.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Major => "major",
            Mode::Minor => "minor",
            Mode::HarmonicMinor => "harmonic minor",
            Mode::MelodicMinor => "melodic minor",
            Mode::Dorian => "dorian",
            Mode::Phrygian => "phrygian",
            Mode::Lydian => "lydian",
            Mode::Mixolydian => "mixolydian",
            Mode::Locrian => "locrian",
            Mode::MajorPentatonic => "major pentatonic",
            Mode::MinorPentatonic => "minor pentatonic",
            Mode::Blues => "blues",
            Mode::WholeTone => "whole tone",
            Mode::Chromatic => "chromatic",
        }
    }

    /// Semitones above the tonic.
    pub fn degrees(self) -> &'static [u8] {
        match self {
            Mode::Major => &[0, 2, 4, 5, 7, 9, 11],
            Mode::Minor => &[0, 2, 3, 5, 7, 8, 10],
            Mode::HarmonicMinor => &[0, 2, 3, 5, 7, 8, 11],
            Mode::MelodicMinor => &[0, 2, 3, 5, 7, 9, 11],
            Mode::Dorian => &[0, 2, 3, 5, 7, 9, 10],
            Mode::Phrygian => &[0, 1, 3, 5, 7, 8, 10],
            Mode::Lydian => &[0, 2, 4, 6, 7, 9, 11],
            Mode::Mixolydian => &[0, 2, 4, 5, 7, 9, 10],
            Mode::Locrian => &[0, 1, 3, 5, 6, 8, 10],
            Mode::MajorPentatonic => &[0, 2, 4, 7, 9],
            Mode::MinorPentatonic => &[0, 3, 5, 7, 10],
            Mode::Blues => &[0, 3, 5, 6, 7, 10],
            Mode::WholeTone => &[0, 2, 4, 6, 8, 10],
            Mode::Chromatic => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        }
    }
}

/// A tonic and a mode: `D dorian`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scale {
    /// Pitch class of the tonic, 0 (C) to 11 (B); larger values count modulo 12.
    pub tonic: u8,
    /// Its intervals.
    pub mode: Mode,
}

/// A text that is no name of a scale.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no scale: a tonic and a mode, as in \"D dorian\" or \"Bb major\"; modes are {}",
    Mode::ALL.map(Mode::name).join(", ")
)]
pub struct ParseScaleError {
    /// The text.
    text: String,
}

impl FromStr for Scale {
    type Err = ParseScaleError;

    /// `C major`, `f# harmonic minor`, `Bb` (major), `Am` (minor).
    fn from_str(text: &str) -> Result<Self, ParseScaleError> {
        let fail = || ParseScaleError {
            text: text.to_string(),
        };
        let (tonic, mode) = text.trim().split_once([' ', '-']).unwrap_or((text, ""));
        let (tonic, mode) = match tonic.strip_suffix('m').filter(|t| !t.is_empty()) {
            Some(tonic) if mode.is_empty() => (tonic, "minor"),
            _ => (tonic, mode),
        };
        let mut letters = tonic.trim().chars();
        let letter = letters.next().ok_or_else(fail)?.to_ascii_uppercase();
        // Octave 4: every spelling from Cb to B# is a key there.
        let name = format!("{letter}{}4", letters.as_str());
        let tonic = parse_pitch(&name).ok_or_else(fail)? % 12;
        let wanted = mode.trim().to_ascii_lowercase().replace(['-', '_'], " ");
        let mode = match wanted.as_str() {
            "" | "maj" | "ionian" => Mode::Major,
            "min" | "natural minor" | "aeolian" => Mode::Minor,
            other => *Mode::ALL
                .iter()
                .find(|m| m.name() == other)
                .ok_or_else(fail)?,
        };
        Ok(Self { tonic, mode })
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As keys are commonly written: flats where the key has flats.
        let names = [
            "C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B",
        ];
        let tonic = names[usize::from(self.tonic % 12)];
        write!(f, "{tonic} {}", self.mode.name())
    }
}

impl Scale {
    /// A bit for each pitch class, 0 (C) to 11 (B), set if it belongs to the scale.
    pub fn pitch_classes(self) -> u16 {
        let bit = |degree: &u8| 1u16 << ((self.tonic + degree) % 12);
        self.mode.degrees().iter().map(bit).sum()
    }

    /// Whether a MIDI key belongs to the scale.
    pub fn contains(self, pitch: u8) -> bool {
        self.pitch_classes() >> (pitch % 12) & 1 == 1
    }

    /// The scale of notes; `None` without notes.
    ///
    /// The key is the major or minor one whose profile (D. Temperley, "What's Key for Key?
    /// The Krumhansl-Schmuckler Key-Finding Algorithm Reconsidered", Music Perception 17(1),
    /// 1999) correlates best with the pitch classes, weighted by duration. Of the scales on that
    /// tonic with that third, the result is the one that contains most of the weight: so a reel in
    /// D dorian keeps its B natural. The weight of a note halves with each `half_life` steps before
    /// the last onset, so that a modulation is followed.
    pub fn detect(notes: &[Note], half_life: f64) -> Option<Scale> {
        let pitched = || notes.iter().filter(|n| n.part.is_pitched());
        let last = pitched().map(|n| n.start).max()?;
        let mut weights = [0.0f64; 12];
        for note in pitched() {
            let age = f64::from(last - note.start) / half_life;
            weights[usize::from(note.pitch % 12)] += f64::from(note.length) * (-age).exp2();
        }
        // Ties go to the first, so that the result never depends on rounding.
        let mut best: Option<(f64, Scale)> = None;
        for tonic in 0..12u8 {
            for (mode, profile) in [(Mode::Major, &MAJOR), (Mode::Minor, &MINOR)] {
                let fit = correlation(&weights, tonic, profile);
                if best.is_none_or(|(most, _)| fit > most) {
                    best = Some((fit, Scale { tonic, mode }));
                }
            }
        }
        let (_, key) = best?;
        let kin: &[Mode] = match key.mode {
            Mode::Major => &[Mode::Major, Mode::Mixolydian, Mode::Lydian],
            _ => &[
                Mode::Minor,
                Mode::HarmonicMinor,
                Mode::Dorian,
                Mode::MelodicMinor,
                Mode::Phrygian,
            ],
        };
        let held = |scale: Scale| -> f64 {
            let classes = (0..12u8).filter(|&class| scale.contains(class));
            classes.map(|class| weights[usize::from(class)]).sum()
        };
        let mut chosen = key;
        for &mode in kin {
            let scale = Scale { mode, ..key };
            if held(scale) > held(chosen) {
                chosen = scale;
            }
        }
        Some(chosen)
    }
}

/// Temperley's profile of major, from the tonic up.
const MAJOR: [f64; 12] = [5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0];
/// Temperley's profile of minor, from the tonic up.
const MINOR: [f64; 12] = [5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0];

/// Pearson's correlation of the weights, seen from `tonic`, with a profile; 0 where the
/// weights are all equal.
fn correlation(weights: &[f64; 12], tonic: u8, profile: &[f64; 12]) -> f64 {
    let mean = |values: &[f64; 12]| values.iter().sum::<f64>() / 12.0;
    let (mean_weight, mean_profile) = (mean(weights), mean(profile));
    let (mut both, mut of_weights, mut of_profile) = (0.0, 0.0, 0.0);
    for (degree, value) in profile.iter().enumerate() {
        let w = weights[(usize::from(tonic) + degree) % 12] - mean_weight;
        let p = value - mean_profile;
        both += w * p;
        of_weights += w * w;
        of_profile += p * p;
    }
    match of_weights > 0.0 {
        true => both / (of_weights * of_profile).sqrt(),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune;

    fn notes(tune: &str) -> Vec<Note> {
        tune::parse(tune, 12).unwrap().notes
    }

    #[test]
    fn names_are_read_and_written() {
        for (text, name) in [
            ("D dorian", "D dorian"),
            ("bb major", "Bb major"),
            ("Am", "A minor"),
            ("F#m", "F# minor"),
            ("Eb", "Eb major"),
            ("B# harmonic-minor", "C harmonic minor"),
            ("g minor pentatonic", "G minor pentatonic"),
            ("C aeolian", "C minor"),
        ] {
            assert_eq!(text.parse::<Scale>().unwrap().to_string(), name, "{text}");
        }
        for tonic in 0..12 {
            for mode in Mode::ALL {
                let scale = Scale { tonic, mode };
                assert_eq!(scale.to_string().parse(), Ok(scale));
                assert_eq!(
                    scale.pitch_classes().count_ones() as usize,
                    mode.degrees().len()
                );
                assert!(scale.contains(60 + tonic));
            }
        }
        for bad in ["", "H major", "D foo", "m", "major", "4 major"] {
            let error = bad.parse::<Scale>().unwrap_err().to_string();
            assert!(error.contains("harmonic minor"), "{error}");
        }
    }

    #[test]
    fn a_scale_contains_its_pitch_classes() {
        let scale: Scale = "D dorian".parse().unwrap();
        let held: Vec<u8> = (60..72).filter(|&p| scale.contains(p)).collect();
        assert_eq!(held, [60, 62, 64, 65, 67, 69, 71]);
    }

    #[test]
    fn scales_are_detected_in_every_key() {
        let minuet = tune::minuet();
        let far = 1e9;
        let scale = Scale::detect(&minuet.notes, far).unwrap();
        assert_eq!(scale.to_string(), "G major");
        // Moved to every key, it is detected there.
        for by in 0..12u8 {
            let mut moved = minuet.notes.clone();
            moved.iter_mut().for_each(|n| n.pitch += by);
            let heard = Scale::detect(&moved, far).unwrap();
            assert_eq!((heard.tonic, heard.mode), ((7 + by) % 12, Mode::Major));
        }
        for (tune, name) in [
            (
                "A4:2 C5:1 E5:1 | A5:1 G#5:1 B5:1 E5:1 | F5:1 D5:1 E5:1 G#4:1 | A4:4",
                "A harmonic minor",
            ),
            (
                "D4:2 E4:.5 F4:.5 A4:1 | D5:1 C5:.5 A4:.5 B4:.5 G4:.5 A4:1 | F4:1 E4:1 D4:2",
                "D dorian",
            ),
        ] {
            assert_eq!(
                Scale::detect(&notes(tune), far).unwrap().to_string(),
                name,
                "{tune}"
            );
        }
        assert_eq!(Scale::detect(&[], far), None);
    }

    #[test]
    fn a_modulation_is_followed() {
        let mut notes = tune::minuet().notes;
        let end = notes.iter().map(Note::end).max().unwrap();
        let later: Vec<Note> = notes
            .iter()
            .map(|n| Note {
                start: n.start + end,
                pitch: n.pitch + 6,
                ..*n
            })
            .collect();
        notes.extend(later);
        let heard = Scale::detect(&notes, 12.0 * 16.0).unwrap();
        assert_eq!(heard.to_string(), "Db major");
    }

    /// Few notes, odd notes, extreme numbers: always some scale, never a panic.
    #[test]
    fn anything_has_some_scale() {
        let note = |start, length, pitch| Note {
            start,
            length,
            pitch,
            velocity: 1,
            ..Note::default()
        };
        for notes in [
            vec![note(0, 1, 0)],
            vec![note(0, u32::MAX, 127), note(u32::MAX, u32::MAX, 3)],
            (0..12).map(|p| note(0, 7, p)).collect(),
        ] {
            let scale = Scale::detect(&notes, 100.0).unwrap();
            assert!(scale.tonic < 12);
        }
    }
}
