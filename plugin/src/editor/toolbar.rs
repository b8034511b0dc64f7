//! Modes and acts: what a player does in the middle of playing, so it is large and in one row.

use egui::{Button, Key, Modifiers, Rect, RichText, Ui, UiBuilder, vec2};

use super::control_row::{self, Typing};
use super::view::{Action, Control, UiEvent, Group, ControlKind, View};
use super::{menus, theme};

/// How the player asked for an act.
struct Row<'a> {
    view: &'a View,
    ui_events: &'a mut Vec<UiEvent>,
}

impl Row<'_> {
    /// A button, if the act is offered.
    fn button(&mut self, ui: &mut Ui, action: Action, name: &str, tip: &str) {
        self.button_as(ui, action, RichText::new(name), name, tip);
    }

    fn button_as(&mut self, ui: &mut Ui, action: Action, text: RichText, name: &str, tip: &str) {
        let Some(action_state) = self.view.action_state(&action) else {
            return;
        };
        let button = Button::selectable(action_state.on, text)
            .frame_when_inactive(true)
            .min_size(vec2(26.0, theme::ROW));
        let response = ui.add_enabled(action_state.enabled, button);
        let response = response.accessible_name(name).on_hover_text(tip);
        // Only what stays on is said to be off.
        if !matches!(action, Action::Freeze | Action::Vary(_)) {
            let once = |node: &mut egui::accesskit::Node| node.clear_toggled();
            ui.ctx().accesskit_node_builder(response.id, once);
        }
        if response.on_disabled_hover_text(tip).clicked() {
            self.ui_events.push(UiEvent::Action(action));
        }
    }
}

/// Modes and menus side by side need this much; in less, each is one menu.
const TOP_WIDTH: f32 = 600.0;

/// The acts in one row need this much; in less, there are two rows.
const ROW_WIDTH: f32 = 640.0;

/// The mode and the menus, in one row.
pub fn top(
    ui: &mut Ui,
    rect: Rect,
    view: &View,
    typing: &mut Option<Typing>,
    ui_events: &mut Vec<UiEvent>,
) {
    let small = rect.width() < TOP_WIDTH;
    let controls = view.controls.iter().enumerate();
    if let Some((index, mode)) = controls.into_iter().find(|(_, c)| c.group == Group::Mode) {
        if small {
            let place = rect.with_max_x(rect.left() + 170.0);
            control_row::show(ui, place, index, mode, typing, ui_events);
        } else {
            modes(&mut row(ui, rect, false), index, mode, ui_events);
        }
    }
    let mut right = row(ui, rect, true);
    if small {
        right.menu_button("Menu", |ui| menus::show(ui, view, ui_events));
    } else {
        menus::show(&mut right, view, ui_events);
    }
}

/// A row that is filled from the left, or from the right.
fn row(ui: &mut Ui, rect: Rect, from_right: bool) -> Ui {
    let center = egui::Align::Center;
    let layout = if from_right {
        egui::Layout::right_to_left(center)
    } else {
        egui::Layout::left_to_right(center)
    };
    ui.new_child(UiBuilder::new().max_rect(rect).layout(layout))
}

/// The mode, as one button for each.
fn modes(ui: &mut Ui, index: usize, mode: &Control, ui_events: &mut Vec<UiEvent>) {
    let ControlKind::Choice(names) = &mode.kind else {
        return;
    };
    let chosen = control_row::chosen(mode, names);
    for (number, name) in names.iter().enumerate() {
        let button = Button::selectable(number == chosen, name.as_str())
            .frame_when_inactive(true)
            .min_size(vec2(52.0, theme::ROW));
        let response = ui
            .add(button)
            .accessible_name(format!("Mode: {name}"))
            .on_hover_text(mode.tip);
        if response.clicked() && number != chosen {
            control_row::once(ui_events, index, number as f32 * mode.step);
        }
    }
}

/// What stands in the row, beside the variations.
const IN_ROW: [Action; 6] = [
    Action::Regenerate,
    Action::Freeze,
    Action::Undo,
    Action::Redo,
    Action::Clear,
    Action::Panic,
];

/// The height of the row or rows in a width; 0 when there is nothing to show.
pub fn height(view: &View, width: f32) -> f32 {
    let any = view.action_states.iter().any(|action_state| IN_ROW.contains(&action_state.action));
    match (any, width < ROW_WIDTH) {
        (false, _) => 0.0,
        (true, false) => theme::ROW,
        (true, true) => 2.0 * theme::ROW + theme::SMALL_GAP,
    }
}

/// The acts under the roll. Panic stands in the last corner, where it is found blindly.
pub fn show(ui: &mut Ui, rect: Rect, view: &View, ui_events: &mut Vec<UiEvent>) {
    let first = rect.with_max_y(rect.top() + theme::ROW);
    let last = rect.with_min_y(rect.bottom() - theme::ROW);
    let mut left = row(ui, first, false);
    let mut second = row(ui, last, false);
    let mut right = row(ui, last, true);
    let mut row = Row { view, ui_events };
    let panic = RichText::new("Panic").color(theme::BAD).strong();
    let tip = "Ends everything that sounds, now";
    row.button_as(&mut right, Action::Panic, panic, "Panic", tip);
    right.add_space(theme::GAP);
    let tip = "Forgets everything heard, played and learned";
    row.button(&mut right, Action::Clear, "Clear memory", tip);

    let tip = "Answers this bar anew";
    row.button(&mut left, Action::Regenerate, "Regenerate bar", tip);
    row.button(
        &mut left,
        Action::Freeze,
        "Freeze",
        "Repeats what was just played",
    );
    left.add_space(theme::GAP);
    for (number, name) in ["A", "B", "C", "D"].into_iter().enumerate() {
        let long = format!("Variation {name}");
        let tip = "The same moment, answered differently; and back";
        let text = RichText::new(name);
        row.button_as(&mut left, Action::Vary(number as u8), text, &long, tip);
    }
    let rows = rect.height() > theme::ROW;
    let after = if rows { &mut second } else { &mut left };
    if !rows {
        after.add_space(theme::GAP);
    }
    let back = [
        (Action::Undo, "Undo", "Ctrl+Z"),
        (Action::Redo, "Redo", "Ctrl+Shift+Z"),
    ];
    for ((action, name, keys), words) in back.into_iter().zip(view.history) {
        let tip = format!("{} ({keys})", words.unwrap_or("Nothing to take back"));
        row.button(after, action, name, &tip);
    }
}

/// Undo and redo from the keyboard, unless a value is being typed.
pub fn keys(ui: &mut Ui, view: &View, ui_events: &mut Vec<UiEvent>) {
    let (undo, redo) = (Modifiers::COMMAND, Modifiers::COMMAND | Modifiers::SHIFT);
    // The one with more keys first: the other would take it for itself.
    let strokes = [
        (redo, Key::Z, Action::Redo),
        (undo, Key::Y, Action::Redo),
        (undo, Key::Z, Action::Undo),
    ];
    for (modifiers, key, action) in strokes {
        if ui.input_mut(|i| i.consume_key(modifiers, key)) && view.can(&action) {
            ui_events.push(UiEvent::Action(action));
        }
    }
}
