//! Turn-taking: the decision when Continuo plays, one rule for each mode. Pure; owned by the
//! composer thread.

use crate::choices::{Enter, Mode};
use crate::key_set::KeySet;
use crate::messages::Settings;
use crate::timeline::Timeline;

/// The steps between the beginning of an answer and its end or the next decision. Song steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayWindow {
    /// First step.
    pub at: i64,
    /// Step of the decision; input before it counts.
    pub decided: i64,
    /// First step after it; `None` if the answer has no fixed end.
    pub end: Option<i64>,
}

/// Distance in quarter notes by which hosts miss the position they mean.
const TOLERANCE: f64 = 2e-3;

/// Follows the player's keys and plans the next play window.
///
/// It counts in steps of the model's grid, so that equal notes give equal answers for all block
/// sizes.
#[derive(Clone, Debug, Default)]
pub struct EntryPlanner {
    /// Keys that are down.
    held: KeySet,
    /// Whether the player sounds, as far as is known from sound.
    sounds: bool,
    /// The player's last note-on or note-off since the playhead arrived: step and position.
    last: Option<(i64, f64)>,
    /// Step of the player's last note-on since the playhead arrived.
    struck: Option<i64>,
    /// Where the playhead arrived: step and position.
    arrived: Option<(i64, f64)>,
    /// First step at which a play window may begin.
    not_before: Option<i64>,
    /// End of the last play window.
    after: Option<i64>,
}

impl EntryPlanner {
    /// Note-on without a running transport. `channel` 0 to 15, `pitch` 0 to 127.
    pub fn hold(&mut self, channel: u8, pitch: u8) {
        self.held.insert(channel, pitch);
    }

    /// Note-on at `step`, exactly at `beat` quarter notes. `channel` 0 to 15, `pitch` 0 to 127.
    pub fn on(&mut self, step: i64, beat: f64, channel: u8, pitch: u8) {
        self.held.insert(channel, pitch);
        self.last = Some((step, beat));
        self.struck = Some(step);
    }

    /// Note-off; `None` matches any channel or pitch. It delays an answer only if the player has
    /// played since the playhead arrived.
    pub fn off(&mut self, step: i64, beat: f64, channel: Option<u8>, pitch: Option<u8>) {
        if self.held.remove(channel, pitch) && self.last.is_some() {
            self.last = Some((step, beat));
        }
    }

    /// It becomes known at `step`, exactly at `beat` quarter notes, whether the player sounds. Silence
    /// counts from here.
    pub fn heard(&mut self, step: i64, beat: f64, sounds: bool) {
        if sounds {
            self.struck = Some(step);
        }
        if sounds || self.sounds {
            self.last = Some((step, beat));
        }
        self.sounds = sounds;
    }

    /// The playhead arrived at `beat`, in quarter notes, by a start, a jump or a loop.
    pub fn arrive(&mut self, timeline: &Timeline, beat: f64) {
        let step = timeline.step(beat);
        let reached = timeline.beat(step) + TOLERANCE >= beat;
        self.stop();
        self.arrived = Some((if reached { step } else { step + 1 }, beat));
    }

    /// The transport stopped.
    pub fn stop(&mut self) {
        self.arrived = None;
        self.sounds = false;
        self.last = None;
        self.struck = None;
        self.not_before = None;
        self.after = None;
    }

    /// Ends playing until the player plays again or the next bar begins.
    pub fn rest(&mut self, timeline: &Timeline, beat: f64) {
        self.last = None;
        self.postpone(timeline.boundary(timeline.step(beat) + 1, Enter::Bar));
    }

    /// Adapts to a change other than of keys, with all input up to `beat` known: a play window
    /// whose decision is overdue moves to the next boundary there is time for.
    pub fn change(&mut self, timeline: &Timeline, settings: &Settings, beat: f64) {
        let here = self.arrived.is_some_and(|(_, arrived)| arrived == beat);
        let due = |e: PlayWindow| !here && timeline.beat(e.decided) < beat;
        if self.next(timeline, settings).is_some_and(due) {
            self.postpone(timeline.step(beat) + 1 + lead(timeline, settings));
        }
    }

