//! The opening of a piece: the demo's input.

use std::path::Path;

use anyhow::{Result, ensure};
use continuo_score::{Drums, Score, midi, tune};

/// Steps per quarter note for MIDI files: exact for sixteenths and triplets.
const STEPS_PER_BEAT: u32 = 12;
/// Number of bars, from the bar of the first note.
const BARS: u32 = 16;

/// The opening of a piece.
pub(crate) struct Opening {
    /// Title of the piece.
    pub(crate) title: String,
    /// Notes of the opening, at their steps in the piece.
    pub(crate) score: Score,
    /// Bar line at its start, in steps.
    pub(crate) begin: u32,
    /// Bar line at its end, in steps.
    pub(crate) end: u32,
}

impl Opening {
    /// The opening of the built-in tune.
    pub(crate) fn of_the_minuet() -> Self {
        Self::new("Minuet in G, C. Petzold".to_string(), tune::minuet())
    }

    /// The opening of a MIDI file, without drums.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or has no notes.
    pub(crate) fn of_file(path: &Path) -> Result<Self> {
        let file = midi::read_file(path)?;
        for warning in &file.warnings {
            eprintln!("{}: {warning}", path.display());
        }
        let score = Score::from_midi(&file, STEPS_PER_BEAT, Drums::Drop);
        ensure!(
            !score.notes.is_empty(),
            "{} has no notes other than drums; choose another file",
            path.display()
        );
        let name = path.file_stem().unwrap_or_default();
        Ok(Self::new(name.to_string_lossy().into_owned(), score))
    }

    /// Number of bars, at most 16.
    pub(crate) fn bars(&self) -> u32 {
        let lines = self.score.time_signatures.bar_lines(self.end);
        lines.iter().filter(|&&line| line >= self.begin).count() as u32
    }

    fn new(title: String, score: Score) -> Self {
        let first = score.notes.first().map_or(0, |note| note.start);
        let begin = first - score.time_signatures.position(first).step_in_bar;
        let bars = |from: u32, count: u32| {
            (0..count).fold(from, |bar, _| score.time_signatures.next_bar(bar + 1))
        };
        // A shorter piece ends at its last bar line.
        let end = bars(begin, BARS).min(score.time_signatures.next_bar(score.length.max(1)));
        Self {
            title,
            score: score.until(end),
            begin,
            end,
        }
    }
}
