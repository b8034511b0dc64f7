//! The bars that the long memory retrieves, in the piano roll. Window thread.

use egui::{Align2, CornerRadius, Painter, Rect, vec2};

use super::roll_viewport::RollTransform;
use super::theme;
use super::view::View;

/// Draws the recalled bars: a band under the notes and a strip along the ruler.
pub fn bands(painter: &Painter, inside: &Painter, view: &View, transform: &RollTransform) {
    for bar in &view.recalled {
        let weight = bar.share.clamp(0.0, 1.0);
        let across = transform.x(bar.from)..=transform.x(bar.to);
        let band = Rect::from_x_y_ranges(across.clone(), transform.area.y_range());
        let color = theme::RECALLED.gamma_multiply(0.06 + 0.16 * weight);
        inside.rect_filled(band, CornerRadius::ZERO, color);
        let edge = Rect::from_x_y_ranges(across, transform.area.top() - 3.0..=transform.area.top());
        let edge = edge.intersect(transform.area.with_min_y(edge.top()));
        let color = theme::RECALLED.gamma_multiply(0.35 + 0.65 * weight);
        painter.rect_filled(edge, CornerRadius::ZERO, color);
    }
}

/// Draws a label at the left edge about bars recalled from before it, and about learned files.
pub fn label(painter: &Painter, view: &View, transform: &RollTransform) {
    let hidden = view.recalled.iter().filter(|r| r.to <= transform.left);
    let mut before: Vec<i32> = hidden.map(|r| view.grid.position(r.from).bar).collect();
    before.sort_unstable();
    before.dedup();
    let mut what = Vec::new();
    if !before.is_empty() {
        what.push(bars_text(&before));
    }
    if view.recalls_learned() {
        what.push("learned music".into());
    }
    if what.is_empty() {
        return;
    }
    let place = transform.area.left_bottom() + vec2(6.0, -6.0);
    let label = format!("recalls {}", what.join(" and "));
    let drawn = painter.layout_no_wrap(label, theme::small(), theme::RECALLED);
    let text = Align2::LEFT_BOTTOM.anchor_size(place, drawn.size());
    painter.rect_filled(text.expand(3.0), theme::ROUND, theme::WELL);
    painter.galley(text.min, drawn, theme::RECALLED);
}

/// Ascending bar numbers as text, such as `bars 3–5, 9`.
fn bars_text(bars: &[i32]) -> String {
    let runs = bars.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [only] => only.to_string(),
        [first, .., last] => format!("{first}–{last}"),
        [] => String::new(),
    });
    let word = if bars.len() == 1 { "bar" } else { "bars" };
    format!("{word} {}", runs.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_bars_are_shown_as_ranges() {
        assert_eq!(bars_text(&[3]), "bar 3");
        assert_eq!(bars_text(&[3, 4, 5, 9]), "bars 3–5, 9");
        assert_eq!(bars_text(&[-1, 0, 7, 8]), "bars -1–0, 7–8");
    }
}
