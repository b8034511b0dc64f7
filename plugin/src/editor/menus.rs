//! The menus: presets, files to learn, MIDI files, models. Window thread.

use egui::{Button, Frame, Label, Margin, RichText, Ui, vec2};

use super::drag_out::tile::DragTile;
use super::theme;
use super::view::{UiEvent, View};
use crate::action::Action;
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use continuo_accompaniment::snapshot::LearningState;

/// Learned pieces listed in the menu; of others it shows the number.
const MAX_PIECES: usize = 8;

/// Width of a menu's entries, in points.
const WIDTH: f32 = 190.0;

/// Draws the menus in the order of a row that is filled from the right.
pub fn show(ui: &mut Ui, view: &View, ui_events: &mut Vec<UiEvent>) {
    let mut menus = Menus { view, ui_events };
    menus.model(ui);
    menus.save(ui);
    menus.learn(ui);
    menus.presets(ui);
}

struct Menus<'a> {
    view: &'a View,
    ui_events: &'a mut Vec<UiEvent>,
}

impl Menus<'_> {
    fn has(&self, action: Action) -> bool {
        self.view.action_state(action).is_some()
    }

    /// The entry of an action, if it is to be drawn.
    fn add(&mut self, ui: &mut Ui, action: Action) {
        let info = action.info();
        self.add_as(ui, action, &info.label, info.help);
    }

    fn add_as(&mut self, ui: &mut Ui, action: Action, label: &str, help: &str) {
        let Some(state) = self.view.action_state(action) else {
            return;
        };
        let button = Button::selectable(state.on, label).frame_when_inactive(state.on);
        let mut response = ui.add_enabled(state.enabled, button);
        if !help.is_empty() {
            response = response.on_hover_text(help);
        }
        if response.clicked() {
            self.ui_events.push(UiEvent::Action(action));
            ui.close();
        }
    }

    fn model(&mut self, ui: &mut Ui) {
        if !self.has(Action::LoadModel) {
            return;
        }
        ui.menu_button("Model", |ui| {
            ui.set_min_width(WIDTH);
            self.add(ui, Action::LoadModel);
            self.add(ui, Action::DefaultModel);
        });
    }

    fn save(&mut self, ui: &mut Ui) {
        let parts = [
            (ExportPart::Generated, "What it played"),
            (ExportPart::Input, "What it heard"),
            (ExportPart::Both, "Both, as two tracks"),
        ];
        if !parts
            .iter()
            .any(|(part, _)| self.has(Action::SaveMidi(*part, None)))
        {
            return;
        }
        ui.menu_button("Save MIDI", |ui| {
            ui.set_min_width(WIDTH);
            for (part, name) in parts {
                ui.menu_button(name, |ui| {
                    for bars in [None, Some(4), Some(8), Some(16)] {
                        self.add(ui, Action::SaveMidi(part, bars));
                    }
                    self.add(ui, Action::SaveMusicXml(part));
                    self.drag(ui, part);
                });
            }
        });
    }

    /// The tile that drags all notes of a part up to the playhead out, below the entries that save them.
    fn drag(&mut self, ui: &mut Ui, part: ExportPart) {
        let Some(state) = self.view.action_state(Action::SaveMidi(part, None)) else {
            return;
        };
        ui.separator();
        let (help, with_shift) = match part {
            ExportPart::Generated => (
                "What Continuo played, up to the playhead.",
                "what was heard",
            ),
            ExportPart::Input => (
                "What was heard, up to the playhead.",
                "what Continuo played",
            ),
            ExportPart::Both => ("Both, as two tracks, up to the playhead.", ""),
        };
        let tile = DragTile {
            text: "Drag all of it".into(),
            name: "Drag all of it",
            help,
            with_shift,
            size: vec2(WIDTH, theme::ROW),
            enabled: state.enabled,
            part,
            range: ExportRange::All,
        };
        if tile.show(ui, self.view, self.ui_events) {
            ui.close();
        }
    }

    fn learn(&mut self, ui: &mut Ui) {
        if !self.has(Action::LearnFiles) {
            return;
        }
        ui.menu_button("Learn", |ui| {
            ui.set_min_width(WIDTH);
            self.add(ui, Action::LearnFiles);
            self.add(ui, Action::LearnFolder);
            self.add(ui, Action::Unlearn);
            let lines = learned_lines(&self.view.snapshot.learning);
            if !lines.is_empty() {
                ui.separator();
            }
            let margin = Margin {
                left: 2,
                ..Margin::ZERO
            };
            Frame::new().inner_margin(margin).show(ui, |ui| {
                ui.set_max_width(WIDTH);
                for line in lines {
                    let text = RichText::new(line).font(theme::small());
                    ui.add(Label::new(text.color(theme::TEXT_WEAK)).truncate());
                }
            });
        });
    }

    fn presets(&mut self, ui: &mut Ui) {
        let view = self.view;
        if view.presets.is_empty() {
            return;
        }
        ui.menu_button("Presets", |ui| {
            ui.set_min_width(WIDTH);
            // In a small window the list scrolls.
            let height = (ui.ctx().content_rect().bottom() - ui.cursor().top() - 4.0 * theme::GAP)
                .max(4.0 * theme::ROW);
            egui::ScrollArea::vertical()
                .max_height(height)
                .show(ui, |ui| {
                    for (index, preset) in view.presets.iter().enumerate() {
                        self.add_as(ui, Action::Preset(index), &preset.name, &preset.about);
                    }
                });
        });
    }
}

/// The pieces learned, newest first, one a line.
fn learned_lines(learning: &LearningState) -> Vec<String> {
    if !learning.possible {
        return vec!["This model has no long memory".into()];
    }
    let pieces = &learning.pieces;
    let newest = pieces.iter().rev().take(MAX_PIECES);
    let mut lines: Vec<_> = newest
        .map(|piece| format!("{}: {} notes", piece.name, piece.notes))
        .collect();
    if pieces.len() > MAX_PIECES {
        lines.push(format!("and {} more", pieces.len() - MAX_PIECES));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_accompaniment::snapshot::LearnedPiece;

    #[test]
    fn menu_lists_the_newest_pieces() {
        let impossible = learned_lines(&LearningState::default());
        assert_eq!(impossible.len(), 1, "the menu gives the reason");
        let piece = |number: usize| LearnedPiece {
            name: format!("{number}.mid"),
            notes: 10 * number,
        };
        let mut learning = LearningState {
            possible: true,
            ..LearningState::default()
        };
        assert!(learned_lines(&learning).is_empty());
        learning.pieces = (0..10).map(piece).collect();
        let lines = learned_lines(&learning);
        assert_eq!(lines.len(), MAX_PIECES + 1);
        assert_eq!(
            (lines[0].as_str(), lines[MAX_PIECES].as_str()),
            ("9.mid: 90 notes", "and 2 more")
        );
    }
}
