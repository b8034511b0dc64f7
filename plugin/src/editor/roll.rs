//! The roll: what was heard and played, what is about to be, and what is being recalled.

use egui::{
    Align2, CornerRadius, CursorIcon, Painter, Rect, Role, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};

use super::bars::{Line, bars_at, lines};
use super::scroll::{Frame, Scroll};
use super::view::{By, Roll, RollNote, View};
use super::{keys, theme};

/// Height of the line with the bar numbers.
const RULER: f32 = 20.0;

/// Width of zoom and follow, in the ruler's corner.
const BUTTONS: f32 = 100.0;

/// Bar numbers nearer than this, in points, are left out; beats have labels from here on.
const LABEL_ROOM: f32 = 34.0;

/// Draws the roll into `rect` and takes zoom and follow from the hand.
pub fn show(ui: &mut Ui, rect: Rect, view: &View, scroll: &mut Scroll) {
    let roll = &view.roll;
    let area = Rect::from_min_max(rect.min + vec2(keys::WIDTH, RULER), rect.max);
    if area.width() < 20.0 || area.height() < 20.0 {
        return;
    }
    let response = ui.interact(rect, ui.scope_id().with("roll"), Sense::click_and_drag());
    let (frame, _) = scroll.frame(roll, area);
    hand(ui, &response, &frame, scroll);
    let (frame, moving) = scroll.frame(roll, area);
    if moving {
        ui.ctx().request_repaint();
    }
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Label, true, format!("Piano roll. {}", words(view)))
    });

    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, theme::ROUND, theme::WELL);
    let inside = painter.with_clip_rect(area);
    rows(&inside, &frame);
    recalled(&painter, &inside, roll, &frame);
    let lines = lines(&roll.time_signatures, frame.left, frame.right());
    grid(&inside, &frame, &lines);
    ruler(&painter, rect, roll, &frame, &lines);
    ahead(&inside, roll, &frame);
    for note in &roll.notes {
        draw_note(&inside, &frame, roll, note, sounds(view, note));
    }
    recalled_before(&inside, roll, &frame);
    playhead(&painter, roll, &frame, view.transport.playing);
    let sounding = |by: By| {
        let notes = roll.notes.iter().filter(|n| n.by == by && sounds(view, n));
        notes.fold(0u128, |keys, n| keys | 1 << (n.pitch & 127))
    };
    keys::show(
        &painter,
        rect,
        &frame,
        sounding(By::Player),
        sounding(By::Us),
    );
    if roll.notes.is_empty() {
        hint(&inside, area, view);
    }
    buttons(ui, rect, &frame, scroll);
}

/// What the picture says, for those who do not see it.
fn words(view: &View) -> String {
    let (bar, beat, _) = bars_at(&view.roll.time_signatures, view.roll.now).place(view.roll.now);
    let count = |by| view.roll.notes.iter().filter(|n| n.by == by).count();
    format!(
        "At bar {bar}, beat {beat}. {} notes heard, {} played or planned.",
        count(By::Player),
        count(By::Us)
    )
}

/// Drag and wheel move it, control and wheel or a pinch zoom it, double-click follows again.
fn hand(ui: &Ui, response: &egui::Response, frame: &Frame, scroll: &mut Scroll) {
    if response.dragged() {
        scroll.pan(frame, response.drag_delta().x);
        ui.set_cursor_icon(CursorIcon::Grabbing);
    }
    if response.double_clicked() {
        scroll.follow();
    }
    if let Some(pointer) = response.hover_pos() {
        let (zoom, wheel) = ui.input(|i| (i.zoom_delta(), i.smooth_scroll_delta()));
        if zoom != 1.0 {
            scroll.zoom(frame, zoom, pointer.x);
        } else {
            scroll.pan(frame, wheel.x + wheel.y);
        }
    }
}

/// Rows of black keys, and a line under each C.
fn rows(painter: &Painter, frame: &Frame) {
    for pitch in frame.pitches() {
        let (top, bottom) = frame.y(pitch);
        let row = Rect::from_x_y_ranges(frame.area.x_range(), top..=bottom);
        if keys::is_black(pitch) {
            painter.rect_filled(row, CornerRadius::ZERO, theme::WELL_DARK);
        }
        if pitch % 12 == 0 {
            painter.hline(frame.area.x_range(), bottom, Stroke::new(1.0, theme::LINE));
        }
    }
}

