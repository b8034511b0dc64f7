//! The seam of a loop: the host goes from the loop's end back to its start. Audio thread;
//! allocates nothing.

use super::{HostMetre, Span, TOLERANCE};

/// A playhead that went back inside a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seam {
    /// Where the loop ends, in quarter notes.
    pub end: f64,
    /// Where it starts.
    pub start: f64,
    /// Positions are rounded by up to this, in quarter notes: the host's own notes may be
    /// placed this much before the seam and belong after it.
    pub slack: f64,
}

/// The sample at which a loop that the host reports comes round inside the block, and the
/// position it goes on from. Most hosts split their blocks there; the others report nothing but
/// where the loop is.
pub(super) fn reported(span: &Span, cycle: Option<(f64, f64)>) -> Option<(u32, f64)> {
    let (start, end) = cycle.filter(|(start, end)| end - start > 2.0 / span.samples_per_beat)?;
    if span.start_beat >= end {
        return None;
    }
    let sample = u32::try_from(span.sample_of(end)).ok()?;
    let inside = sample > span.first && sample < span.end();
    inside.then(|| (sample, start + (span.beat_of(sample) - end)))
}

/// The seam inside `last`, the last span of the block before, of a host that goes on at `beat`.
///
/// The host has played `beat - start` quarter notes since the seam, so that, and the end of
/// `last`, give the loop's end for each start. Loops that are known come first (`loops`); then
/// a start and an end on bar lines, on beats, on sixteenths, or on twelfths of a beat.
pub(super) fn inferred(
    last: &Span,
    beat: f64,
    metre: Option<&HostMetre>,
    loops: impl IntoIterator<Item = (f64, f64)>,
    slack: f64,
) -> Option<Seam> {
    let length = last.end_beat() - last.start_beat;
    // Both positions are rounded, and loops often begin and end on whole samples.
    let near_enough = 2.0 * slack + 1.5 / last.samples_per_beat;
    let seam = |start: f64, ends_on: &dyn Fn(f64) -> f64| {
        let since = beat - start;
        let end = last.end_beat() - since;
        let near = ends_on(end);
        let inside = since > -near_enough && since < length + near_enough;
        (inside && (near - end).abs() < near_enough && near - start > length).then_some(Seam {
            end: near,
            start,
            slack,
        })
    };
    let known = loops
        .into_iter()
        .find_map(|(start, end)| seam(start, &|_| end));
    let bars = || {
        let metre = metre?;
        let nearest = |beat: f64| {
            let line = metre.line_at(beat + TOLERANCE);
            if beat - line < TOLERANCE {
                line
            } else {
                f64::NAN
            }
        };
        seam(metre.line_at(beat + TOLERANCE), &nearest)
    };
    let grid = |steps: f64| {
        let start = ((beat + TOLERANCE) * steps).floor() / steps;
        seam(start, &|end| (end * steps).round() / steps)
    };
    known
        .or_else(bars)
        .or_else(|| grid(1.0))
        .or_else(|| grid(4.0))
        .or_else(|| grid(12.0))
}

/// A jump back. It may be a loop whose ends lie anywhere: where the playhead goes back by the same
/// length again, it is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct JumpBack {
    /// By how much it went back, in quarter notes: as long as the loop.
    length: f64,
    /// The loop starts after this position, and at `latest` or before it.
    earliest: f64,
    latest: f64,
}

impl JumpBack {
    /// The jump from the end of `last` to `beat`, if it goes back by more than that span.
    pub(super) fn of(last: &Span, beat: f64) -> Option<Self> {
        let block = last.end_beat() - last.start_beat;
        let length = last.end_beat() - beat;
        (length > block).then_some(Self {
            length,
            earliest: beat - block,
            latest: beat,
        })
    }

    /// The seam, if the jump `before` was of the same loop, and what both say of its start. The
    /// seam is taken to be where it is at the earliest: what begins behind it is more likely the
    /// beginning of a loop than its end.
    pub(super) fn again(&mut self, before: Option<Self>, slack: f64) -> Option<Seam> {
        let before = before.filter(|b| (b.length - self.length).abs() < 2.0 * slack)?;
        let earliest = self.earliest.max(before.earliest);
        let latest = self.latest.min(before.latest);
        if earliest > latest + slack {
            return None;
        }
        (self.earliest, self.latest) = (earliest, latest.max(earliest));
        Some(Seam {
            end: earliest + self.length,
            start: earliest,
            slack,
        })
    }
}
