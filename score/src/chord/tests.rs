use super::*;
use crate::scale::Scale;
use crate::score::Score;
use crate::tune;

/// The names of the chords of a tune, in order.
fn names(tune: &str) -> Vec<String> {
    let score = tune::parse(tune, 12).unwrap();
    let spans = recognise(&score);
    spans
        .iter()
        .map(|span| name_or_none(span.chord, None))
        .collect()
}

#[test]
fn every_name_is_read_and_written() {
    for quality in Quality::ALL {
        for root in 0..12 {
            for bass in 0..12 {
                let chord = Chord::new(root, quality).over(bass);
                assert_eq!(chord.to_string().parse(), Ok(chord), "{chord}");
            }
        }
    }
    for (text, name) in [
        ("Cmaj7", "Cmaj7"),
        ("F#m7/C#", "F#m7/C#"),
        ("Gbm7/Db", "F#m7/C#"),
        ("Bb/D", "Bb/D"),
        ("B7/D#", "B7/D#"),
        ("Cm/Eb", "Cm/Eb"),
        ("Bbm7b5/E", "Bbm7b5/Fb"),
        ("Caug/G#", "Caug/G#"),
        ("C/D", "C/D"),
        ("Ab/C", "Ab/C"),
        ("G#dim7", "G#dim7"),
        ("Fm", "Fm"),
    ] {
        assert_eq!(text.parse::<Chord>().unwrap().to_string(), name, "{text}");
    }
    for bad in [
        "", "H", "Cfoo", "C/", "C/x", "C/Gm", "m", "N.C.", "C /G", "Ü",
    ] {
        let error = bad.parse::<Chord>().unwrap_err().to_string();
        assert!(error.contains("m7b5"), "{error}");
    }
}

#[test]
fn the_key_decides_between_sharps_and_flats() {
    for (chord, key, name) in [
        ("Db7", "D major", "C#7"),
        ("A#", "D major", "Bb"),
        ("A#dim", "B major", "A#dim"),
        ("G#", "C minor", "Ab"),
        ("G#dim", "A minor", "G#dim"),
        ("D#m", "F# major", "D#m"),
        ("D#m", "Db major", "Ebm"),
        ("E/G#", "A major", "E/G#"),
        ("Cb", "Gb major", "B"),
    ] {
        let chord: Chord = chord.parse().unwrap();
        let key: Scale = key.parse().unwrap();
        assert_eq!(chord.name(Some(key)), name, "{chord} in {key}");
    }
    assert_eq!(name_or_none(None, None), "N.C.");
}

#[test]
fn a_chord_contains_its_tones_and_its_bass() {
    let chord: Chord = "C7/D".parse().unwrap();
    let tones: Vec<u8> = (60..72).filter(|&pitch| chord.contains(pitch)).collect();
    assert_eq!(tones, [60, 62, 64, 67, 70]);
}

#[test]
fn keys_held_together_form_every_chord_on_every_root() {
    for quality in Quality::ALL {
        for root in 0..12u8 {
            let keys: Vec<u8> = quality.intervals().iter().map(|i| 48 + root + i).collect();
            let chord = Chord::new(root, quality);
            assert_eq!(chord_of_keys(&keys), Some(chord), "{chord} from {keys:?}");
            // With the root an octave below and above.
            let wide = [&[36 + root][..], &keys, &[60 + root]].concat();
            assert_eq!(chord_of_keys(&wide), Some(chord), "{chord} from {wide:?}");
        }
    }
    for (keys, name) in [
        (&[52, 55, 60][..], "C/E"),
        (&[55, 60, 64], "C/G"),
        (&[51, 55, 60], "Cm/Eb"),
        (&[58, 60, 64, 67], "C7/Bb"),
        (&[48, 52], "C"),
        (&[48, 51], "Cm"),
        // Without the fifth, and with a ninth.
        (&[48, 52, 58], "C7"),
        (&[48, 52, 55, 62], "C"),
        (&[48, 52, 55, 58, 62], "C7"),
    ] {
        let chord = chord_of_keys(keys).map(|chord| chord.to_string());
        assert_eq!(chord.as_deref(), Some(name), "{keys:?}");
    }
}

