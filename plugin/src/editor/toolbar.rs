//! The mode and the menus above the piano roll, the actions below it, and the keys of actions. Window thread.

use egui::{Button, Key, Modifiers, Rect, RichText, Ui, UiBuilder, vec2};

use super::control_row::{self, Typing};
use super::drag_out::tile::DragTile;
use super::view::{Control, ControlKind, Group, UiEvent, View};
use super::{menus, theme};
use crate::action::Action;
use continuo_accompaniment::choices::{Choice, Variation};
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use continuo_accompaniment::trigger::Trigger;

/// Width from which modes and menus lie side by side, in points; in less, each is one menu.
const TOP_WIDTH: f32 = 600.0;

/// Width from which the actions fit in one row, in points; in less, there are two rows.
const ROW_WIDTH: f32 = 760.0;

/// The actions of the toolbar, beside the variations.
const ACTIONS: [Action; 6] = [
    Action::Trigger(Trigger::Regenerate),
    Action::Freeze,
    Action::Trigger(Trigger::Undo),
    Action::Trigger(Trigger::Redo),
    Action::Trigger(Trigger::Clear),
    Action::Trigger(Trigger::Panic),
];

/// Buttons of actions.
struct ActionButtons<'a> {
    view: &'a View,
    ui_events: &'a mut Vec<UiEvent>,
}

impl ActionButtons<'_> {
    /// The button of an action, if it is to be drawn.
    fn add(&mut self, ui: &mut Ui, action: impl Into<Action>) {
        let action = action.into();
        let Some(state) = self.view.action_state(action) else {
            return;
        };
        let info = action.info();
        let mut text = RichText::new(info.label.as_ref());
        if action == Trigger::Panic.into() {
            text = text.color(theme::BAD).strong();
        }
        let help = match action {
            Action::Trigger(trigger) => self.view.undo_help(trigger).unwrap_or(info.help),
            _ => info.help,
        };
        let help = match info.shortcuts.first() {
            Some(shortcut) => format!("{help} ({})", shortcut.text()),
            None => help.to_owned(),
        };
        let button = Button::selectable(state.on, text)
            .frame_when_inactive(true)
            .min_size(vec2(26.0, theme::ROW));
        let name = info.accessible_name.unwrap_or(info.label.as_ref());
        let response = ui.add_enabled(state.enabled, button);
        let response = response.accessible_name(name).on_hover_text(&help);
        // A screen reader says "off" of toggles alone.
        if !info.is_toggle {
            let once = |node: &mut egui::accesskit::Node| node.clear_toggled();
            ui.ctx().accesskit_node_builder(response.id, once);
        }
        if response.on_disabled_hover_text(&help).clicked() {
            self.ui_events.push(UiEvent::Action(action));
        }
    }
}

/// Draws the mode and the menus, in one row.
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

/// A row filled from the left, or from the right.
fn row(ui: &mut Ui, rect: Rect, from_right: bool) -> Ui {
    let center = egui::Align::Center;
    let layout = if from_right {
        egui::Layout::right_to_left(center)
    } else {
        egui::Layout::left_to_right(center)
    };
    ui.new_child(UiBuilder::new().max_rect(rect).layout(layout))
}

/// The mode, one button for each.
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
            .on_hover_text(mode.help);
        if response.clicked() && number != chosen {
            control_row::gesture(ui_events, index, number as f32 * mode.step);
        }
    }
}

/// Height of the rows of actions at a width; 0 without actions.
pub fn height(view: &View, width: f32) -> f32 {
    let any = ACTIONS.iter().any(|a| view.action_state(*a).is_some());
    match (any, width < ROW_WIDTH) {
        (false, _) => 0.0,
        (true, false) => theme::ROW,
        (true, true) => 2.0 * theme::ROW + theme::SMALL_GAP,
    }
}

/// Draws the actions. Panic is in the last corner, where it is easy to hit.
pub fn show(ui: &mut Ui, rect: Rect, view: &View, ui_events: &mut Vec<UiEvent>) {
    let first = rect.with_max_y(rect.top() + theme::ROW);
    let last = rect.with_min_y(rect.bottom() - theme::ROW);
    let mut left = row(ui, first, false);
    let mut second = row(ui, last, false);
    let mut right = row(ui, last, true);
    let mut buttons = ActionButtons { view, ui_events };
    buttons.add(&mut right, Trigger::Panic);
    right.add_space(theme::GAP);
    buttons.add(&mut right, Trigger::Clear);

    buttons.add(&mut left, Trigger::Regenerate);
    buttons.add(&mut left, Action::Freeze);
    left.add_space(theme::GAP);
    for &variation in Variation::VALUES {
        buttons.add(&mut left, Action::Vary(variation));
    }
    let two_rows = rect.height() > theme::ROW;
    let after = if two_rows { &mut second } else { &mut left };
    if !two_rows {
        after.add_space(theme::GAP);
    }
    buttons.add(after, Trigger::Undo);
    buttons.add(after, Trigger::Redo);
    after.add_space(theme::GAP);
    drag_tile(after, view, ui_events);
}

/// The tile that drags the last answer out, if saving is drawn.
fn drag_tile(ui: &mut Ui, view: &View, ui_events: &mut Vec<UiEvent>) {
    let (part, range) = (ExportPart::Generated, ExportRange::LastAnswer);
    let Some(state) = view.action_state(Action::SaveMidi(part, None)) else {
        return;
    };
    let tile = DragTile {
        text: "Drag answer".into(),
        name: "Drag the last answer",
        help: "Continuo's last answer.",
        with_shift: "what was heard",
        size: vec2(0.0, theme::ROW),
        enabled: state.enabled,
        part,
        range,
    };
    tile.show(ui, view, ui_events);
}

/// Takes the keys of actions from egui's input.
pub fn shortcuts(ui: &mut Ui, view: &View, ui_events: &mut Vec<UiEvent>) {
    let keys = ACTIONS.into_iter().flat_map(|action| {
        let shortcuts = action.info().shortcuts.iter();
        shortcuts.map(move |shortcut| (*shortcut, action))
    });
    let mut keys: Vec<_> = keys.collect();
    // Keys with Shift first: egui takes Shift and Z for Z too.
    keys.sort_by_key(|(shortcut, _)| !shortcut.shift);
    for (shortcut, action) in keys {
        let Some(key) = Key::from_name(shortcut.letter.encode_utf8(&mut [0; 4])) else {
            continue;
        };
        let modifiers = match shortcut.shift {
            true => Modifiers::COMMAND | Modifiers::SHIFT,
            false => Modifiers::COMMAND,
        };
        if ui.input_mut(|i| i.consume_key(modifiers, key)) && view.is_enabled(action) {
            ui_events.push(UiEvent::Action(action));
        }
    }
}
