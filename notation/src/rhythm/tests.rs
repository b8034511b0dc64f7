use super::*;
use crate::bars::bars;
use crate::spelling::Name;
use crate::voices::{Slicer, WrittenNote, voices};
use continuo_score::{Note, Score, TimeSignature, TimeSignatureMap};

/// The values of a bar with notes of these lengths in steps, of which negative ones are rests: `4` is
/// a quarter, `8.` a dotted eighth, `r` a rest, `~` a tie, and brackets a tuplet.
fn bar(numerator: u16, denominator: u16, lengths: &[i32]) -> String {
    let time = TimeSignature {
        numerator,
        denominator,
    };
    let mut score = Score::new(12);
    score.time_signatures = TimeSignatureMap::constant(time, 12);
    let mut notes = Vec::new();
    let mut start = 0;
    for length in lengths {
        let note = Note {
            start,
            length: length.unsigned_abs(),
            ..Note::default()
        };
        start = note.end();
        if *length > 0 {
            let name = Name::of(0);
            notes.push(WrittenNote { note, name });
        }
    }
    let bar = bars(&score.time_signatures, 1, Some(0), 1).remove(0);
    assert_eq!(bar.end, start, "the bar is full");
    let voices = voices(&notes);
    let slices = Slicer::new(&voices[0]).bar(bar.start, bar.end);
    let (grid, _) = Grid::for_score(&score).unwrap();
    let pieces = pieces(grid, &bar, &slices);
    assert_eq!(pieces[0].start, 0);
    assert_eq!(pieces[pieces.len() - 1].end, bar.end);
    assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
    let words: Vec<String> = pieces.iter().map(|piece| word(piece, &slices)).collect();
    words.join(" ")
}

fn word(piece: &Piece, slices: &[Slice]) -> String {
    let notes = &slices[piece.slice].notes;
    let is = |is: bool, text: &'static str| if is { text } else { "" };
    let value = match piece.value.name() {
        "whole" => "1",
        "half" => "2",
        "quarter" => "4",
        "eighth" => "8",
        name => name.trim_end_matches(char::is_alphabetic),
    };
    let tied = notes.iter().any(|written| written.end() > piece.end);
    [
        is(piece.tuplet.is_some_and(|tuplet| tuplet.is_first), "["),
        is(notes.is_empty(), "r"),
        value,
        is(piece.value.dotted, "."),
        is(tied, "~"),
        is(piece.tuplet.is_some_and(|tuplet| tuplet.is_last), "]"),
    ]
    .concat()
}

#[test]
fn plain_values_show_the_beats_of_four_quarters() {
    let bar = |lengths: &[i32]| bar(4, 4, lengths);
    assert_eq!(bar(&[12, 12, 24]), "4 4 2");
    assert_eq!(bar(&[48]), "1");
    assert_eq!(bar(&[36, 12]), "2. 4");
    assert_eq!(bar(&[18, 6, 9, 3, 12]), "4. 8 8. 16 4");
    assert_eq!(bar(&[12, 24, 12]), "4 2 4");
    assert_eq!(bar(&[6, 12, 6, 24]), "8 4 8 2", "a syncopation");
    assert_eq!(bar(&[15, 33]), "4~ 16 8.~ 2");
    assert_eq!(
        bar(&[6, 12, 12, 18]),
        "8 4 8~ 8 8~ 4",
        "the middle is shown"
    );
    assert_eq!(bar(&[3, 6, 3, 36]), "16 8 16 2.");
}

#[test]
fn rests_lie_on_beats_and_have_no_dots() {
    let bar = |lengths: &[i32]| bar(4, 4, lengths);
    assert_eq!(bar(&[12, -36]), "4 r4 r2");
    assert_eq!(bar(&[-24, 24]), "r2 2");
    assert_eq!(bar(&[-6, 6, -36]), "r8 8 r4 r2");
    assert_eq!(bar(&[3, -9, 36]), "16 r16 r8 2.");
    assert_eq!(bar(&[-18, 30]), "r4 r8 8~ 2");
}

#[test]
fn triplets_are_tuplets_of_a_beat_of_half_a_beat_or_of_two_beats() {
    let bar = |lengths: &[i32]| bar(4, 4, lengths);
    assert_eq!(bar(&[4, 4, 4, 36]), "[8 8 8] 2.");
    assert_eq!(bar(&[8, 4, 36]), "[4 8] 2.");
    assert_eq!(bar(&[4, -4, 4, 36]), "[8 r8 8] 2.");
    assert_eq!(bar(&[2, 2, 2, 6, 36]), "[16 16 16] 8 2.");
    assert_eq!(bar(&[2, 2, 2, 2, 2, 2, 36]), "[16 16 16 16 16 16] 2.");
    assert_eq!(bar(&[8, 8, 8, 24]), "[4 4 4] 2");
    assert_eq!(bar(&[12, 12, 8, 8, 8]), "4 4 [4 4 4]");
    assert_eq!(bar(&[16, 16, 16]), "[2 2 2]");
    // A note from a triplet into the next beat is tied.
    assert_eq!(bar(&[4, 4, 16, 24]), "[8 8 8~] 4 2");
    assert_eq!(bar(&[1, 5, 6, 36]), "[32 8~ 32] 8 2.");
    assert_eq!(bar(&[5, 7, 36]), "[8~ 32 8.~ 32] 2.");
}

#[test]
fn compound_beats_are_dotted_quarters() {
    let six = |lengths: &[i32]| bar(6, 8, lengths);
    assert_eq!(six(&[18, 18]), "4. 4.");
    assert_eq!(six(&[36]), "2.");
    assert_eq!(six(&[12, 6, 6, 6, 6]), "4 8 8 8 8");
    assert_eq!(six(&[6, 24, 6]), "8 4~ 4 8");
    assert_eq!(six(&[-18, 18]), "r4. 4.");
    assert_eq!(six(&[2, 2, 2, 30]), "[16 16 16] 4~ 4.");
    assert_eq!(six(&[9, 9, 18]), "8. 8. 4.");
    assert_eq!(bar(5, 8, &[30]), "2~ 8");
}

#[test]
fn bars_of_any_length_are_filled() {
    for numerator in 1..=13 {
        for denominator in [2, 4, 8, 16] {
            let steps = 48 * i32::from(numerator) / i32::from(denominator);
            for first in 1..steps {
                bar(numerator, denominator, &[first, first - steps]);
                bar(numerator, denominator, &[-first, steps - first]);
            }
        }
    }
}
