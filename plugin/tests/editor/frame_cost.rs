//! Processor time of a frame: layout and triangles, all that the editor does itself. A measurement, which runs
//! on request:
//! `cargo test --release --workspace --test editor -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use continuo::editor::{UiState, draw, theme};

use crate::fixtures;

#[test]
#[ignore = "measures; see the file's first lines"]
fn frame_while_playing() {
    let ctx = egui::Context::default();
    theme::apply(&ctx);
    let mut ui_state = UiState::default();
    let mut view = fixtures::playing();
    // The notes of an hour are more than a window ever shows.
    let snapshot = Arc::make_mut(&mut view.snapshot);
    let notes = snapshot.notes.clone();
    for pass in 1..20 {
        snapshot.notes.extend(notes.iter().map(|note| {
            let mut note = *note;
            note.start += 32.0 * f64::from(pass);
            note.end = note.end.map(|end| end + 32.0 * f64::from(pass));
            note
        }));
    }
    let (width, height) = continuo::editor::SIZE;
    let size = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(width, height));
    let mut times: Vec<_> = (0..2_000)
        .map(|frame| {
            view.playhead = 28.0 + f64::from(frame) / 30.0;
            let input = egui::RawInput {
                screen_rect: Some(size),
                time: Some(f64::from(frame) / 60.0),
                ..egui::RawInput::default()
            };
            let began = Instant::now();
            let mut output =
                ctx.run_ui(input, |ui| draw(ui, &view, &mut ui_state, &mut Vec::new()));
            let shapes = std::mem::take(&mut output.shapes);
            let triangles = ctx.tessellate(shapes, 2.0);
            let took = began.elapsed();
            assert!(!triangles.is_empty());
            // This measurement uploads no textures.
            output.textures_delta.clear();
            took
        })
        .skip(100)
        .collect();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{} notes, 2x: median {:?}, 99 of 100 within {:?}, longest {:?}",
        view.snapshot.notes.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
