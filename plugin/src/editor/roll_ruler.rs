//! The ruler of the piano roll: numbers of bars and beats, and the buttons for zoom and follow. Window
//! thread.

use egui::{Align2, Painter, Rect, Stroke, Ui, pos2, vec2};

use super::roll_viewport::{RollTransform, RollViewport};
use super::theme;
use super::view::View;
use continuo_accompaniment::bar_grid::GridLine;

/// Height of the ruler, in points.
pub(super) const HEIGHT: f32 = 20.0;

/// Width of the buttons for zoom and follow, in points.
const BUTTONS: f32 = 100.0;

/// Least distance of labels, in points.
const LABEL_ROOM: f32 = 34.0;

/// The part of the ruler beside its buttons, in the roll's rectangle `rect`.
pub(super) fn bars_rect(rect: Rect, transform: &RollTransform) -> Rect {
    Rect::from_min_max(
        pos2(transform.area.left(), rect.top()),
        pos2(rect.right() - BUTTONS, transform.area.top()),
    )
}

/// Draws bar numbers, and beats where they fit.
pub(super) fn draw(
    painter: &Painter,
    rect: Rect,
    view: &View,
    transform: &RollTransform,
    lines: &[GridLine],
) {
    let top = bars_rect(rect, transform);
    let painter = painter.with_clip_rect(top);
    let bar_room = view.grid.section_at(transform.left).bar_length() as f32 * transform.zoom;
    // Numbers every bar, every second, every fourth, and so on.
    let every = 1i32
        << (LABEL_ROOM / bar_room.max(0.01))
            .log2()
            .ceil()
            .clamp(0.0, 20.0) as u32;
    for line in lines {
        let x = transform.x(line.at);
        let place = pos2(x + 6.0, top.center().y);
        let beat_room = view.grid.section_at(line.at).beat_length() as f32 * transform.zoom;
        if line.beat == 1 && (line.bar - 1).rem_euclid(every) == 0 {
            let label = line.bar.to_string();
            painter.text(
                place,
                Align2::LEFT_CENTER,
                label,
                theme::small(),
                theme::TEXT,
            );
            let x = painter.round_to_pixel_center(x);
            painter.vline(x, top.y_range(), Stroke::new(1.0, theme::LINE_STRONG));
        } else if line.beat != 1 && beat_room >= LABEL_ROOM {
            let label = format!("{}.{}", line.bar, line.beat);
            painter.text(
                place,
                Align2::LEFT_CENTER,
                label,
                theme::small(),
                theme::TEXT_WEAK,
            );
        }
    }
}

/// Draws the buttons for zoom and follow, in the corner.
pub(super) fn buttons(
    ui: &mut Ui,
    rect: Rect,
    transform: &RollTransform,
    viewport: &mut RollViewport,
) {
    let size = vec2(HEIGHT, HEIGHT - 3.0);
    let mut right = rect.right() - 2.0;
    let mut button = |ui: &mut Ui, text: &str, name: &str, help: &str, width: f32| {
        let place = Rect::from_min_size(pos2(right - width, rect.top() + 1.5), vec2(width, size.y));
        right -= width + 2.0;
        let text = egui::RichText::new(text).font(theme::small());
        let button = egui::Button::new(text).min_size(place.size());
        let small = vec2(2.0, 0.0);
        let usual = std::mem::replace(&mut ui.spacing_mut().button_padding, small);
        let pressed = ui
            .put(place, button)
            .accessible_name(name)
            .on_hover_text(help)
            .clicked();
        ui.spacing_mut().button_padding = usual;
        pressed
    };
    if button(ui, "+", "Zoom in", "Zoom in (control and wheel)", size.x) {
        viewport.zoom(transform, 1.5, transform.area.center().x);
    }
    if button(ui, "–", "Zoom out", "Zoom out (control and wheel)", size.x) {
        viewport.zoom(transform, 1.0 / 1.5, transform.area.center().x);
    }
    if !viewport.follows()
        && button(
            ui,
            "Follow",
            "Follow",
            "Back to the playhead (double-click)",
            52.0,
        )
    {
        viewport.follow();
    }
}
