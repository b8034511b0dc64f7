//! Tiles that are dragged out of the window, and the file that does not come back in.

use std::path::PathBuf;
use std::sync::Arc;

use continuo::editor::UiEvent;
use continuo::editor::view::View;
use continuo_accompaniment::midi_export::{ExportPart, ExportRange};
use egui::{Event, Modifiers};
use egui_kittest::kittest::Queryable;

use crate::actions::File;
use crate::fixtures;
use crate::harness::EditorHarness;

/// Drags the widget of this name by some points.
fn drag(editor: &mut EditorHarness, name: &str) {
    let from = editor.harness.get_by_label(name).rect().center();
    editor.harness.drag_at(from);
    editor.harness.run();
    for step in [20.0, 40.0] {
        editor.harness.hover_at(from + egui::vec2(step, step));
        editor.harness.run();
    }
    editor.harness.drop_at(from + egui::vec2(40.0, 40.0));
    editor.harness.run();
}

/// Selects a bar of the ruler that lies before the playhead, in bars of three beats.
fn select_bar(editor: &mut EditorHarness, bar: f32) {
    let ruler = editor.harness.get_by_label_contains("Bar selection").rect();
    let playhead = ruler.left() + 0.64 * (ruler.width() + 100.0);
    let x = playhead + ((bar - 0.5) * 3.0 - 28.25) * 30.0;
    let at = egui::pos2(x, ruler.center().y);
    editor.harness.drag_at(at);
    editor.harness.run();
    editor.harness.drop_at(at);
    editor.harness.run();
}

#[test]
fn a_tile_drags_its_notes_or_saves_them_with_a_click() {
    let answer = (ExportPart::Generated, ExportRange::LastAnswer);
    for size in [continuo::editor::SIZE, continuo::editor::SMALLEST] {
        let mut editor = EditorHarness::new(fixtures::playing(), size);
        let name = "Drag the last answer";
        drag(&mut editor, name);
        assert_eq!(editor.events(), [UiEvent::DragNotes(answer.0, answer.1)]);
        editor.click(name);
        assert_eq!(editor.events(), [UiEvent::SaveNotes(answer.0, answer.1)]);
        // With Shift, what was heard comes too.
        let modifiers = |modifiers| Event::ModifiersChanged(modifiers);
        editor.harness.event(modifiers(Modifiers::SHIFT));
        drag(&mut editor, name);
        let both = UiEvent::DragNotes(ExportPart::Both, ExportRange::LastAnswer);
        assert_eq!(editor.events(), [both]);
        editor.harness.event(modifiers(Modifiers::NONE));
    }
}

#[test]
fn everything_is_dragged_from_the_menu() {
    for (entry, part) in [
        ("What it played", ExportPart::Generated),
        ("What it heard", ExportPart::Input),
        ("Both, as two tracks", ExportPart::Both),
    ] {
        let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
        for name in ["Save MIDI", entry] {
            editor.harness.get_by_label(name).click_accesskit();
            editor.harness.run();
        }
        drag(&mut editor, "Drag all of it");
        let dragged = UiEvent::DragNotes(part, ExportRange::All);
        assert_eq!(editor.events(), [dragged], "{entry}");
    }
}

#[test]
fn selected_bars_are_dragged_with_the_notes_that_are_in_them() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    select_bar(&mut editor, 9.0);
    drag(&mut editor, "Drag bar 9");
    let range = ExportRange::Between(24.0, 27.0);
    let answer = UiEvent::DragNotes(ExportPart::Generated, range);
    assert_eq!(editor.events(), [answer]);
    // A click outside the selection selects another bar: there the player played alone.
    select_bar(&mut editor, 7.0);
    drag(&mut editor, "Drag bar 7");
    let range = ExportRange::Between(18.0, 21.0);
    let heard = UiEvent::DragNotes(ExportPart::Input, range);
    assert_eq!(editor.events(), [heard]);
}

#[test]
fn without_notes_nothing_is_dragged() {
    let mut view = fixtures::empty();
    for state in &mut view.action_states {
        state.enabled = false;
    }
    let mut editor = EditorHarness::new(view, continuo::editor::SIZE);
    let name = "Drag the last answer";
    drag(&mut editor, name);
    editor.click(name);
    assert_eq!(editor.events(), []);
}

#[test]
fn the_file_that_is_dragged_out_does_not_come_back_in() {
    let own = PathBuf::from("/tmp/Continuo-dragged-x/Continuo last answer.mid");
    let view = View {
        dragged: Some(own.clone()),
        ..fixtures::playing()
    };
    let mut editor = EditorHarness::new(view, continuo::editor::SIZE);
    let other = PathBuf::from("/home/me/song.mid");
    let mut drop = |paths: &[&PathBuf]| {
        let files = paths.iter().map(|&path| {
            let file: egui::DroppedFileHandle = Arc::new(File(path.clone()));
            file
        });
        editor.harness.input_mut().dropped_files = files.collect();
        editor.events()
    };
    assert_eq!(drop(&[&own]), []);
    assert_eq!(drop(&[&own, &other]), [UiEvent::Drop(vec![other.clone()])]);
}
