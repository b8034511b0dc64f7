//! The piano roll: input, generated and planned notes, and the bars that the long memory retrieves. Window
//! thread.

use egui::{
    Align2, CornerRadius, CursorIcon, Painter, Rect, Role, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};

use super::bar_selection::BarSelection;
use super::roll_viewport::{RollTransform, RollViewport};
use super::view::{UiEvent, View};
use super::{piano_keys, recalled_bars, theme};
use continuo_accompaniment::bar_grid::GridLine;
use continuo_accompaniment::snapshot::{NamedChord, RollNote};

/// Height of the line with the bar numbers.
const RULER: f32 = 20.0;

/// Width of zoom and follow, in the ruler's corner.
const BUTTONS: f32 = 100.0;

/// Least distance of labels in the ruler, in points.
const LABEL_ROOM: f32 = 34.0;

/// Draws the roll into `rect`, and takes pan, zoom and follow from pointer and buttons, and a selection of
/// bars from the ruler.
pub fn show(
    ui: &mut Ui,
    rect: Rect,
    view: &View,
    viewport: &mut RollViewport,
    selection: &mut BarSelection,
    ui_events: &mut Vec<UiEvent>,
) {
    let area = Rect::from_min_max(rect.min + vec2(piano_keys::WIDTH, RULER), rect.max);
    if area.width() < 20.0 || area.height() < 20.0 {
        return;
    }
    let response = ui.interact(rect, ui.scope_id().with("roll"), Sense::click_and_drag());
    let (transform, _) = viewport.transform(view, area);
    pointer(ui, &response, &transform, viewport);
    let (transform, moving) = viewport.transform(view, area);
    if moving {
        ui.ctx().request_repaint();
    }
    response.widget_info(|| {
        WidgetInfo::labeled(
            Role::Label,
            true,
            format!("Piano roll. {}", description(view)),
        )
    });

    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, theme::ROUND, theme::WELL);
    let inside = painter.with_clip_rect(area);
    rows(&inside, &transform);
    recalled_bars::bands(&painter, &inside, view, &transform);
    let lines = view.grid.lines(transform.left, transform.right());
    grid(&inside, &transform, &lines);
    ruler(&painter, rect, view, &transform, &lines);
    planned(&inside, view, &transform);
    selection.draw(&inside, &transform);
    let notes = &view.snapshot.notes;
    for note in notes {
        draw_note(&inside, &transform, view, note);
    }
    recalled_bars::label(&inside, view, &transform);
    chords(&inside, view, &transform);
    playhead(&painter, view, &transform);
    let sounding = |generated: bool| {
        let notes = notes.iter();
        let notes = notes.filter(|n| n.generated == generated && !n.imagined);
        let sounding = notes.filter(|n| sounds(view, n));
        sounding.fold(0u128, |keys, n| keys | 1 << (n.pitch & 127))
    };
    piano_keys::show(&painter, rect, &transform, sounding(false), sounding(true));
    if notes.is_empty() {
        hint(&inside, area, view);
    }
    let bars = ruler_rect(rect, &transform);
    selection.show(ui, bars, view, &transform, ui_events);
    buttons(ui, rect, &transform, viewport);
}

/// Description for screen readers.
fn description(view: &View) -> String {
    let position = view.grid.position(view.playhead);
    let notes = &view.snapshot.notes;
    let imagined = notes.iter().filter(|n| n.imagined).count();
    let played = notes.iter().filter(|n| n.generated).count() - imagined;
    let others = match imagined {
        0 => String::new(),
        _ => format!(" {imagined} imagined, which others play."),
    };
    let mut text = format!(
        "At bar {}, beat {}. {} notes heard, {played} played or planned.{others}",
        position.bar,
        position.beat,
        notes.len() - played - imagined
    );
    if let Some(chord) = chord_at(view, view.playhead) {
        text += &format!(" Chord {}.", chord.name);
    }
    if let Some(held) = &view.snapshot.held_chord {
        text += &format!(" Held {held}.");
    }
    text
}

/// The chord that sounds at `beat`.
fn chord_at(view: &View, beat: f64) -> Option<&NamedChord> {
    let mut chords = view.snapshot.chords.iter();
    chords.find(|chord| (chord.start..chord.end).contains(&beat))
}