    /// Forgets the current play window after a cancel.
    pub fn cancel(&mut self, timeline: &Timeline, settings: &Settings, beat: f64) {
        self.after = None;
        self.change(timeline, settings, beat);
    }

    /// Lets no play window begin before `step`.
    pub fn postpone(&mut self, step: i64) {
        self.not_before = Some(self.not_before.map_or(step, |s| s.max(step)));
    }

    /// Accepts a play window as decided.
    pub fn take(&mut self, entry: PlayWindow) {
        self.after = entry.end;
    }

    /// The next play window if no key moves.
    pub fn next(&self, timeline: &Timeline, settings: &Settings) -> Option<PlayWindow> {
        let (arrived, _) = self.arrived?;
        let (at, end) = match settings.mode {
            Mode::Off => return None,
            Mode::Continue => (self.continue_entry(timeline, settings)?, None),
            Mode::Trade => self.trade_window(timeline, settings)?,
            Mode::Along | Mode::Free => self.bar_window(timeline, settings)?,
        };
        // A decision follows the arrival of the playhead.
        let decided = (at - lead(timeline, settings)).max(arrived.min(at));
        Some(PlayWindow { at, decided, end })
    }

    /// Whether all input up to `beat` suffices for the decision on a play window.
    pub fn is_due(&self, entry: PlayWindow, timeline: &Timeline, beat: f64) -> bool {
        // Not on the sample of the player's last event: more may follow on it.
        let open = entry.end.is_none();
        let after = !open || self.last.is_some_and(|(_, last)| beat > last);
        after && timeline.beat(entry.decided) <= beat
    }

    /// Whether the player holds a key, or has played within `gap` before the decision.
    pub fn plays(&self, entry: PlayWindow, timeline: &Timeline, settings: &Settings) -> bool {
        let gap = timeline.step_from(settings.gap);
        self.last
            .is_some_and(|(last, _)| self.is_held() || last + gap >= entry.decided)
    }

    /// Continue: the first boundary at least `gap` after the last note-on or note-off, with no key
    /// held. A bar line stays the boundary for a note-off up to half a beat late, if there is time
    /// for the decision and no note-on came after the last moment in time.
    fn continue_entry(&self, timeline: &Timeline, settings: &Settings) -> Option<i64> {
        let (last, _) = self.last.filter(|_| !self.is_held())?;
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

    /// Whether a key is down or the player sounds.
    fn is_held(&self) -> bool {
        self.sounds || !self.held.is_empty()
    }

    /// First step on which a play window may begin.
    fn earliest(&self) -> Option<i64> {
        let (arrived, _) = self.arrived?;
        Some(
            [self.not_before, self.after]
                .into_iter()
                .flatten()
                .fold(arrived, i64::max),
        )
    }

    /// Trade: the plugin's next turn, or the rest of the current one.
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
        // The player's turn, then the plugin's.
        Some((now.end, Some(turn(now.end)?.end)))
    }

    /// Along and Free: up to the next bar with [`Enter::Bar`], else to the next beat.
    fn bar_window(&self, timeline: &Timeline, settings: &Settings) -> Option<(i64, Option<i64>)> {
        let earliest = self.earliest()?;
        let at = if self.after == Some(earliest) {
            earliest
        } else {
            timeline.boundary(earliest, settings.enter)
        };
        Some((at, Some(bar_window_end(timeline, settings, at))))
    }
}

/// End of a play window of *Along* or *Free* that begins at step `at`: the next bar with
/// [`Enter::Bar`], else the next beat.
pub(crate) fn bar_window_end(timeline: &Timeline, settings: &Settings, at: i64) -> i64 {
    let unit = match settings.enter {
        Enter::Bar => Enter::Bar,
        Enter::Step | Enter::Beat => Enter::Beat,
    };
    timeline.boundary(at + 1, unit)
}

/// Steps between a decision and its play window, at least one.
fn lead(timeline: &Timeline, settings: &Settings) -> i64 {
    timeline.step_from(settings.lead).max(1)
}

#[cfg(test)]
mod tests;