/// Bars and beats; beats fade as they crowd.
fn grid(painter: &Painter, frame: &Frame, lines: &[Line]) {
    let beat_room = lines.windows(2).map(|w| w[1].at - w[0].at);
    let room = beat_room.fold(f64::INFINITY, f64::min) as f32 * frame.zoom;
    let fade = ((room - 5.0) / 10.0).clamp(0.0, 1.0);
    for line in lines {
        let color = if line.beat == 1 {
            theme::LINE_STRONG
        } else {
            theme::LINE.gamma_multiply(fade)
        };
        let x = painter.round_to_pixel_center(frame.x(line.at));
        painter.vline(x, frame.area.y_range(), Stroke::new(1.0, color));
    }
}

/// Bar numbers, and beats where there is room.
fn ruler(painter: &Painter, rect: Rect, roll: &Roll, frame: &Frame, lines: &[Line]) {
    let top = Rect::from_min_max(
        pos2(frame.area.left(), rect.top()),
        pos2(rect.right() - BUTTONS, frame.area.top()),
    );
    let painter = painter.with_clip_rect(top);
    let bar_room = bars_at(&roll.time_signatures, frame.left).length() as f32 * frame.zoom;
    // Every bar, every second, every fourth...
    let every = 1i32
        << (LABEL_ROOM / bar_room.max(0.01))
            .log2()
            .ceil()
            .clamp(0.0, 20.0) as u32;
    for line in lines {
        let x = frame.x(line.at);
        let place = pos2(x + 6.0, top.center().y);
        let beat_room = bars_at(&roll.time_signatures, line.at).beat_length() as f32 * frame.zoom;
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

/// Where the memory looks back to: a band under the notes and a bar along the ruler.
fn recalled(painter: &Painter, inside: &Painter, roll: &Roll, frame: &Frame) {
    for stretch in &roll.recalled {
        let weight = stretch.weight.clamp(0.0, 1.0);
        let across = frame.x(stretch.from)..=frame.x(stretch.to);
        let band = Rect::from_x_y_ranges(across.clone(), frame.area.y_range());
        let color = theme::RECALLED.gamma_multiply(0.06 + 0.16 * weight);
        inside.rect_filled(band, CornerRadius::ZERO, color);
        let edge = Rect::from_x_y_ranges(across, frame.area.top() - 3.0..=frame.area.top());
        let edge = edge.intersect(frame.area.with_min_y(edge.top()));
        let color = theme::RECALLED.gamma_multiply(0.35 + 0.65 * weight);
        painter.rect_filled(edge, CornerRadius::ZERO, color);
    }
}

/// At the left edge, a word about what is recalled from before it, or from elsewhere.
fn recalled_before(painter: &Painter, roll: &Roll, frame: &Frame) {
    let gone = roll.recalled.iter().filter(|r| r.to <= frame.left);
    let mut before: Vec<i32> = gone
        .map(|r| bars_at(&roll.time_signatures, r.from).place(r.from).0)
        .collect();
    before.sort_unstable();
    before.dedup();
    let mut what = Vec::new();
    if !before.is_empty() {
        what.push(bars_in_words(&before));
    }
    if roll.recalls_learned {
        what.push("learned music".into());
    }
    if what.is_empty() {
        return;
    }
    let place = frame.area.left_bottom() + vec2(6.0, -6.0);
    let label = format!("recalls {}", what.join(" and "));
    let drawn = painter.layout_no_wrap(label, theme::small(), theme::RECALLED);
    let text = Align2::LEFT_BOTTOM.anchor_size(place, drawn.size());
    painter.rect_filled(text.expand(3.0), theme::ROUND, theme::WELL);
    painter.galley(text.min, drawn, theme::RECALLED);
}

/// Rising bar numbers, such as `bars 3–5, 9`.
fn bars_in_words(bars: &[i32]) -> String {
    let runs = bars.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [only] => only.to_string(),
        [first, .., last] => format!("{first}–{last}"),
        [] => String::new(),
    });
    let word = if bars.len() == 1 { "bar" } else { "bars" };
    format!("{word} {}", runs.collect::<Vec<_>>().join(", "))
}

