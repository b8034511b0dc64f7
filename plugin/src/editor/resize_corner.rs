//! The corner that resizes the window, also in hosts whose own window can only grow. Window thread.

use egui::{Align2, CursorIcon, Rect, Sense, Stroke, Ui, Vec2, ViewportCommand, pos2, vec2};

use super::theme;

/// Length of its sides, in points.
const SIZE: f32 = 14.0;

/// A drag of the corner: the window's size at its start, and the requested size, in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResizeDrag {
    before: Vec2,
    wanted: Vec2,
}

/// Draws the corner into the lower right of `all` while the pointer is in the window. When the drag ends, it
/// requests the new size once: a host may refuse, and the window then jumps back by one step only.
pub fn show(ui: &Ui, all: Rect, drag: &mut Option<ResizeDrag>) {
    let corner = Rect::from_min_max(all.max - Vec2::splat(SIZE), all.max);
    let response = ui.interact(corner, ui.scope_id().with("grip"), Sense::DRAG);
    if response.drag_started() {
        *drag = Some(ResizeDrag {
            before: all.size(),
            wanted: all.size(),
        });
    }
    if let (Some(drag), Some(moved)) = (drag.as_mut(), response.total_drag_delta()) {
        let smallest = vec2(theme::SMALLEST.0, theme::SMALLEST.1);
        drag.wanted = (drag.before + moved).max(smallest).round();
    }
    if response.drag_stopped()
        && let Some(drag) = drag.take()
        && drag.wanted != drag.before
    {
        ui.send_viewport_cmd(ViewportCommand::InnerSize(drag.wanted));
    }
    let near = response.hovered() || drag.is_some();
    if near {
        ui.set_cursor_icon(CursorIcon::ResizeNwSe);
    }
    if !ui.input(|input| input.pointer.has_pointer()) {
        return;
    }
    let color = if near { theme::TEXT } else { theme::TEXT_WEAK };
    let end = all.max - Vec2::splat(2.0);
    for length in [4.0, 8.0, 12.0] {
        let ends = [pos2(end.x - length, end.y), pos2(end.x, end.y - length)];
        ui.painter().line_segment(ends, Stroke::new(1.0, color));
    }
    if let Some(ResizeDrag { wanted, .. }) = drag {
        let label = format!("{} × {}", wanted.x, wanted.y);
        let drawn = ui.painter().layout_no_wrap(label, theme::text(), color);
        let place = Align2::RIGHT_BOTTOM.anchor_size(end - Vec2::splat(SIZE), drawn.size());
        ui.painter()
            .rect_filled(place.expand(4.0), theme::ROUND, theme::FILL);
        ui.painter().galley(place.min, drawn, color);
    }
}

#[cfg(test)]
mod tests {
    use egui::{Event, Modifiers, PointerButton, Pos2, RawInput};

    use super::*;

    /// The sizes requested while the corner of a window of 1040 x 680 points is dragged by `by`.
    fn requested(by: Vec2) -> Vec<Vec2> {
        let (ctx, mut drag) = (egui::Context::default(), None);
        let all = Rect::from_min_size(Pos2::ZERO, vec2(1040.0, 680.0));
        let corner = pos2(1036.0, 676.0);
        let button = |pos, pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        let mut sizes = Vec::new();
        for events in [
            vec![Event::PointerMoved(corner)],
            vec![button(corner, true)],
            vec![Event::PointerMoved(corner + by / 2.0)],
            vec![Event::PointerMoved(corner + by)],
            vec![button(corner + by, false)],
            vec![],
        ] {
            let input = RawInput {
                screen_rect: Some(all),
                events,
                ..RawInput::default()
            };
            let mut output = ctx.run_ui(input, |ui| show(ui, all, &mut drag));
            output.textures_delta.clear();
            let commands = output.viewport_output.into_values();
            for command in commands.flat_map(|viewport| viewport.commands) {
                if let ViewportCommand::InnerSize(size) = command {
                    sizes.push(size);
                }
            }
        }
        assert_eq!(drag, None);
        sizes
    }

    #[test]
    fn a_drag_requests_one_size_at_least_the_smallest() {
        assert_eq!(requested(vec2(-200.0, -100.0)), [vec2(840.0, 580.0)]);
        assert_eq!(requested(vec2(60.0, 40.0)), [vec2(1100.0, 720.0)]);
        assert_eq!(
            requested(vec2(-900.0, -600.0)),
            [vec2(theme::SMALLEST.0, theme::SMALLEST.1)]
        );
        assert_eq!(requested(vec2(0.0, 0.0)), []);
    }
}
