//! Modes and acts: what a player does in the middle of playing, so it is large and in one row.

use egui::{Button, Rect, RichText, Ui, UiBuilder, vec2};

use super::control::{self, Typing};
use super::theme;
use super::view::{Act, Control, Doing, Group, Kind, Part, View};

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
        if response.on_disabled_hover_text(tip).clicked() {
            self.doings.push(Doing::Act(act));
        }
    }

    fn offered(&self, acts: &[Act]) -> bool {
        acts.iter().any(|act| self.view.offer(act).is_some())
    }
}

/// Modes and menus side by side need this much; in less, each is one menu.
const TOP_WIDTH: f32 = 490.0;

/// The acts in one row need this much; in less, there are two rows.
const ROW_WIDTH: f32 = 520.0;

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
        right.menu_button("Menu", |ui| menus(ui, view, doings));
    } else {
        menus(&mut right, view, doings);
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

/// Files and models.
fn menus(ui: &mut Ui, view: &View, doings: &mut Vec<Doing>) {
    let mut row = Row { view, doings };
    if row.offered(&[Act::LoadModel]) {
        ui.menu_button("Model", |ui| {
            ui.set_min_width(180.0);
            item(ui, &mut row, Act::LoadModel, "Load a model…");
        });
    }
    let parts = [
        (Part::Played, "What it played"),
        (Part::Heard, "What it heard"),
        (Part::Both, "Both, as two tracks"),
    ];
    if row.offered(&parts.map(|(part, _)| Act::Save(part, None))) {
        ui.menu_button("Save MIDI", |ui| {
            ui.set_min_width(180.0);
            for (part, name) in parts {
                ui.menu_button(name, |ui| {
                    item(ui, &mut row, Act::Save(part, None), "All of it…");
                    for bars in [4, 8, 16] {
                        let name = format!("The last {bars} bars…");
                        item(ui, &mut row, Act::Save(part, Some(bars)), &name);
                    }
                });
            }
        });
    }
}

fn item(ui: &mut Ui, row: &mut Row, act: Act, name: &str) {
    let Some(offer) = row.view.offer(&act) else {
        return;
    };
    let button = Button::selectable(offer.on, name).frame_when_inactive(false);
    if ui.add_enabled(offer.enabled, button).clicked() {
        row.doings.push(Doing::Act(act));
        ui.close();
    }
}

/// The height of the row or rows in a width; 0 when there is nothing to show.
pub fn height(view: &View, width: f32) -> f32 {
    let any = view
        .offers
        .iter()
        .any(|offer| !matches!(offer.act, Act::Save(..) | Act::LoadModel));
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
    let mut right = row(ui, last, true);
    let mut row = Row { view, doings };
    let panic = RichText::new("Panic").color(theme::BAD).strong();
    let tip = "Ends everything that sounds, now";
    row.button_as(&mut right, Act::Panic, panic, "Panic", tip);
    right.add_space(theme::GAP);
    let tip = "Forgets everything heard and played";
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
}
