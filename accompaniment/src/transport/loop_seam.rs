//! The seam of a loop: the host goes from the loop's end back to its start. Audio thread;
//! allocates nothing.

use super::{HostBars, Span, TOLERANCE};

/// Where a playhead goes from a loop's end to its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seam {
    /// End of the loop, in quarter notes.
    pub end: f64,
    /// Start of the loop, in quarter notes.
    pub start: f64,
    /// Rounding of positions, in quarter notes: notes at most this much before the seam belong behind
    /// it.
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

/// A loop that the plugin has inferred from a seam: the host neither reported the seam nor split
/// its block there.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownLoop {
    /// Start and end, in quarter notes.
    pub(super) ends: (f64, f64),
    /// Distance behind the end, in quarter notes, up to which the host may still turn back: 0
    /// for a host that turns back exactly at the end.
    overrun: f64,
}

impl KnownLoop {
    /// The loop of `seam`, which `jump` has passed.
    pub(super) fn of(seam: Seam, jump: &Jump) -> Self {
        let late = jump.last.end_beat() - seam.end > jump.near_enough();
        Self {
            ends: (seam.start, seam.end),
            overrun: if late { jump.reach } else { 0.0 },
        }
    }

    /// Whether the playhead has gone on where the host would have turned back: it comes from
    /// `last` and is at `beat`.
    pub(super) fn is_left_behind(&self, last: &Span, beat: f64) -> bool {
        let latest = self.ends.1 + self.overrun;
        last.start_beat < latest && beat > latest
    }

    /// The first sample of `span` from which the host may turn back at any time.
    pub(super) fn hold_from(&self, span: &Span) -> Option<u32> {
        let (_, end) = self.ends;
        let sample = 1.0 / span.samples_per_beat;
        let behind = span.start_beat > end - sample / 2.0;
        if behind && span.start_beat < end + self.overrun {
            return Some(span.first);
        }
        reported(span, Some(self.ends)).map(|(sample, _)| sample)
    }
}

/// A playhead that did not go on from the end of `last`, but at `beat`.
///
/// A host turns back inside its last block, or at the end of a longer period that it cuts into
/// blocks: qtractor calls the plugin in blocks of 64 samples and turns back at the end of a JACK
/// period of 1024.
pub(super) struct Jump<'a> {
    /// The last span of the block before.
    pub(super) last: &'a Span,
    /// Where the host goes on, in quarter notes.
    pub(super) beat: f64,
    /// The bars that the host reports.
    pub(super) bars: Option<&'a HostBars>,
    /// Rounding of the host's positions, in quarter notes.
    pub(super) slack: f64,
    /// Longest distance, in quarter notes, from the seam to where the host turned back, and
    /// longest part of a loop that the host leaves out.
    pub(super) reach: f64,
}