#[test]
fn one_key_and_clusters_form_no_chord() {
    for keys in [
        &[][..],
        &[60],
        &[36, 48, 60],
        &[48, 49],
        &[48, 50],
        &[48, 49, 50],
        &[48, 49, 50, 51],
        &[60, 61, 62, 63, 64],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 127],
    ] {
        assert_eq!(chord_of_keys(keys), None, "{keys:?}");
    }
}

#[test]
fn broken_chords_and_passing_notes_change_nothing() {
    // An Alberti bass under a melody with passing notes.
    let tune = "C3:.5 G3:.5 E3:.5 G3:.5 C3:.5 G3:.5 E3:.5 G3:.5 | B2:.5 G3:.5 D3:.5 G3:.5 B2:.5 G3:.5 F3:.5 G3:.5 | C3:.5 G3:.5 E3:.5 G3:.5 C3:2\nvoice\nE5:1 D5:.5 C5:.5 G5:2 | F5:1 D5:.5 E5:.5 D5:2 | C5:4";
    assert_eq!(names(tune), ["C", "G7/B", "C"]);
}

#[test]
fn silence_keeps_the_chord_for_a_while_and_then_ends_it() {
    let bars = "G2+B3+D4+G4:2 -:2 | G2+B3+D4+G4:4";
    assert_eq!(names(bars), ["G"]);
    let long = format!("G2+B3+D4+G4:4 {} C3+E4+G4:4", "| -:4 ".repeat(8));
    assert_eq!(names(&long), ["G", "N.C.", "C"]);
    assert_eq!(recognise(&Score::new(12)), []);
}

#[test]
fn spans_have_no_gaps_and_follow_a_transposition() {
    let minuet = tune::minuet();
    let spans = recognise(&minuet);
    assert_eq!(
        (spans[0].start, spans[spans.len() - 1].end),
        (0, minuet.length)
    );
    for pair in spans.windows(2) {
        assert_eq!(pair[0].end, pair[1].start);
        assert_ne!(pair[0].chord, pair[1].chord);
    }
    let moved = recognise(&minuet.transposed(5).unwrap());
    assert_eq!(moved.len(), spans.len());
    for (span, moved) in spans.iter().zip(&moved) {
        let (Some(chord), Some(there)) = (span.chord, moved.chord) else {
            panic!("the minuet has a chord everywhere: {span:?}, {moved:?}");
        };
        assert_eq!(
            ((chord.root + 5) % 12, chord.quality),
            (there.root, there.quality)
        );
    }
}

/// Recognition beat by beat: the last chord is the same whether more notes follow or not, and the
/// same notes give the same chords.
#[test]
fn the_last_chord_does_not_depend_on_later_notes() {
    let minuet = tune::minuet();
    for beat in 1..48 {
        let step = beat * 12;
        let so_far = recognise_range(&minuet.until(step), 0, step);
        assert_eq!(so_far, recognise_range(&minuet, 0, step), "beat {beat}");
    }
}

#[test]
fn drums_have_no_chord() {
    let mut score = tune::parse("C3+E3+G3:4", 12).unwrap();
    let chord = recognise(&score);
    let drums = (0..8).map(|number| crate::Note {
        start: number * 6,
        pitch: 42 - (number % 2) as u8 * 5,
        part: crate::Part::Drums,
        ..crate::Note::default()
    });
    score.notes.extend(drums);
    score.normalise();
    assert_eq!(recognise(&score), chord);
}

/// Whatever the notes are, there is an answer.
#[test]
fn odd_scores_are_recognised() {
    let mut score = Score::new(12);
    let note = |start, length, pitch| crate::Note {
        start,
        length,
        pitch,
        velocity: 1,
        ..Default::default()
    };
    score.notes = vec![note(0, 1, 0), note(3, 100_000, 127), note(7, 1, 64)];
    score.time_signatures = crate::TimeSignatureMap::new(
        12,
        [(0, 5, 32), (50, 1, 64), (77, 7, 8), (200, 3, 8)]
            .map(|(step, numerator, denominator)| {
                (
                    step,
                    crate::TimeSignature {
                        numerator,
                        denominator,
                    },
                )
            })
            .to_vec(),
    );
    score.normalise();
    let spans = recognise(&score);
    assert!(spans.last().unwrap().end >= score.length);
}
