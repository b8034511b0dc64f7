//! The editor: what it heard, what it is about to play, and a hand on it.
//!
//! ```text
//! window ── reads the instance ──> View ──> draw ──> Doings ── window ──> host's gestures, commands
//! ```
//!
//! Drawing knows neither host nor plugin: everything shown stands in one plain [`View`], and
//! everything done comes back as [`UiEvent`]s. So pictures of it need no window, and a test can
//! press every button.

pub mod toolbar;
pub mod bar_grid;
pub mod smooth_playhead;
pub mod control_row;
pub mod control_panel;
pub mod file_drop;
pub mod file_dialogs;
pub mod resize_corner;
pub mod status_bar;
pub mod piano_keys;
pub mod param_binding;
pub mod menus;
pub mod param_layout;
pub mod piano_roll;
pub mod midi_export;
pub mod roll_viewport;
pub mod view_model;
pub mod theme;
pub mod view;
pub mod window;

use egui::{Rect, Ui, vec2};

pub use view::{Action, UiEvent, View};

/// Size of the window at first, in points.
pub const SIZE: (f32, f32) = (1040.0, 680.0);
/// The smallest window in which everything can still be reached.
pub const SMALLEST: (f32, f32) = (480.0, 400.0);

/// What belongs to the window and not to the instance.
#[derive(Clone, Debug, PartialEq)]
pub struct UiState {
    scroll: roll_viewport::Scroll,
    typing: Option<control_row::Typing>,
    tab: view::Group,
    /// The drag of the window's corner, while there is one.
    grip: Option<resize_corner::Drag>,
}

impl Default for UiState {
    fn default() -> Self {
        Self {
            scroll: roll_viewport::Scroll::default(),
            typing: None,
            tab: view::Group::When,
            grip: None,
        }
    }
}

impl UiState {
    /// Whether a value is being typed: then every key is the editor's.
    pub fn types(&self) -> bool {
        self.typing.is_some()
    }
}

/// Draws a view into the whole window, and notes down what the hand did.
pub fn draw(ui: &mut Ui, view: &View, ui_state: &mut UiState, ui_events: &mut Vec<UiEvent>) {
    // The space bar starts the host's transport, whatever has the focus here.
    if !ui_state.types() {
        ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, egui::Key::Space));
        toolbar::keys(ui, view, ui_events);
    }
    let all = ui.ctx().content_rect();
    ui.painter().rect_filled(all, 0.0, theme::GROUND);
    let mut rest = all.shrink(theme::GAP);

    let top = take_top(&mut rest, theme::ROW);
    toolbar::top(ui, top, view, &mut ui_state.typing, ui_events);
    rest.min.y += theme::SMALL_GAP;
    status_bar::show(ui, take_top(&mut rest, theme::ROW), view);
    rest.min.y += theme::SMALL_GAP;
    for problem in &view.problems {
        said(ui, &mut rest, problem, theme::BAD_GROUND);
    }
    if let Some(notice) = &view.notice {
        said(ui, &mut rest, notice, theme::FILL);
    }

    // The roll keeps at least a third; the controls scroll before it gets smaller.
    let wanted = control_panel::Plan::new(&view.controls, rest.width(), ui_state.tab).height();
    let share = (rest.height() * 0.62).max(0.0);
    let below = take_bottom(&mut rest, wanted.min(share));
    rest.max.y -= theme::SMALL_GAP;
    let height = toolbar::height(view, rest.width());
    let row = take_bottom(&mut rest, height);
    if height > 0.0 {
        rest.max.y -= theme::GAP;
    }
    // From the top down, which is the way Tab goes and a screen reader reads.
    piano_roll::show(ui, rest, view, &mut ui_state.scroll);
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
    file_drop::show(ui, all, ui_events);
    resize_corner::show(ui, all, &mut ui_state.grip);
}

/// A band with something in words.
fn said(ui: &mut Ui, rest: &mut Rect, text: &str, ground: egui::Color32) {
    let margin = vec2(theme::GAP, 4.0);
    let width = (rest.width() - 2.0 * margin.x).max(10.0);
    let drawn = ui
        .painter()
        .layout(text.to_owned(), theme::text(), theme::TEXT, width);
    // Never so long that the rest is pushed out of the window.
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