/// What is planned lies on slightly lighter ground.
fn ahead(painter: &Painter, roll: &Roll, frame: &Frame) {
    if roll.planned_to <= roll.now {
        return;
    }
    let across = frame.x(roll.now)..=frame.x(roll.planned_to);
    let band = Rect::from_x_y_ranges(across, frame.area.y_range());
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

/// Whether a note sounds now: none does once the transport stands, wherever its end is.
fn sounds(view: &View, note: &RollNote) -> bool {
    let now = view.roll.now;
    view.transport.playing && note.start <= now && note.end.is_none_or(|end| end > now)
}

fn draw_note(painter: &Painter, frame: &Frame, roll: &Roll, note: &RollNote, sounds: bool) {
    let end = note.end.unwrap_or(roll.now.max(note.start));
    if end < frame.left || note.start > frame.right() {
        return;
    }
    let (top, bottom) = frame.y(note.pitch);
    let left = frame.x(note.start);
    // A gap to the next note, and never nothing.
    let right = (frame.x(end) - 1.0).max(left + 2.0);
    let slit = if bottom - top > 5.0 { 0.5 } else { 0.0 };
    let rect = Rect::from_min_max(pos2(left, top + slit), pos2(right, bottom - slit));
    let corner = CornerRadius::same((rect.height() / 4.0).clamp(0.0, 3.0) as u8);
    let base = match note.by {
        By::Player => theme::HEARD,
        By::Us => theme::PLAYED,
    };
    let loudness = f32::from(note.velocity) / 127.0;
    let color = theme::towards(theme::WELL, base, 0.38 + 0.62 * loudness);

    if note.start <= roll.now {
        let light = if sounds { 0.45 } else { 0.0 };
        painter.rect_filled(rect, corner, theme::towards(color, theme::TEXT, light));
    } else if note.start < roll.firm_to {
        painter.rect_filled(rect, corner, color.gamma_multiply(0.8));
    } else {
        // An outline: it may still change.
        painter.rect_filled(rect, corner, color.gamma_multiply(0.22));
        let stroke = Stroke::new(1.0, color.gamma_multiply(0.75));
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
}

fn playhead(painter: &Painter, roll: &Roll, frame: &Frame, playing: bool) {
    let x = painter.round_to_pixel_center(frame.x(roll.now));
    if !frame.area.x_range().contains(x) {
        return;
    }
    let color = if playing {
        theme::TEXT
    } else {
        theme::TEXT_WEAK
    };
    let y = frame.area.top() - RULER + 1.0..=frame.area.bottom();
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

/// What to do first.
fn hint(painter: &Painter, area: Rect, view: &View) {
    use super::view::Status;
    let text = match view.status {
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

/// Zoom and follow, in the corner.
fn buttons(ui: &mut Ui, rect: Rect, frame: &Frame, scroll: &mut Scroll) {
    let size = vec2(RULER, RULER - 3.0);
    let mut right = rect.right() - 2.0;
    let mut button = |ui: &mut Ui, text: &str, name: &str, tip: &str, width: f32| {
        let place = Rect::from_min_size(pos2(right - width, rect.top() + 1.5), vec2(width, size.y));
        right -= width + 2.0;
        let text = egui::RichText::new(text).font(theme::small());
        let button = egui::Button::new(text).min_size(place.size());
        let small = vec2(2.0, 0.0);
        let usual = std::mem::replace(&mut ui.spacing_mut().button_padding, small);
        let pressed = ui
            .put(place, button)
            .accessible_name(name)
            .on_hover_text(tip)
            .clicked();
        ui.spacing_mut().button_padding = usual;
        pressed
    };
    if button(ui, "+", "Zoom in", "Zoom in (control and wheel)", size.x) {
        scroll.zoom(frame, 1.5, frame.area.center().x);
    }
    if button(ui, "–", "Zoom out", "Zoom out (control and wheel)", size.x) {
        scroll.zoom(frame, 1.0 / 1.5, frame.area.center().x);
    }
    if !scroll.follows()
        && button(
            ui,
            "Follow",
            "Follow",
            "Back to the playhead (double-click)",
            52.0,
        )
    {
        scroll.follow();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_note_sounds_once_the_transport_stands() {
        let note = |end| RollNote {
            start: 3.0,
            end,
            pitch: 60,
            velocity: 90,
            by: By::Player,
        };
        let mut view = View::default();
        view.roll.now = 4.0;
        // A key that was never let go, and an end that was rounded up to the next step.
        for (end, rolling) in [(None, true), (Some(4.05), true), (Some(3.9), false)] {
            view.transport.playing = true;
            assert_eq!(sounds(&view, &note(end)), rolling);
            view.transport.playing = false;
            assert!(!sounds(&view, &note(end)));
        }
    }

    #[test]
    fn bars_are_named_in_runs() {
        assert_eq!(bars_in_words(&[3]), "bar 3");
        assert_eq!(bars_in_words(&[3, 4, 5, 9]), "bars 3–5, 9");
        assert_eq!(bars_in_words(&[-1, 0, 7, 8]), "bars -1–0, 7–8");
    }
}
