//! The menus: presets, what is learned from files, MIDI files, models.

use egui::{Button, Frame, Label, Margin, RichText, Ui};

use super::theme;
use super::view::{Action, UiEvent, LearningState, ExportPart, View};

/// Pieces a menu names; of the others it says how many.
const NAMED: usize = 8;

/// Width of a menu's entries, in points.
const WIDTH: f32 = 190.0;

/// Draws them, in the order in which a row that is filled from the right has them.
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
    fn offered(&self, action: &Action) -> bool {
        self.view.action_state(action).is_some()
    }

    /// An entry, if the act is offered.
    fn item(&mut self, ui: &mut Ui, action: Action, name: &str, tip: &str) {
        let Some(action_state) = self.view.action_state(&action) else {
            return;
        };
        let button = Button::selectable(action_state.on, name).frame_when_inactive(action_state.on);
        let mut response = ui.add_enabled(action_state.enabled, button);
        if !tip.is_empty() {
            response = response.on_hover_text(tip);
        }
        if response.clicked() {
            self.ui_events.push(UiEvent::Action(action));
            ui.close();
        }
    }

    fn model(&mut self, ui: &mut Ui) {
        if !self.offered(&Action::LoadModel) {
            return;
        }
        ui.menu_button("Model", |ui| {
            ui.set_min_width(WIDTH);
            let tip = "A folder with a model in it; it may be dropped on the window, too";
            self.item(ui, Action::LoadModel, "Load a model…", tip);
            let tip = "Back to the model that comes with Continuo";
            self.item(ui, Action::DefaultModel, "The default model", tip);
        });
    }

    fn save(&mut self, ui: &mut Ui) {
        let parts = [
            (ExportPart::Played, "What it played"),
            (ExportPart::Heard, "What it heard"),
            (ExportPart::Both, "Both, as two tracks"),
        ];
        if !parts
            .iter()
            .any(|(part, _)| self.offered(&Action::Save(*part, None)))
        {
            return;
        }
        ui.menu_button("Save MIDI", |ui| {
            ui.set_min_width(WIDTH);
            for (part, name) in parts {
                ui.menu_button(name, |ui| {
                    self.item(ui, Action::Save(part, None), "All of it…", "");
                    for bars in [4, 8, 16] {
                        let name = format!("The last {bars} bars…");
                        self.item(ui, Action::Save(part, Some(bars)), &name, "");
                    }
                });
            }
        });
    }

    fn learn(&mut self, ui: &mut Ui) {
        if !self.offered(&Action::LearnFiles) {
            return;
        }
        ui.menu_button("Learn", |ui| {
            ui.set_min_width(WIDTH);
            let tip = "Continuo recalls them as it recalls what you played. They may be dropped on \
                       the window, too";
            self.item(ui, Action::LearnFiles, "MIDI files…", tip);
            self.item(ui, Action::LearnFolder, "A folder of them…", tip);
            let tip = "What you played stays";
            self.item(ui, Action::Unlearn, "Forget what was learned", tip);
            let lines = pieces(&self.view.learning);
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
            // In a small window they do not fit all at once.
            let height = (ui.ctx().content_rect().bottom() - ui.cursor().top() - 4.0 * theme::GAP)
                .max(4.0 * theme::ROW);
            egui::ScrollArea::vertical()
                .max_height(height)
                .show(ui, |ui| {
                    for (number, preset) in view.presets.iter().enumerate() {
                        self.item(ui, Action::Preset(number), &preset.name, &preset.about);
                    }
                });
        });
    }
}

/// What was learned, a line each.
fn pieces(learning: &LearningState) -> Vec<String> {
    if !learning.possible {
        return vec!["This model has no long memory".into()];
    }
    let pieces = &learning.pieces;
    // The newest, which are looked for.
    let named = pieces.iter().rev().take(NAMED);
    let mut lines: Vec<_> = named
        .map(|piece| format!("{}: {} notes", piece.name, piece.notes))
        .collect();
    if pieces.len() > NAMED {
        lines.push(format!("and {} more", pieces.len() - NAMED));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::LearnedPiece;

    #[test]
    fn the_newest_pieces_are_named() {
        assert_eq!(pieces(&LearningState::default()).len(), 1, "says that it cannot");
        let piece = |number: usize| LearnedPiece {
            name: format!("{number}.mid"),
            notes: 10 * number,
        };
        let mut learning = LearningState {
            possible: true,
            ..LearningState::default()
        };
        assert!(pieces(&learning).is_empty());
        learning.pieces = (0..10).map(piece).collect();
        let lines = pieces(&learning);
        assert_eq!(lines.len(), NAMED + 1);
        assert_eq!(
            (lines[0].as_str(), lines[NAMED].as_str()),
            ("9.mid: 90 notes", "and 2 more")
        );
    }
}
