//! The piano roll: input, generated and planned notes, and the bars that the long memory retrieves. Window
//! thread.

use egui::{
    Align2, CornerRadius, CursorIcon, Painter, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2,
    vec2,
};

use super::bar_selection::BarSelection;
use super::roll_viewport::{RollTransform, RollViewport};
use super::view::{UiEvent, View};
use super::{piano_keys, recalled_bars, roll_notes, roll_ruler, theme};
use continuo_accompaniment::bar_grid::GridLine;
use continuo_accompaniment::snapshot::NamedChord;

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
    let area = Rect::from_min_max(
        rect.min + vec2(piano_keys::WIDTH, roll_ruler::HEIGHT),
        rect.max,
    );
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
    roll_ruler::draw(&painter, rect, view, &transform, &lines);
    roll_notes::draw_plan(&inside, view, &transform);
    selection.draw(&inside, &transform);
    let notes = &view.snapshot.notes;
    for note in notes {
        roll_notes::draw(&inside, &transform, view, note);
    }
    recalled_bars::label(&inside, view, &transform);
    chords(&inside, view, &transform);
    playhead(&painter, view, &transform);
    let sounding = |generated: bool| {
        let notes = notes.iter();
        let notes = notes.filter(|n| n.generated == generated && !n.imagined);
        let sounding = notes.filter(|n| roll_notes::sounds(view, n));
        sounding.fold(0u128, |keys, n| keys | 1 << (n.pitch & 127))
    };
    piano_keys::show(&painter, rect, &transform, sounding(false), sounding(true));
    if notes.is_empty() {
        hint(&inside, area, view);
    }
    let bars = roll_ruler::bars_rect(rect, &transform);
    selection.show(ui, bars, view, &transform, ui_events);
    roll_ruler::buttons(ui, rect, &transform, viewport);
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
    let by_ear = notes.iter().filter(|n| n.confidence.is_some()).count();
    let by_ear = match by_ear {
        0 => String::new(),
        _ => format!(" ({by_ear} in sound)"),
    };
    let mut text = format!(
        "At bar {}, beat {}. {} notes heard{by_ear}, {played} played or planned.{others}",
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
    let y = transform.area.top() - roll_ruler::HEIGHT + 1.0..=transform.area.bottom();
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

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_accompaniment::snapshot::RollNote;

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
        let in_sound = RollNote {
            confidence: Some(0.6),
            ..note
        };
        let snapshot = continuo_accompaniment::snapshot::Snapshot {
            notes: vec![note, in_sound, played, imagined],
            ..Default::default()
        };
        let view = View {
            snapshot: std::sync::Arc::new(snapshot),
            ..View::default()
        };
        let text = description(&view);
        assert!(
            text.contains("2 notes heard (1 in sound), 1 played"),
            "{text}"
        );
        assert!(text.contains("1 imagined"), "{text}");
    }
}
