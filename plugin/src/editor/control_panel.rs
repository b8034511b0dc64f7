//! The panel of controls: one column or more for each group, and a table for the band; in a small window one
//! group at a time. Window thread.

use egui::{Align2, Pos2, Rect, ScrollArea, TextWrapMode, Ui, vec2};

use super::control_row::{self, Typing};
use super::panel_layout::{Block, PanelLayout, groups, table_column};
use super::theme;
use super::view::{BandColumn, Control, Group, UiEvent};

/// Draws the controls into `rect`, with a scroll bar where they do not fit. `tab` is the group shown where
/// only one fits.
pub fn show(
    ui: &mut Ui,
    rect: Rect,
    controls: &[Control],
    tab: &mut Group,
    typing: &mut Option<Typing>,
    ui_events: &mut Vec<UiEvent>,
) {
    let mut layout = PanelLayout::new(controls, rect.width(), *tab);
    if layout.is_single {
        let place = rect.with_max_y(rect.top() + layout.head());
        tabs(ui, place, controls, tab);
        layout = PanelLayout::new(controls, rect.width(), *tab);
    }
    let body = rect.with_min_y(rect.top() + layout.head());
    let scrolls = layout.height() > rect.height() + 1.0;
    let width = rect.width() - if scrolls { 12.0 } else { 0.0 };
    for block in layout.blocks.iter().filter(|block| block.is_on_top()) {
        title(ui, &layout, block, body.min, width);
    }
    let mut inner = ui.new_child(egui::UiBuilder::new().max_rect(body).id_salt("controls"));
    inner.set_clip_rect(body.expand(2.0).intersect(ui.clip_rect()));
    let mut lay = |ui: &mut Ui| {
        let origin = ui.min_rect().min;
        ui.allocate_space(vec2(width, (layout.body() - theme::SMALL_GAP).max(0.0)));
        for block in &layout.blocks {
            if !block.is_on_top() {
                title(ui, &layout, block, origin, width);
            }
            for (index, place) in layout.cells(block, controls, origin, width) {
                control_row::show(ui, place, index, &controls[index], typing, ui_events);
            }
        }
    };
    if scrolls {
        ScrollArea::vertical()
            .auto_shrink(false)
            .show(&mut inner, lay);
    } else {
        lay(&mut inner);
    }
}

/// Draws the title of a block, except below tabs, and the heads of its columns.
fn title(ui: &Ui, layout: &PanelLayout, block: &Block, origin: Pos2, width: f32) {
    let strip = layout.title(block, origin, width);
    let y = strip.center().y - 1.0;
    let text = |x: f32, align: Align2, text: &str| {
        let (font, colour) = (theme::small(), theme::TEXT_WEAK);
        ui.painter()
            .text(Pos2::new(x, y), align, text, font, colour);
    };
    if !layout.is_single {
        let title = block.group.title().to_uppercase();
        text(strip.left() + 2.0, Align2::LEFT_CENTER, &title);
    }
    if !block.is_table {
        return;
    }
    for column in BandColumn::ALL {
        let (left, width) = table_column(column, strip.width());
        let right = strip.left() + left + width - 5.0;
        text(right, Align2::RIGHT_CENTER, column.title());
    }
}

fn tabs(ui: &mut Ui, rect: Rect, controls: &[Control], tab: &mut Group) {
    let groups = groups(controls);
    if !groups.contains(tab) {
        *tab = groups.first().copied().unwrap_or(Group::When);
    }
    let width = rect.width() / groups.len().max(1) as f32;
    // In the smallest window the longest title has just room.
    ui.spacing_mut().button_padding.x = theme::SMALL_GAP;
    for (number, group) in groups.into_iter().enumerate() {
        let min = Pos2::new(rect.left() + width * number as f32, rect.top());
        let place = Rect::from_min_size(min, vec2(width - theme::SMALL_GAP, theme::ROW));
        let button = egui::Button::selectable(*tab == group, group.title())
            .frame_when_inactive(true)
            .wrap_mode(TextWrapMode::Extend)
            .min_size(place.size());
        if ui.put(place, button).clicked() {
            *tab = group;
        }
    }
}
