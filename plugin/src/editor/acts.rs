//! Modes and acts: what a player does in the middle of playing, so it is large and in one row.

use egui::{Button, Key, Modifiers, Rect, RichText, Ui, UiBuilder, vec2};

use super::control::{self, Typing};
use super::view::{Act, Control, Doing, Group, Kind, View};
use super::{menus, theme};

/// How the player asked for an act.
struct Row<'a> {
    view: &'a View,
    doings: &'a mut Vec<Doing>,
}

impl Row<'_> {
    /// A button, if the act is offered.
    fn button(&mut self, ui: &mut Ui, act: Act, name: &str, tip: &str) {
        self.button_as(ui, act, RichText::new(name), name, tip);
    }

    fn button_as(&mut self, ui: &mut Ui, act: Act, text: RichText, name: &str, tip: &str) {
        let Some(offer) = self.view.offer(&act) else {
            return;
        };
        let button = Button::selectable(offer.on, text)
            .frame_when_inactive(true)
            .min_size(vec2(26.0, theme::ROW));
        let response = ui.add_enabled(offer.enabled, button);
        let response = response.accessible_name(name).on_hover_text(tip);
        // Only what stays on is said to be off.
        if !matches!(act, Act::Freeze | Act::Vary(_)) {
            let once = |node: &mut egui::accesskit::Node| node.clear_toggled();
            ui.ctx().accesskit_node_builder(response.id, once);
        }
        if response.on_disabled_hover_text(tip).clicked() {
            self.doings.push(Doing::Act(act));
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
    doings: &mut Vec<Doing>,
) {
    let small = rect.width() < TOP_WIDTH;
    let controls = view.controls.iter().enumerate();
    if let Some((index, mode)) = controls.into_iter().find(|(_, c)| c.group == Group::Mode) {
        if small {
            let place = rect.with_max_x(rect.left() + 170.0);
            control::show(ui, place, index, mode, typing, doings);
        } else {
            modes(&mut row(ui, rect, false), index, mode, doings);
        }
    }
    let mut right = row(ui, rect, true);
    if small {
        right.menu_button("Menu", |ui| menus::show(ui, view, doings));
    } else {
        menus::show(&mut right, view, doings);
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
fn modes(ui: &mut Ui, index: usize, mode: &Control, doings: &mut Vec<Doing>) {
    let Kind::Choice(names) = &mode.kind else {
        return;
    };
    let chosen = control::chosen(mode, names);
    for (number, name) in names.iter().enumerate() {
        let button = Button::selectable(number == chosen, name.as_str())
            .frame_when_inactive(true)
            .min_size(vec2(52.0, theme::ROW));
        let response = ui
            .add(button)
            .accessible_name(format!("Mode: {name}"))
            .on_hover_text(mode.tip);
        if response.clicked() && number != chosen {
            control::once(doings, index, number as f32 * mode.step);
        }
    }
}

/// What stands in the row, beside the variations.
const IN_ROW: [Act; 6] = [
    Act::Regenerate,
    Act::Freeze,
    Act::Undo,
    Act::Redo,
    Act::Clear,
    Act::Panic,
];

/// The height of the row or rows in a width; 0 when there is nothing to show.
pub fn height(view: &View, width: f32) -> f32 {
    let any = view.offers.iter().any(|offer| IN_ROW.contains(&offer.act));
    match (any, width < ROW_WIDTH) {
        (false, _) => 0.0,
        (true, false) => theme::ROW,
        (true, true) => 2.0 * theme::ROW + theme::SMALL_GAP,
    }
}

/// The acts under the roll. Panic stands in the last corner, where it is found blindly.
pub fn show(ui: &mut Ui, rect: Rect, view: &View, doings: &mut Vec<Doing>) {
    let first = rect.with_max_y(rect.top() + theme::ROW);
    let last = rect.with_min_y(rect.bottom() - theme::ROW);
    let mut left = row(ui, first, false);
    let mut second = row(ui, last, false);
    let mut right = row(ui, last, true);
    let mut row = Row { view, doings };
    let panic = RichText::new("Panic").color(theme::BAD).strong();
    let tip = "Ends everything that sounds, now";
    row.button_as(&mut right, Act::Panic, panic, "Panic", tip);
    right.add_space(theme::GAP);
    let tip = "Forgets everything heard, played and learned";
    row.button(&mut right, Act::Clear, "Clear memory", tip);

    let tip = "Answers this bar anew";
    row.button(&mut left, Act::Regenerate, "Regenerate bar", tip);
    row.button(
        &mut left,
        Act::Freeze,
        "Freeze",
        "Repeats what was just played",
    );
    left.add_space(theme::GAP);
    for (number, name) in ["A", "B", "C", "D"].into_iter().enumerate() {
        let long = format!("Variation {name}");
        let tip = "The same moment, answered differently; and back";
        let text = RichText::new(name);
        row.button_as(&mut left, Act::Vary(number as u8), text, &long, tip);
    }
    let rows = rect.height() > theme::ROW;
    let after = if rows { &mut second } else { &mut left };
    if !rows {
        after.add_space(theme::GAP);
    }
    let back = [
        (Act::Undo, "Undo", "Ctrl+Z"),
        (Act::Redo, "Redo", "Ctrl+Shift+Z"),
    ];
    for ((act, name, keys), words) in back.into_iter().zip(view.history) {
        let tip = format!("{} ({keys})", words.unwrap_or("Nothing to take back"));
        row.button(after, act, name, &tip);
    }
}

/// Undo and redo from the keyboard, unless a value is being typed.
pub fn keys(ui: &mut Ui, view: &View, doings: &mut Vec<Doing>) {
    let (undo, redo) = (Modifiers::COMMAND, Modifiers::COMMAND | Modifiers::SHIFT);
    // The one with more keys first: the other would take it for itself.
    let strokes = [
        (redo, Key::Z, Act::Redo),
        (undo, Key::Y, Act::Redo),
        (undo, Key::Z, Act::Undo),
    ];
    for (modifiers, key, act) in strokes {
        if ui.input_mut(|i| i.consume_key(modifiers, key)) && view.can(&act) {
            doings.push(Doing::Act(act));
        }
    }
}
