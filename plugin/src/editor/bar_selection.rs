//! The bars selected in the ruler of the piano roll, with what regenerates them and drags them out. Window thread.
//!
//! A drag in the ruler selects bars, and a click one bar or, on the selection, none. With the keyboard's
//! focus on the ruler, the arrow keys move the selection by a bar, with Shift they lengthen or shorten it,
//! and Escape clears it. A press, as screen readers send it, selects the bar before the playhead.

use egui::{
    Button, CornerRadius, EventFilter, Key, Painter, Rect, RichText, Role, Sense, Stroke, Ui,
    UiBuilder, WidgetInfo, vec2,
};

use super::drag_out::tile::DragTile;
use super::roll_viewport::RollTransform;
use super::theme;
use super::view::{UiEvent, View};
use continuo_accompaniment::bar_grid::BarGrid;
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use continuo_accompaniment::snapshot::RollNote;

/// The selected bars. Kept by the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BarSelection {
    bars: Option<Bars>,
    /// The bar at which a drag began: its bar line, in quarter notes.
    anchor: f64,
}

/// Whole bars, at least one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bars {
    /// First bar line, and the bar line after the last bar, in quarter notes.
    from: f64,
    to: f64,
}

impl Bars {
    /// The bars from that of one position to that of another, in either order.
    fn around(grid: &BarGrid, one: f64, other: f64) -> Self {
        Self {
            from: grid.bar_line(one.min(other)),
            to: next_bar(grid, one.max(other)),
        }
    }

    fn contains(&self, at: f64) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// The numbers of the first bar and the last.
    fn numbers(&self, grid: &BarGrid) -> (i32, i32) {
        let last = grid.bar_line(self.to - INSIDE);
        (grid.position(self.from).bar, grid.position(last).bar)
    }

    /// "bar 9" or "bars 9 to 12".
    fn text(&self, grid: &BarGrid) -> String {
        match self.numbers(grid) {
            (first, last) if first == last => format!("bar {first}"),
            (first, last) => format!("bars {first} to {last}"),
        }
    }
}

/// "bar 9" or "bars 9 to 12", for the bars between two bar lines.
pub(super) fn bars_text(grid: &BarGrid, from: f64, to: f64) -> String {
    Bars { from, to }.text(grid)
}

/// A distance in quarter notes that leads from a bar line into the bar before it.
const INSIDE: f64 = 1e-3;

/// The bar line after the bar of a position.
fn next_bar(grid: &BarGrid, at: f64) -> f64 {
    let line = grid.bar_line(at);
    // A change of the time signature cuts a bar short.
    let end = line + grid.section_at(at).bar_length();
    let sections = grid.sections().iter().map(|section| section.at);
    let cut = sections.filter(|&section| section > line + INSIDE);
    cut.fold(end, f64::min)
}

impl BarSelection {
    /// The selected positions, in quarter notes.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.bars.map(|bars| (bars.from, bars.to))
    }

    /// Draws a band over the selected bars.
    pub fn draw(&self, painter: &Painter, transform: &RollTransform) {
        let Some(bars) = self.bars else { return };
        let across = transform.x(bars.from)..=transform.x(bars.to);
        let band = Rect::from_x_y_ranges(across, transform.area.y_range());
        painter.rect_filled(band, CornerRadius::ZERO, theme::TEXT.gamma_multiply(0.07));
        let stroke = Stroke::new(1.0, theme::TEXT.gamma_multiply(0.5));
        painter.vline(band.left(), band.y_range(), stroke);
        painter.vline(band.right(), band.y_range(), stroke);
    }

    /// Takes pointer and keys of the ruler, and shows the button.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        ruler: Rect,
        view: &View,
        transform: &RollTransform,
        ui_events: &mut Vec<UiEvent>,
    ) {
        let grid = &view.grid;
        let id = ui.scope_id().with("bars");
        let response = ui.interact(ruler, id, Sense::click_and_drag());
        let pointer = response.interact_pointer_pos();
        if let Some(at) = pointer.map(|at| transform.beat(at.x)) {
            if response.drag_started() {
                let origin = ui.input(|i| i.pointer.press_origin());
                self.anchor = origin.map_or(at, |origin| transform.beat(origin.x));
            }
            if response.dragged() {
                self.bars = Some(Bars::around(grid, self.anchor, at));
            } else if response.clicked() {
                let one = Bars::around(grid, at, at);
                self.bars = Some(one).filter(|_| self.bars.is_none_or(|bars| !bars.contains(at)));
                self.anchor = at;
            }
        } else if response.clicked() {
            let before = grid.bar_line(view.playhead) - INSIDE;
            let bars = Bars::around(grid, before, before);
            self.bars = if self.bars.is_none() {
                Some(bars)
            } else {
                None
            };
        }
        if response.clicked() || response.drag_started() {
            response.request_focus();
        }
        if response.has_focus() {
            self.keys(ui, view, id);
            let stroke = Stroke::new(1.0, theme::TEXT_WEAK);
            let rect = ruler.shrink(1.0);
            ui.painter()
                .rect_stroke(rect, theme::ROUND, stroke, egui::StrokeKind::Inside);
        }
        let selected = self.bars.map(|bars| bars.text(grid));
        response.widget_info(|| {
            let text = match &selected {
                Some(text) => format!("Bar selection: {text}"),
                None => "Bar selection: none".into(),
            };
            WidgetInfo::labeled(Role::Button, true, text)
        });
        response.on_hover_text("Drag to select bars; click to select one, or none");
        if let (Some(bars), Some(text)) = (self.bars, selected) {
            buttons(ui, bars, &text, view, transform, ui_events);
        }
    }

    /// Moves the selection by arrow keys.
    fn keys(&mut self, ui: &Ui, view: &View, id: egui::Id) {
        let filter = EventFilter {
            horizontal_arrows: true,
            escape: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
        let grid = &view.grid;
        let (left, right, shift, escape) = ui.input(|i| {
            let pressed = |key| i.key_pressed(key);
            (
                pressed(Key::ArrowLeft),
                pressed(Key::ArrowRight),
                i.modifiers.shift,
                pressed(Key::Escape),
            )
        });
        if escape {
            self.bars = None;
        }
        if !left && !right {
            return;
        }
        let Some(bars) = &mut self.bars else {
            let before = grid.bar_line(view.playhead) - INSIDE;
            self.bars = Some(Bars::around(grid, before, before));
            return;
        };
        let (first, last) = (bars.from, grid.bar_line(bars.to - INSIDE));
        *bars = match (left, shift) {
            (true, true) => Bars::around(grid, first, (last - INSIDE).max(first)),
            (false, true) => Bars::around(grid, first, bars.to + INSIDE),
            (true, false) => Bars::around(grid, first - INSIDE, last - INSIDE),
            (false, false) => Bars::around(grid, next_bar(grid, first) + INSIDE, bars.to + INSIDE),
        };
    }
}