/// Writes the names of the chords at the top, each where it begins, or at the left edge. One without
/// room is left out. The name of the chord that is held stands at the right.
fn chords(painter: &Painter, view: &View, transform: &RollTransform) {
    let area = transform.area;
    let mut free = area.left();
    let mut right = area.right();
    let label = |x: f32, name: &str, color: egui::Color32| {
        let drawn = painter.layout_no_wrap(name.into(), theme::small(), color);
        let place = Rect::from_min_size(pos2(x, area.top() + 2.0), drawn.size());
        (place, drawn)
    };
    if let Some(held) = &view.snapshot.held_chord {
        let (place, drawn) = label(right, &format!("Held {held}"), theme::TEXT);
        let place = place.translate(vec2(-place.width() - 6.0, 0.0));
        painter.rect_filled(place.expand(2.0), theme::ROUND, theme::WELL_DARK);
        painter.galley(place.min, drawn, theme::TEXT);
        right = place.left() - 6.0;
    }
    for chord in &view.snapshot.chords {
        if chord.end <= transform.left || chord.start >= transform.right() {
            continue;
        }
        let x = transform.x(chord.start).max(area.left()) + 4.0;
        let color = match chord.start <= view.playhead {
            true => theme::TEXT,
            false => theme::TEXT_WEAK,
        };
        let (place, drawn) = label(x, &chord.name, color);
        if place.left() >= free && place.right() <= right {
            painter.rect_filled(
                place.expand(1.0),
                theme::ROUND,
                theme::WELL.gamma_multiply(0.8),
            );
            painter.galley(place.min, drawn, color);
            free = place.right() + 4.0;
        }
    }
}

/// Pointer input: drag and wheel pan, Control and wheel or a pinch zoom, a double-click follows again.
fn pointer(
    ui: &Ui,
    response: &egui::Response,
    transform: &RollTransform,
    viewport: &mut RollViewport,
) {
    if response.dragged() {
        viewport.pan(transform, response.drag_delta().x);
        ui.set_cursor_icon(CursorIcon::Grabbing);
    }
    if response.double_clicked() {
        viewport.follow();
    }
    if let Some(pointer) = response.hover_pos() {
        let (zoom, wheel) = ui.input(|i| (i.zoom_delta(), i.smooth_scroll_delta()));
        if zoom != 1.0 {
            viewport.zoom(transform, zoom, pointer.x);
        } else {
            viewport.pan(transform, wheel.x + wheel.y);
        }
    }
}

/// Draws rows of black keys, and a line under each C.
fn rows(painter: &Painter, transform: &RollTransform) {
    for pitch in transform.pitches() {
        let (top, bottom) = transform.y(pitch);
        let row = Rect::from_x_y_ranges(transform.area.x_range(), top..=bottom);
        if piano_keys::is_black(pitch) {
            painter.rect_filled(row, CornerRadius::ZERO, theme::WELL_DARK);
        }
        if pitch % 12 == 0 {
            painter.hline(
                transform.area.x_range(),
                bottom,
                Stroke::new(1.0, theme::LINE),
            );
        }
    }
}

/// Draws lines of bars and beats; beats fade where they are dense.
fn grid(painter: &Painter, transform: &RollTransform, lines: &[GridLine]) {
    let beat_room = lines.windows(2).map(|w| w[1].at - w[0].at);
    let room = beat_room.fold(f64::INFINITY, f64::min) as f32 * transform.zoom;
    let fade = ((room - 5.0) / 10.0).clamp(0.0, 1.0);
    for line in lines {
        let color = if line.beat == 1 {
            theme::LINE_STRONG
        } else {
            theme::LINE.gamma_multiply(fade)
        };
        let x = painter.round_to_pixel_center(transform.x(line.at));
        painter.vline(x, transform.area.y_range(), Stroke::new(1.0, color));
    }
}

/// The part of the ruler beside its buttons.
fn ruler_rect(rect: Rect, transform: &RollTransform) -> Rect {
    Rect::from_min_max(
        pos2(transform.area.left(), rect.top()),
        pos2(rect.right() - BUTTONS, transform.area.top()),
    )
}

