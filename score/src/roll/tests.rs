use super::layout::MOST_HEIGHT;
use super::*;
use crate::tune;
use tiny_skia::Pixmap;

fn pixels(png: &[u8]) -> Pixmap {
    Pixmap::decode_png(png).expect("a PNG")
}

#[test]
fn the_minuet_fills_whole_systems() {
    let score = tune::minuet();
    let part = RollPart {
        name: "heard",
        score: &score,
        colour: INPUT_COLOUR,
    };
    let parts = [part];
    let layout = Layout::new(&parts, 1).unwrap();
    assert_eq!(layout.systems.len(), 2);
    assert_eq!(layout.numbers, [1, 9]);
    assert_eq!(Layout::new(&parts, 5).unwrap().numbers, [5, 13]);
    let picture = pixels(&draw("Minuet", &parts).unwrap());
    // The first note, D5 at velocity 84, is drawn where the layout says.
    let (x, y) = (layout.x(0, 0) as u32 + 1, layout.y(0, 74) as u32 + 5);
    let seen = picture.pixel(x, y).unwrap();
    assert_eq!([seen.red(), seen.green(), seen.blue()], INPUT_COLOUR);
}

#[test]
fn what_is_left_stands_on_one_system() {
    let bars = |bars: u32| {
        let mut score = tune::minuet().until(1);
        score.length = bars * 36;
        let name = "";
        let part = RollPart {
            name,
            score: &score,
            colour: INPUT_COLOUR,
        };
        let layout = Layout::new(&[part], 1).unwrap();
        layout
            .systems
            .iter()
            .map(|s| s.len() - 1)
            .collect::<Vec<_>>()
    };
    assert_eq!(bars(15), [8, 7]);
    assert_eq!(bars(16), [8, 8]);
    assert_eq!(bars(33), [8, 8, 8, 8, 1]);
    let one = bars(9);
    assert!(one == [9] || one == [8, 1], "{one:?}");
}

#[test]
fn names_in_any_script_are_drawn() {
    let score = tune::minuet().until(36);
    let legend = |name| {
        let part = RollPart {
            name,
            score: &score,
            colour: INPUT_COLOUR,
        };
        let picture = pixels(&draw("", &[part]).unwrap());
        // Where the name stands, right of its colour.
        let rows = (12..36).flat_map(|y| (80..300).map(move |x| (x, y)));
        let colours = rows.map(|(x, y)| picture.pixel(x, y).unwrap().red());
        colours.collect::<Vec<_>>()
    };
    let (latin, greek, han) = (legend("abc"), legend("αβγ"), legend("右手"));
    let inked = |picture: &[u8]| picture.iter().filter(|&&c| c > 100).count();
    assert!(inked(&latin) > 20 && inked(&greek) > 20 && inked(&han) > 20);
    if han == legend("[no font for 2 characters]") {
        eprintln!("SKIPPED: needs a font with Chinese characters");
        return;
    }
    // Two characters that a font lacks would be two boxes, the same whatever they are.
    assert_ne!(han, legend("左足"));
}

#[test]
fn nothing_to_draw_is_said() {
    let empty = Score::new(12);
    let part = RollPart {
        name: "",
        score: &empty,
        colour: INPUT_COLOUR,
    };
    assert!(matches!(draw("", &[part]), Err(RollError::Empty)));
    assert!(matches!(draw("", &[]), Err(RollError::Empty)));
}

#[test]
fn a_note_of_days_draws_a_page_of_bounded_size() {
    let mut score = Score::new(12);
    score.notes = vec![Note {
        start: 0,
        length: 4_000_000,
        pitch: 60,
        velocity: 9,
        ..Note::default()
    }];
    score.normalise();
    let part = RollPart {
        name: "",
        score: &score,
        colour: INPUT_COLOUR,
    };
    assert!(pixels(&draw("", &[part]).unwrap()).height() < 20_000);

    // Bars of a page each, over all keys.
    let metre = crate::TimeSignature {
        numerator: 255,
        denominator: 4,
    };
    score.time_signatures = crate::TimeSignatureMap::constant(metre, 12);
    score.notes = [0, 127]
        .map(|pitch| Note {
            pitch,
            ..score.notes[0]
        })
        .to_vec();
    let part = RollPart {
        name: "",
        score: &score,
        colour: INPUT_COLOUR,
    };
    let height = Layout::new(&[part], 1).unwrap().height();
    assert!((20_000.0..=MOST_HEIGHT).contains(&height), "{height}");
}

#[test]
fn chords_stand_above_their_beats_in_a_row_of_their_own() {
    let score = tune::minuet();
    let part = || RollPart {
        name: "",
        score: &score,
        colour: INPUT_COLOUR,
    };
    let chords = [
        (0, "G".to_string()),
        (72, "C".to_string()),
        (360, "Am7".to_string()),
    ];
    let plain = pixels(&draw("", &[part()]).unwrap());
    let named = pixels(&draw_from("", &[part()], 1, &chords).unwrap());
    assert_eq!(named.height(), plain.height() + 2 * layout::CHORDS as u32);
    let parts = [part()];
    let mut layout = Layout::new(&parts, 1).unwrap();
    layout.make_room(true);
    // Bright pixels between the bar numbers and the first row of keys.
    let inked = |system: usize, step: u32| {
        let (x, top) = (layout.x(system, step) as u32, layout.top(system) as u32);
        let rows = (top - 17..top).flat_map(|y| (x..x + 20).map(move |x| (x, y)));
        rows.filter(|&(x, y)| named.pixel(x, y).unwrap().red() > 110)
            .count()
    };
    assert!(inked(0, 0) > 5 && inked(0, 72) > 5 && inked(1, 360) > 5);
    // C goes on in the second system, and is named there again.
    assert!(inked(1, 288) > 5);
    assert_eq!((inked(0, 36), inked(1, 324)), (0, 0));
}
