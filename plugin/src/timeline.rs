//! What was heard and played, at song positions. Owned by the composer thread; knows no
//! thread, no model and no host.

mod saved;

use continuo_score::{Metre, MetreMap, Note, Score};

use crate::params::Enter;

pub use self::saved::{Beats, SavedTimeline};

/// Who played a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The player, on this channel.
    Player(u8),
    /// The plugin, with this [`crate::messages::Planned::id`].
    Us(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    /// Where it started, exactly.
    start_beat: f64,
    start: i64,
    /// `None` while the key is held.
    end: Option<i64>,
    pitch: u8,
    velocity: u8,
    by: By,
}

/// Notes and bars by song position, in *song steps*: steps of the model's grid counted from
/// the host's position 0, negative in a count-in.
///
/// A [`Score`] counts from 0, so scores made of the timeline count from its *origin*: the bar
/// line at or before the first note.
#[derive(Clone, Debug)]
pub struct Timeline {
    steps_per_beat: u32,
    origin: Option<i64>,
    notes: Vec<Entry>,
    /// Bar lines at which the host said its metre, `(position in quarter notes, metre)`, rising.
    metres: Vec<(f64, Metre)>,
}

/// Positions nearer than this, in quarter notes, are the same: far below a sample, far above
/// the rounding of hosts.
const SAME: f64 = 1e-6;

impl Timeline {
    /// An empty one on a grid of so many steps a quarter note.
    pub fn new(steps_per_beat: u32) -> Self {
        Self {
            steps_per_beat,
            origin: None,
            notes: Vec::new(),
            metres: Vec::new(),
        }
    }

    /// The step nearest to a position, halves upward.
    pub fn step(&self, beat: f64) -> i64 {
        (beat * f64::from(self.steps_per_beat) + 0.5 + SAME).floor() as i64
    }

    /// The position of a step.
    pub fn beat(&self, step: i64) -> f64 {
        step as f64 / f64::from(self.steps_per_beat)
    }

    /// Step 0 of scores, once something was heard.
    pub fn origin(&self) -> Option<i64> {
        self.origin
    }

    /// Whether there is no note.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// The host's bars from the bar line at `bar_start` on.
    pub fn metre(&mut self, bar_start: f64, metre: Metre) {
        self.metres.retain(|&(at, _)| at < bar_start - SAME);
        self.metres.push((bar_start, metre));
    }

    /// The player struck a key.
    pub fn on(&mut self, beat: f64, channel: u8, pitch: u8, velocity: u8) {
        // A key struck again without having been let go.
        self.off(beat, Some(channel), Some(pitch));
        let start = self.step(beat);
        self.begin(start);
        self.notes.push(Entry {
            start_beat: beat,
            start,
            end: None,
            pitch: pitch & 127,
            velocity: velocity.clamp(1, 127),
            by: By::Player(channel),
        });
    }

    /// The player let go every key that fits; `None` fits all. Whether there was one.
    pub fn off(&mut self, beat: f64, channel: Option<u8>, pitch: Option<u8>) -> bool {
        let end = self.step(beat);
        let mut found = false;
        for note in self.notes.iter_mut().filter(|n| n.end.is_none()) {
            let By::Player(on) = note.by else { continue };
            if channel.is_none_or(|c| c == on) && pitch.is_none_or(|p| p == note.pitch) {
                note.end = Some(end.max(note.start + 1));
                found = true;
            }
        }
        found
    }

    /// The plugin plays a note from song step `start` to `end`.
    pub fn play(&mut self, id: u64, start: i64, end: i64, pitch: u8, velocity: u8) {
        self.begin(start);
        self.notes.push(Entry {
            start_beat: self.beat(start),
            start,
            end: Some(end.max(start + 1)),
            pitch,
            velocity,
            by: By::Us(id),
        });
    }

    /// A note of the plugin's was not played after all.
    pub fn missed(&mut self, id: u64) {
        self.notes.retain(|n| n.by != By::Us(id));
        self.settle();
    }

    /// At `beat` the plugin fell silent: its notes from `limit` on never happened, those that
    /// sounded end there.
    pub fn cut(&mut self, beat: f64, limit: f64) {
        let end = self.step(beat);
        self.notes
            .retain(|n| matches!(n.by, By::Player(_)) || n.start_beat < limit);
        for note in self.notes.iter_mut().filter(|n| matches!(n.by, By::Us(_))) {
            note.end = note.end.map(|e| e.min(end.max(note.start + 1)));
        }
        self.settle();
    }

    /// The playhead goes on from `beat`: what lies there from an earlier pass is forgotten,
    /// and what reaches over it ends there.
    pub fn forget_from(&mut self, beat: f64) {
        let end = self.step(beat);
        self.notes.retain(|n| n.start_beat < beat - SAME);
        for note in &mut self.notes {
            note.end = note.end.map(|e| e.min(end.max(note.start + 1)));
        }
        self.metres.retain(|&(at, _)| at < beat - SAME);
        self.settle();
    }

