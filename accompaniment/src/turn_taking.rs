//! When does it play? One rule for each mode. Owned by the composer thread; pure.

use crate::choices::{Enter, Mode};
use crate::key_set::KeySet;
use crate::messages::Settings;
use crate::timeline::Timeline;

/// A stretch to play: where it begins, when it is decided, where it ends. In song steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayWindow {
    /// Where it begins.
    pub at: i64,
    /// When it is decided, and what it is decided on: everything the player starts before.
    pub decided: i64,
    /// Where the next decision takes over; absent if it goes on until something ends it.
    pub end: Option<i64>,
}

/// How far, in quarter notes, hosts arrive beside the place they mean.
const TOLERANCE: f64 = 2e-3;

/// Follows the player's hands, and says what is to be played next.
///
/// Everything counts in steps of the model's grid, so that the same notes give the same
/// answer at the same place however the host cuts time into blocks.
#[derive(Clone, Debug, Default)]
pub struct EntryPlanner {
    /// Keys down now.
    held: KeySet,
    /// The player's last note-on or note-off since the playhead arrived: step and position.
    last: Option<(i64, f64)>,
    /// Step of the player's last note-on since the playhead arrived.
    struck: Option<i64>,
    /// Where the playhead arrived: step and position.
    arrived: Option<(i64, f64)>,
    /// No stretch begins before this step.
    not_before: Option<i64>,
    /// Where the last stretch ends.
    after: Option<i64>,
}

impl EntryPlanner {
    /// A key went down while the transport stood still.
    pub fn hold(&mut self, channel: u8, pitch: u8) {
        self.held.insert(channel, pitch);
    }

    /// A key went down.
    pub fn on(&mut self, step: i64, beat: f64, channel: u8, pitch: u8) {
        self.held.insert(channel, pitch);
        self.last = Some((step, beat));
        self.struck = Some(step);
    }

    /// A key went up. It counts as the player's doing if anything was played since the
    /// playhead arrived.
    pub fn off(&mut self, step: i64, beat: f64, channel: Option<u8>, pitch: Option<u8>) {
        if self.held.remove(channel, pitch) && self.last.is_some() {
            self.last = Some((step, beat));
        }
    }

    /// The playhead is somewhere else: nothing was played here yet.
    pub fn arrive(&mut self, timeline: &Timeline, beat: f64) {
        let step = timeline.step(beat);
        let reached = timeline.beat(step) + TOLERANCE >= beat;
        self.stop();
        self.arrived = Some((if reached { step } else { step + 1 }, beat));
    }

    /// The transport stands still.
    pub fn stop(&mut self) {
        self.arrived = None;
        self.last = None;
        self.struck = None;
        self.not_before = None;
        self.after = None;
    }

    /// There is no reason to play any more: the next one is the player's doing, or the next
    /// bar.
    pub fn rest(&mut self, timeline: &Timeline, beat: f64) {
        self.last = None;
        self.postpone(timeline.boundary(timeline.step(beat) + 1, Enter::Bar));
    }

    /// Something else than the player's hands has changed, now that everything up to `beat`
    /// was heard: a stretch that should have been decided already is put off to the next
    /// boundary there is still time for.
    pub fn change(&mut self, timeline: &Timeline, settings: &Settings, beat: f64) {
        let here = self.arrived.is_some_and(|(_, arrived)| arrived == beat);
        let due = |e: PlayWindow| !here && timeline.beat(e.decided) < beat;
        if self.next(timeline, settings).is_some_and(due) {
            self.postpone(timeline.step(beat) + 1 + lead(timeline, settings));
        }
    }

    /// What was decided does not hold any more.
    pub fn cancel(&mut self, timeline: &Timeline, settings: &Settings, beat: f64) {
        self.after = None;
        self.change(timeline, settings, beat);
    }

    /// No stretch begins before `step`.
    pub fn postpone(&mut self, step: i64) {
        self.not_before = Some(self.not_before.map_or(step, |s| s.max(step)));
    }

    /// This stretch is decided.
    pub fn take(&mut self, entry: PlayWindow) {
        self.after = entry.end;
    }

