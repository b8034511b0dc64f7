//! One control: a row, or a cell of a table, with the parameter's label, its value as text and as a bar. Window thread.
//!
//! A drag or the arrow keys change the value (finely with Shift), a double-click or Delete resets it. Typing
//! while it has the focus, Enter, or a right click opens a text field. Each change is a whole gesture that the
//! host can record: begin, set, end.

use egui::text::{LayoutJob, TextWrapping};
use egui::{
    CursorIcon, EventFilter, FontId, Id, Key, Painter, Popup, Rect, Response, Role, Sense, Stroke,
    StrokeKind, TextEdit, Ui, WidgetInfo, pos2, vec2,
};

use super::theme;
use super::view::{Control, ControlKind, UiEvent};

/// Length of a drag from one end of the range to the other, in points.
const TRAVEL: f32 = 220.0;

/// The open text field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Typing {
    /// Index of the control.
    control: usize,
    text: String,
    /// Whether the field has had the focus.
    began: bool,
}

/// Draws the control with this index into `rect`.
pub fn show(
    ui: &mut Ui,
    rect: Rect,
    index: usize,
    control: &Control,
    typing: &mut Option<Typing>,
    ui_events: &mut Vec<UiEvent>,
) {
    if typing
        .as_ref()
        .is_some_and(|typing| typing.control == index)
    {
        edit(ui, rect, control, typing, ui_events);
        return;
    }
    let id = ui.scope_id().with(("control", index));
    let sense = match control.kind {
        ControlKind::Number => Sense::click_and_drag(),
        ControlKind::Switch | ControlKind::Choice(_) => Sense::click(),
    };
    let response = ui.interact(rect, id, sense);
    let painter = ui.painter_at(rect.expand(1.0));
    let hot = response.hovered() || response.dragged();
    painter.rect_filled(
        rect,
        theme::ROUND,
        if hot { theme::BUTTON } else { theme::WELL },
    );
    match &control.kind {
        ControlKind::Number => number(ui, &painter, rect, index, control, &response, ui_events),
        ControlKind::Switch => switch(&painter, rect, index, control, &response, ui_events),
        ControlKind::Choice(names) => {
            choice(&painter, rect, index, control, names, &response, ui_events)
        }
    }
    if response.has_focus() {
        let stroke = Stroke::new(1.0, theme::HEARD);
        painter.rect_stroke(rect, theme::ROUND, stroke, StrokeKind::Inside);
        keyboard(ui, index, control, &response, typing, ui_events);
    }
    accessibility(ui, index, control, &response, ui_events);
    let wants_text = matches!(control.kind, ControlKind::Number) && response.secondary_clicked();
    if wants_text {
        *typing = Some(Typing {
            control: index,
            text: control.text.clone(),
            began: false,
        });
    }
    let how = match control.kind {
        ControlKind::Number => {
            "\n\nDrag, or arrow keys; shift: finely. Double-click resets. Right click or type: a value."
        }
        ControlKind::Switch | ControlKind::Choice(_) => "",
    };
    response.on_hover_text(format!(
        "{}: {}\n{}{how}",
        control.name, control.text, control.help
    ));
}

/// Emits a whole gesture.
pub fn gesture(ui_events: &mut Vec<UiEvent>, index: usize, value: f32) {
    let value = value.clamp(0.0, 1.0);
    ui_events.extend([
        UiEvent::Begin(index),
        UiEvent::Set(index, value),
        UiEvent::End(index),
    ]);
}

/// Draws the label on the left and the value on the right. A long label gets a smaller font, then an ellipsis.
fn labels(painter: &Painter, rect: Rect, control: &Control, value: &str, right: f32) {
    let font = theme::text();
    let y = rect.center().y;
    let drawn = painter.layout_no_wrap(value.to_owned(), font.clone(), theme::TEXT);
    let left = right - drawn.size().x;
    painter.galley(pos2(left, y - drawn.size().y / 2.0), drawn, theme::TEXT);
    if control.label().is_empty() {
        return;
    }
    let start = rect.left() + 7.0;
    let room = (left - 5.0 - start).max(0.0);
    let name = |size: f32| {
        let font = FontId::new(size, font.family.clone());
        LayoutJob::simple_singleline(control.label().to_owned(), font, theme::TEXT_WEAK)
    };
    let sizes = [font.size, font.size - 1.0, font.size - 2.0];
    let fits = |&size: &f32| painter.layout_job(name(size)).size().x <= room;
    let mut job = name(sizes.into_iter().find(fits).unwrap_or(sizes[1]));
    job.wrap = TextWrapping::truncate_at_width(room);
    let drawn = painter.layout_job(job);
    painter.galley(
        pos2(start, y - drawn.size().y / 2.0),
        drawn,
        theme::TEXT_WEAK,
    );
}

