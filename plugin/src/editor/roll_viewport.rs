//! The visible part of the piano roll: zoom, follow, and the range of keys. Window thread.

use egui::Rect;

use super::view::View;

/// Points per quarter note: from a pixel a sixteenth to a screen a bar.
const ZOOM: std::ops::RangeInclusive<f32> = 4.0..=240.0;

/// Position of the playhead while the roll follows, as a share of the width: most notes lie before it.
const PLAYHEAD: f32 = 0.64;

/// Least number of keys shown.
const FEWEST_KEYS: f32 = 25.0;

/// Number of keys shown above and below the notes.
const MARGIN: f32 = 2.5;

/// The visible part of the roll. Kept by the window.
#[derive(Clone, Debug, PartialEq)]
pub struct RollViewport {
    /// Points per quarter note.
    zoom: f32,
    /// The position at the left edge; `None` follows the playhead.
    left: Option<f64>,
    /// Lowest and highest visible key, moving towards the range of the notes.
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

    /// Stops following.
    pub fn stay(&mut self, transform: &RollTransform) {
        self.left = Some(transform.left);
    }

    /// Moves the content by a distance in points.
    pub fn pan(&mut self, transform: &RollTransform, points: f32) {
        if points != 0.0 {
            self.left = Some(transform.left - f64::from(points / self.zoom));
        }
    }

    /// Scales the time axis by `factor`. The position at `x` stays in place; while the roll follows, the
    /// playhead does.
    pub fn zoom(&mut self, transform: &RollTransform, factor: f32, x: f32) {
        let zoom = (self.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
        if self.left.is_some() {
            let at = transform.beat(x);
            self.left = Some(at - f64::from((x - transform.area.left()) / zoom));
        }
        self.zoom = zoom;
    }

    /// The transform for an area of the window, and whether the range of keys still moves.
    pub fn transform(&mut self, view: &View, area: Rect) -> (RollTransform, bool) {
        let followed = view.playhead - f64::from(area.width() * PLAYHEAD / self.zoom);
        let mut transform = RollTransform {
            area,
            left: self.left.unwrap_or(followed),
            zoom: self.zoom,
            lowest: 0.0,
            keys: 1.0,
        };
        let (low, high) = wanted_keys(view, &transform);
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

/// The range of keys of all notes in the visible time and one width around it.
fn wanted_keys(view: &View, transform: &RollTransform) -> (f32, f32) {
    let width = f64::from(transform.area.width() / transform.zoom);
    let (from, to) = (transform.left - width, transform.left + 2.0 * width);
    let notes = view.snapshot.notes.iter();
    let near = notes
        .filter(|n| n.start < to && n.end.unwrap_or(view.playhead) > from)
        .map(|n| f32::from(n.pitch));
    let range = near.fold(None, |range: Option<(f32, f32)>, pitch| {
        let (low, high) = range.unwrap_or((pitch, pitch));
        Some((low.min(pitch), high.max(pitch)))
    });
    // Without notes: around middle C.
    let (low, high) = range.unwrap_or((60.0, 64.0));
    let (low, high) = (low - MARGIN, high + 1.0 + MARGIN);
    let more = (FEWEST_KEYS - (high - low)).max(0.0) / 2.0;
    let low = (low - more).floor().max(0.0);
    let high = (high + more).ceil().min(128.0);
    // At an end of the keyboard, the missing keys are added at the other side.
    let low = low.min(high - FEWEST_KEYS).max(0.0);
    (low, high.max(low + FEWEST_KEYS))
}

/// Transform between music and points.
#[derive(Clone, Copy, Debug)]
pub struct RollTransform {
    /// The rectangle of the notes.
    pub area: Rect,
    /// The position at the left edge.
    pub left: f64,
    /// Points per quarter note.
    pub zoom: f32,
    lowest: f32,
    keys: f32,
}

impl RollTransform {
    /// The x coordinate of a position.
    pub fn x(&self, beat: f64) -> f32 {
        self.area.left() + ((beat - self.left) * f64::from(self.zoom)) as f32
    }

    /// The position at an x coordinate.
    pub fn beat(&self, x: f32) -> f64 {
        self.left + f64::from((x - self.area.left()) / self.zoom)
    }

    /// The position at the right edge.
    pub fn right(&self) -> f64 {
        self.beat(self.area.right())
    }

    /// Height of a key's row.
    pub fn row(&self) -> f32 {
        self.area.height() / self.keys
    }

    /// Top and bottom of a key's row.
    pub fn y(&self, pitch: u8) -> (f32, f32) {
        let bottom = self.area.bottom() - (f32::from(pitch) - self.lowest) * self.row();
        (bottom - self.row(), bottom)
    }

    /// The visible keys, from low to high.
    pub fn pitches(&self) -> std::ops::RangeInclusive<u8> {
        let high = (self.lowest + self.keys).ceil().clamp(1.0, 128.0) as u8;
        self.lowest.floor().clamp(0.0, 127.0) as u8..=high - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use continuo_accompaniment::snapshot::{RollNote, Snapshot};

    fn area() -> Rect {
        Rect::from_min_size(egui::pos2(40.0, 20.0), egui::vec2(600.0, 250.0))
    }

    fn view(now: f64, pitches: &[u8]) -> View {
        let notes = pitches.iter().map(|&pitch| RollNote {
            start: now,
            end: None,
            pitch,
            velocity: 90,
            ..RollNote::default()
        });
        let snapshot = Snapshot {
            notes: notes.collect(),
            ..Snapshot::default()
        };
        View {
            playhead: now,
            snapshot: Arc::new(snapshot),
            ..View::default()
        }
    }

    #[test]
    fn viewport_follows_until_moved() {
        let mut viewport = RollViewport::default();
        let x = |viewport: &mut RollViewport, now: f64| {
            let (transform, _) = viewport.transform(&view(now, &[]), area());
            (transform.x(now) - area().left()) / area().width()
        };
        assert!((x(&mut viewport, 5.0) - PLAYHEAD).abs() < 1e-4);
        assert!((x(&mut viewport, 5e6) - PLAYHEAD).abs() < 1e-3);
        let (transform, _) = viewport.transform(&view(5.0, &[]), area());
        viewport.pan(&transform, 60.0);
        assert!(!viewport.follows());
        assert!((x(&mut viewport, 5.0) - PLAYHEAD - 0.1).abs() < 1e-4);
        viewport.follow();
        assert!((x(&mut viewport, 7.0) - PLAYHEAD).abs() < 1e-4);
    }

    #[test]
    fn zoom_keeps_the_position_under_the_pointer() {
        let mut viewport = RollViewport::default();
        let (transform, _) = viewport.transform(&view(5.0, &[]), area());
        viewport.stay(&transform);
        let at = transform.beat(200.0);
        for factor in [1.3, 4.0, 100.0, 0.001] {
            let (transform, _) = viewport.transform(&view(5.0, &[]), area());
            viewport.zoom(&transform, factor, 200.0);
            let (transform, _) = viewport.transform(&view(5.0, &[]), area());
            assert!((transform.beat(200.0) - at).abs() < 1e-6);
            assert!(ZOOM.contains(&transform.zoom));
        }
    }

    #[test]
    fn every_key_is_visible_at_every_edge() {
        for pitches in [
            &[0u8][..],
            &[127],
            &[60],
            &[0, 127],
            &[],
            &[5, 6],
            &[125, 120],
        ] {
            let (transform, moving) =
                RollViewport::default().transform(&view(0.0, pitches), area());
            assert!(!moving, "the first frame has the final range");
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
