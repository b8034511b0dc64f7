//! Everything that can be pressed, by the name a screen reader would say.

use std::sync::{Arc, Mutex};

use continuo::editor::view::{Action, Control, Group, ControlKind, ExportPart, View};
use continuo::editor::{UiEvent, UiState, draw, theme};
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use crate::fixtures;

/// An editor whose controls do what hands do to them, as a plugin's would.
struct Bench {
    harness: Harness<'static>,
    view: Arc<Mutex<View>>,
    ui_events: Arc<Mutex<Vec<UiEvent>>>,
}

impl Bench {
    fn new(view: View, size: (f32, f32)) -> Self {
        let view = Arc::new(Mutex::new(view));
        let ui_events = Arc::new(Mutex::new(Vec::new()));
        let (shown, done) = (view.clone(), ui_events.clone());
        let mut ui_state = UiState::default();
        let mut harness = Harness::builder()
            .with_size(size)
            .with_max_steps(60)
            .with_step_dt(1.0 / 60.0)
            .with_context_setup(theme::apply)
            .build_ui(move |ui| {
                let mut view = shown.lock().unwrap();
                let mut new = Vec::new();
                draw(ui, &view, &mut ui_state, &mut new);
                for ui_event in &new {
                    if let UiEvent::Set(index, value) = ui_event {
                        view.controls[*index].value = *value;
                    }
                }
                done.lock().unwrap().extend(new);
            });
        harness.run();
        Self {
            harness,
            view,
            ui_events,
        }
    }

    fn done(&mut self) -> Vec<UiEvent> {
        self.harness.run();
        std::mem::take(&mut *self.ui_events.lock().unwrap())
    }

    fn controls(&self) -> Vec<Control> {
        self.view.lock().unwrap().controls.clone()
    }

    /// The number of the control of this name.
    fn index(&self, name: &str) -> usize {
        let controls = self.controls();
        let found = controls.iter().position(|c| c.name == name);
        found.unwrap_or_else(|| panic!("no control {name:?}"))
    }

    /// Clicks what has this name; in a menu too, once it is open.
    fn click(&mut self, name: &str) {
        self.harness.get_by_label(name).click();
        self.harness.run();
    }
}

/// A gesture as the host records it: it begins, moves and ends, and is one control's. Gives
/// where it went.
fn gesture(ui_events: &[UiEvent], control: usize) -> f32 {
    let [UiEvent::Begin(first), middle @ .., UiEvent::End(last)] = ui_events else {
        panic!("not a gesture: {doings:?}");
    };
    assert_eq!((*first, *last), (control, control));
    let values: Vec<_> = middle
        .iter()
        .map(|ui_event| match ui_event {
            UiEvent::Set(index, value) if *index == control => *value,
            other => panic!("{other:?} inside a gesture of {control}"),
        })
        .collect();
    assert!(values.iter().all(|v| (0.0..=1.0).contains(v)), "{values:?}");
    *values.last().expect("a gesture that moves nothing")
}

