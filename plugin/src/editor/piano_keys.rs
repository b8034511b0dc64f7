//! The keyboard at the side of the piano roll. Window thread.

use egui::{Align2, Color32, CornerRadius, Painter, Rect, Stroke, pos2};

use super::roll_viewport::RollTransform;
use super::theme;

/// Its width in points.
pub const WIDTH: f32 = 44.0;

const WHITE: Color32 = Color32::from_rgb(0xc9, 0xcf, 0xd8);
const BLACK: Color32 = Color32::from_rgb(0x2a, 0x2e, 0x36);

/// Whether a key is black.
pub fn is_black(pitch: u8) -> bool {
    matches!(pitch % 12, 1 | 3 | 6 | 8 | 10)
}

/// Draws the visible keys at the left of `rect`. Keys in `heard` and `played` (one bit for each MIDI key)
/// are lit.
pub fn show(painter: &Painter, rect: Rect, transform: &RollTransform, heard: u128, played: u128) {
    let strip = Rect::from_min_max(
        pos2(rect.left(), transform.area.top()),
        pos2(rect.left() + WIDTH, rect.bottom()),
    );
    let painter = painter.with_clip_rect(strip);
    painter.rect_filled(strip, CornerRadius::ZERO, WHITE);
    let lit = |pitch: u8| {
        let bit = 1u128 << pitch;
        if played & bit != 0 {
            Some(theme::PLAYED)
        } else if heard & bit != 0 {
            Some(theme::HEARD)
        } else {
            None
        }
    };
    // White keys reach half a row into the black keys beside them, so black keys are drawn last.
    for pitch in transform.pitches().filter(|&p| !is_black(p)) {
        let (mut top, mut bottom) = transform.y(pitch);
        let half = transform.row() / 2.0;
        if pitch < 127 && is_black(pitch + 1) {
            top -= half;
        }
        if pitch > 0 && is_black(pitch - 1) {
            bottom += half;
        }
        let key = Rect::from_x_y_ranges(strip.x_range(), top..=bottom);
        if let Some(color) = lit(pitch) {
            painter.rect_filled(key, CornerRadius::ZERO, color);
        }
        painter.hline(strip.x_range(), bottom, Stroke::new(1.0, theme::GROUND));
    }
    for pitch in transform.pitches().filter(|&p| is_black(p)) {
        let (top, bottom) = transform.y(pitch);
        let key = Rect::from_x_y_ranges(strip.left()..=strip.left() + WIDTH * 0.58, top..=bottom);
        painter.rect_filled(key, CornerRadius::ZERO, lit(pitch).unwrap_or(BLACK));
    }
    if transform.row() < 4.0 {
        return;
    }
    for pitch in transform.pitches().filter(|p| p % 12 == 0) {
        let (top, bottom) = transform.y(pitch);
        // Middle C is C4, as in most DAWs' rolls.
        let label = format!("C{}", i32::from(pitch) / 12 - 1);
        let place = pos2(strip.right() - 3.0, (top + bottom) / 2.0);
        let size = theme::small().size.min(transform.row().max(8.0) + 2.0);
        let font = egui::FontId::proportional(size);
        painter.text(place, Align2::RIGHT_CENTER, label, font, theme::GROUND);
    }
}
