//! Which part of the roll is in view: zoom, follow, and the range of keys.

use egui::Rect;

use super::view::Roll;

/// Points a quarter note: at least a pixel a sixteenth, at most a screen a bar.
const ZOOM: std::ops::RangeInclusive<f32> = 4.0..=240.0;

/// Where the playhead stands while the roll follows, of the width: more room for what was
/// than for what comes, for there is more of it.
const PLAYHEAD: f32 = 0.64;

/// Keys shown at least: two octaves, or a single note would be a wall.
const FEWEST_KEYS: f32 = 25.0;

/// Keys shown above and below the notes.
const MARGIN: f32 = 2.5;

/// What part of the roll is in view. Belongs to the window, not to the instance.
#[derive(Clone, Debug, PartialEq)]
pub struct RollViewport {
    /// Points a quarter note.
    zoom: f32,
    /// The position at the left edge; `None` follows the playhead.
    left: Option<f64>,
    /// Lowest and highest key in view, on their way to where the notes are.
    keys: Option<(f32, f32)>,
}

impl Default for RollViewport {
    fn default() -> Self {
        Self {
            zoom: 30.0,
            left: None,
            keys: None,
        }
    }
}

impl RollViewport {
    /// Whether it follows the playhead.
    pub fn follows(&self) -> bool {
        self.left.is_none()
    }

    /// Follows the playhead again.
    pub fn follow(&mut self) {
        self.left = None;
    }

    /// Stays where it is.
    pub fn stay(&mut self, transform: &RollTransform) {
        self.left = Some(transform.left);
    }

    /// Moves by so many points.
    pub fn pan(&mut self, transform: &RollTransform, points: f32) {
        if points != 0.0 {
            self.left = Some(transform.left - f64::from(points / self.zoom));
        }
    }

    /// Makes everything so many times as wide; what is at `x` stays there, and while it
    /// follows, the playhead.
    pub fn zoom(&mut self, transform: &RollTransform, factor: f32, x: f32) {
        let zoom = (self.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
        if self.left.is_some() {
            let at = transform.beat(x);
            self.left = Some(at - f64::from((x - transform.area.left()) / zoom));
        }
        self.zoom = zoom;
    }

    /// The frame through which an area of the window shows the roll. Whether the range of keys
    /// is still on its way.
    pub fn transform(&mut self, roll: &Roll, area: Rect) -> (RollTransform, bool) {
        let followed = roll.now - f64::from(area.width() * PLAYHEAD / self.zoom);
        let mut transform = RollTransform {
            area,
            left: self.left.unwrap_or(followed),
            zoom: self.zoom,
            lowest: 0.0,
            keys: 1.0,
        };
        let (low, high) = wanted_keys(roll, &transform);
        let (was_low, was_high) = self.keys.unwrap_or((low, high));
        let step = |was: f32, to: f32| {
            if (to - was).abs() < 0.05 {
                to
            } else {
                was + (to - was) * 0.2
            }
        };
        let now = (step(was_low, low), step(was_high, high));
        self.keys = Some(now);
        (transform.lowest, transform.keys) = (now.0, now.1 - now.0);
        (transform, now != (low, high))
    }
}

/// The range of keys that shows every note in view or near it.
fn wanted_keys(roll: &Roll, transform: &RollTransform) -> (f32, f32) {
    let width = f64::from(transform.area.width() / transform.zoom);
    let (from, to) = (transform.left - width, transform.left + 2.0 * width);
    let near = roll
        .notes
        .iter()
        .filter(|n| n.start < to && n.end.unwrap_or(roll.now) > from)
        .map(|n| f32::from(n.pitch));
    let range = near.fold(None, |range: Option<(f32, f32)>, pitch| {
        let (low, high) = range.unwrap_or((pitch, pitch));
        Some((low.min(pitch), high.max(pitch)))
    });
    // Nothing there: around middle C.
    let (low, high) = range.unwrap_or((60.0, 64.0));
    let (low, high) = (low - MARGIN, high + 1.0 + MARGIN);
    let more = (FEWEST_KEYS - (high - low)).max(0.0) / 2.0;
    let low = (low - more).floor().max(0.0);
    let high = (high + more).ceil().min(128.0);
    // At either end of the keyboard, what is missing there is added at the other side.
    let low = low.min(high - FEWEST_KEYS).max(0.0);
    (low, high.max(low + FEWEST_KEYS))
}

/// From music to points and back.
#[derive(Clone, Copy, Debug)]
pub struct RollTransform {
    /// Where the notes are drawn.
    pub area: Rect,
    /// The position at the left edge.
    pub left: f64,
    /// Points a quarter note.
    pub zoom: f32,
    lowest: f32,
    keys: f32,
}

impl RollTransform {
    /// Where a position is.
    pub fn x(&self, beat: f64) -> f32 {
        self.area.left() + ((beat - self.left) * f64::from(self.zoom)) as f32
    }