#[test]
fn every_control_moves_its_parameter() {
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SIZE);
    let shown = bench.controls();
    let drawn = shown
        .iter()
        .enumerate()
        .filter(|(_, c)| Group::COLUMNS.contains(&c.group));
    let mut pressed = 0;
    for (index, control) in drawn {
        match &control.kind {
            ControlKind::Number => {
                let node = bench
                    .harness
                    .get_by_role_and_label(Role::Slider, &control.name);
                let value = if control.value > 0.5 { 0.25 } else { 0.75 };
                node.set_value_accesskit(value);
                assert_eq!(
                    gesture(&bench.done(), index),
                    value as f32,
                    "{}",
                    control.name
                );
                let before = bench.controls()[index].value;
                let node = bench
                    .harness
                    .get_by_role_and_label(Role::Slider, &control.name);
                node.increment_accesskit();
                let after = gesture(&bench.done(), index);
                assert!(
                    (after - before - control.step).abs() < 1e-6,
                    "{}",
                    control.name
                );
            }
            ControlKind::Switch => {
                bench
                    .harness
                    .get_by_role_and_label(Role::CheckBox, &control.name)
                    .click();
                let flipped = gesture(&bench.done(), index);
                assert_eq!(flipped, 1.0 - control.value, "{}", control.name);
            }
            ControlKind::Choice(names) => {
                for (number, name) in names.iter().enumerate() {
                    bench
                        .harness
                        .get_by_role_and_label(Role::ComboBox, &control.name)
                        .click();
                    bench.harness.run();
                    let choices = bench.harness.get_all_by_label(name);
                    choices.last().expect("a choice in the menu").click();
                    let chosen = gesture(&bench.done(), index) * (names.len() - 1) as f32;
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
    // The rest are the mode, and five acts.
    assert_eq!(pressed, shown.len() - 6);
}

#[test]
fn every_mode_is_one_press_away() {
    for size in [continuo::editor::SIZE, continuo::editor::SMALLEST] {
        let mut bench = Bench::new(fixtures::playing(), size);
        let index = bench.index("Mode");
        let ControlKind::Choice(names) = bench.controls()[index].kind.clone() else {
            panic!("the modes are a choice");
        };
        for (number, name) in names.iter().enumerate() {
            let wide = bench
                .harness
                .query_by_label(&format!("Mode: {name}"))
                .map(|node| node.click());
            if wide.is_none() {
                bench
                    .harness
                    .get_by_role_and_label(Role::ComboBox, "Mode")
                    .click();
                bench.harness.run();
                bench.harness.get_all_by_label(name).last().unwrap().click();
            }
            let chosen = gesture(&bench.done(), index) * (names.len() - 1) as f32;
            assert!((chosen - number as f32).abs() < 1e-4, "{name}");
        }
    }
}

#[test]
fn every_act_sends_its_command() {
    for size in [continuo::editor::SIZE, continuo::editor::SMALLEST] {
        let mut bench = Bench::new(fixtures::playing(), size);
        let direct = [
            ("Panic", Action::Panic),
            ("Freeze", Action::Freeze),
            ("Clear memory", Action::Clear),
            ("Undo", Action::Undo),
            ("Redo", Action::Redo),
            ("Variation A", Action::Vary(0)),
            ("Variation B", Action::Vary(1)),
            ("Variation C", Action::Vary(2)),
            ("Variation D", Action::Vary(3)),
        ];
        let save = Action::Save;
        let menus: [(&[&str], Action); 9] = [
            (
                &["Save MIDI", "What it heard", "All of it…"],
                save(ExportPart::Heard, None),
            ),
            (
                &["Save MIDI", "What it played", "All of it…"],
                save(ExportPart::Played, None),
            ),
            (
                &["Save MIDI", "Both, as two tracks", "All of it…"],
                save(ExportPart::Both, None),
            ),
            (
                &["Save MIDI", "What it heard", "The last 8 bars…"],
                save(ExportPart::Heard, Some(8)),
            ),
            (&["Model", "Load a model…"], Action::LoadModel),
            (&["Model", "The default model"], Action::DefaultModel),
            (&["Learn", "MIDI files…"], Action::LearnFiles),
            (&["Learn", "A folder of them…"], Action::LearnFolder),
            (&["Learn", "Forget what was learned"], Action::Unlearn),
        ];
        let presets = fixtures::playing().presets;
        let pressed = direct.len() + menus.len() + presets.len();
        for (name, action) in direct {
            bench.click(name);
            assert_eq!(bench.done(), [UiEvent::Action(action)], "{name}");
        }
        let names = presets.iter().map(|preset| preset.name.as_str());
        let presets = names.enumerate();
        let presets = presets.map(|(n, name)| (vec!["Presets", name], Action::Preset(n)));
        let menus = menus.into_iter().map(|(path, action)| (path.to_vec(), action));
        for (path, action) in menus.chain(presets) {
            if bench.harness.query_by_label("Menu").is_some() {
                bench.click("Menu");
            }
            for name in &path {
                // Of a menu longer than the window, some is below its edge.
                bench.harness.get_by_label(name).click_accesskit();
                bench.harness.run();
            }
            assert_eq!(bench.done(), [UiEvent::Action(action)], "{path:?}");
        }
        // What would have no effect now is there, and does nothing.
        bench.click("Regenerate bar");
        assert_eq!(bench.done(), []);
        // Saving the last bars needs no offer of its own, and Regenerate was pressed in vain.
        assert_eq!(fixtures::action_states().len(), pressed);
    }
}

#[test]
fn what_is_not_offered_is_not_there() {
    let view = View {
        action_states: Vec::new(),
        ..fixtures::playing()
    };
    let bench = Bench::new(view, continuo::editor::SIZE);
    for name in ["Panic", "Freeze", "Variation A", "Save MIDI", "Model"] {
        assert!(bench.harness.query_by_label(name).is_none(), "{name}");
    }
}

#[test]
fn a_drag_is_one_gesture() {
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SIZE);
    let index = bench.index("Gap");
    let start = bench.controls()[index].value;
    let center = bench.harness.get_by_label("Gap").rect().center();
    bench.harness.drag_at(center);
    for way in [20.0, 60.0, 40.0, 5000.0] {
        bench.harness.hover_at(center + egui::vec2(way, 0.0));
        bench.harness.run();
    }
    bench.harness.drop_at(center + egui::vec2(5000.0, 0.0));
    let ui_events = bench.done();
    assert_eq!(gesture(&ui_events, index), 1.0);
    assert!(ui_events.len() >= 5, "{doings:?}");
    assert!(matches!(ui_events[1], UiEvent::Set(_, value) if value > start && value < 1.0));
}

#[test]
fn a_double_click_resets() {
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SIZE);
    let index = bench.index("Gap");
    for _ in 0..2 {
        bench.harness.get_by_label("Gap").click();
    }
    let default = bench.controls()[index].default;
    assert_eq!(gesture(&bench.done(), index), default);
}

#[test]
fn values_are_typed() {
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SIZE);
    let index = bench.index("Gap");
    bench.harness.get_by_label("Gap").click();
    bench.harness.run();
    for text in ["3", ".", "5"] {
        bench.harness.event(egui::Event::Text(text.into()));
        bench.harness.run();
    }
    bench.harness.key_press(egui::Key::Enter);
    assert_eq!(bench.done(), [UiEvent::Type(index, "3.5".into())]);

    bench.harness.get_by_label("Gap").click_secondary();
    bench.harness.run();
    bench.harness.event(egui::Event::Text("7".into()));
    bench.harness.key_press(egui::Key::Escape);
    assert_eq!(bench.done(), [], "Escape leaves it as it was");
}

