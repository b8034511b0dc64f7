//! The tile: a button with a grip that is dragged out of the window, or clicked to save the same notes. Window
//! thread.

use egui::{Atom, Button, CursorIcon, IdSalt, RichText, Sense, Ui, Vec2, vec2};

use crate::editor::theme;
use crate::editor::view::{UiEvent, View};
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};

/// Size of the grip, in points.
const GRIP: Vec2 = vec2(7.0, 11.0);

/// A tile.
pub struct DragTile<'a> {
    /// Its text.
    pub text: RichText,
    /// Its name for screen readers.
    pub name: &'a str,
    /// One sentence on its notes, before those on its use.
    pub help: &'a str,
    /// Whose notes Shift adds, for the help; empty if there are no others.
    pub with_shift: &'a str,
    /// Its size, or its least size.
    pub size: Vec2,
    /// Whether there are such notes.
    pub enabled: bool,
    /// Whose notes it has.
    pub part: ExportPart,
    /// Their time.
    pub range: ExportRange,
}

impl DragTile<'_> {
    /// Draws the tile and emits what is done to it; `true` if it was clicked.
    pub fn show(self, ui: &mut Ui, view: &View, ui_events: &mut Vec<UiEvent>) -> bool {
        let help = self.full_help();
        let grip = IdSalt::new("grip");
        let button = Button::new((Atom::custom(grip, GRIP), self.text))
            .sense(Sense::click_and_drag())
            .min_size(self.size);
        let drawn = ui
            .add_enabled_ui(self.enabled, |ui| button.atom_ui(ui))
            .inner;
        let color = match self.enabled {
            true => theme::TEXT_WEAK,
            false => theme::LINE_STRONG,
        };
        if let Some(place) = drawn.rect(grip) {
            for row in 0..3u8 {
                for column in 0..2u8 {
                    let offset = vec2(f32::from(column), f32::from(row)) * 4.0 + Vec2::splat(1.5);
                    ui.painter().circle_filled(place.min + offset, 1.2, color);
                }
            }
        }
        let response = drawn.response.accessible_name(self.name);
        let response = response.on_hover_text(&help).on_disabled_hover_text(&help);
        if response.dragged() {
            ui.set_cursor_icon(match view.drop_accepted {
                true => CursorIcon::Copy,
                false => CursorIcon::Grabbing,
            });
        } else if response.hovered() {
            ui.set_cursor_icon(CursorIcon::Grab);
        }
        let part = match ui.input(|i| i.modifiers.shift) {
            true => ExportPart::Both,
            false => self.part,
        };
        if response.drag_started() {
            ui_events.push(UiEvent::DragNotes(part, self.range));
        } else if response.clicked() {
            ui_events.push(UiEvent::SaveNotes(part, self.range));
        }
        response.clicked()
    }

    /// The sentence on its notes, and those on its use.
    fn full_help(&self) -> String {
        let mut help = format!(
            "{} Drag it onto a track of the host or onto the desktop, as a MIDI file; click to save it",
            self.help
        );
        if !self.with_shift.is_empty() {
            help += &format!(". With Shift: {}, too", self.with_shift);
        }
        help
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_offers_shift_where_it_adds_notes() {
        let help = |with_shift| {
            let tile = DragTile {
                text: "Drag".into(),
                name: "Drag",
                help: "Both.",
                with_shift,
                size: GRIP,
                enabled: true,
                part: ExportPart::Both,
                range: ExportRange::All,
            };
            tile.full_help()
        };
        assert!(help("").ends_with("click to save it"));
        let both = help("what was heard");
        assert!(both.ends_with("click to save it. With Shift: what was heard, too"));
    }
}
