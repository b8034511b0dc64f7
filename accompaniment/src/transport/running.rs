//! Position of a running playhead, and whether a block follows the one before. Audio thread;
//! allocates nothing.

use super::{SHORT_GAP, Seam, Span, TOLERANCE};

/// The playhead, while the transport runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    /// The last span.
    pub(super) last: Span,
    /// The tempo of the last span.
    pub(super) tempo: f64,
    /// The position that the host reported last, in quarter notes, and the tempo there.
    pub(super) reported: (f64, f64),
    /// Samples from there to the end of the last span.
    pub(super) since: u64,
    /// A position that the host reported, in quarter notes, and the samples since. The tempo has not
    /// changed since then.
    pub(super) anchor: (f64, u64),
    /// The loop that came round inside the last block: start and end.
    pub(super) turned: Option<(f64, f64)>,
}

impl Running {
    /// Start of the next block in quarter notes if nothing changes, counted in samples from the
    /// anchor. It depends neither on the block lengths nor on the host's rounding.
    pub(super) fn next_beat(&self) -> f64 {
        self.anchor.0 + self.anchor.1 as f64 / self.last.samples_per_beat
    }

    /// The seam of a loop that ends where the last span does.
    pub(super) fn turn_before(&self, cycle: Option<(f64, f64)>) -> Option<Seam> {
        let (start, end) = cycle?;
        let sample = 1.0 / self.last.samples_per_beat;
        let ends = self.last.start_beat < end - sample && self.next_beat() > end - sample / 2.0;
        (ends && end - start > 2.0 * sample).then_some(Seam {
            end,
            start,
            slack: 0.0,
        })
    }

    /// Whether a block at `beat` and `tempo` follows the last one. `sample_rate` is in hertz.
    pub(super) fn is_followed_by(&self, beat: f64, tempo: f64, sample_rate: f64) -> bool {
        let (least, most) = self.moves(tempo, sample_rate);
        let moved = beat - self.reported.0;
        moved > least - TOLERANCE && moved < most + TOLERANCE
    }

    /// Whether a block at `beat` and `tempo` follows the last one, except that the host has lost
    /// or repeated some samples: it is ahead by at most [`SHORT_GAP`], or goes back by at most that
    /// and not past the start of the last block. A loop is longer than a block.
    pub(super) fn is_resumed_at(&self, beat: f64, tempo: f64, sample_rate: f64) -> bool {
        let (_, most) = self.moves(tempo, sample_rate);
        let gap = SHORT_GAP / 60.0 * tempo;
        let moved = beat - self.reported.0;
        let back = beat - self.next_beat();
        let repeats = moved > -TOLERANCE && back > -gap - TOLERANCE;
        repeats && moved < most + gap + TOLERANCE
    }

    /// The least and the most, in quarter notes, that the host moves from the last reported
    /// position to the end of the last span: with a tempo ramp the truth lies between the tempos.
    fn moves(&self, tempo: f64, sample_rate: f64) -> (f64, f64) {
        let minutes = self.since as f64 / (60.0 * sample_rate);
        let (slow, fast) = (minutes * self.reported.1, minutes * tempo);
        (slow.min(fast), slow.max(fast))
    }
}