#[test]
fn keys_move_the_control_that_has_the_focus() {
    use egui::Key;
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SIZE);
    let index = bench.index("Gap");
    let Control {
        default,
        step,
        fine,
        ..
    } = bench.controls()[index].clone();
    bench.harness.get_by_label("Gap").focus();
    bench.harness.run();
    let mut press = |key, shift: bool| {
        let modifiers = if shift {
            egui::Modifiers::SHIFT
        } else {
            egui::Modifiers::NONE
        };
        bench.harness.key_press_modifiers(modifiers, key);
        gesture(&bench.done(), index)
    };
    assert_eq!(press(Key::Home, false), 0.0);
    assert!((press(Key::ArrowRight, false) - step).abs() < 1e-6);
    assert!((press(Key::ArrowUp, true) - step - fine).abs() < 1e-6);
    assert_eq!(press(Key::End, false), 1.0);
    assert!((press(Key::ArrowLeft, false) - 1.0 + step).abs() < 1e-6);
    assert_eq!(press(Key::Delete, false), default);
    // Tab goes on to the next control.
    bench.harness.key_press(Key::Tab);
    bench.harness.run();
    assert!(!bench.harness.get_by_label("Gap").is_focused());
    assert_eq!(bench.done(), []);
}

#[test]
fn the_roll_zooms_scrolls_and_follows() {
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SIZE);
    assert!(bench.harness.query_by_label("Follow").is_none());
    let roll = bench.harness.get_by_label_contains("Piano roll").rect();
    bench.harness.drag_at(roll.center());
    bench
        .harness
        .hover_at(roll.center() + egui::vec2(120.0, 0.0));
    bench.harness.run();
    bench
        .harness
        .drop_at(roll.center() + egui::vec2(120.0, 0.0));
    bench.harness.run();
    bench.click("Follow");
    assert!(bench.harness.query_by_label("Follow").is_none());
    for name in ["Zoom in", "Zoom out"] {
        bench.click(name);
    }
    assert_eq!(bench.done(), [], "the roll is nobody else's business");
}

/// What can be pressed or moved, by name and in the order a screen reader goes, and whether it
/// has the focus.
fn pressable(bench: &Bench) -> Vec<(String, bool)> {
    let nodes = [Role::Button, Role::Slider, Role::CheckBox, Role::ComboBox]
        .into_iter()
        .flat_map(|role| bench.harness.query_all_by_role(role))
        .filter(|node| !node.accesskit_node().is_disabled());
    nodes
        .map(|node| {
            let name = node.accesskit_node().label().unwrap_or_default();
            (name, node.is_focused())
        })
        .collect()
}