/// The button that regenerates the bars and the tile that drags them out, below the ruler at their left edge.
fn buttons(
    ui: &mut Ui,
    bars: Bars,
    text: &str,
    view: &View,
    transform: &RollTransform,
    ui_events: &mut Vec<UiEvent>,
) {
    let is_over = !view.playing || bars.to <= view.playhead;
    let mut notes = view.snapshot.notes.iter();
    let has_notes = notes.any(|note| note.generated && bars.contains(note.start));
    let help = match (view.model().is_some(), is_over, has_notes) {
        (false, ..) => "There is no model",
        (_, false, _) => "These bars are still played: wait until they are over, or stop",
        (.., false) => "Continuo has played no notes in these bars",
        _ => "Plays these bars differently, to fit what follows. What you played stays",
    };
    let enabled = view.model().is_some() && is_over && has_notes;
    let label = format!("Regenerate {text}");
    let size = vec2(170.0, theme::ROW);
    let tile_size = vec2(76.0, theme::ROW);
    let area = transform.area;
    let width = size.x + theme::SMALL_GAP + tile_size.x;
    let left = transform.x(bars.from).min(area.right() - width - 4.0);
    let place = egui::pos2(left.max(area.left()) + 4.0, area.top() + 4.0);
    let button = Button::new(RichText::new(label.as_str()).font(theme::small()));
    let pressed = ui
        .add_enabled_ui(enabled, |ui| {
            ui.put(Rect::from_min_size(place, size), button)
                .on_hover_text(help)
                .on_disabled_hover_text(help)
                .clicked()
        })
        .inner;
    if pressed {
        ui_events.push(UiEvent::RegenerateBars(bars.from, bars.to));
    }

    let sounded = |note: &&RollNote| {
        let started = note.start < view.snapshot.time.beat && !note.imagined;
        started && bars.contains(note.start)
    };
    let notes = || view.snapshot.notes.iter().filter(sounded);
    let is_played = notes().any(|note| note.generated);
    let tile = DragTile {
        text: RichText::new("Drag").font(theme::small()),
        name: &format!("Drag {text}"),
        help: match is_played {
            true => "What Continuo played in these bars.",
            false => "What was heard in these bars.",
        },
        with_shift: match is_played {
            true => "what was heard",
            false => "",
        },
        size: tile_size,
        enabled: notes().next().is_some(),
        part: match is_played {
            true => ExportPart::Generated,
            false => ExportPart::Input,
        },
        range: ExportRange::Between(bars.from, bars.to),
    };
    let place = place + vec2(size.x + theme::SMALL_GAP, 0.0);
    let place = Rect::from_min_size(place, tile_size);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(place));
    tile.show(&mut ui, view, ui_events);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_lie_around_positions_in_either_order() {
        let grid = BarGrid::default();
        let bars = Bars::around(&grid, 13.0, 5.0);
        assert_eq!((bars.from, bars.to), (4.0, 16.0));
        assert_eq!(bars, Bars::around(&grid, 4.0, 15.9));
        assert_eq!(bars.text(&grid), "bars 2 to 4");
        assert_eq!(Bars::around(&grid, 8.0, 8.0).text(&grid), "bar 3");
    }
}
