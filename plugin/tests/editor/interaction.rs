//! Controls and piano roll, driven by pointer and assistive technology.

use continuo::editor::UiEvent;
use continuo::editor::view::{ControlKind, Group};
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};

use crate::fixtures;
use crate::harness::{EditorHarness, gesture};

#[test]
fn every_control_emits_a_whole_gesture() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let shown = editor.controls();
    let drawn = shown
        .iter()
        .enumerate()
        .filter(|(_, c)| Group::COLUMNS.contains(&c.group));
    let mut pressed = 0;
    for (index, control) in drawn {
        match &control.kind {
            ControlKind::Number => {
                let node = editor
                    .harness
                    .get_by_role_and_label(Role::Slider, &control.name);
                let value = if control.value > 0.5 { 0.25 } else { 0.75 };
                node.set_value_accesskit(value);
                assert_eq!(
                    gesture(&editor.events(), index),
                    value as f32,
                    "{}",
                    control.name
                );
                let before = editor.controls()[index].value;
                let node = editor
                    .harness
                    .get_by_role_and_label(Role::Slider, &control.name);
                node.increment_accesskit();
                let after = gesture(&editor.events(), index);
                assert!(
                    (after - before - control.step).abs() < 1e-6,
                    "{}",
                    control.name
                );
            }
            ControlKind::Switch => {
                editor
                    .harness
                    .get_by_role_and_label(Role::CheckBox, &control.name)
                    .click();
                let flipped = gesture(&editor.events(), index);
                assert_eq!(flipped, 1.0 - control.value, "{}", control.name);
            }
            ControlKind::Choice(names) => {
                for (number, name) in names.iter().enumerate() {
                    editor
                        .harness
                        .get_by_role_and_label(Role::ComboBox, &control.name)
                        .click();
                    editor.harness.run();
                    let choices = editor.harness.get_all_by_label(name);
                    choices.last().expect("a choice in the menu").click();
                    let chosen = gesture(&editor.events(), index) * (names.len() - 1) as f32;
                    assert!(
                        (chosen - number as f32).abs() < 1e-4,
                        "{}: {name}",
                        control.name
                    );
                }
            }
        }
        pressed += 1;
    }
    // The others are the mode, and five parameters drawn as actions.
    assert_eq!(pressed, shown.len() - 6);
}

/// The roll is as high as if the band had no controls, and no two of its controls overlap.
#[test]
fn the_band_is_a_table_that_leaves_the_roll_its_height() {
    let roll = |view| {
        let editor = EditorHarness::new(view, continuo::editor::SIZE);
        let roll = editor.harness.get_by_label_contains("Piano roll").rect();
        roll.height()
    };
    let mut without = fixtures::playing();
    without.controls.retain(|c| c.group != Group::Band);
    assert_eq!(roll(fixtures::playing()), roll(without));

    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let band: Vec<_> = editor.controls();
    let band = band.iter().filter(|c| c.group == Group::Band);
    let rects: Vec<_> = band
        .map(|c| (c.name.clone(), editor.harness.get_by_label(&c.name).rect()))
        .collect();
    for (index, (name, rect)) in rects.iter().enumerate() {
        let (width, height) = continuo::editor::SIZE;
        let window = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(width, height));
        assert!(
            window.contains_rect(*rect) && rect.width() > 30.0,
            "{name}: {rect}"
        );
        for (other, taken) in &rects[index + 1..] {
            assert!(!rect.intersects(*taken), "{name} and {other}");
        }
    }
    let row = |name: &str| rects.iter().find(|r| r.0 == name).unwrap().1.top();
    assert_eq!(row("Play Bass"), row("Bass Most Notes"));
    assert!(row("Bass Channel") < row("Drums Channel"));

    let index = editor.index("Bass Lowest Note");
    editor.harness.get_by_label("Bass Lowest Note").click();
    editor.harness.run();
    for text in ["E", "1"] {
        editor.harness.event(egui::Event::Text(text.into()));
        editor.harness.run();
    }
    editor.harness.key_press(egui::Key::Enter);
    assert_eq!(editor.events(), [UiEvent::Type(index, "E1".into())]);
}

#[test]
fn a_drag_is_one_gesture() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let index = editor.index("Gap");
    let start = editor.controls()[index].value;
    let center = editor.harness.get_by_label("Gap").rect().center();
    editor.harness.drag_at(center);
    for way in [20.0, 60.0, 40.0, 5000.0] {
        editor.harness.hover_at(center + egui::vec2(way, 0.0));
        editor.harness.run();
    }
    editor.harness.drop_at(center + egui::vec2(5000.0, 0.0));
    let ui_events = editor.events();
    assert_eq!(gesture(&ui_events, index), 1.0);
    assert!(ui_events.len() >= 5, "{ui_events:?}");
    assert!(matches!(ui_events[1], UiEvent::Set(_, value) if value > start && value < 1.0));
}

#[test]
fn a_double_click_resets_the_value() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let index = editor.index("Gap");
    for _ in 0..2 {
        editor.harness.get_by_label("Gap").click();
    }
    let default = editor.controls()[index].default;
    assert_eq!(gesture(&editor.events(), index), default);
}

