//! The sound of each beat of a score.

use super::templates::Profile;
use crate::part::Part;
use crate::score::{Note, Score};
use crate::time::TimeSignatureMap;

/// Weight of a note's onset, beside its length in beats.
const ONSET: f32 = 0.25;

/// Factor on the weight of a note in the beats after that of its onset.
const SUSTAINED: f32 = 0.7;

/// The lowest note of a bar so far remains its bass, as in a waltz, under notes this many semitones
/// higher,
const ABOVE_BASS: u8 = 3;

/// with this share of the bass,
const LINGERING_BASS: f32 = 0.4;

/// and with this weight as if it still sounded.
const LINGERING: f32 = 0.2;

/// Metrical weight of a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accent {
    /// On a bar line.
    Bar = 0,
    /// In the middle of a bar: the third of four quarters, the second of two times three eighths.
    Middle = 1,
    /// Elsewhere.
    Other = 2,
}

impl Accent {
    /// Whether the beat is strong: on a bar line or in the middle of a bar.
    pub fn is_strong(self) -> bool {
        self != Accent::Other
    }
}

/// A beat of a bar: a quarter, or three eighths in 3/8, 6/8, 9/8 and 12/8. The last one of a bar may
/// be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// First step.
    pub start: u32,
    /// First step after it.
    pub end: u32,
    /// Its metrical weight.
    pub accent: Accent,
}

impl Beat {
    /// The beat that contains `step`.
    pub fn at(time_signatures: &TimeSignatureMap, step: u32) -> Beat {
        let bar = time_signatures.bar_line(step);
        let line = time_signatures.next_bar(bar + 1);
        let metre = time_signatures.time_signature(bar);
        let compound = metre.numerator.is_multiple_of(3) && metre.denominator >= 8;
        let quarter = time_signatures.steps_per_beat();
        let length = match compound {
            true => 12 * quarter / u32::from(metre.denominator),
            false => quarter,
        };
        let length = length.max(1);
        let start = step - (step - bar) % length;
        let even = metre.numerator.is_multiple_of(2)
            && line - bar >= if compound { 2 } else { 4 } * length;
        Beat {
            start,
            end: (start + length).min(line),
            accent: match start - bar {
                0 => Accent::Bar,
                since if even && 2 * since == line - bar => Accent::Middle,
                _ => Accent::Other,
            },
        }
    }
}

/// The beats that begin in `from..to`, where `from` should lie on a bar line.
pub fn beats(time_signatures: &TimeSignatureMap, from: u32, to: u32) -> Vec<Beat> {
    let mut beats: Vec<Beat> = Vec::new();
    let mut start = from;
    while start < to {
        let beat = Beat::at(time_signatures, start);
        beats.push(beat);
        start = beat.end;
    }
    beats
}

/// The profile of each of `beats`.
pub(super) fn profiles(score: &Score, beats: &[Beat]) -> Vec<Profile> {
    let mut profiles = vec![Profile::default(); beats.len()];
    let (Some(first), Some(last)) = (beats.first(), beats.last()) else {
        return profiles;
    };
    let quarter = score.steps_per_beat.max(1) as f32;
    let mut sounding: Vec<Vec<&Note>> = vec![Vec::new(); beats.len()];
    for note in score.notes.iter().take_while(|n| n.start < last.end) {
        if note.end() <= first.start || note.part == Part::Drums {
            continue;
        }
        let begins = beats.partition_point(|b| b.end <= note.start);
        for (index, beat) in beats.iter().enumerate().skip(begins) {
            if beat.start >= note.end() {
                break;
            }
            let overlap = note.end().min(beat.end) - note.start.max(beat.start);
            let length = overlap as f32 / quarter;
            let weight = match note.start >= beat.start {
                true => length + ONSET,
                false => length * SUSTAINED,
            };
            profiles[index].pitch_classes[usize::from(note.pitch % 12)] += weight;
            sounding[index].push(note);
        }
    }
    let mut lowest_of_bar = None;
    for ((profile, notes), beat) in profiles.iter_mut().zip(&sounding).zip(beats) {
        if beat.accent == Accent::Bar {
            lowest_of_bar = None;
        }
        let Some(lowest) = notes.iter().map(|n| n.pitch).min() else {
            continue;
        };
        profile.bass = bass(notes, *beat, lowest);
        match lowest_of_bar {
            Some(low) if lowest >= low + ABOVE_BASS => {
                profile
                    .bass
                    .iter_mut()
                    .for_each(|share| *share *= 1.0 - LINGERING_BASS);
                profile.bass[usize::from(low % 12)] += LINGERING_BASS;
                profile.pitch_classes[usize::from(low % 12)] += LINGERING;
            }
            _ => lowest_of_bar = Some(lowest),
        }
    }
    profiles
}

