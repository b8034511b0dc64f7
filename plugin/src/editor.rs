//! The editor: a piano roll of input and generated notes, the parameters, and actions. Window thread.
//!
//! ```text
//! window ── snapshot, parameters ──> View ──> draw ──> UiEvents ── window ──> gestures, requests
//! ```
//!
//! Drawing knows neither host nor plugin: a plain [`View`] has everything that is drawn, and widgets emit
//! [`UiEvent`]s. So pictures of the editor need no window, and tests can press every button.

pub mod bar_selection;
pub mod control_panel;
pub mod control_row;
pub mod drag_out;
pub mod file_dialogs;
pub mod file_drop;
pub mod menus;
mod musicxml;
pub mod panel_layout;
pub mod param_binding;
pub mod param_layout;
pub mod piano_keys;
pub mod piano_roll;
pub mod recalled_bars;
pub mod resize_corner;
mod roll_notes;
mod roll_ruler;
pub mod roll_viewport;
pub mod smooth_playhead;
pub mod status_bar;
pub mod theme;
pub mod toolbar;
pub mod view;
pub mod view_model;
pub mod window;

use egui::{Rect, Ui, vec2};

pub use self::theme::SMALLEST;
pub use self::view::{UiEvent, View};
pub use crate::editor_link::SIZE;

/// State of the widgets, kept by the window.
#[derive(Clone, Debug, PartialEq)]
pub struct UiState {
    viewport: roll_viewport::RollViewport,
    selection: bar_selection::BarSelection,
    typing: Option<control_row::Typing>,
    tab: view::Group,
    /// The drag of the window's corner, while there is one.
    resize: Option<resize_corner::ResizeDrag>,
}

impl Default for UiState {
    fn default() -> Self {
        Self {
            viewport: roll_viewport::RollViewport::default(),
            selection: bar_selection::BarSelection::default(),
            typing: None,
            tab: view::Group::When,
            resize: None,
        }
    }
}

impl UiState {
    /// Whether a text field is open: then the editor takes all keys.
    pub fn is_typing(&self) -> bool {
        self.typing.is_some()
    }
}

/// Draws a view into the whole window, and collects the events of its widgets.
pub fn draw(ui: &mut Ui, view: &View, ui_state: &mut UiState, ui_events: &mut Vec<UiEvent>) {
    // The space bar belongs to the host's transport, whatever has the focus.
    if !ui_state.is_typing() {
        ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, egui::Key::Space));
        toolbar::shortcuts(ui, view, ui_events);
    }
    let all = ui.ctx().content_rect();
    ui.painter().rect_filled(all, 0.0, theme::GROUND);
    let mut rest = all.shrink(theme::GAP);

    let top = take_top(&mut rest, theme::ROW);
    toolbar::top(ui, top, view, &mut ui_state.typing, ui_events);
    rest.min.y += theme::SMALL_GAP;
    status_bar::show(ui, take_top(&mut rest, theme::ROW), view);
    rest.min.y += theme::SMALL_GAP;
    for problem in &view.snapshot.problems {
        message(ui, &mut rest, problem, theme::BAD_GROUND);
    }
    if let Some(notice) = &view.notice {
        message(ui, &mut rest, notice, theme::FILL);
    }

    // The roll keeps at least a third of the height: below that, the controls scroll.
    let wanted =
        panel_layout::PanelLayout::new(&view.controls, rest.width(), ui_state.tab).height();
    let share = (rest.height() * 0.62).max(0.0);
    let below = take_bottom(&mut rest, wanted.min(share));
    rest.max.y -= theme::SMALL_GAP;
    let height = toolbar::height(view, rest.width());
    let row = take_bottom(&mut rest, height);
    if height > 0.0 {
        rest.max.y -= theme::GAP;
    }
    // Widgets are added from the top down, the order of Tab and of screen readers.
    piano_roll::show(
        ui,
        rest,
        view,
        &mut ui_state.viewport,
        &mut ui_state.selection,
        ui_events,
    );
    if height > 0.0 {
        toolbar::show(ui, row, view, ui_events);
    }
    control_panel::show(
        ui,
        below,
        &view.controls,
        &mut ui_state.tab,
        &mut ui_state.typing,
        ui_events,
    );
    file_drop::show(ui, all, view, ui_events);
    resize_corner::show(ui, all, &mut ui_state.resize);
}

/// Draws a band with a text.
fn message(ui: &mut Ui, rest: &mut Rect, text: &str, ground: egui::Color32) {
    let margin = vec2(theme::GAP, 4.0);
    let width = (rest.width() - 2.0 * margin.x).max(10.0);
    let drawn = ui
        .painter()
        .layout(text.to_owned(), theme::text(), theme::TEXT, width);
    // A long text is cut, so that the rest stays in the window.
    let height = (drawn.size().y + 2.0 * margin.y).min(rest.height() / 3.0);
    let band = take_top(rest, height);
    rest.min.y += theme::SMALL_GAP;
    ui.painter().rect_filled(band, theme::ROUND, ground);
    let response = ui.interact(
        band,
        ui.scope_id().with(("said", text)),
        egui::Sense::hover(),
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text));
    response.on_hover_text(text);
    ui.painter_at(band)
        .galley(band.min + margin, drawn, theme::TEXT);
}

fn take_top(rest: &mut Rect, height: f32) -> Rect {
    let taken = rest.with_max_y((rest.min.y + height).min(rest.max.y));
    rest.min.y = taken.max.y;
    taken
}

fn take_bottom(rest: &mut Rect, height: f32) -> Rect {
    let taken = rest.with_min_y((rest.max.y - height).max(rest.min.y));
    rest.max.y = taken.min.y;
    taken
}