#[test]
fn typed_values_are_emitted_and_escape_discards_them() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let index = editor.index("Gap");
    editor.harness.get_by_label("Gap").click();
    editor.harness.run();
    for text in ["3", ".", "5"] {
        editor.harness.event(egui::Event::Text(text.into()));
        editor.harness.run();
    }
    editor.harness.key_press(egui::Key::Enter);
    assert_eq!(editor.events(), [UiEvent::Type(index, "3.5".into())]);

    editor.harness.get_by_label("Gap").click_secondary();
    editor.harness.run();
    editor.harness.event(egui::Event::Text("7".into()));
    editor.harness.key_press(egui::Key::Escape);
    assert_eq!(editor.events(), [], "Escape discards the text");
}

#[test]
fn piano_roll_zooms_scrolls_and_follows() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    assert!(editor.harness.query_by_label("Follow").is_none());
    let roll = editor.harness.get_by_label_contains("Piano roll").rect();
    editor.harness.drag_at(roll.center());
    editor
        .harness
        .hover_at(roll.center() + egui::vec2(120.0, 0.0));
    editor.harness.run();
    editor
        .harness
        .drop_at(roll.center() + egui::vec2(120.0, 0.0));
    editor.harness.run();
    editor.click("Follow");
    assert!(editor.harness.query_by_label("Follow").is_none());
    for name in ["Zoom in", "Zoom out"] {
        editor.click(name);
    }
    assert_eq!(editor.events(), [], "the roll emits no events");
}

/// Bars of three beats; the playhead is in the tenth, and the answer began in the eighth.
#[test]
fn bars_are_selected_in_the_ruler_and_regenerated() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let label = |editor: &EditorHarness| {
        let ruler = editor.harness.get_by_label_contains("Bar selection");
        ruler.accesskit_node().label().unwrap_or_default()
    };
    let ruler = editor.harness.get_by_label_contains("Bar selection").rect();
    let x = |beat: f32| ruler.left() + 0.64 * (ruler.width() + 100.0) + (beat - 28.25) * 30.0;
    let at = |beat: f32| egui::pos2(x(beat), ruler.center().y);
    assert_eq!(label(&editor), "Bar selection: none");
    editor.harness.drag_at(at(19.0));
    editor.harness.hover_at(at(23.0));
    editor.harness.run();
    editor.harness.hover_at(at(25.0));
    editor.harness.run();
    editor.harness.drop_at(at(25.0));
    editor.harness.run();
    assert_eq!(label(&editor), "Bar selection: bars 7 to 9");
    assert!(
        editor.harness.query_by_label("Follow").is_none(),
        "the roll stays"
    );
    editor
        .harness
        .get_by_label("Regenerate bars 7 to 9")
        .click();
    assert_eq!(editor.events(), [UiEvent::RegenerateBars(18.0, 27.0)]);

    // The keyboard: by a bar, and longer or shorter.
    let press = |editor: &mut EditorHarness, key, shift: bool| {
        editor
            .harness
            .get_by_label_contains("Bar selection")
            .focus();
        editor.harness.run();
        let modifiers = match shift {
            true => egui::Modifiers::SHIFT,
            false => egui::Modifiers::NONE,
        };
        editor.harness.key_press_modifiers(modifiers, key);
        editor.harness.run();
        label(editor)
    };
    use egui::Key;
    assert_eq!(
        press(&mut editor, Key::ArrowRight, false),
        "Bar selection: bars 8 to 10"
    );
    assert_eq!(
        press(&mut editor, Key::ArrowLeft, true),
        "Bar selection: bars 8 to 9"
    );
    assert_eq!(
        press(&mut editor, Key::ArrowLeft, false),
        "Bar selection: bars 7 to 8"
    );
    assert_eq!(
        press(&mut editor, Key::ArrowRight, true),
        "Bar selection: bars 7 to 9"
    );
    assert_eq!(
        press(&mut editor, Key::Escape, false),
        "Bar selection: none"
    );
    // A click, as a screen reader sends it: the bar before the playhead.
    editor
        .harness
        .get_by_label_contains("Bar selection")
        .click_accesskit();
    editor.harness.run();
    assert_eq!(label(&editor), "Bar selection: bar 9");
    assert!(editor.harness.query_by_label("Regenerate bar 9").is_some());
    assert_eq!(editor.events(), []);
}

#[test]
fn bars_that_are_still_played_cannot_be_regenerated() {
    let mut editor = EditorHarness::new(fixtures::playing(), continuo::editor::SIZE);
    let ruler = editor.harness.get_by_label_contains("Bar selection").rect();
    let x = ruler.left() + 0.64 * (ruler.width() + 100.0);
    editor
        .harness
        .hover_at(egui::pos2(x + 10.0, ruler.center().y));
    editor
        .harness
        .drag_at(egui::pos2(x + 10.0, ruler.center().y));
    editor
        .harness
        .drop_at(egui::pos2(x + 10.0, ruler.center().y));
    editor.harness.run();
    let button = editor.harness.get_by_label("Regenerate bar 10");
    assert!(button.accesskit_node().is_disabled());
}