/// Draws a slider.
fn number(
    ui: &Ui,
    painter: &Painter,
    rect: Rect,
    index: usize,
    control: &Control,
    response: &Response,
    ui_events: &mut Vec<UiEvent>,
) {
    // The value of the drag before it is rounded to a step.
    let held: Id = response.id.with("held");
    if response.drag_started() {
        ui_events.push(UiEvent::Begin(index));
        ui.data_mut(|d| d.insert_temp(held, control.value));
    }
    if response.dragged() {
        let fine = if ui.input(|i| i.modifiers.shift) {
            0.1
        } else {
            1.0
        };
        let travel = response.drag_delta().x - response.drag_delta().y;
        let was = ui.data(|d| d.get_temp(held)).unwrap_or(control.value);
        let now = (was + travel * fine / TRAVEL).clamp(0.0, 1.0);
        if now != was {
            ui.data_mut(|d| d.insert_temp(held, now));
            ui_events.push(UiEvent::Set(index, now));
        }
        ui.set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    if response.drag_stopped() {
        ui_events.push(UiEvent::End(index));
    }
    if response.double_clicked() {
        gesture(ui_events, index, control.default);
    }
    if response.clicked() {
        response.request_focus();
    }
    let fill = rect.with_max_x(rect.left() + rect.width() * control.value.clamp(0.0, 1.0));
    painter
        .with_clip_rect(fill)
        .rect_filled(rect, theme::ROUND, theme::FILL);
    labels(painter, rect, control, &control.text, rect.right() - 7.0);
}

/// Draws a switch.
fn switch(
    painter: &Painter,
    rect: Rect,
    index: usize,
    control: &Control,
    response: &Response,
    ui_events: &mut Vec<UiEvent>,
) {
    let on = control.value >= 0.5;
    if response.clicked() {
        gesture(ui_events, index, if on { 0.0 } else { 1.0 });
    }
    let track =
        Rect::from_center_size(pos2(rect.right() - 19.0, rect.center().y), vec2(24.0, 13.0));
    let (ground, knob, x) = if on {
        (theme::HEARD, theme::GROUND, track.right() - 6.5)
    } else {
        (theme::LINE_STRONG, theme::TEXT_WEAK, track.left() + 6.5)
    };
    painter.rect_filled(track, egui::CornerRadius::same(6), ground);
    painter.circle_filled(pos2(x, track.center().y), 4.5, knob);
    labels(painter, rect, control, "", track.left());
}

/// Draws a drop-down list.
fn choice(
    painter: &Painter,
    rect: Rect,
    index: usize,
    control: &Control,
    names: &[String],
    response: &Response,
    ui_events: &mut Vec<UiEvent>,
) {
    let tip = pos2(rect.right() - 11.0, rect.center().y + 2.5);
    painter.add(egui::Shape::convex_polygon(
        vec![tip + vec2(-4.0, -5.0), tip + vec2(4.0, -5.0), tip],
        theme::TEXT_WEAK,
        Stroke::NONE,
    ));
    labels(painter, rect, control, &control.text, rect.right() - 20.0);
    let chosen = chosen(control, names);
    Popup::menu(response)
        .width(rect.width())
        .accessible_name(control.name.clone())
        .show(|ui| {
            for (number, name) in names.iter().enumerate() {
                if ui.selectable_label(number == chosen, name).clicked() {
                    gesture(ui_events, index, number as f32 * control.step);
                    ui.close();
                }
            }
        });
}

/// Index of the current value among the names.
pub fn chosen(control: &Control, names: &[String]) -> usize {
    let last = names.len().saturating_sub(1);
    (control.value * last as f32).round() as usize
}

/// Handles keys while the control has the focus.
fn keyboard(
    ui: &Ui,
    index: usize,
    control: &Control,
    response: &Response,
    typing: &mut Option<Typing>,
    ui_events: &mut Vec<UiEvent>,
) {
    if !matches!(control.kind, ControlKind::Number) {
        return;
    }
    let arrows = EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..EventFilter::default()
    };
    ui.memory_mut(|m| m.set_focus_lock_filter(response.id, arrows));
    let pressed = |key| ui.input(|i| i.key_pressed(key));
    let fine = ui.input(|i| i.modifiers.shift);
    let step = if fine { control.fine } else { control.step };
    let mut moved = None;
    if pressed(Key::ArrowRight) || pressed(Key::ArrowUp) {
        moved = Some(control.value + step);
    }
    if pressed(Key::ArrowLeft) || pressed(Key::ArrowDown) {
        moved = Some(control.value - step);
    }
    for (key, value) in [
        (Key::Home, 0.0),
        (Key::End, 1.0),
        (Key::Delete, control.default),
        (Key::Backspace, control.default),
    ] {
        if pressed(key) {
            moved = Some(value);
        }
    }
    if let Some(value) = moved {
        gesture(ui_events, index, value);
    }
    let typed: String = ui.input(|i| {
        let texts = i.events.iter().filter_map(|event| match event {
            egui::Event::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.filter(|text| !text.trim().is_empty()).collect()
    });
    if !typed.is_empty() || pressed(Key::Enter) {
        let text = if typed.is_empty() {
            control.text.clone()
        } else {
            typed
        };
        *typing = Some(Typing {
            control: index,
            text,
            began: false,
        });
    }
}

/// Draws the text field over the control until Enter or a loss of focus; Escape discards the text.
fn edit(
    ui: &mut Ui,
    rect: Rect,
    control: &Control,
    typing: &mut Option<Typing>,
    ui_events: &mut Vec<UiEvent>,
) {
    let Some(state) = typing else { return };
    let field = TextEdit::singleline(&mut state.text)
        .id(ui.scope_id().with(("typing", state.control)))
        .font(theme::text())
        .margin(vec2(6.0, 2.0));
    let response = ui
        .put(rect, field)
        .accessible_name(format!("{}, value", control.name));
    if !state.began {
        response.request_focus();
        state.began = true;
        if let Some(mut field) = TextEdit::load_state(ui.ctx(), response.id) {
            // The cursor is at the end, so that typing continues.
            let end = egui::text::CCursor::new(state.text.chars().count());
            field
                .cursor
                .set_char_range(Some(egui::text::CCursorRange::one(end)));
            field.store(ui.ctx(), response.id);
        }
    } else if response.lost_focus() || !response.has_focus() {
        if !ui.input(|i| i.key_pressed(Key::Escape)) {
            ui_events.push(UiEvent::Type(
                state.control,
                std::mem::take(&mut state.text),
            ));
        }
        *typing = None;
    }
}

/// Describes the control to assistive technology, and handles its requests.
fn accessibility(
    ui: &Ui,
    index: usize,
    control: &Control,
    response: &Response,
    ui_events: &mut Vec<UiEvent>,
) {
    use egui::accesskit::Action;
    response.widget_info(|| match control.kind {
        ControlKind::Number => {
            let mut info = WidgetInfo::slider(true, f64::from(control.value), &control.name);
            info.current_text_value = Some(control.text.clone());
            info
        }
        ControlKind::Switch => {
            WidgetInfo::selected(Role::CheckBox, true, control.value >= 0.5, &control.name)
        }
        ControlKind::Choice(_) => {
            let mut info = WidgetInfo::labeled(Role::ComboBox, true, &control.name);
            info.current_text_value = Some(control.text.clone());
            info
        }
    });
    if !matches!(control.kind, ControlKind::Number) {
        return;
    }
    let step = control.step;
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_min_numeric_value(0.0);
        node.set_max_numeric_value(1.0);
        node.set_numeric_value_step(f64::from(step));
        node.set_value(control.text.clone());
        // AT-SPI has no text for a slider, only its number, which is normalised.
        if cfg!(target_os = "linux") {
            node.set_description(control.text.clone());
        }
        for action in [Action::SetValue, Action::Increment, Action::Decrement] {
            node.add_action(action);
        }
    });
    let count = |action| ui.input(|i| i.num_accesskit_action_requests(response.id, action)) as f32;
    let steps = count(Action::Increment) - count(Action::Decrement);
    if steps != 0.0 {
        gesture(ui_events, index, control.value + steps * step);
    }
    let requests: Vec<_> = ui.input(|i| {
        i.accesskit_action_requests(response.id, Action::SetValue)
            .filter_map(|request| request.data.clone())
            .collect()
    });
    for data in requests {
        match data {
            egui::accesskit::ActionData::NumericValue(value) => {
                gesture(ui_events, index, value as f32)
            }
            egui::accesskit::ActionData::Value(text) => {
                ui_events.push(UiEvent::Type(index, text.into()))
            }
            _ => {}
        }
    }
}
