//! Files dropped on the window: music to learn, or a model to load. Window thread.

use std::path::{Path, PathBuf};

use egui::{Align2, LayerId, Order, Painter, Rect, Stroke, StrokeKind, Ui};

use super::view::{UiEvent, View};
use super::{drag_out, theme};

/// Draws the effect of files that are dragged over the window, and takes those dropped. The file that the
/// window itself drags out does not come back in.
pub fn show(ui: &mut Ui, rect: Rect, view: &View, ui_events: &mut Vec<UiEvent>) {
    let (hovered, dropped) = ui.input(|i| {
        let dragged = view.dragged.as_deref();
        let paths = |paths: &mut dyn Iterator<Item = Option<PathBuf>>| -> Vec<PathBuf> {
            let others = |path: &PathBuf| !drag_out::is_own(path, dragged);
            paths.flatten().filter(others).collect()
        };
        let hovered = paths(&mut i.raw.hovered_files.iter().map(|file| file.path.clone()));
        let dropped = i.raw.dropped_files.iter();
        let dropped = paths(&mut dropped.map(|file| Some(file.path().to_path_buf())));
        (hovered, dropped)
    });
    if !dropped.is_empty() {
        ui_events.push(UiEvent::Drop(dropped));
    } else if !hovered.is_empty() {
        let layer = LayerId::new(Order::Foreground, ui.scope_id().with("drop"));
        let painter = Painter::new(ui.ctx().clone(), layer, rect);
        painter.rect_filled(rect, 0.0, theme::GROUND.gamma_multiply(0.93));
        let frame = rect.shrink(2.0 * theme::GAP);
        let stroke = Stroke::new(2.0, theme::RECALLED);
        painter.rect_stroke(frame, theme::ROUND, stroke, StrokeKind::Inside);
        let words = match Dropped::of(hovered) {
            Dropped::Model(_) => "Play with this model",
            Dropped::Music(_) => "Learn from this music",
        };
        let (center, font) = (rect.center(), egui::FontId::proportional(22.0));
        painter.text(center, Align2::CENTER_CENTER, words, font, theme::TEXT);
    }
}

/// Files dropped, by their use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The folder of a model.
    Model(PathBuf),
    /// Any other files and folders: learning reports what it cannot read.
    Music(Vec<PathBuf>),
}

impl Dropped {
    /// The use of these files and folders.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        match paths.iter().find_map(|path| model(path)) {
            Some(folder) => Self::Model(folder),
            None => Self::Music(paths),
        }
    }
}

/// The folder of the model at a path: the folder itself, or the parent of its `model.json`.
fn model(path: &Path) -> Option<PathBuf> {
    let has = |folder: &Path| folder.join("model.json").is_file();
    if has(path) {
        return Some(path.to_path_buf());
    }
    let folder = path.parent().filter(|_| path.ends_with("model.json"))?;
    has(folder).then(|| folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_recognised_by_its_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_path_buf();
        let song = at.join("song.mid");
        assert_eq!(
            Dropped::of(vec![at.clone(), song.clone()]),
            Dropped::Music(vec![at.clone(), song])
        );
        let manifest = at.join("model.json");
        std::fs::write(&manifest, "{}").unwrap();
        for path in [at.clone(), manifest] {
            assert_eq!(Dropped::of(vec![path]), Dropped::Model(at.clone()));
        }
    }
}
