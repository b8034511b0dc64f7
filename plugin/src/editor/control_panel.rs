//! The panel of controls: one column or more for each group; in a small window one group at a time. Window
//! thread.

use egui::{Align2, Rect, ScrollArea, Ui, pos2, vec2};

use super::control_row::{self, Typing};
use super::theme;
use super::view::{Control, Group, UiEvent};

/// Least width of a column, in points.
const MIN_COLUMN: f32 = 138.0;

/// Least rows of a group shown alone, so that most groups have one height.
const MIN_ROWS: usize = 3;

/// Height of a title, in points.
const TITLE: f32 = 20.0;

/// Layout of the controls at a width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelLayout {
    /// Number of columns of each group; empty where only one group is shown.
    columns: Vec<(Group, usize)>,
    rows: usize,
    /// Number of columns of the one group.
    single: usize,
}

fn members(controls: &[Control], group: Group) -> impl Iterator<Item = (usize, &Control)> {
    controls
        .iter()
        .enumerate()
        .filter(move |(_, c)| c.group == group)
}

impl PanelLayout {
    /// The layout for a width: all groups side by side if they fit, with spare columns for the longest;
    /// else `tab` alone.
    pub fn new(controls: &[Control], width: f32, tab: Group) -> Self {
        let fit = (((width + theme::GAP) / (MIN_COLUMN + theme::GAP)) as usize).max(1);
        let count = |group| members(controls, group).count();
        let groups = Group::COLUMNS.into_iter().filter(|&g| count(g) > 0);
        let mut columns: Vec<_> = groups.map(|group| (group, 1)).collect();
        let rows = |&(group, columns): &(Group, usize)| count(group).div_ceil(columns);
        if columns.len() > fit {
            return Self {
                columns: Vec::new(),
                rows: count(tab).div_ceil(fit).max(MIN_ROWS),
                single: fit,
            };
        }
        for _ in columns.len()..fit {
            let longest = columns.iter_mut().max_by_key(|c| rows(c));
            if let Some(column) = longest.filter(|c| rows(c) > 1) {
                column.1 += 1;
            }
        }
        Self {
            rows: columns.iter().map(rows).max().unwrap_or(0),
            columns,
            single: 0,
        }
    }

    /// Height of the titles, or of the tabs in their place.
    fn head(&self) -> f32 {
        if self.columns.is_empty() {
            theme::ROW + theme::SMALL_GAP
        } else {
            TITLE
        }
    }