    /// Which position is there.
    pub fn beat(&self, x: f32) -> f64 {
        self.left + f64::from((x - self.area.left()) / self.zoom)
    }

    /// The position at the right edge.
    pub fn right(&self) -> f64 {
        self.beat(self.area.right())
    }

    /// Height of a key.
    pub fn row(&self) -> f32 {
        self.area.height() / self.keys
    }

    /// Top and bottom of a key's row.
    pub fn y(&self, pitch: u8) -> (f32, f32) {
        let bottom = self.area.bottom() - (f32::from(pitch) - self.lowest) * self.row();
        (bottom - self.row(), bottom)
    }

    /// The keys of which anything is in view, from low to high.
    pub fn pitches(&self) -> std::ops::RangeInclusive<u8> {
        let high = (self.lowest + self.keys).ceil().clamp(1.0, 128.0) as u8;
        self.lowest.floor().clamp(0.0, 127.0) as u8..=high - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::editor::view::{NoteOwner, RollNote};

    fn area() -> Rect {
        Rect::from_min_size(egui::pos2(40.0, 20.0), egui::vec2(600.0, 250.0))
    }

    fn roll(now: f64, pitches: &[u8]) -> Roll {
        let notes = pitches.iter().map(|&pitch| RollNote {
            start: now,
            end: None,
            pitch,
            velocity: 90,
            by: NoteOwner::Player,
        });
        Roll {
            now,
            notes: notes.collect(),
            ..Roll::default()
        }
    }

    #[test]
    fn follows_until_moved_and_again() {
        let mut viewport = RollViewport::default();
        let x = |viewport: &mut RollViewport, now: f64| {
            let (transform, _) = viewport.transform(&roll(now, &[]), area());
            (transform.x(now) - area().left()) / area().width()
        };
        assert!((x(&mut viewport, 5.0) - PLAYHEAD).abs() < 1e-4);
        assert!((x(&mut viewport, 5e6) - PLAYHEAD).abs() < 1e-3);
        let (transform, _) = viewport.transform(&roll(5.0, &[]), area());
        viewport.pan(&transform, 60.0);
        assert!(!viewport.follows());
        assert!((x(&mut viewport, 5.0) - PLAYHEAD - 0.1).abs() < 1e-4);
        viewport.follow();
        assert!((x(&mut viewport, 7.0) - PLAYHEAD).abs() < 1e-4);
    }

    #[test]
    fn zoom_keeps_what_is_under_the_pointer() {
        let mut viewport = RollViewport::default();
        let (transform, _) = viewport.transform(&roll(5.0, &[]), area());
        viewport.stay(&transform);
        let at = transform.beat(200.0);
        for factor in [1.3, 4.0, 100.0, 0.001] {
            let (transform, _) = viewport.transform(&roll(5.0, &[]), area());
            viewport.zoom(&transform, factor, 200.0);
            let (transform, _) = viewport.transform(&roll(5.0, &[]), area());
            assert!((transform.beat(200.0) - at).abs() < 1e-6);
            assert!(ZOOM.contains(&transform.zoom));
        }
    }

    #[test]
    fn every_key_fits_at_every_edge() {
        for pitches in [
            &[0u8][..],
            &[127],
            &[60],
            &[0, 127],
            &[],
            &[5, 6],
            &[125, 120],
        ] {
            let (transform, moving) = RollViewport::default().transform(&roll(0.0, pitches), area());
            assert!(!moving, "the first frame is where it should be");
            for &pitch in pitches {
                let (top, bottom) = transform.y(pitch);
                assert!(
                    top >= area().top() - 0.01 && bottom <= area().bottom() + 0.01,
                    "{pitch}"
                );
                assert!(transform.pitches().contains(&pitch));
            }
            assert!(transform.pitches().count() as f32 >= FEWEST_KEYS - 1.0);
        }
    }
}
