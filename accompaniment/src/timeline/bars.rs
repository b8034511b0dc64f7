//! Bars of the timeline: bar lines, turns, and boundaries for answers.

use continuo_score::{TimeSignature, TimeSignatureMap};

use super::{SAME, Timeline, TradeTurn};
use crate::choices::Enter;

impl Timeline {
    /// The first boundary at or after song step `step` at which an answer may begin.
    pub fn boundary(&self, step: i64, enter: Enter) -> i64 {
        // The origin is a bar line before `step`; a song has at most u32::MAX steps.
        let origin = self.origin.unwrap_or_else(|| self.bar_line(step)).min(step);
        let map = self.time_signature_map(origin);
        let Ok(at) = u32::try_from(step - origin) else {
            return step;
        };
        let found = match enter {
            Enter::Step => at,
            Enter::Bar => map.next_bar(at),
            Enter::Beat => {
                let place = map.position(at);
                // Written beat n of the bar begins n * whole / denominator steps into it, or on
                // the next whole step.
                let denominator = u32::from(map.time_signature(at).denominator.max(1));
                let whole = 4 * self.steps_per_beat;
                let n = place
                    .step_in_bar
                    .checked_sub(1)
                    .map_or(0, |s| s * denominator / whole + 1);
                let beat = (n * whole).div_ceil(denominator);
                (at - place.step_in_bar + beat).min(map.next_bar(at))
            }
        };
        origin + i64::from(found)
    }

    /// The turn of `bars` bars that contains `step`, counted from the first bar with a note; `None`
    /// before it.
    pub fn trade_turn(&self, step: i64, bars: u32) -> Option<TradeTurn> {
        let origin = self.origin.filter(|_| !self.notes.is_empty())?;
        let origin = self.turns_from.map_or(origin, |from| from.max(origin));
        let at = u32::try_from(step - origin).ok()?;
        let map = self.time_signature_map(origin);
        let bar = map.position(at).bar;
        let number = bar / bars.max(1);
        let first = number * bars.max(1);
        let line = |bar: u32| origin + i64::from(bar_line(&map, bar));
        Some(TradeTurn {
            number,
            start: line(first),
            end: line(first + bars.max(1)),
        })
    }

    /// Start and end of bar `bar` of scores, in quarter notes.
    pub fn bar(&self, bar: u32) -> Option<(f64, f64)> {
        let origin = self.origin?;
        let map = self.time_signature_map(origin);
        let line = |bar| self.beat(origin + i64::from(bar_line(&map, bar)));
        Some((line(bar), line(bar.checked_add(1)?)))
    }

    /// Number of bars from the first note to the last.
    pub fn bars(&self) -> u32 {
        let last = self.notes.iter().map(|n| n.start).max();
        let span = self.origin.zip(last);
        span.and_then(|(origin, last)| {
            let last = u32::try_from(last - origin).ok()?;
            Some(self.time_signature_map(origin).position(last).bar + 1)
        })
        .unwrap_or(0)
    }

    /// The bar line at or before `beat`, in quarter notes, with its time signature.
    pub fn bar_at(&self, beat: f64) -> (f64, TimeSignature) {
        let (anchor, time_signature) = self.time_signature_at(self.step(beat));
        let bars = ((beat - anchor) / time_signature.bar_beats() + SAME).floor();
        (anchor + bars * time_signature.bar_beats(), time_signature)
    }

    /// The bar line at or before `step`, as a step.
    pub fn bar_line(&self, step: i64) -> i64 {
        let (anchor, time_signature) = self.time_signature_at(step);
        let bars = ((self.beat(step) - anchor) / time_signature.bar_beats() + SAME).floor();
        let line = anchor + bars * time_signature.bar_beats();
        // A bar line between two steps: the bar begins on the later one.
        let line = (line * f64::from(self.steps_per_beat) - SAME).ceil() as i64;
        line.min(step)
    }

    /// The time signature at `step`, with the position of one of its bar lines in quarter notes.
    pub(super) fn time_signature_at(&self, step: i64) -> (f64, TimeSignature) {
        let after = self
            .time_signatures
            .partition_point(|&(at, _)| self.step(at) <= step);
        let known = self.time_signatures.get(after.saturating_sub(1));
        known.copied().unwrap_or((0.0, TimeSignature::COMMON))
    }

    /// The time signatures from the bar line `origin` on, in steps.
    pub(crate) fn time_signature_map(&self, origin: i64) -> TimeSignatureMap {
        let first = self.time_signature_at(origin).1;
        let later = self
            .time_signatures
            .iter()
            .filter_map(|&(at, time_signature)| {
                let step = u32::try_from(self.step(at) - origin)
                    .ok()
                    .filter(|&s| s > 0)?;
                Some((step, time_signature))
            });
        TimeSignatureMap::new(
            self.steps_per_beat,
            std::iter::once((0, first)).chain(later).collect(),
        )
    }
}

/// First step of bar `bar`.
fn bar_line(map: &TimeSignatureMap, bar: u32) -> u32 {
    // Between two changes all bars are equal: skip whole bars, then step.
    let changes = map.changes().map(|(step, _)| step);
    let mut step = changes
        .take_while(|&step| map.position(step).bar <= bar)
        .last()
        .unwrap_or(0);
    while map.position(step).bar < bar {
        let whole = map.position(step).bar_steps.max(1);
        let left = bar - map.position(step).bar;
        // A bar of fractional length may be a step shorter than this one.
        let far = step + (left - 1) * whole.saturating_sub(1);
        step = map.next_bar(far.max(step) + 1);
    }
    step
}
