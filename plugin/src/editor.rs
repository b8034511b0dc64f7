//! The editor: what it heard, what it is about to play, and a hand on it.
//!
//! ```text
//! window ── reads the instance ──> View ──> draw ──> Doings ── window ──> host's gestures, commands
//! ```
//!
//! Drawing knows neither host nor plugin: everything shown stands in one plain [`View`], and
//! everything done comes back as [`Doing`]s. So pictures of it need no window, and a test can
//! press every button.

pub mod acts;
pub mod bars;
pub mod clock;
pub mod control;
pub mod controls;
pub mod drop;
pub mod files;
pub mod grip;
pub mod health;
pub mod keys;
pub mod knobs;
pub mod menus;
pub mod places;
pub mod roll;
pub mod save;
pub mod scroll;
pub mod seen;
pub mod theme;
pub mod view;
pub mod window;

use egui::{Rect, Ui, vec2};

pub use view::{Act, Doing, View};

/// Size of the window at first, in points.
pub const SIZE: (f32, f32) = (1040.0, 680.0);
/// The smallest window in which everything can still be reached.
pub const SMALLEST: (f32, f32) = (480.0, 400.0);

/// What belongs to the window and not to the instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    scroll: scroll::Scroll,
    typing: Option<control::Typing>,
    tab: view::Group,
    /// The drag of the window's corner, while there is one.
    grip: Option<grip::Drag>,
}

impl Default for Panel {
    fn default() -> Self {
        Self {
            scroll: scroll::Scroll::default(),
            typing: None,
            tab: view::Group::When,
            grip: None,
        }
    }
}

impl Panel {
    /// Whether a value is being typed: then every key is the editor's.
    pub fn types(&self) -> bool {
        self.typing.is_some()
    }
}

/// Draws a view into the whole window, and notes down what the hand did.
pub fn draw(ui: &mut Ui, view: &View, panel: &mut Panel, doings: &mut Vec<Doing>) {
    // The space bar starts the host's transport, whatever has the focus here.
    if !panel.types() {
        ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, egui::Key::Space));
        acts::keys(ui, view, doings);
    }
    let all = ui.ctx().content_rect();
    ui.painter().rect_filled(all, 0.0, theme::GROUND);
    let mut rest = all.shrink(theme::GAP);

    let top = take_top(&mut rest, theme::ROW);
    acts::top(ui, top, view, &mut panel.typing, doings);
    rest.min.y += theme::SMALL_GAP;
    health::show(ui, take_top(&mut rest, theme::ROW), view);
    rest.min.y += theme::SMALL_GAP;
    for problem in &view.problems {
        said(ui, &mut rest, problem, theme::BAD_GROUND);
    }
    if let Some(notice) = &view.notice {
        said(ui, &mut rest, notice, theme::FILL);
    }

    // The roll keeps at least a third; the controls scroll before it gets smaller.
    let wanted = controls::Plan::new(&view.controls, rest.width(), panel.tab).height();
    let share = (rest.height() * 0.62).max(0.0);
    let below = take_bottom(&mut rest, wanted.min(share));
    rest.max.y -= theme::SMALL_GAP;
    let height = acts::height(view, rest.width());
    let row = take_bottom(&mut rest, height);
    if height > 0.0 {
        rest.max.y -= theme::GAP;
    }
    // From the top down, which is the way Tab goes and a screen reader reads.
    roll::show(ui, rest, view, &mut panel.scroll);
    if height > 0.0 {
        acts::show(ui, row, view, doings);
    }
    controls::show(
        ui,
        below,
        &view.controls,
        &mut panel.tab,
        &mut panel.typing,
        doings,
    );
    drop::show(ui, all, doings);
    grip::show(ui, all, &mut panel.grip);
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