/// The share of each pitch class among the lowest notes of a beat: half by how long it is the lowest
/// that sounds, half for the lowest of the whole beat.
fn bass(notes: &[&Note], beat: Beat, lowest: u8) -> [f32; 12] {
    let mut bass = [0.0; 12];
    let sounds = |note: &&&Note, step| (note.start..note.end()).contains(&step);
    let mut steps = [0u32; 12];
    for step in beat.start..beat.end {
        let low = notes
            .iter()
            .filter(|note| sounds(note, step))
            .map(|n| n.pitch)
            .min();
        if let Some(low) = low {
            steps[usize::from(low % 12)] += 1;
        }
    }
    let total = steps.iter().sum::<u32>().max(1) as f32;
    for (share, steps) in bass.iter_mut().zip(steps) {
        *share = 0.5 * steps as f32 / total;
    }
    bass[usize::from(lowest % 12)] += 0.5;
    bass
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeSignature;
    use crate::tune;

    #[test]
    fn beats_are_quarters_or_three_eighths() {
        let of = |numerator, denominator, to| {
            let metre = TimeSignature {
                numerator,
                denominator,
            };
            let map = TimeSignatureMap::constant(metre, 12);
            let beats = beats(&map, 0, to).into_iter();
            beats
                .map(|b| (b.start, b.end, b.accent))
                .collect::<Vec<_>>()
        };
        use Accent::{Bar, Middle, Other};
        assert_eq!(
            of(4, 4, 49),
            [
                (0, 12, Bar),
                (12, 24, Other),
                (24, 36, Middle),
                (36, 48, Other),
                (48, 60, Bar)
            ]
        );
        assert_eq!(
            of(3, 4, 36),
            [(0, 12, Bar), (12, 24, Other), (24, 36, Other)]
        );
        assert_eq!(of(6, 8, 36), [(0, 18, Bar), (18, 36, Middle)]);
        assert_eq!(of(3, 8, 18), [(0, 18, Bar)]);
        // The last beat of a bar may be short.
        assert_eq!(
            of(5, 8, 30),
            [(0, 12, Bar), (12, 24, Other), (24, 30, Other)]
        );
        assert_eq!(of(2, 4, 24), [(0, 12, Bar), (12, 24, Other)]);
    }

    #[test]
    fn length_and_onset_weigh_and_the_lowest_is_the_bass() {
        let score = tune::parse("C3:.5 G3:.5 E3:.5 G3:.5 | voice\nC5:4", 12);
        assert!(score.is_err(), "a bar of 4/4 has four beats");
        let score = tune::parse("C3:.5 G3:.5 E3:.5 G3:.5\nvoice\nE5:2", 12).unwrap();
        let beats = beats(&score.time_signatures, 0, 24);
        let profiles = profiles(&score, &beats);
        let first = profiles[0];
        assert_eq!(first.pitch_classes[0], 0.5 + ONSET);
        assert_eq!(first.pitch_classes[4], 1.0 + ONSET);
        assert_eq!((first.bass[0], first.bass[7]), (0.75, 0.25));
        // The E above goes on, and another begins below.
        assert_eq!(profiles[1].pitch_classes[4], SUSTAINED + 0.5 + ONSET);
        let lower = 1.0 - LINGERING_BASS;
        assert_eq!(profiles[1].bass[4], 0.75 * lower);
        // The C of the first beat remains the bass.
        assert_eq!(profiles[1].bass[0], LINGERING_BASS);
        assert_eq!(profiles[1].pitch_classes[0], LINGERING);
    }
}
