//! An editor in egui's test harness, driven by AccessKit labels.

use std::sync::{Arc, Mutex};

use continuo::editor::view::{Control, View};
use continuo::editor::{UiEvent, UiState, draw, theme};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

/// An editor whose controls take over the values of its events, as a plugin's do.
pub(crate) struct EditorHarness {
    pub(crate) harness: Harness<'static>,
    view: Arc<Mutex<View>>,
    ui_events: Arc<Mutex<Vec<UiEvent>>>,
}

impl EditorHarness {
    pub(crate) fn new(view: View, size: (f32, f32)) -> Self {
        let view = Arc::new(Mutex::new(view));
        let ui_events = Arc::new(Mutex::new(Vec::new()));
        let (shown, emitted) = (view.clone(), ui_events.clone());
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
                emitted.lock().unwrap().extend(new);
            });
        harness.run();
        Self {
            harness,
            view,
            ui_events,
        }
    }

    /// The events since the last call.
    pub(crate) fn events(&mut self) -> Vec<UiEvent> {
        self.harness.run();
        std::mem::take(&mut *self.ui_events.lock().unwrap())
    }

    pub(crate) fn controls(&self) -> Vec<Control> {
        self.view.lock().unwrap().controls.clone()
    }

    /// Index of the control with this name.
    pub(crate) fn index(&self, name: &str) -> usize {
        let controls = self.controls();
        let found = controls.iter().position(|c| c.name == name);
        found.unwrap_or_else(|| panic!("no control {name:?}"))
    }

    /// Clicks the widget with this accessible name, also in an open menu.
    pub(crate) fn click(&mut self, name: &str) {
        self.harness.get_by_label(name).click();
        self.harness.run();
    }
}

/// Asserts that the events are one gesture on one control, and gives its last value.
pub(crate) fn gesture(ui_events: &[UiEvent], control: usize) -> f32 {
    let [UiEvent::Begin(first), middle @ .., UiEvent::End(last)] = ui_events else {
        panic!("not a gesture: {ui_events:?}");
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
    *values.last().expect("a gesture sets a value")
}
