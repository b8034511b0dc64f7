//! Notation: writes a [`Score`] as MusicXML 4.0 (partwise), for programs such as MuseScore, Verovio and
//! music21.
//!
//! Every note keeps its onset, its end and its pitch on the score's grid; notes that no single value can
//! express are tied. The parts are staves of their own, the keys two, divided into hands. Drum hits have
//! no lengths: they are written up to the next hit, at most to the end of their beat. The velocity of a
//! note is its attribute `dynamics`, in percent of 90, as MusicXML defines it.
//!
//! ```text
//! Score -> bars -> parts -> staves -> voices -> slices -> pieces -> <note>
//!          pickup          hands     chords    of a bar  values, tuplets, ties
//! ```
//!
//! Nothing here starts a thread. Units are steps of the score; where a time signature has beats that are
//! no whole steps, a finer grid.
//!
//! ```
//! use continuo_notation::{Options, write};
//!
//! let minuet = continuo_score::tune::minuet();
//! let mut bytes = Vec::new();
//! let written = write(&minuet, &Options { title: "Minuet", first_bar: 1 }, &mut bytes)?;
//! assert_eq!((written.bars, written.parts), (16, 1));
//! assert!(String::from_utf8_lossy(&bytes).contains("<fifths>1</fifths>"));
//! # Ok::<(), continuo_notation::NotationError>(())
//! ```

mod accidentals;
mod bars;
mod beams;
mod document;
mod drums;
mod error;
mod hands;
mod mark_elements;
mod marks;
mod measure;
mod note;
mod parts;
mod rhythm;
mod spelling;
mod value;
mod voices;
mod xml;

use std::borrow::Cow;
use std::io::Write;

use continuo_score::{Note, Scale, Score, TempoMap, TimeSignatureMap, chord};

pub use error::NotationError;

/// Most bars that are written.
const MOST_BARS: u32 = 50_000;

/// The words of a document.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Title of the piece.
    pub title: &'a str,
    /// Number of the first bar. Only a piece that begins with bar 1 has a pickup.
    pub first_bar: u32,
}

/// Contents of a written document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Parts.
    pub parts: usize,
    /// Bars, a pickup included.
    pub bars: usize,
    /// Notes and drum hits of the score.
    pub notes: usize,
    /// Whether the first bar is a pickup.
    pub has_pickup: bool,
    /// Steps of the score before the first written bar: the silence before a pickup.
    pub silence: u32,
    /// The key; `None` if there are only drums.
    pub key: Option<Scale>,
}

/// Writes a score as MusicXML.
///
/// # Errors
/// If the score has no notes, more than 50,000 bars or steps that are shorter than a 1024th, or if `out`
/// refuses the bytes.
pub fn write(
    score: &Score,
    options: &Options<'_>,
    out: impl Write,
) -> Result<Written, NotationError> {
    if score.notes.is_empty() {
        return Err(NotationError::Empty);
    }
    let (grid, factor) = value::Grid::for_score(score)?;
    let score = refined(score, factor);
    let ends = score.notes.iter().map(Note::end).max();
    let end = ends.unwrap_or(0).max(score.length);
    let bars = score.time_signatures.position(end.max(1) - 1).bar + 1;
    if bars > MOST_BARS {
        return Err(NotationError::TooLong {
            bars,
            most: MOST_BARS,
        });
    }
    let first_onset = score.notes.first().map(|note| note.start);
    let bars = bars::bars(&score.time_signatures, end, first_onset, options.first_bar);
    let key = spelling::Key::of(&score.notes);
    let chords = chord::recognise(&score);
    let speller = spelling::Speller::new(key, &chords, score.steps_per_beat);
    let document = document::Document {
        title: options.title,
        grid,
        key,
        tempos: marks::tempos(&score.tempos, &bars),
        chords: marks::chords(&chords, &bars),
        parts: parts::parts(&score, &bars, &speller),
        bars,
    };
    document.write(std::io::BufWriter::new(out))?;
    Ok(Written {
        parts: document.parts.len(),
        bars: document.bars.len(),
        notes: score.notes.len(),
        has_pickup: document.bars[0].is_pickup,
        silence: document.bars[0].start / factor,
        key: key.scale,
    })
}

/// The score on a grid with `factor` times as many steps.
fn refined(score: &Score, factor: u32) -> Cow<'_, Score> {
    if factor == 1 {
        return Cow::Borrowed(score);
    }
    let steps = score.steps_per_beat * factor;
    let scaled = |step: u32| step.saturating_mul(factor);
    let notes = score.notes.iter().map(|note| Note {
        start: scaled(note.start),
        length: scaled(note.length),
        ..*note
    });
    let times = score.time_signatures.changes();
    let tempos = score.tempos.changes().iter();
    Cow::Owned(Score {
        steps_per_beat: steps,
        notes: notes.collect(),
        length: scaled(score.length),
        time_signatures: TimeSignatureMap::new(
            steps,
            times.map(|(step, time)| (scaled(step), time)).collect(),
        ),
        tempos: TempoMap::new(tempos.map(|&(step, bpm)| (scaled(step), bpm)).collect()),
    })
}
