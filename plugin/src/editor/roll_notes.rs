//! The notes of the piano roll, and the ground under planned ones. Window thread.

use egui::{CornerRadius, Painter, Rect, Stroke, StrokeKind, pos2};

use super::roll_viewport::RollTransform;
use super::theme;
use super::view::View;
use continuo_accompaniment::snapshot::RollNote;

/// Draws a slightly lighter ground under the plan.
pub(super) fn draw_plan(painter: &Painter, view: &View, transform: &RollTransform) {
    if view.planned_to() <= view.playhead {
        return;
    }
    let across = transform.x(view.playhead)..=transform.x(view.planned_to());
    let band = Rect::from_x_y_ranges(across, transform.area.y_range());
    painter.rect_filled(band, CornerRadius::ZERO, theme::PLAYED.gamma_multiply(0.07));
    let edge = painter.round_to_pixel_center(band.right());
    let stroke = Stroke::new(1.0, theme::PLAYED.gamma_multiply(0.5));
    painter.extend(egui::Shape::dashed_line(
        &[pos2(edge, band.top()), pos2(edge, band.bottom())],
        stroke,
        3.0,
        4.0,
    ));
}

/// Whether a note sounds now: none does while the transport is stopped.
pub(super) fn sounds(view: &View, note: &RollNote) -> bool {
    let now = view.playhead;
    view.playing && note.start <= now && note.end.is_none_or(|end| end > now)
}

/// Draws a note: brighter the louder it is, or the more certain if it was found in sound, and fainter
/// while it may still change.
pub(super) fn draw(painter: &Painter, transform: &RollTransform, view: &View, note: &RollNote) {
    let now = view.playhead;
    let end = note.end.unwrap_or(now.max(note.start));
    if end < transform.left || note.start > transform.right() {
        return;
    }
    let (top, bottom) = transform.y(note.pitch);
    let left = transform.x(note.start);
    // A gap of a point to the next note, and a width of two at least.
    let right = (transform.x(end) - 1.0).max(left + 2.0);
    let slit = if bottom - top > 5.0 { 0.5 } else { 0.0 };
    let rect = Rect::from_min_max(pos2(left, top + slit), pos2(right, bottom - slit));
    let corner = CornerRadius::same((rect.height() / 4.0).clamp(0.0, 3.0) as u8);
    let (base, loudness) = match note.confidence {
        // Fainter the less certain it is.
        Some(confidence) => (theme::BY_EAR, confidence),
        None => (
            theme::note(note.generated, note.part),
            f32::from(note.velocity) / 127.0,
        ),
    };
    let color = theme::mix(theme::WELL, base, 0.38 + 0.62 * loudness);

    if note.imagined {
        // Faint: it does not sound, and the player's notes take its place.
        painter.rect_filled(rect, corner, color.gamma_multiply(0.12));
        let stroke = Stroke::new(1.0, color.gamma_multiply(0.35));
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    } else if note.start <= now {
        let light = if sounds(view, note) { 0.45 } else { 0.0 };
        painter.rect_filled(rect, corner, theme::mix(color, theme::TEXT, light));
    } else if note.start < view.committed_to {
        painter.rect_filled(rect, corner, color.gamma_multiply(0.8));
    } else {
        // An outline shows that it may still change.
        painter.rect_filled(rect, corner, color.gamma_multiply(0.22));
        let stroke = Stroke::new(1.0, color.gamma_multiply(0.75));
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_note_sounds_while_the_transport_stands_still() {
        let note = |end| RollNote {
            start: 3.0,
            end,
            pitch: 60,
            velocity: 90,
            ..RollNote::default()
        };
        let mut view = View {
            playhead: 4.0,
            ..View::default()
        };
        // A key still held, an end rounded up to the next step, and one before the playhead.
        for (end, rolling) in [(None, true), (Some(4.05), true), (Some(3.9), false)] {
            view.playing = true;
            assert_eq!(sounds(&view, &note(end)), rolling);
            view.playing = false;
            assert!(!sounds(&view, &note(end)));
        }
    }
}