#[test]
fn everything_has_a_name_and_the_keyboard_reaches_it() {
    for size in [continuo::editor::SIZE, continuo::editor::SMALLEST] {
        let mut bench = Bench::new(fixtures::playing(), size);
        let mut there: Vec<_> = pressable(&bench)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert!(
            there.iter().all(|name| !name.trim().is_empty()),
            "{there:?}"
        );
        // Each once, and round again; the roll, which can be scrolled, is reached too.
        let mut reached: Vec<String> = Vec::new();
        for _ in 0..there.len() + 10 {
            bench.harness.key_press(egui::Key::Tab);
            bench.harness.run();
            let mut focused = pressable(&bench)
                .into_iter()
                .filter(|(_, focused)| *focused);
            match focused.next() {
                Some((name, _)) if reached.first() == Some(&name) => break,
                found => reached.extend(found.map(|(name, _)| name)),
            }
        }
        let place = |name: &str| reached.iter().position(|reached| reached == name);
        // From the top down.
        let last_act = place("Panic").max(place("Freeze"));
        assert!(
            place("Learn").or(place("Menu")) < place("Freeze"),
            "{reached:?}"
        );
        assert!(last_act < place("Gap"), "{reached:?}");
        let last = reached.last().cloned();
        reached.sort();
        there.sort();
        assert_eq!(reached, there);
        // And back.
        bench
            .harness
            .key_press_modifiers(egui::Modifiers::SHIFT, egui::Key::Tab);
        bench.harness.run();
        let focused = pressable(&bench).into_iter().find(|(_, focused)| *focused);
        assert_eq!(focused.map(|(name, _)| name), last);
        assert_eq!(bench.done(), [], "Tab does nothing else");
    }
}

#[test]
fn undo_and_redo_are_keys_too() {
    use egui::{Key, Modifiers};
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SIZE);
    let mut press = |modifiers, key| {
        bench.harness.key_press_modifiers(modifiers, key);
        bench.done()
    };
    let (one, both) = (Modifiers::COMMAND, Modifiers::COMMAND | Modifiers::SHIFT);
    assert_eq!(press(one, Key::Z), [UiEvent::Action(Action::Undo)]);
    assert_eq!(press(both, Key::Z), [UiEvent::Action(Action::Redo)]);
    assert_eq!(press(one, Key::Y), [UiEvent::Action(Action::Redo)]);
    assert_eq!(press(Modifiers::NONE, Key::Z), []);

    // Where there is nothing to take back, and where a value is being typed.
    let mut view = fixtures::playing();
    view.action_states.retain(|action_state| action_state.action != Action::Undo);
    let mut bench = Bench::new(view, continuo::editor::SIZE);
    bench.harness.key_press_modifiers(one, Key::Z);
    assert_eq!(bench.done(), []);
    bench.harness.get_by_label("Gap").click_secondary();
    bench.harness.run();
    bench.harness.key_press_modifiers(both, Key::Z);
    assert_eq!(bench.done(), []);
}

#[derive(Debug)]
struct File(std::path::PathBuf);

impl egui::DroppedFile for File {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("nobody reads it".into())
    }
}

#[test]
fn files_may_be_dropped_anywhere() {
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SMALLEST);
    let paths = ["one.mid", "two.mid"].map(std::path::PathBuf::from);
    let files = paths.iter().map(|path| {
        let file: egui::DroppedFileHandle = Arc::new(File(path.clone()));
        file
    });
    bench.harness.input_mut().dropped_files = files.collect();
    assert_eq!(bench.done(), [UiEvent::Drop(paths.to_vec())]);
    assert_eq!(bench.done(), []);
}

#[test]
fn the_space_bar_is_the_hosts() {
    let mut bench = Bench::new(fixtures::playing(), continuo::editor::SIZE);
    bench.harness.get_by_label("Through").focus();
    bench.harness.run();
    bench.harness.key_press(egui::Key::Space);
    assert_eq!(bench.done(), []);
    bench.harness.key_press(egui::Key::Enter);
    assert_eq!(bench.done().len(), 3, "Enter presses what has the focus");
}
