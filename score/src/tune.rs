//! A small text notation for music, with the tune of the demo and of the tests.
//!
//! ```text
//! metre 3/4        # one time signature, one tempo (quarter notes a minute)
//! tempo 112
//! voice            # voices sound together, each from the start
//! !84 D5:1 - :.5   # !velocity; pitch:beats, G3+B3:2 for a chord, -:1 for a rest
//! | ...            # bar lines are checked
//! ```

use crate::score::{Note, Score};
use crate::time::{TempoMap, TimeSignature, TimeSignatureMap};

/// The first sixteen bars of Petzold's Minuet in G, two voices and a chord, 12 steps a beat.
pub fn minuet() -> Score {
    parse(include_str!("../tunes/minuet.tune"), 12).unwrap_or_else(|why| {
        // A test reads this very text.
        unreachable!("the minuet is well written: {why}")
    })
}

/// Reads a tune on a grid of `steps_per_beat`.
///
/// # Errors
/// A text for people with the line and the reason.
pub fn parse(text: &str, steps_per_beat: u32) -> Result<Score, String> {
    let mut score = Score::new(steps_per_beat);
    let mut metre = TimeSignature::COMMON;
    let mut now = 0u32;
    let mut velocity = 80u8;
    for (number, line) in text.lines().enumerate() {
        let at = |why: String| format!("line {}: {why}", number + 1);
        // A comment begins a line or follows a space: F# is a note.
        let line = if line.starts_with('#') { "" } else { line };
        let line = line.split(" #").next().unwrap_or("").trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "metre" => metre = parse_metre(rest).ok_or_else(|| at(format!("metre {rest:?}")))?,
            "tempo" => {
                let bpm = rest
                    .parse()
                    .map_err(|e| at(format!("tempo {rest:?}: {e}")))?;
                score.tempos = TempoMap::constant(bpm);
            }
            "voice" => now = 0,
            _ => {
                for word in line.split_whitespace() {
                    if word == "|" {
                        let bar = (metre.bar_beats() * f64::from(steps_per_beat)) as u32;
                        if !now.is_multiple_of(bar) {
                            return Err(at(format!("bar line at step {now}, bars have {bar}")));
                        }
                    } else if let Some(mark) = word.strip_prefix('!') {
                        velocity = mark.parse().map_err(|e| at(format!("{word:?}: {e}")))?;
                    } else {
                        let chord = parse_chord(word, steps_per_beat);
                        let (pitches, length) = chord.ok_or_else(|| at(format!("{word:?}")))?;
                        let note = |pitch| Note {
                            start: now,
                            length,
                            pitch,
                            velocity,
                            ..Note::default()
                        };
                        score.notes.extend(pitches.into_iter().map(note));
                        now += length;
                        score.length = score.length.max(now);
                    }
                }
            }
        }
    }
    score.time_signatures = TimeSignatureMap::constant(metre, steps_per_beat);
    score.normalise();
    Ok(score)
}

fn parse_metre(text: &str) -> Option<TimeSignature> {
    let (numerator, denominator) = text.trim().split_once('/')?;
    Some(TimeSignature {
        numerator: numerator.parse().ok()?,
        denominator: denominator.parse().ok()?,
    })
}

fn parse_chord(word: &str, steps_per_beat: u32) -> Option<(Vec<u8>, u32)> {
    let (names, beats) = word.split_once(':')?;
    let steps = beats.parse::<f64>().ok()? * f64::from(steps_per_beat);
    let length = (steps.fract() == 0.0 && steps >= 1.0).then_some(steps as u32)?;
    if names == "-" {
        return Some((Vec::new(), length));
    }
    Some((
        names.split('+').map(parse_pitch).collect::<Option<_>>()?,
        length,
    ))
}

/// The MIDI key of a name such as `C4` (middle C, 60), `F#3`, `Bb5`; `None` for other texts.
pub fn parse_pitch(name: &str) -> Option<u8> {
    let (letter, rest) = name.split_at_checked(1)?;
    let class = match letter {
        "C" => 0,
        "D" => 2,
        "E" => 4,
        "F" => 5,
        "G" => 7,
        "A" => 9,
        "B" => 11,
        _ => return None,
    };
    let octave = rest.trim_start_matches(['#', 'b']);
    let accidentals = &rest[..rest.len() - octave.len()];
    let shift = accidentals
        .chars()
        .map(|c| if c == '#' { 1 } else { -1 })
        .sum::<i32>();
    let key = (octave.parse::<i32>().ok()? + 1) * 12 + class + shift;
    u8::try_from(key).ok().filter(|&key| key < 128)
}

/// The name of a MIDI key, sharps for black keys: `C4` is 60.
pub fn pitch_name(pitch: u8) -> String {
    let names = [
        "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B",
    ];
    format!(
        "{}{}",
        names[usize::from(pitch % 12)],
        i32::from(pitch / 12) - 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minuet_is_sixteen_bars_of_three() {
        let tune = minuet();
        assert_eq!(tune.length, 16 * 36);
        assert_eq!(tune.notes.len(), 64 + 37);
        assert_eq!(tune.time_signatures.bar_lines(tune.length).len(), 16);
        let first: Vec<u8> = tune
            .notes
            .iter()
            .filter(|n| n.start == 0)
            .map(|n| n.pitch)
            .collect();
        assert_eq!(first, [55, 59, 62, 74]);
        let in_g = tune
            .notes
            .iter()
            .filter(|n| [7, 9, 11, 0, 2, 4, 6].contains(&(n.pitch % 12)));
        assert_eq!(in_g.count(), tune.notes.len());
    }

    #[test]
    fn names_and_keys() {
        for key in 0..128 {
            assert_eq!(parse_pitch(&pitch_name(key)), Some(key));
        }
        assert_eq!(
            (parse_pitch("Bb3"), parse_pitch("Cb4")),
            (Some(58), Some(59))
        );
        for bad in ["", "H4", "C", "C99", "C#x"] {
            assert_eq!(parse_pitch(bad), None, "{bad}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        for (text, line) in [
            ("metre 3/4\nC4:2 |", "line 2"),
            ("C4:1\nX4:1", "line 2"),
            ("C4:.3", "line 1"),
            ("tempo fast", "line 1"),
            ("metre 3", "line 1"),
        ] {
            let why = parse(text, 12).unwrap_err();
            assert!(why.starts_with(line), "{why}");
        }
    }
}