    /// Height of all rows, in points.
    pub fn height(&self) -> f32 {
        self.head() + self.rows as f32 * (theme::ROW + theme::SMALL_GAP)
    }
}

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
    let layout = PanelLayout::new(controls, rect.width(), *tab);
    let body = rect.with_min_y(rect.top() + layout.head());
    let columns = if layout.columns.is_empty() {
        tabs(ui, rect.with_max_y(body.top()), controls, tab);
        vec![(*tab, layout.single)]
    } else {
        titles(ui, rect, &layout);
        layout.columns.clone()
    };
    let scrolls = layout.height() > rect.height() + 1.0;
    let mut inner = ui.new_child(egui::UiBuilder::new().max_rect(body).id_salt("controls"));
    inner.set_clip_rect(body.expand(2.0).intersect(ui.clip_rect()));
    let mut lay = |ui: &mut Ui| {
        let width = rect.width() - if scrolls { 12.0 } else { 0.0 };
        let origin = ui.min_rect().min;
        let rows = layout.rows as f32 * (theme::ROW + theme::SMALL_GAP);
        ui.allocate_space(vec2(width, rows - theme::SMALL_GAP));
        let total: usize = columns.iter().map(|c| c.1).sum();
        let mut column = 0;
        for &(group, own) in &columns {
            let rows = members(controls, group).count().div_ceil(own.max(1));
            for (place, (index, control)) in members(controls, group).enumerate() {
                let (x, column_width) = column_at(column + place / rows, total, width);
                let y = (place % rows) as f32 * (theme::ROW + theme::SMALL_GAP);
                let min = origin + vec2(x, y);
                let place = Rect::from_min_size(min, vec2(column_width, theme::ROW));
                control_row::show(ui, place, index, control, typing, ui_events);
            }
            column += own;
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

/// Left edge and width of a column.
fn column_at(column: usize, of: usize, width: f32) -> (f32, f32) {
    let each = (width - theme::GAP * of.saturating_sub(1) as f32) / of.max(1) as f32;
    ((each + theme::GAP) * column as f32, each)
}

fn titles(ui: &Ui, rect: Rect, layout: &PanelLayout) {
    let total: usize = layout.columns.iter().map(|c| c.1).sum();
    let mut column = 0;
    for &(group, own) in &layout.columns {
        let (x, _) = column_at(column, total, rect.width());
        let place = pos2(rect.left() + x + 2.0, rect.top() + TITLE / 2.0 - 1.0);
        let title = group.title().to_uppercase();
        ui.painter().text(
            place,
            Align2::LEFT_CENTER,
            title,
            theme::small(),
            theme::TEXT_WEAK,
        );
        column += own;
    }
}

fn tabs(ui: &mut Ui, rect: Rect, controls: &[Control], tab: &mut Group) {
    let groups = Group::COLUMNS.into_iter();
    let groups: Vec<_> = groups
        .filter(|&g| members(controls, g).count() > 0)
        .collect();
    if !groups.contains(tab) {
        *tab = groups.first().copied().unwrap_or(Group::When);
    }
    let width = rect.width() / groups.len().max(1) as f32;
    for (number, group) in groups.into_iter().enumerate() {
        let min = pos2(rect.left() + width * number as f32, rect.top());
        let place = Rect::from_min_size(min, vec2(width - theme::SMALL_GAP, theme::ROW));
        let button = egui::Button::selectable(*tab == group, group.title())
            .frame_when_inactive(true)
            .min_size(place.size());
        if ui.put(place, button).clicked() {
            *tab = group;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::editor::view::ControlKind;

    fn controls(of: &[(Group, usize)]) -> Vec<Control> {
        let each = |&(group, count): &(Group, usize)| {
            (0..count).map(move |number| Control {
                name: format!("{group:?} {number}"),
                group,
                kind: ControlKind::Number,
                value: 0.0,
                default: 0.0,
                step: 0.01,
                fine: 0.001,
                text: String::new(),
                help: "",
            })
        };
        of.iter().flat_map(each).collect()
    }

    #[test]
    fn spare_columns_go_to_the_longest_group() {
        let controls = controls(&[(Group::When, 4), (Group::What, 10), (Group::Output, 2)]);
        let layout = PanelLayout::new(&controls, 4.0 * (MIN_COLUMN + theme::GAP), Group::When);
        assert_eq!(
            layout.columns,
            [(Group::When, 1), (Group::What, 2), (Group::Output, 1)]
        );
        assert_eq!(layout.rows, 5);
        let wide = PanelLayout::new(&controls, 40.0 * (MIN_COLUMN + theme::GAP), Group::When);
        assert_eq!(wide.rows, 1);
    }

    #[test]
    fn a_small_window_shows_one_group_at_a_time() {
        let controls = controls(&[(Group::When, 4), (Group::What, 10), (Group::Output, 2)]);
        let width = 2.0 * (MIN_COLUMN + theme::GAP);
        for (tab, rows) in [(Group::What, 5), (Group::When, MIN_ROWS)] {
            let layout = PanelLayout::new(&controls, width, tab);
            assert_eq!(
                (layout.columns.len(), layout.single, layout.rows),
                (0, 2, rows)
            );
        }
        assert_eq!(PanelLayout::new(&[], 300.0, Group::When).rows, 0);
    }
}
