use super::*;
use crate::tune;

fn notes(tune: &str) -> Vec<Note> {
    tune::parse(tune, 12).unwrap().notes
}

/// The parts of tracks, given as name, program and tune; the program 128 is a drum channel.
fn found(tracks: &[(&str, u8, &str)]) -> Vec<(Part, PartRule)> {
    let music: Vec<Vec<Note>> = tracks.iter().map(|track| notes(track.2)).collect();
    let tracks: Vec<TrackNotes<'_>> = tracks
        .iter()
        .zip(&music)
        .map(|(&(name, program, _), notes)| TrackNotes {
            name,
            program: (program < 128).then_some(program),
            drums: program == 128,
            notes,
        })
        .collect();
    parts(&tracks)
}

const TUNE: &str = "E5:1 D5:.5 C5:.5 D5:1 E5:2 G5:1 F5:1 E5:1";
const LOW: &str = "C2:1 G2:1 C2:1 G2:1 A2:2";
const CHORDS: &str = "C4+E4+G4:2 A3+C4+F4:2 B3+D4+G4:2";
const PIANO: &str = "C2+E4+G4:2 A2+C5+F5:2 G2+B4+D5:2 C2+C5+E5:2";
const ARPEGGIO: &str = "C4:.5 E4:.5 G4:.5 C5:.5 G4:.5 E4:.5 C4:.5 E4:.5 G4:.5 C5:.5";

#[test]
fn drums_then_programs_then_names_decide() {
    let all = found(&[
        ("Bass", 128, LOW),
        ("Melody", 33, TUNE),
        ("Melody", 0, LOW),
        ("Pad", 80, CHORDS),
        ("", 89, TUNE),
    ]);
    assert_eq!(
        all,
        [
            (Part::Drums, PartRule::DrumChannel),
            (Part::Bass, PartRule::Program(33)),
            (Part::Lead, PartRule::Name("melody")),
            (Part::Lead, PartRule::Program(80)),
            (Part::Chords, PartRule::Program(89)),
        ]
    );
}

#[test]
fn a_keyboard_and_its_hands_are_keys() {
    let keys = (Part::Keys, PartRule::KeyboardPiece);
    assert_eq!(found(&[("Prelude", 0, PIANO)]), [keys]);
    assert_eq!(found(&[("", 6, TUNE)]), [keys]);
    assert_eq!(found(&[("", 0, TUNE), ("", 0, LOW)]), [keys, keys]);
    let hands = found(&[("Piano right", 0, TUNE), ("Piano left", 0, LOW)]);
    assert!(hands.iter().all(|found| found.0 == Part::Keys), "{hands:?}");
    // A flute alone is no keyboard.
    assert_eq!(found(&[("", 73, TUNE)])[0].0, Part::Lead);
}

#[test]
fn register_notes_at_once_and_rhythm_decide_the_rest() {
    let parts: Vec<Part> = found(&[
        ("", 128, LOW),
        ("", 0, PIANO),
        ("", 25, CHORDS),
        ("", 25, ARPEGGIO),
        ("", 25, LOW),
        ("", 56, TUNE),
        ("", 66, "A4:1 B4:1.5 A4:.5 G4:1"),
    ])
    .into_iter()
    .map(|found| found.0)
    .collect();
    assert_eq!(
        parts,
        [
            Part::Drums,
            Part::Keys,
            Part::Chords,
            Part::Chords,
            Part::Bass,
            Part::Lead,
            Part::Chords
        ]
    );
}

#[test]
fn the_lowest_of_several_lines_is_the_bass_if_nobody_else_is() {
    let cello = "C3:1 E3:2 D3:1 F3:.5 G3:1.5";
    let violins = [("", 40, TUNE), ("", 40, "C5:1 A4:2 B4:1"), ("", 42, cello)];
    let rules: Vec<PartRule> = found(&violins).into_iter().map(|f| f.1).collect();
    let [lead, inner, lowest] = [
        PartRule::HighestLine,
        PartRule::InnerLine,
        PartRule::LowestLine,
    ];
    assert_eq!(rules, [lead, inner, lowest]);
    let with_bass = found(&[violins[0], violins[2], ("", 43, LOW)]);
    assert_eq!(with_bass[1], (Part::Chords, inner));
    // Alone, a low line is what it is by its register.
    assert_eq!(found(&[violins[2]]), [(Part::Lead, lead)]);
    assert_eq!(found(&[("", 42, LOW)])[0].0, Part::Bass);
}

#[test]
fn a_track_without_notes_has_some_part() {
    assert_eq!(found(&[("", 40, "-:1"), ("", 128, "-:1")]).len(), 2);
    assert!(parts(&[]).is_empty());
}

#[test]
fn rules_are_said_in_words() {
    for (rule, text) in [
        (PartRule::Program(33), "program 34"),
        (PartRule::Name("bass"), "name: \"bass\""),
        (PartRule::Chordal(2.44), "2.4 notes at once"),
        (PartRule::Low(40), "low notes, around E2"),
    ] {
        assert_eq!(rule.to_string(), text);
    }
}
