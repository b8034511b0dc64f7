//! The rule of the Continue mode: when does it play on? Owned by the composer thread; pure.

use crate::messages::Settings;
use crate::params::Mode;
use crate::schedule::Keys;
use crate::timeline::Timeline;

/// How long before an answer it is decided, in quarter notes: a sixteenth. What is heard later
/// than that does not count for the answer.
pub const LEAD_BEATS: f64 = 0.25;

/// A moment to answer at, and the moment it is decided, in song steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the answer begins.
    pub at: i64,
    /// When it is decided, and what it is decided on: everything that starts before.
    pub decided: i64,
}

/// Follows the player's hands.
///
/// Everything counts in steps of the model's grid, so that the same notes give the same
/// answer at the same place however the host cuts time into blocks.
#[derive(Clone, Debug, Default)]
pub struct Continue {
    /// Keys down now.
    held: Keys,
    /// The player's last note-on or note-off since the playhead arrived: step and position.
    last: Option<(i64, f64)>,
    /// No answer begins before this step.
    not_before: Option<i64>,
}

impl Continue {
    /// A key went down while the transport stood still.
    pub fn hold(&mut self, channel: u8, pitch: u8) {
        self.held.insert(channel, pitch);
    }

    /// A key went down.
    pub fn on(&mut self, step: i64, beat: f64, channel: u8, pitch: u8) {
        self.held.insert(channel, pitch);
        self.last = Some((step, beat));
    }

    /// A key went up. It counts as the player's doing if anything was played since the
    /// playhead arrived.
    pub fn off(&mut self, step: i64, beat: f64, channel: Option<u8>, pitch: Option<u8>) {
        if self.held.remove(channel, pitch) && self.last.is_some() {
            self.last = Some((step, beat));
        }
    }

    /// No key is down.
    pub fn all_up(&mut self) {
        self.held = Keys::default();
    }

    /// The playhead is somewhere else: nothing was played here yet.
    pub fn arrive(&mut self) {
        self.last = None;
        self.not_before = None;
    }

    /// Something else than the player's hands has changed, now that everything up to `beat`
    /// was heard: an answer that should have been decided already is put off to the next
    /// boundary there is still time for.
    pub fn change(&mut self, timeline: &Timeline, settings: &Settings, beat: f64) {
        if self
            .next(timeline, settings)
            .is_some_and(|e| timeline.beat(e.decided) < beat)
        {
            self.postpone(timeline.step(beat) + 1 + lead(timeline));
        }
    }

    /// No answer before `step`.
    pub fn postpone(&mut self, step: i64) {
        self.not_before = Some(self.not_before.map_or(step, |s| s.max(step)));
    }

    /// The next answer, if the player stays silent: on the first boundary at least `gap` after
    /// the last note-on or note-off, with no key held.
    pub fn next(&self, timeline: &Timeline, settings: &Settings) -> Option<Entry> {
        let (last, _) = self.last.filter(|_| self.held.is_empty())?;
        if settings.mode != Mode::Continue {
            return None;
        }
        let earliest = last + steps(timeline, settings.gap).max(lead(timeline));
        let earliest = self.not_before.map_or(earliest, |s| s.max(earliest));
        let at = timeline.boundary(earliest, settings.enter);
        Some(Entry {
            at,
            decided: at - lead(timeline),
        })
    }

    /// Whether the answer is to be decided now that everything up to `beat` was heard.
    pub fn is_due(&self, entry: Entry, timeline: &Timeline, beat: f64) -> bool {
        // Not on the player's last sample itself: more may be to come there.
        let after = self.last.is_some_and(|(_, last)| beat > last);
        after && timeline.beat(entry.decided) <= beat
    }
}

/// Quarter notes in steps, rounded up but for the rounding of parameters.
fn steps(timeline: &Timeline, beats: f64) -> i64 {
    let one = timeline.step(1.0) as f64;
    (beats * one - 1e-3).ceil() as i64
}

fn lead(timeline: &Timeline) -> i64 {
    steps(timeline, LEAD_BEATS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Enter;
    use continuo_score::Metre;

    fn common() -> Timeline {
        let mut timeline = Timeline::new(12);
        timeline.metre(0.0, Metre::COMMON);
        timeline
    }

    fn settings(gap: f64, enter: Enter) -> Settings {
        Settings {
            gap,
            enter,
            ..Settings::default()
        }
    }

    #[test]
    fn the_first_boundary_after_the_gap() {
        let timeline = common();
        let mut rule = Continue::default();
        let bar = settings(2.0, Enter::Bar);
        assert_eq!(rule.next(&timeline, &bar), None);
        rule.on(12, 1.0, 0, 60);
        assert_eq!(rule.next(&timeline, &bar), None, "held");
        rule.off(24, 2.0, Some(0), Some(60));
        assert_eq!(
            rule.next(&timeline, &bar),
            Some(Entry {
                at: 48,
                decided: 45
            })
        );
        let beat = settings(0.5, Enter::Beat);
        assert_eq!(
            rule.next(&timeline, &beat),
            Some(Entry {
                at: 36,
                decided: 33
            })
        );
        let step = settings(0.3, Enter::Step);
        assert_eq!(
            rule.next(&timeline, &step),
            Some(Entry {
                at: 28,
                decided: 25
            })
        );
        assert_eq!(
            rule.next(
                &timeline,
                &Settings {
                    mode: Mode::Off,
                    ..bar
                }
            ),
            None
        );
    }

    #[test]
    fn gaps_survive_the_rounding_of_parameters() {
        let timeline = common();
        assert_eq!(steps(&timeline, 2.0), 24);
        assert_eq!(steps(&timeline, f64::from(2.000_000_2_f32)), 24);
        assert_eq!(steps(&timeline, 2.01), 25);
    }

    #[test]
    fn an_answer_is_never_in_the_past() {
        let timeline = common();
        let mut rule = Continue::default();
        rule.on(0, 0.0, 0, 60);
        rule.off(6, 0.5, Some(0), Some(60));
        let now = settings(1.0, Enter::Step);
        rule.change(&timeline, &now, 0.6);
        assert_eq!(
            rule.next(&timeline, &now).map(|e| e.at),
            Some(18),
            "time enough"
        );
        rule.change(&timeline, &now, 20.3);
        let entry = rule.next(&timeline, &now).unwrap();
        assert_eq!(
            entry,
            Entry {
                at: 248,
                decided: 245
            }
        );
        assert!(timeline.beat(entry.decided) > 20.3);
    }

    #[test]
    fn keys_held_over_a_jump_still_count_as_held() {
        let timeline = common();
        let mut rule = Continue::default();
        rule.on(0, 0.0, 0, 60);
        rule.arrive();
        rule.on(96, 8.0, 0, 62);
        rule.off(97, 8.1, Some(0), Some(62));
        let now = settings(1.0, Enter::Step);
        assert_eq!(rule.next(&timeline, &now), None);
        rule.off(108, 9.0, Some(0), Some(60));
        assert_eq!(rule.next(&timeline, &now).map(|e| e.at), Some(120));
    }

    #[test]
    fn what_was_played_elsewhere_is_no_reason_to_answer() {
        let timeline = common();
        let mut rule = Continue::default();
        rule.on(0, 0.0, 0, 60);
        rule.arrive();
        rule.off(90, 7.5, Some(0), Some(60));
        assert_eq!(rule.next(&timeline, &settings(1.0, Enter::Step)), None);
    }
}
