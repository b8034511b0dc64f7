//! Recognised chords of pieces in the public domain (and one of ours) beside chords written by hand.

use continuo_score::chord::{Chord, beats, name_or_none, recognise};
use continuo_score::{Score, tune};

/// A piece, and its chords as in a lead sheet: bars, and in them a chord or a point for each beat. A bar
/// of one chord has it once.
struct Piece {
    name: &'static str,
    score: Score,
    chords: &'static str,
    /// Least share of the beats on which roots agree, and whole names.
    least: (f64, f64),
}

fn pieces() -> Vec<Piece> {
    let read = |text| tune::parse(text, 12).unwrap();
    vec![
        Piece {
            name: "minuet in G, in two voices",
            score: tune::minuet(),
            chords: "G | G/B | C | G/B | Am | G | D G . | D | G/B | G | C | G/B | Am . D/F# | G | \
                     Am/C D7 . | G",
            least: (0.89, 0.68),
        },
        Piece {
            name: "Old Hundredth, a chord a beat",
            score: read(include_str!("pieces/hymn.tune")),
            chords: "N.C. . . G | G D C G | G D G . | G . D G | C G D G | D G D G | C D G . | G Em D C | \
                     G/D D7 G",
            least: (1.0, 1.0),
        },
        Piece {
            name: "sonata K. 545, Alberti bass and scales",
            score: read(include_str!("pieces/sonatina.tune")),
            chords: "C | G7/D . C . | F/C . C . | G7/B . C . | F | C/E | Dm | C",
            least: (0.87, 0.87),
        },
        Piece {
            name: "prelude BWV 846, broken chords with a bass of their own",
            score: read(include_str!("pieces/prelude.tune")),
            chords: "C | Dm7/C | G7/B | C | Am/C | D7/C | G/B | Cmaj7/B",
            least: (1.0, 1.0),
        },
        Piece {
            name: "Gymnopédie no. 1, sevenths over a bass that is struck once a bar",
            score: read(include_str!("pieces/gymnopedie.tune")),
            chords: "Gmaj7 | Dmaj7 | Gmaj7 | Dmaj7 | Gmaj7 | Dmaj7 | Gmaj7 | Dmaj7",
            least: (0.87, 0.87),
        },
        Piece {
            name: "The Entertainer, a bass in fourths",
            score: read(include_str!("pieces/ragtime.tune")),
            chords: "C | C . F . | G7 | C | C | C . Am7 . | D7 | G7",
            least: (0.95, 0.87),
        },
        Piece {
            name: "Greensleeves, fifths under a melody",
            score: read(include_str!("pieces/song.tune")),
            chords: "N.C. | Am | C | G | G | Am | F | E | E",
            least: (1.0, 1.0),
        },
        Piece {
            name: "four chords, inversions",
            score: read(include_str!("pieces/pop.tune")),
            chords: "C | G/B | Am/C | F/C | C | G/B | Am/C | F/C",
            least: (1.0, 1.0),
        },
    ]
}

/// The chord of each beat of a lead sheet, with `beats` beats a bar.
fn written(chords: &str, beats: usize) -> Vec<Option<Chord>> {
    let mut written = Vec::new();
    let mut now = None;
    for bar in chords.split('|') {
        let mut words = bar.split_whitespace();
        for _ in 0..beats {
            match words.next() {
                None | Some(".") => {}
                Some("N.C.") => now = None,
                Some(name) => now = Some(name.parse().unwrap()),
            }
            written.push(now);
        }
    }
    written
}

#[test]
fn chords_agree_with_those_written_by_hand() {
    for piece in pieces() {
        let spans = recognise(&piece.score);
        let end = spans.last().unwrap().end;
        let beats = beats(&piece.score.time_signatures, 0, end);
        let heard = beats.iter().map(|beat| {
            let span = spans.iter().find(|span| span.end > beat.start);
            span.and_then(|span| span.chord)
        });
        let heard: Vec<Option<Chord>> = heard.collect();
        let bar = piece.score.time_signatures.position(0).bar_steps / 12;
        let written = written(piece.chords, bar as usize);
        assert!(written.len() >= heard.len(), "{}", piece.name);
        let both = || heard.iter().zip(&written);
        let share = |count: usize| count as f64 / heard.len() as f64;
        let root = |chord: &Option<Chord>| chord.map(|chord| chord.root);
        let roots = share(both().filter(|(a, b)| root(a) == root(b)).count());
        let whole = share(both().filter(|(a, b)| a == b).count());
        println!(
            "{:5.1} % {:5.1} %  {}",
            100.0 * roots,
            100.0 * whole,
            piece.name
        );
        let names: Vec<String> = heard
            .iter()
            .map(|chord| name_or_none(*chord, None))
            .collect();
        assert!(
            roots >= piece.least.0 && whole >= piece.least.1,
            "{}: {roots:.2} {whole:.2}\n{}",
            piece.name,
            names
                .chunks(bar as usize)
                .map(|bar| bar.join(" "))
                .collect::<Vec<_>>()
                .join(" | "),
        );
    }
}