    /// The next stretch, if the player does nothing.
    pub fn next(&self, timeline: &Timeline, settings: &Settings) -> Option<PlayWindow> {
        let (arrived, _) = self.arrived?;
        let (at, end) = match settings.mode {
            Mode::Off => return None,
            Mode::Continue => (self.continue_entry(timeline, settings)?, None),
            Mode::Trade => self.trade_window(timeline, settings)?,
            Mode::Along | Mode::Free => self.bar_window(timeline, settings)?,
        };
        // Nothing can be decided before the playhead is there.
        let decided = (at - lead(timeline, settings)).max(arrived.min(at));
        Some(PlayWindow { at, decided, end })
    }

    /// Whether the stretch is to be decided now that everything up to `beat` was heard.
    pub fn is_due(&self, entry: PlayWindow, timeline: &Timeline, beat: f64) -> bool {
        // Not on the player's last sample itself: more may be to come there.
        let open = entry.end.is_none();
        let after = !open || self.last.is_some_and(|(_, last)| beat > last);
        after && timeline.beat(entry.decided) <= beat
    }

    /// Whether the player has played in the `gap` before a stretch is decided, or holds a key.
    pub fn plays(&self, entry: PlayWindow, timeline: &Timeline, settings: &Settings) -> bool {
        let gap = timeline.step_from(settings.gap);
        self.last
            .is_some_and(|(last, _)| !self.held.is_empty() || last + gap >= entry.decided)
    }

    /// Continue: the first boundary at least `gap` after the last note-on or note-off, with no
    /// key held. A bar line for which a note-off comes up to half a beat too late is taken all
    /// the same, if there is time to decide it and no key was struck since the last moment that
    /// would have been in time.
    fn continue_entry(&self, timeline: &Timeline, settings: &Settings) -> Option<i64> {
        let (last, _) = self.last.filter(|_| self.held.is_empty())?;
        let lead = lead(timeline, settings);
        let wait = timeline.step_from(settings.gap).max(lead);
        let boundary = |earliest: i64| {
            let earliest = self.not_before.map_or(earliest, |s| s.max(earliest));
            timeline.boundary(earliest, settings.enter)
        };
        let in_time = boundary(last + wait);
        if settings.enter != Enter::Bar {
            return Some(in_time);
        }
        let line = boundary(last + (wait - timeline.half_beat()).max(lead));
        let late = self.struck.is_none_or(|struck| struck < line - wait);
        Some(if late { line } else { in_time })
    }

    /// The first step a stretch may begin on.
    fn earliest(&self) -> Option<i64> {
        let (arrived, _) = self.arrived?;
        Some(
            [self.not_before, self.after]
                .into_iter()
                .flatten()
                .fold(arrived, i64::max),
        )
    }

    /// Trade: our next turn, or the rest of the one under way.
    fn trade_window(&self, timeline: &Timeline, settings: &Settings) -> Option<(i64, Option<i64>)> {
        // Before the first note there are no turns.
        let earliest = self.earliest()?.max(timeline.origin()?);
        let turn = |step| timeline.trade_turn(step, settings.bars.max(1));
        let mut now = turn(earliest)?;
        if now.number % 2 == 1 {
            let at = if earliest == now.start {
                earliest
            } else {
                timeline.boundary(earliest, settings.enter)
            };
            if at < now.end {
                return Some((at, Some(now.end)));
            }
            now = turn(now.end)?;
        }
        // The player's, and then ours.
        Some((now.end, Some(turn(now.end)?.end)))
    }

    /// Along and Free: up to the next bar, entering on bars, or else the next beat.
    fn bar_window(&self, timeline: &Timeline, settings: &Settings) -> Option<(i64, Option<i64>)> {
        let earliest = self.earliest()?;
        let at = if self.after == Some(earliest) {
            earliest
        } else {
            timeline.boundary(earliest, settings.enter)
        };
        let unit = match settings.enter {
            Enter::Bar => Enter::Bar,
            Enter::Step | Enter::Beat => Enter::Beat,
        };
        Some((at, Some(timeline.boundary(at + 1, unit))))
    }
}

/// How long before a stretch it is decided: a step at least.
fn lead(timeline: &Timeline, settings: &Settings) -> i64 {
    timeline.step_from(settings.lead).max(1)
}

#[cfg(test)]
mod tests;
