//! The keyboard: focus, values of controls, shortcuts.

use continuo::action::Action;
use continuo::editor::UiEvent;
use continuo::editor::view::Control;
use continuo::trigger::Trigger;
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};

use crate::fixtures;
use crate::harness::{EditorHarness, gesture};

#[test]
fn keys_change_the_focused_control() {
    use egui::Key;
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let index = editor.index("Gap");
    let Control {
        default,
        step,
        fine,
        ..
    } = editor.controls()[index].clone();
    editor.harness.get_by_label("Gap").focus();
    editor.harness.run();
    let mut press = |key, shift: bool| {
        let modifiers = if shift {
            egui::Modifiers::SHIFT
        } else {
            egui::Modifiers::NONE
        };
        editor.harness.key_press_modifiers(modifiers, key);
        gesture(&editor.events(), index)
    };
    assert_eq!(press(Key::Home, false), 0.0);
    assert!((press(Key::ArrowRight, false) - step).abs() < 1e-6);
    assert!((press(Key::ArrowUp, true) - step - fine).abs() < 1e-6);
    assert_eq!(press(Key::End, false), 1.0);
    assert!((press(Key::ArrowLeft, false) - 1.0 + step).abs() < 1e-6);
    assert_eq!(press(Key::Delete, false), default);
    // Tab goes on to the next control.
    editor.harness.key_press(Key::Tab);
    editor.harness.run();
    assert!(!editor.harness.get_by_label("Gap").is_focused());
    assert_eq!(editor.events(), []);
}

/// Enabled widgets in the order of a screen reader: name, and whether it has the focus.
fn pressable(editor: &EditorHarness) -> Vec<(String, bool)> {
    let nodes = [Role::Button, Role::Slider, Role::CheckBox, Role::ComboBox]
        .into_iter()
        .flat_map(|role| editor.harness.query_all_by_role(role))
        .filter(|node| !node.accesskit_node().is_disabled());
    nodes
        .map(|node| {
            let name = node.accesskit_node().label().unwrap_or_default();
            (name, node.is_focused())
        })
        .collect()
}

#[test]
fn tab_reaches_every_widget_and_each_has_a_name() {
    for size in [continuo::editor::SIZE, continuo::editor::SMALLEST] {
        let mut editor = EditorHarness::new(fixtures::playing(), size);
        let mut there: Vec<_> = pressable(&editor)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert!(
            there.iter().all(|name| !name.trim().is_empty()),
            "{there:?}"
        );
        // Tab reaches each once, then the first again.
        let mut reached: Vec<String> = Vec::new();
        for _ in 0..there.len() + 10 {
            editor.harness.key_press(egui::Key::Tab);
            editor.harness.run();
            let mut focused = pressable(&editor)
                .into_iter()
                .filter(|(_, focused)| *focused);
            match focused.next() {
                Some((name, _)) if reached.first() == Some(&name) => break,
                found => reached.extend(found.map(|(name, _)| name)),
            }
        }
        let place = |name: &str| reached.iter().position(|reached| reached == name);
        // The order is from the top down.
        let last_action = place("Panic").max(place("Freeze"));
        assert!(
            place("Learn").or(place("Menu")) < place("Freeze"),
            "{reached:?}"
        );
        assert!(last_action < place("Gap"), "{reached:?}");
        let last = reached.last().cloned();
        reached.sort();
        there.sort();
        assert_eq!(reached, there);
        // Shift and Tab go back.
        editor
            .harness
            .key_press_modifiers(egui::Modifiers::SHIFT, egui::Key::Tab);
        editor.harness.run();
        let focused = pressable(&editor).into_iter().find(|(_, focused)| *focused);
        assert_eq!(focused.map(|(name, _)| name), last);
        assert_eq!(editor.events(), [], "Tab emits no events");
    }
}

#[test]
fn undo_and_redo_have_shortcuts() {
    use egui::{Key, Modifiers};
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let mut press = |modifiers, key| {
        editor.harness.key_press_modifiers(modifiers, key);
        editor.events()
    };
    let (one, both) = (Modifiers::COMMAND, Modifiers::COMMAND | Modifiers::SHIFT);
    assert_eq!(
        press(one, Key::Z),
        [UiEvent::Action(Action::Trigger(Trigger::Undo))]
    );
    assert_eq!(
        press(both, Key::Z),
        [UiEvent::Action(Action::Trigger(Trigger::Redo))]
    );
    assert_eq!(
        press(one, Key::Y),
        [UiEvent::Action(Action::Trigger(Trigger::Redo))]
    );
    assert_eq!(press(Modifiers::NONE, Key::Z), []);

    // They emit nothing where there is nothing to undo, and where a text field is open.
    let mut view = fixtures::playing();
    view.action_states
        .retain(|action_state| action_state.action != Action::Trigger(Trigger::Undo));
    let mut editor = EditorHarness::new(view, continuo::editor::SIZE);
    editor.harness.key_press_modifiers(one, Key::Z);
    assert_eq!(editor.events(), []);
    editor.harness.get_by_label("Gap").click_secondary();
    editor.harness.run();
    editor.harness.key_press_modifiers(both, Key::Z);
    assert_eq!(editor.events(), []);
}

#[test]
fn space_bar_is_left_to_the_host() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    editor.harness.get_by_label("Through").focus();
    editor.harness.run();
    editor.harness.key_press(egui::Key::Space);
    assert_eq!(editor.events(), []);
    editor.harness.key_press(egui::Key::Enter);
    assert_eq!(editor.events().len(), 3, "Enter presses what has the focus");
}
