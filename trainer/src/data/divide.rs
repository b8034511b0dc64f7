//! Division of a keyboard solo into the parts of a band, so that a model learns to accompany: its top
//! line becomes the lead, its lowest notes the bass, the rest the chords. Or only the top line or the
//! lowest notes leave the keys, since people play along with a pianist more often than with a lead.

use continuo_score::{Note, Part, PartSet, Score};

/// The pitch below which the lowest note that sounds is a bass: middle C.
const BASS_BELOW: u8 = 60;

/// The parts into which a solo is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// Lead, chords and bass.
    Band,
    /// Keys and bass: the lead and the chords stay keys.
    KeysAndBass,
    /// Lead and keys: the chords and the bass stay keys.
    LeadAndKeys,
}

impl Division {
    /// A division for each number: half are bands.
    pub fn numbered(number: u64) -> Self {
        match number % 4 {
            0 => Self::KeysAndBass,
            1 => Self::LeadAndKeys,
            _ => Self::Band,
        }
    }

    fn part(self, part: Part) -> Part {
        match (self, part) {
            (Self::KeysAndBass, Part::Lead | Part::Chords)
            | (Self::LeadAndKeys, Part::Chords | Part::Bass) => Part::Keys,
            _ => part,
        }
    }
}

/// The score with its notes divided, each by what sounds as it begins:
/// - the highest note of all that begin or sound is `lead`;
/// - of the others, the lowest of all that begin or sound is `bass` if it lies below middle C;
/// - the rest are `chords`.
///
/// Of these parts, `division` leaves some to the keys. `None` if a note has a part already, or if only
/// one part plays.
pub fn divide(score: &Score, division: Division) -> Option<Score> {
    if score.notes.iter().any(|note| !note.part.is_keys()) {
        return None;
    }
    let mut divided = score.clone();
    // `(end, pitch)` of the notes that sound.
    let mut sounding: Vec<(u32, u8)> = Vec::new();
    for row in divided.notes.chunk_by_mut(|a, b| a.start == b.start) {
        let now = row[0].start;
        sounding.retain(|&(end, _)| end > now);
        sounding.extend(row.iter().map(|note| (note.end(), note.pitch)));
        let pitches = || sounding.iter().map(|&(_, pitch)| pitch);
        let (highest, lowest) = (pitches().max(), pitches().min());
        for note in row {
            note.part = division.part(part(note, highest, lowest));
        }
    }
    divided.normalise();
    let parts: PartSet = divided.notes.iter().map(|note| note.part).collect();
    (parts.len() > 1).then_some(divided)
}

fn part(note: &Note, highest: Option<u8>, lowest: Option<u8>) -> Part {
    let pitch = Some(note.pitch);
    if pitch == highest {
        Part::Lead
    } else if pitch == lowest && note.pitch < BASS_BELOW {
        Part::Bass
    } else {
        Part::Chords
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::tune;

    #[test]
    fn the_minuet_has_a_tune_and_a_bass() {
        let minuet = tune::minuet();
        let divided = divide(&minuet, Division::Band).unwrap();
        let first: Vec<_> = divided
            .notes
            .iter()
            .filter(|n| n.start == 0)
            .map(|n| (n.part, n.pitch))
            .collect();
        let expected = [
            (Part::Lead, 74),
            (Part::Chords, 59),
            (Part::Chords, 62),
            (Part::Bass, 55),
        ];
        assert_eq!(first, expected);
        // The notes stay, whatever their parts.
        let mut merged = divided.clone();
        merged.notes.iter_mut().for_each(|n| n.part = Part::Keys);
        merged.normalise();
        assert_eq!(merged, minuet);
        assert_eq!(divide(&divided, Division::Band), None, "it has parts");
        for (division, foreign) in [
            (Division::KeysAndBass, Part::Bass),
            (Division::LeadAndKeys, Part::Lead),
        ] {
            let other = divide(&minuet, division).unwrap();
            let of = |score: &Score, part| {
                let notes = score.notes.iter().filter(move |n| n.part == part);
                notes.map(|n| (n.start, n.pitch)).collect::<Vec<_>>()
            };
            assert_eq!(of(&other, foreign), of(&divided, foreign));
            let keys = minuet.notes.len() - of(&divided, foreign).len();
            assert_eq!(of(&other, Part::Keys).len(), keys);
        }
    }

    #[test]
    fn a_held_note_stays_the_highest_or_the_lowest() {
        let score = tune::parse("voice\nG5:4\nvoice\nE4:1 C5:1 -:2\nvoice\nC3:2 C2:2", 12).unwrap();
        let parts: Vec<_> = divide(&score, Division::Band)
            .unwrap()
            .notes
            .iter()
            .map(|n| (n.start, n.pitch, n.part))
            .collect();
        let expected = [
            (0, 79, Part::Lead),
            (0, 64, Part::Chords),
            (0, 48, Part::Bass),
            (12, 72, Part::Chords),
            (24, 36, Part::Bass),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_tune_alone_is_not_divided() {
        let tune = tune::parse("C4:1 D4:1 E4:2", 12).unwrap();
        assert_eq!(divide(&tune, Division::Band), None);
        assert_eq!(divide(&Score::new(12), Division::Band), None);
    }
}