impl Jump<'_> {
    /// The seam, if the jump is the turn of a loop. `cycle` is the reported loop, `seen` the inferred
    /// one, in quarter notes; `back` is the jump back before this one, and becomes this one.
    ///
    /// The host has played `beat - start` quarter notes since the seam, so that, and the end of
    /// `last`, give the loop's end for each start. Known loops come first. Then come seams inside
    /// the last block: a start and an end on bar lines, on beats, on sixteenths, or on twelfths
    /// of a beat; then jumps back by the same length as the jump before; then seams in earlier
    /// blocks. Those lie on bar lines or beats the first time, because a finer grid has a point
    /// near almost every position.
    pub(super) fn seam(
        &self,
        cycle: Option<(f64, f64)>,
        seen: Option<(f64, f64)>,
        back: &mut Option<JumpBack>,
    ) -> Option<Seam> {
        let block = self.last.end_beat() - self.last.start_beat;
        let far = self.reach.max(block);
        let before = back.take();
        *back = JumpBack::of(self.last, self.beat);
        let repeated = back
            .zip(before)
            .is_some_and(|(now, before)| now.is_as_long_as(&before, self.slack));
        let again = back.as_mut().and_then(|b| b.again(before, self.slack));
        let mut known = [cycle, seen].into_iter().flatten();
        let found = known
            .find_map(|(start, end)| self.at(start, far, |_| end))
            .or_else(|| self.on_bars(block))
            .or_else(|| self.on_grids(&[1.0, 4.0, 12.0], block))
            .or_else(|| self.cut_short(cycle?))
            .or(again)
            .or_else(|| self.on_bars(far))
            .or_else(|| self.on_grids(&[1.0], far))
            .or_else(|| self.on_grids(&[4.0, 12.0], far).filter(|_| repeated))
            .or_else(|| {
                back.as_mut()?
                    .again_late(before.filter(|_| repeated)?, far, self.slack)
            })
            .or_else(|| self.cut_short(seen?));
        // The end of a loop on whole samples lies up to a sample before the one in quarter notes.
        let slack = self.slack + 1.5 / self.last.samples_per_beat;
        found.map(|seam| Seam { slack, ..seam })
    }

    /// The largest error of a position, in quarter notes: both positions are rounded, and loops
    /// often begin and end on whole samples.
    fn near_enough(&self) -> f64 {
        2.0 * self.slack + 1.5 / self.last.samples_per_beat
    }

    /// The seam at most `reach` back of the loop that starts at `start` and ends where `ends_on`
    /// puts the end.
    fn at(&self, start: f64, reach: f64, ends_on: impl Fn(f64) -> f64) -> Option<Seam> {
        let since = self.beat - start;
        let end = self.last.end_beat() - since;
        let near = ends_on(end);
        let block = self.last.end_beat() - self.last.start_beat;
        let inside = since > -self.near_enough() && since < reach + self.near_enough();
        let long = near - start > block.max(since);
        (inside && long && (near - end).abs() < self.near_enough()).then_some(Seam {
            end: near,
            start,
            slack: self.slack,
        })
    }

    fn on_bars(&self, reach: f64) -> Option<Seam> {
        let bars = self.bars?;
        let nearest = |beat: f64| {
            let line = bars.line_at(beat + TOLERANCE);
            if beat - line < TOLERANCE {
                line
            } else {
                f64::NAN
            }
        };
        self.at(bars.line_at(self.beat + TOLERANCE), reach, nearest)
    }

    fn on_grids(&self, grids: &[f64], reach: f64) -> Option<Seam> {
        grids.iter().find_map(|steps| {
            let start = ((self.beat + TOLERANCE) * steps).floor() / steps;
            self.at(start, reach, |end| (end * steps).round() / steps)
        })
    }

    /// The seam of a known loop, where the host has lost the blocks around it.
    fn cut_short(&self, (start, end): (f64, f64)) -> Option<Seam> {
        let since = self.beat - start;
        let lost = end - (self.last.end_beat() - since);
        let inside = since >= 0.0 && since < self.reach && lost > 0.0 && lost < self.reach;
        (inside && end - start > 2.0 * self.reach).then_some(Seam {
            end,
            start,
            slack: self.slack,
        })
    }
}

/// A jump back. It may be a loop whose ends lie anywhere: where the playhead goes back by the same
/// length again, it is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct JumpBack {
    /// Distance in quarter notes: the length of the loop.
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

    /// Whether both go back by the same length.
    fn is_as_long_as(&self, other: &Self, slack: f64) -> bool {
        (other.length - self.length).abs() < 2.0 * slack
    }

    /// The seam, if the jump `before` was of the same loop. Both jumps limit its start. The earliest
    /// possible seam counts, because the notes after it are more likely the beginning of the loop than
    /// its end.
    pub(super) fn again(&mut self, before: Option<Self>, slack: f64) -> Option<Seam> {
        let before = before.filter(|before| self.is_as_long_as(before, slack))?;
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

    /// The same for a host that turns back up to `reach` behind the loop's end: the loop starts at
    /// the earlier one of the two positions, or before it.
    fn again_late(&mut self, before: Self, reach: f64, slack: f64) -> Option<Seam> {
        if (self.latest - before.latest).abs() > reach {
            return None;
        }
        let start = self.latest.min(before.latest);
        (self.earliest, self.latest) = (start, start);
        Some(Seam {
            end: start + self.length,
            start,
            slack,
        })
    }
}
