//! Where a running playhead is, and whether a block follows the one before. Audio thread;
//! allocates nothing.

use super::{Seam, Span, TOLERANCE};

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
    /// Since here the tempo has not changed: a position the host gave, and samples since.
    pub(super) anchor: (f64, u64),
    /// The loop that came round inside the last block: start and end.
    pub(super) turned: Option<(f64, f64)>,
}

impl Running {
    /// Where the next block starts if nothing changes, counted in samples from the anchor: the
    /// same however the song is cut into blocks, and however the host rounds.
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

    /// Whether a block at `beat` and `tempo` follows the last one, at so many samples a second.
    pub(super) fn is_followed_by(&self, beat: f64, tempo: f64, sample_rate: f64) -> bool {
        // With a tempo ramp the truth lies between what the two tempos say.
        let minutes = self.since as f64 / (60.0 * sample_rate);
        let (reported, tempo_there) = self.reported;
        let (slow, fast) = (minutes * tempo_there, minutes * tempo);
        let moved = beat - reported;
        moved > slow.min(fast) - TOLERANCE && moved < slow.max(fast) + TOLERANCE
    }
}
