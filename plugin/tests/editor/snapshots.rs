//! Pictures of the editor's states, compared with those in `tests/snapshots`.

use continuo::editor::{UiState, View, draw, theme};
use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, SnapshotOptions};

use crate::fixtures;
use crate::software_renderer::SnapshotRenderer;

/// Threshold of a pixel's difference (kittest's weighted YIQ distance, squared), and the number of pixels that
/// may exceed it. The renderer is exact, so both allow for differences of the last bit in text.
const TOLERANCE: f32 = 0.6;
const PIXELS: usize = 10;

fn picture(name: &str, view: View, size: (f32, f32), scale: f32) {
    picture_of(name, view, size, scale, |_| ());
}

/// The same, after a step.
fn picture_of(
    name: &str,
    view: View,
    size: (f32, f32),
    scale: f32,
    first: impl FnOnce(&mut Harness),
) {
    let mut ui_state = UiState::default();
    let mut harness = Harness::builder()
        .with_size(size)
        .with_pixels_per_point(scale)
        .with_max_steps(60)
        .renderer(SnapshotRenderer::default())
        .with_context_setup(theme::apply)
        .build_ui(move |ui| draw(ui, &view, &mut ui_state, &mut Vec::new()));
    harness.run();
    first(&mut harness);
    // A fixed number of steps: while a file is dragged, the editor never stops repainting.
    harness.run_steps(4);
    let options = SnapshotOptions::new()
        .threshold(TOLERANCE)
        .max_failed_pixels(PIXELS);
    harness.snapshot_options(name, &options);
}

const NORMAL: (f32, f32) = continuo::editor::SIZE;

#[test]
fn empty() {
    picture("empty", fixtures::empty(), NORMAL, 1.0);
}

#[test]
fn listening() {
    picture("listening", fixtures::listening(), NORMAL, 1.0);
}

#[test]
fn playing() {
    picture("playing", fixtures::playing(), NORMAL, 1.0);
}

#[test]
fn recalling() {
    picture("recalling", fixtures::recalling(), NORMAL, 1.0);
}

#[test]
fn learning() {
    picture("learning", fixtures::learning(), NORMAL, 1.0);
}

#[test]
fn dropping() {
    picture_of("dropping", fixtures::playing(), NORMAL, 1.0, |harness| {
        let file = egui::HoveredFile {
            path: Some("song.mid".into()),
            ..egui::HoveredFile::default()
        };
        harness.input_mut().hovered_files = vec![file];
    });
}

#[test]
fn presets() {
    picture_of("presets", fixtures::learning(), NORMAL, 1.0, |harness| {
        harness.get_by_label("Presets").click();
    });
}

#[test]
fn learned() {
    picture_of("learned", fixtures::learning(), NORMAL, 1.0, |harness| {
        harness.get_by_label("Learn").click();
    });
}

#[test]
fn error() {
    picture("error", fixtures::error(), NORMAL, 1.0);
}

#[test]
fn tiny() {
    picture("tiny", fixtures::playing(), continuo::editor::SMALLEST, 1.0);
}

#[test]
fn band() {
    let smallest = continuo::editor::SMALLEST;
    picture_of("band", fixtures::accompanying(), smallest, 1.0, |harness| {
        harness.get_by_label("Band").click();
    });
}

#[test]
fn accompanying() {
    picture("accompanying", fixtures::accompanying(), NORMAL, 1.0);
}

#[test]
fn large() {
    picture("large", fixtures::playing(), (1720.0, 980.0), 1.0);
}

#[test]
fn twice() {
    picture("twice", fixtures::playing(), NORMAL, 2.0);
}

#[test]
fn thrice() {
    let smallest = continuo::editor::SMALLEST;
    picture("thrice", fixtures::listening(), smallest, 3.0);
}
