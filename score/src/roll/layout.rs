//! Positions of bars, systems and keys on the page.

use super::RollPart;
use crate::score::Score;

// Pixels.
pub(super) const MARGIN: f32 = 24.0;
pub(super) const KEYS: f32 = 44.0;
const TITLE: f32 = 44.0;
const BAR_NUMBERS: f32 = 20.0;
pub(super) const CHORDS: f32 = 18.0;
const SYSTEM_GAP: f32 = 16.0;
pub(super) const ROW: f32 = 11.0;
pub(super) const WIDTH: f32 = 1600.0;
const BEAT: f32 = 44.0;
/// Bars drawn at most, and pixels of a page that has more than one system: a page of some
/// metres; the rest is left out and said.
const MOST_BARS: usize = 400;
pub(super) const MOST_HEIGHT: f32 = 30_000.0;

/// Positions of steps and keys on the page.
pub(super) struct Layout<'a> {
    pub(super) first: &'a Score,
    /// Lowest and highest key of each system.
    pub(super) keys: Vec<(u8, u8)>,
    /// Bar lines of each system, the closing one included.
    pub(super) systems: Vec<Vec<u32>>,
    /// Number of the first bar of each system.
    pub(super) numbers: Vec<usize>,
    pixels_per_step: f32,
    /// Height of the row of chord names; 0 without chords.
    pub(super) chord_row: f32,
    pub(super) cut: bool,
}

impl<'a> Layout<'a> {
    pub(super) fn new(parts: &[RollPart<'a>], first_bar: usize) -> Option<Self> {
        let first = parts.first()?.score;
        let notes = || parts.iter().flat_map(|p| &p.score.notes);
        // There is something to draw.
        notes().next()?;
        let end = parts.iter().map(|p| p.score.length).max()?.max(1);
        let mut lines = first.time_signatures.bar_lines(end);
        let cut = lines.len() > MOST_BARS;
        lines.truncate(MOST_BARS);
        let last = *lines.last()?;
        lines.push(first.time_signatures.next_bar(last + 1));

        let pixels_per_step = BEAT / first.steps_per_beat as f32;
        let room = ((WIDTH - 2.0 * MARGIN - KEYS) / pixels_per_step) as u32;
        let (mut systems, mut numbers) = (Vec::new(), Vec::new());
        let mut from = 0;
        while from + 1 < lines.len() {
            let fits = lines[from..]
                .iter()
                .take_while(|&&l| l - lines[from] <= room)
                .count();
            // A bar too wide stands alone; lines of four, eight, … bars read best.
            let bars = (fits - 1).max(1);
            let left = lines.len() - 1 - from;
            let round = if bars > 4 { bars / 4 * 4 } else { bars };
            // The rest of a piece stands on one system if it fits there, unless that system would be
            // longer than those before.
            let longest: usize = systems
                .iter()
                .map(|s: &Vec<u32>| s.len() - 1)
                .max()
                .unwrap_or(left);
            let whole = bars >= left && left <= longest;
            let to = from + if whole { left } else { round };
            systems.push(lines[from..=to].to_vec());
            numbers.push(from + first_bar);
            from = to;
        }
        // The longest system fills the page.
        let steps = systems.iter().map(|s: &Vec<u32>| s[s.len() - 1] - s[0]);
        let longest = steps.max().unwrap_or(1).max(1) as f32;
        let pixels_per_step = (WIDTH - 2.0 * MARGIN - KEYS) / longest;
        let pixels_per_step = pixels_per_step.min(2.0 * BEAT / first.steps_per_beat as f32);
        let keys = systems.iter().map(|lines| {
            let (start, end) = (lines[0], lines[lines.len() - 1]);
            let here = || notes().filter(|n| n.start < end && n.end() > start);
            let lowest = here().map(|n| n.pitch).min().unwrap_or(60);
            let highest = here().map(|n| n.pitch).max().unwrap_or(60);
            // An octave and a half at least, so that a system looks like one.
            let spare = 18u8.saturating_sub(highest - lowest).div_ceil(2).max(2);
            (lowest.saturating_sub(spare), (highest + spare).min(127))
        });
        let mut layout = Self {
            first,
            keys: keys.collect(),
            systems,
            numbers,
            pixels_per_step,
            chord_row: 0.0,
            cut,
        };
        layout.fit();
        Some(layout)
    }

    /// Adds a row for the names of chords to each system, if there are any.
    pub(super) fn make_room(&mut self, has_chords: bool) {
        self.chord_row = if has_chords { CHORDS } else { 0.0 };
        self.fit();
    }

    /// Leaves out the systems beyond the greatest height.
    fn fit(&mut self) {
        while self.systems.len() > 1 && self.height() > MOST_HEIGHT {
            self.systems.pop();
            self.cut = true;
        }
    }

    /// Height of the bar numbers and chord names above a system.
    fn head(&self) -> f32 {
        BAR_NUMBERS + self.chord_row
    }

    /// Bars on the page.
    pub(super) fn bars(&self) -> usize {
        self.systems.iter().map(|lines| lines.len() - 1).sum()
    }

    pub(super) fn rows(&self, system: usize) -> f32 {
        let (lowest, highest) = self.keys[system];
        f32::from(highest - lowest + 1) * ROW
    }

    pub(super) fn top(&self, system: usize) -> f32 {
        let before = (0..system).map(|s| self.rows(s) + self.head() + SYSTEM_GAP);
        TITLE + self.head() + before.sum::<f32>()
    }

    pub(super) fn height(&self) -> f32 {
        self.top(self.systems.len()) - self.head() + MARGIN / 2.0
    }

    pub(super) fn span(&self, system: usize) -> (u32, u32) {
        let lines = &self.systems[system];
        (lines[0], lines[lines.len() - 1])
    }

    pub(super) fn x(&self, system: usize, step: u32) -> f32 {
        MARGIN + KEYS + (step - self.span(system).0) as f32 * self.pixels_per_step
    }

    pub(super) fn y(&self, system: usize, pitch: u8) -> f32 {
        self.top(system) + f32::from(self.keys[system].1.saturating_sub(pitch)) * ROW
    }
}
