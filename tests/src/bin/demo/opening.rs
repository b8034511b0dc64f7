//! What is played to the plugin.

use std::path::Path;

use anyhow::{Result, ensure};
use continuo_score::{Drums, Score, midi, tune};

/// Steps a quarter note that MIDI files are put on: sixteenths and triplets are exact.
const STEPS_PER_BEAT: u32 = 12;
/// Bars played, from the bar of the first note.
const BARS: u32 = 16;

/// The opening of a piece.
pub(crate) struct Opening {
    /// What it is called.
    pub(crate) title: String,
    /// Its notes, where they stand in the piece.
    pub(crate) score: Score,
    /// The bar line it begins on, in steps.
    pub(crate) begin: u32,
    /// The bar line it ends on, in steps.
    pub(crate) end: u32,
}

impl Opening {
    /// Of the tune that comes with Continuo.
    pub(crate) fn of_the_minuet() -> Self {
        Self::new("Minuet in G, C. Petzold".to_string(), tune::minuet())
    }

    /// Of a MIDI file, drums left out.
    pub(crate) fn of_file(path: &Path) -> Result<Self> {
        let file = midi::read_file(path)?;
        for warning in &file.warnings {
            eprintln!("{}: {warning}", path.display());
        }
        let score = Score::from_midi(&file, STEPS_PER_BEAT, Drums::Drop);
        ensure!(
            !score.notes.is_empty(),
            "{}: there are no notes in it to play",
            path.display()
        );
        let name = path.file_stem().unwrap_or_default();
        Ok(Self::new(name.to_string_lossy().into_owned(), score))
    }

    fn new(title: String, score: Score) -> Self {
        let first = score.notes.first().map_or(0, |note| note.start);
        let begin = first - score.time_signatures.position(first).step_in_bar;
        let bars = |from: u32, count: u32| {
            (0..count).fold(from, |bar, _| score.time_signatures.next_bar(bar + 1))
        };
        // A piece shorter than that ends at its last bar line.
        let end = bars(begin, BARS).min(score.time_signatures.next_bar(score.length.max(1)));
        Self {
            title,
            score: score.until(end),
            begin,
            end,
        }
    }
}
