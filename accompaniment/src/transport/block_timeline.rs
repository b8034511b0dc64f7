//! The result for one block: what happened to the playhead, and the block in musical time. Audio
//! thread; allocates nothing.

use super::{HostBars, Seam, Span};

/// The place at which the playhead stopped, or from which it jumped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopPoint {
    /// Position in quarter notes.
    pub beat: f64,
    /// Position in quarter notes; generated notes that start here or later were not played.
    pub cutoff_beat: f64,
}

/// Stops, starts and jumps of the playhead at the start of a block, and the block in musical time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlockTimeline {
    /// The playhead stopped at, or jumped from, this place.
    pub left: Option<StopPoint>,
    /// The playhead started at, or jumped to, this position in quarter notes.
    pub arrived: Option<f64>,
    /// Seam of a loop, if the jump is its turn. The seam lies inside an earlier block, which the host
    /// did not split there: the player's notes after the seam belong to the loop's start.
    pub seam: Option<Seam>,
    /// The bars, where they differ from those last reported.
    pub bars: Option<HostBars>,
    /// The block in musical time: nothing while it stands still, two spans where the loop
    /// comes round inside the block.
    pub spans: [Option<Span>; 2],
    /// From this sample on no generated note begins: a loop is likely to come round there, which
    /// only a later block tells.
    pub hold_from: Option<u32>,
}

impl BlockTimeline {
    /// The span of a sample.
    pub fn span_at(&self, sample: u32) -> Option<&Span> {
        self.spans
            .iter()
            .flatten()
            .rev()
            .find(|span| span.first <= sample)
    }

    /// The loop comes round with the first of the host's notes that lies at most `slack` quarter
    /// notes before: the host rounds the position of the seam, and not that of its notes.
    /// `note_ons` are their samples, in order.
    pub fn snap_seam(&mut self, slack: f64, mut note_ons: impl Iterator<Item = u32>) {
        let [Some(before), Some(after)] = &mut self.spans else {
            return;
        };
        let slack = (slack * after.samples_per_beat).ceil();
        let near = |&sample: &u32| {
            sample > before.first && f64::from(after.first) - f64::from(sample) <= slack
        };
        let Some(first) = note_ons.find(near).filter(|&first| first < after.first) else {
            return;
        };
        let moved = after.first - first;
        after.start_beat -= f64::from(moved) / after.samples_per_beat;
        (after.first, after.frames) = (first, after.frames + moved);
        before.frames -= moved;
    }
}