    /// The first step of the earliest key still held.
    pub fn first_open(&self) -> Option<i64> {
        self.notes
            .iter()
            .filter(|n| n.end.is_none())
            .map(|n| n.start)
            .min()
    }

    /// The notes that start before song step `before`, as a score counted from the origin. A
    /// key still held counts as held until there.
    pub fn score(&self, before: i64) -> Score {
        let mut score = Score::new(self.steps_per_beat);
        let Some(origin) = self.origin else {
            return score;
        };
        score.metres = self.metre_map(origin);
        let from_origin = |step: i64| u32::try_from(step - origin).unwrap_or(0);
        let notes = self
            .notes
            .iter()
            .filter(|n| n.start < before)
            .map(|n| Note {
                start: from_origin(n.start),
                length: u32::try_from(n.end.unwrap_or(before) - n.start)
                    .unwrap_or(0)
                    .max(1),
                pitch: n.pitch,
                velocity: n.velocity,
            });
        score.notes.extend(notes);
        score.tidy();
        score
    }

    /// The first place at or after song step `step` where an answer may begin.
    pub fn boundary(&self, step: i64, enter: Enter) -> i64 {
        // Bars are counted from some bar line before; a song is no longer than u32 steps.
        let origin = self.origin.unwrap_or_else(|| self.bar_line(step)).min(step);
        let map = self.metre_map(origin);
        let Ok(at) = u32::try_from(step - origin) else {
            return step;
        };
        let found = match enter {
            Enter::Step => at,
            Enter::Bar => map.next_bar(at),
            Enter::Beat => {
                let place = map.place(at);
                // Written beat n of the bar begins n * whole / denominator steps into it, or on
                // the next whole step.
                let denominator = u32::from(map.metre(at).denominator.max(1));
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

    /// The timeline begins with a note on this step.
    fn begin(&mut self, step: i64) {
        if self.notes.is_empty() {
            self.origin = Some(self.bar_line(step));
        } else if self.origin.is_some_and(|origin| step < origin) {
            // Rounding at the very beginning at most; bars must not start after their notes.
            self.origin = Some(self.bar_line(step));
        }
    }

    /// Without notes there is no origin: the next note gives one.
    fn settle(&mut self) {
        if self.notes.is_empty() {
            self.origin = None;
        }
    }

    /// The bar line at or before `step`, as a step.
    fn bar_line(&self, step: i64) -> i64 {
        let (anchor, metre) = self.metre_at(step);
        let bars = ((self.beat(step) - anchor) / metre.bar_beats() + SAME).floor();
        let line = anchor + bars * metre.bar_beats();
        // A bar line between two steps: the bar begins on the later one.
        let line = (line * f64::from(self.steps_per_beat) - SAME).ceil() as i64;
        line.min(step)
    }

    /// The metre in force at `step`, with the position of one of its bar lines.
    fn metre_at(&self, step: i64) -> (f64, Metre) {
        let after = self
            .metres
            .partition_point(|&(at, _)| self.step(at) <= step);
        let known = self.metres.get(after.saturating_sub(1));
        known.copied().unwrap_or((0.0, Metre::COMMON))
    }

    /// The bars, counted from a bar line `origin`.
    fn metre_map(&self, origin: i64) -> MetreMap {
        let first = self.metre_at(origin).1;
        let later = self.metres.iter().filter_map(|&(at, metre)| {
            let step = u32::try_from(self.step(at) - origin)
                .ok()
                .filter(|&s| s > 0)?;
            Some((step, metre))
        });
        MetreMap::new(
            self.steps_per_beat,
            std::iter::once((0, first)).chain(later).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_FOUR: Metre = Metre {
        numerator: 3,
        denominator: 4,
    };

    fn notes(timeline: &Timeline, before: i64) -> Vec<(u32, u32, u8)> {
        let score = timeline.score(before);
        score
            .notes
            .iter()
            .map(|n| (n.start, n.length, n.pitch))
            .collect()
    }

    fn heard(timeline: &mut Timeline, from: f64, to: f64, pitch: u8) {
        timeline.on(from, 0, pitch, 90);
        timeline.off(to, Some(0), Some(pitch));
    }

    #[test]
    fn scores_count_from_the_bar_line_before_the_first_note() {
        let mut timeline = Timeline::new(12);
        timeline.metre(8.0, Metre::COMMON);
        heard(&mut timeline, 9.0, 9.5, 60);
        heard(&mut timeline, 10.02, 10.99, 62);
        assert_eq!(timeline.origin(), Some(96));
        assert_eq!(notes(&timeline, 1000), [(12, 6, 60), (24, 12, 62)]);
        assert_eq!(notes(&timeline, 120), [(12, 6, 60)]);
    }

    #[test]
    fn a_count_in_has_negative_steps() {
        let mut timeline = Timeline::new(12);
        timeline.metre(-4.0, Metre::COMMON);
        heard(&mut timeline, -1.0, 0.0, 60);
        assert_eq!(
            (timeline.origin(), notes(&timeline, 0)),
            (Some(-48), vec![(36, 12, 60)])
        );
        assert_eq!(timeline.boundary(-3, Enter::Bar), 0);
    }

    #[test]
    fn a_note_slightly_before_the_bar_belongs_to_it() {
        let mut timeline = Timeline::new(12);
        timeline.metre(0.0, Metre::COMMON);
        heard(&mut timeline, 3.98, 4.5, 60);
        assert_eq!(
            (timeline.origin(), notes(&timeline, 99)),
            (Some(48), vec![(0, 6, 60)])
        );
    }

    #[test]
    fn held_struck_again_and_wildcards() {
        let mut timeline = Timeline::new(12);
        timeline.on(0.0, 0, 60, 90);
        timeline.on(1.0, 0, 60, 90);
        timeline.on(1.0, 5, 64, 90);
        assert_eq!(timeline.first_open(), Some(12));
        assert_eq!(
            notes(&timeline, 18),
            [(0, 12, 60), (12, 6, 60), (12, 6, 64)]
        );
        assert!(timeline.off(2.0, None, Some(64)));
        assert!(timeline.off(3.0, Some(0), None));
        assert!(!timeline.off(3.0, None, None));
        assert_eq!(
            notes(&timeline, 99),
            [(0, 12, 60), (12, 24, 60), (12, 12, 64)]
        );
    }

    #[test]
    fn a_cut_ends_what_sounds_and_undoes_what_was_planned() {
        let mut timeline = Timeline::new(12);
        heard(&mut timeline, 0.0, 0.5, 60);
        timeline.play(1, 24, 48, 64, 80);
        timeline.play(2, 36, 40, 65, 80);
        timeline.play(3, 40, 44, 66, 80);
        timeline.cut(3.0 + 1.0 / 12.0, 3.0 + 1.0 / 12.0 - 1e-5);
        assert_eq!(
            notes(&timeline, 99),
            [(0, 6, 60), (24, 13, 64), (36, 1, 65)]
        );
        timeline.missed(2);
        assert_eq!(notes(&timeline, 99), [(0, 6, 60), (24, 13, 64)]);
    }

    #[test]
    fn a_jump_forgets_what_lies_ahead() {
        let mut timeline = Timeline::new(12);
        timeline.metre(4.0, Metre::COMMON);
        heard(&mut timeline, 4.0, 5.0, 60);
        heard(&mut timeline, 6.0, 9.0, 62);
        heard(&mut timeline, 8.0, 9.0, 64);
        // The same place as heard, but for the host's rounding.
        timeline.forget_from(8.0 + 4e-10);
        assert_eq!(notes(&timeline, 999), [(0, 12, 60), (24, 24, 62)]);
        timeline.forget_from(4.0);
        assert!(timeline.is_empty() && timeline.origin().is_none());
    }

    #[test]
    fn boundaries_follow_the_host() {
        let mut timeline = Timeline::new(12);
        timeline.metre(0.0, Metre::COMMON);
        timeline.metre(8.0, THREE_FOUR);
        heard(&mut timeline, 1.0, 2.0, 60);
        assert_eq!(timeline.boundary(25, Enter::Step), 25);
        assert_eq!(timeline.boundary(25, Enter::Beat), 36);
        assert_eq!(timeline.boundary(36, Enter::Beat), 36);
        assert_eq!(timeline.boundary(25, Enter::Bar), 48);
        assert_eq!(timeline.boundary(97, Enter::Bar), 96 + 36);
        // 7/8 counts eighths from its bar line.
        timeline.metre(
            11.0,
            Metre {
                numerator: 7,
                denominator: 8,
            },
        );
        assert_eq!(timeline.boundary(133, Enter::Beat), 138);
        assert_eq!(timeline.boundary(133 + 36, Enter::Beat), 132 + 42);
        assert_eq!(timeline.boundary(133 + 42, Enter::Beat), 132 + 42 + 6);
    }

    #[test]
    fn boundaries_are_the_first_ones() {
        for (numerator, denominator) in [(4, 4), (3, 4), (6, 8), (5, 32), (7, 16)] {
            let mut timeline = Timeline::new(12);
            timeline.metre(
                1.0,
                Metre {
                    numerator,
                    denominator,
                },
            );
            heard(&mut timeline, 1.0, 2.0, 60);
            for enter in [Enter::Step, Enter::Beat, Enter::Bar] {
                let mut last = 12;
                for step in 12..400 {
                    let found = timeline.boundary(step, enter);
                    assert!(
                        found >= step && found >= last,
                        "{numerator}/{denominator} {step}"
                    );
                    assert_eq!(timeline.boundary(found, enter), found);
                    last = found;
                }
            }
        }
    }
}