/// Draws bar numbers, and beats where they fit.
fn ruler(
    painter: &Painter,
    rect: Rect,
    view: &View,
    transform: &RollTransform,
    lines: &[GridLine],
) {
    let top = ruler_rect(rect, transform);
    let painter = painter.with_clip_rect(top);
    let bar_room = view.grid.section_at(transform.left).bar_length() as f32 * transform.zoom;
    // Numbers every bar, every second, every fourth, and so on.
    let every = 1i32
        << (LABEL_ROOM / bar_room.max(0.01))
            .log2()
            .ceil()
            .clamp(0.0, 20.0) as u32;
    for line in lines {
        let x = transform.x(line.at);
        let place = pos2(x + 6.0, top.center().y);
        let beat_room = view.grid.section_at(line.at).beat_length() as f32 * transform.zoom;
        if line.beat == 1 && (line.bar - 1).rem_euclid(every) == 0 {
            let label = line.bar.to_string();
            painter.text(
                place,
                Align2::LEFT_CENTER,
                label,
                theme::small(),
                theme::TEXT,
            );
            let x = painter.round_to_pixel_center(x);
            painter.vline(x, top.y_range(), Stroke::new(1.0, theme::LINE_STRONG));
        } else if line.beat != 1 && beat_room >= LABEL_ROOM {
            let label = format!("{}.{}", line.bar, line.beat);
            painter.text(
                place,
                Align2::LEFT_CENTER,
                label,
                theme::small(),
                theme::TEXT_WEAK,
            );
        }
    }
}

/// Draws a slightly lighter ground under the plan.
fn planned(painter: &Painter, view: &View, transform: &RollTransform) {
    if view.planned_to() <= view.playhead {
        return;
    }
    let across = transform.x(view.playhead)..=transform.x(view.planned_to());
    let band = Rect::from_x_y_ranges(across, transform.area.y_range());
    painter.rect_filled(band, CornerRadius::ZERO, theme::PLAYED.gamma_multiply(0.07));
    let edge = painter.round_to_pixel_center(band.right());
    let stroke = Stroke::new(1.0, theme::PLAYED.gamma_multiply(0.5));
    painter.extend(egui::Shape::dashed_line(
        &[pos2(edge, band.top()), pos2(edge, band.bottom())],
        stroke,
        3.0,
        4.0,
    ));
}

/// Whether a note sounds now: none does while the transport is stopped.
fn sounds(view: &View, note: &RollNote) -> bool {
    let now = view.playhead;
    view.playing && note.start <= now && note.end.is_none_or(|end| end > now)
}

