//! Modes, actions, menus and dropped files.

use std::sync::Arc;

use continuo::action::Action;
use continuo::editor::UiEvent;
use continuo::editor::view::{ControlKind, View};
use continuo_accompaniment::choices::Variation;
use continuo_accompaniment::midi_export::ExportPart;
use continuo_accompaniment::trigger::Trigger;
use egui::accesskit::Role;
use egui_kittest::kittest::Queryable;

use crate::fixtures;
use crate::harness::{EditorHarness, gesture};

#[test]
fn every_mode_is_chosen_with_one_press() {
    for size in [continuo::editor::SIZE, continuo::editor::SMALLEST] {
        let mut editor = EditorHarness::new(fixtures::playing(), size);
        let index = editor.index("Mode");
        let ControlKind::Choice(names) = editor.controls()[index].kind.clone() else {
            panic!("the modes are a choice");
        };
        for (number, name) in names.iter().enumerate() {
            let wide = editor
                .harness
                .query_by_label(&format!("Mode: {name}"))
                .map(|node| node.click());
            if wide.is_none() {
                editor
                    .harness
                    .get_by_role_and_label(Role::ComboBox, "Mode")
                    .click();
                editor.harness.run();
                editor
                    .harness
                    .get_all_by_label(name)
                    .last()
                    .unwrap()
                    .click();
            }
            let chosen = gesture(&editor.events(), index) * (names.len() - 1) as f32;
            assert!((chosen - number as f32).abs() < 1e-4, "{name}");
        }
    }
}

#[test]
fn every_action_emits_its_event() {
    for size in [continuo::editor::SIZE, continuo::editor::SMALLEST] {
        let mut editor = EditorHarness::new(fixtures::playing(), size);
        let direct = [
            ("Panic", Action::Trigger(Trigger::Panic)),
            ("Freeze", Action::Freeze),
            ("Clear memory", Action::Trigger(Trigger::Clear)),
            ("Undo", Action::Trigger(Trigger::Undo)),
            ("Redo", Action::Trigger(Trigger::Redo)),
            ("Variation A", Action::Vary(Variation::A)),
            ("Variation B", Action::Vary(Variation::B)),
            ("Variation C", Action::Vary(Variation::C)),
            ("Variation D", Action::Vary(Variation::D)),
        ];
        let save = Action::SaveMidi;
        let menus: [(&[&str], Action); 10] = [
            (
                &["Save MIDI", "What it heard", "All of it…"],
                save(ExportPart::Input, None),
            ),
            (
                &["Save MIDI", "What it played", "All of it…"],
                save(ExportPart::Generated, None),
            ),
            (
                &["Save MIDI", "Both, as two tracks", "All of it…"],
                save(ExportPart::Both, None),
            ),
            (
                &["Save MIDI", "What it heard", "The last 8 bars…"],
                save(ExportPart::Input, Some(8)),
            ),
            (
                &["Save MIDI", "What it played", "Notation (MusicXML)…"],
                Action::SaveMusicXml(ExportPart::Generated),
            ),
            (&["Model", "Load a model…"], Action::LoadModel),
            (&["Model", "The default model"], Action::DefaultModel),
            (&["Learn", "MIDI or audio files…"], Action::LearnFiles),
            (&["Learn", "A folder of them…"], Action::LearnFolder),
            (&["Learn", "Forget what was learned"], Action::Unlearn),
        ];
        let presets = fixtures::playing().presets;
        let pressed = direct.len() + menus.len() + presets.len();
        for (name, action) in direct {
            editor.click(name);
            assert_eq!(editor.events(), [UiEvent::Action(action)], "{name}");
        }
        let names = presets.iter().map(|preset| preset.name.as_str());
        let presets = names.enumerate();
        let presets = presets.map(|(n, name)| (vec!["Presets", name], Action::Preset(n)));
        let menus = menus
            .into_iter()
            .map(|(path, action)| (path.to_vec(), action));
        for (path, action) in menus.chain(presets) {
            if editor.harness.query_by_label("Menu").is_some() {
                editor.click("Menu");
            }
            for name in &path {
                // Of a menu longer than the window, some is below its edge.
                editor.harness.get_by_label(name).click_accesskit();
                editor.harness.run();
            }
            assert_eq!(editor.events(), [UiEvent::Action(action)], "{path:?}");
        }
        // A disabled action is drawn and emits nothing.
        editor.click("Regenerate bar");
        assert_eq!(editor.events(), []);
        // Saving the last bars has no state of its own; Regenerate was pressed, too, and is disabled. Of
        // the three notations, one was pressed.
        assert_eq!(fixtures::action_states().len(), pressed + 2);
    }
}

#[test]
fn actions_without_a_state_are_not_drawn() {
    let view = View {
        action_states: Vec::new(),
        ..fixtures::playing()
    };
    let editor = EditorHarness::new(view, continuo::editor::SIZE);
    for name in ["Panic", "Freeze", "Variation A", "Save MIDI", "Model"] {
        assert!(editor.harness.query_by_label(name).is_none(), "{name}");
    }
}

#[derive(Debug)]
pub(crate) struct File(pub(crate) std::path::PathBuf);

impl egui::DroppedFile for File {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("its bytes are not read".into())
    }
}

#[test]
fn dropped_files_are_emitted_once() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SMALLEST);
    let paths = ["one.mid", "two.mid"].map(std::path::PathBuf::from);
    let files = paths.iter().map(|path| {
        let file: egui::DroppedFileHandle = Arc::new(File(path.clone()));
        file
    });
    editor.harness.input_mut().dropped_files = files.collect();
    assert_eq!(editor.events(), [UiEvent::Drop(paths.to_vec())]);
    assert_eq!(editor.events(), []);
}