fn draw_note(painter: &Painter, transform: &RollTransform, view: &View, note: &RollNote) {
    let now = view.playhead;
    let end = note.end.unwrap_or(now.max(note.start));
    if end < transform.left || note.start > transform.right() {
        return;
    }
    let (top, bottom) = transform.y(note.pitch);
    let left = transform.x(note.start);
    // A gap of a point to the next note, and a width of two at least.
    let right = (transform.x(end) - 1.0).max(left + 2.0);
    let slit = if bottom - top > 5.0 { 0.5 } else { 0.0 };
    let rect = Rect::from_min_max(pos2(left, top + slit), pos2(right, bottom - slit));
    let corner = CornerRadius::same((rect.height() / 4.0).clamp(0.0, 3.0) as u8);
    let base = theme::note(note.generated, note.part);
    let loudness = f32::from(note.velocity) / 127.0;
    let color = theme::mix(theme::WELL, base, 0.38 + 0.62 * loudness);

    if note.imagined {
        // Faint: it does not sound, and the player's notes take its place.
        painter.rect_filled(rect, corner, color.gamma_multiply(0.12));
        let stroke = Stroke::new(1.0, color.gamma_multiply(0.35));
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    } else if note.start <= now {
        let light = if sounds(view, note) { 0.45 } else { 0.0 };
        painter.rect_filled(rect, corner, theme::mix(color, theme::TEXT, light));
    } else if note.start < view.committed_to {
        painter.rect_filled(rect, corner, color.gamma_multiply(0.8));
    } else {
        // An outline shows that it may still change.
        painter.rect_filled(rect, corner, color.gamma_multiply(0.22));
        let stroke = Stroke::new(1.0, color.gamma_multiply(0.75));
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
}

fn playhead(painter: &Painter, view: &View, transform: &RollTransform) {
    let x = painter.round_to_pixel_center(transform.x(view.playhead));
    if !transform.area.x_range().contains(x) {
        return;
    }
    let color = if view.playing {
        theme::TEXT
    } else {
        theme::TEXT_WEAK
    };
    let y = transform.area.top() - RULER + 1.0..=transform.area.bottom();
    painter.vline(x, y.clone(), Stroke::new(1.5, color));
    painter.add(egui::Shape::convex_polygon(
        vec![
            pos2(x - 4.5, *y.start()),
            pos2(x + 4.5, *y.start()),
            pos2(x, *y.start() + 6.0),
        ],
        color,
        Stroke::NONE,
    ));
}

/// Draws a first instruction over the empty roll.
fn hint(painter: &Painter, area: Rect, view: &View) {
    use super::view::Status;
    let text = match view.status() {
        Status::Loading => "Loading the model. What you play passes through already.",
        Status::Failed => "What you play passes through. Why nothing more happens stands above.",
        Status::Off => "Mode is Off: Continuo only listens. Choose another mode to let it play.",
        Status::Stopped => "Start the transport and play a few bars.",
        Status::Listening | Status::Playing => {
            "Play a few bars. When it is Continuo's turn, \
             it plays on; your notes are blue, its notes are orange."
        }
    };
    let width = (area.width() - 4.0 * theme::GAP).max(40.0);
    let drawn = painter.layout(text.into(), theme::text(), theme::TEXT_WEAK, width);
    let place = Align2::CENTER_CENTER.anchor_size(area.center(), drawn.size());
    painter.rect_filled(place.expand(theme::GAP), theme::ROUND, theme::WELL);
    painter.galley(place.min, drawn, theme::TEXT_WEAK);
}

/// Draws the buttons for zoom and follow, in the corner.
fn buttons(ui: &mut Ui, rect: Rect, transform: &RollTransform, viewport: &mut RollViewport) {
    let size = vec2(RULER, RULER - 3.0);
    let mut right = rect.right() - 2.0;
    let mut button = |ui: &mut Ui, text: &str, name: &str, help: &str, width: f32| {
        let place = Rect::from_min_size(pos2(right - width, rect.top() + 1.5), vec2(width, size.y));
        right -= width + 2.0;
        let text = egui::RichText::new(text).font(theme::small());
        let button = egui::Button::new(text).min_size(place.size());
        let small = vec2(2.0, 0.0);
        let usual = std::mem::replace(&mut ui.spacing_mut().button_padding, small);
        let pressed = ui
            .put(place, button)
            .accessible_name(name)
            .on_hover_text(help)
            .clicked();
        ui.spacing_mut().button_padding = usual;
        pressed
    };
    if button(ui, "+", "Zoom in", "Zoom in (control and wheel)", size.x) {
        viewport.zoom(transform, 1.5, transform.area.center().x);
    }
    if button(ui, "–", "Zoom out", "Zoom out (control and wheel)", size.x) {
        viewport.zoom(transform, 1.0 / 1.5, transform.area.center().x);
    }
    if !viewport.follows()
        && button(
            ui,
            "Follow",
            "Follow",
            "Back to the playhead (double-click)",
            52.0,
        )
    {
        viewport.follow();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_counts_imagined_notes_apart() {
        let note = RollNote {
            end: Some(1.0),
            ..RollNote::default()
        };
        let played = RollNote {
            generated: true,
            ..note
        };
        let imagined = RollNote {
            imagined: true,
            ..played
        };
        let snapshot = continuo_accompaniment::snapshot::Snapshot {
            notes: vec![note, note, played, imagined],
            ..Default::default()
        };
        let view = View {
            snapshot: std::sync::Arc::new(snapshot),
            ..View::default()
        };
        let text = description(&view);
        assert!(text.contains("2 notes heard, 1 played"), "{text}");
        assert!(text.contains("1 imagined"), "{text}");
    }

    #[test]
    fn no_note_sounds_while_the_transport_stands_still() {
        let note = |end| RollNote {
            start: 3.0,
            end,
            pitch: 60,
            velocity: 90,
            ..RollNote::default()
        };
        let mut view = View {
            playhead: 4.0,
            ..View::default()
        };
        // A key still held, an end rounded up to the next step, and one before the playhead.
        for (end, rolling) in [(None, true), (Some(4.05), true), (Some(3.9), false)] {
            view.playing = true;
            assert_eq!(sounds(&view, &note(end)), rolling);
            view.playing = false;
            assert!(!sounds(&view, &note(end)));
        }
    }
}
