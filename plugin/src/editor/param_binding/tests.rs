//! Tests of the binding: gestures, texts, actions, presets.

use std::cell::RefCell;

use super::*;
use crate::editor::view::{BandColumn, Group};
use crate::params::ContinuoParams;
use continuo_accompaniment::trigger::Trigger;
use continuo_score::Part;

/// Host that records gestures and sets the parameters at once.
#[derive(Default)]
struct RecordingHost(RefCell<Vec<(&'static str, ParamPtr, f32)>>);

impl GestureHost for RecordingHost {
    fn begin(&self, param: ParamPtr) {
        self.0.borrow_mut().push(("begin", param, 0.0));
    }
    fn set(&self, param: ParamPtr, value: f32) {
        // SAFETY: the test keeps the parameters.
        unsafe { param._internal_set_normalized_value(value) };
        self.0.borrow_mut().push(("set", param, value));
    }
    fn end(&self, param: ParamPtr) {
        self.0.borrow_mut().push(("end", param, 0.0));
    }
}

impl RecordingHost {
    fn take(&self) -> Vec<(&'static str, ParamPtr, f32)> {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}

fn bound() -> (Arc<ContinuoParams>, ParamBinding) {
    let params = Arc::new(ContinuoParams::default());
    (params.clone(), ParamBinding::new(params))
}

#[test]
fn every_parameter_has_a_group_and_a_help_text() {
    let (_, binding) = bound();
    for param in &binding.params {
        assert!(
            !param.layout.help.is_empty(),
            "parameter `{}` has no group and help text: give it both in editor/param_layout.rs",
            param.id
        );
        assert!(param.layout.help.len() > 10, "{}", param.id);
    }
}

/// Each cell has one control, which a screen reader reads with its part.
#[test]
fn parameters_of_the_band_have_a_cell_each_and_are_named_after_its_part() {
    let (_, binding) = bound();
    let controls = binding.controls();
    let band: Vec<_> = controls.iter().filter(|c| c.group == Group::Band).collect();
    let mut cells: Vec<_> = band.iter().map(|c| c.cell.unwrap()).collect();
    cells.sort();
    cells.dedup();
    // Drums have no range.
    let all = Part::COUNT * BandColumn::ALL.len() - 2;
    assert_eq!((cells.len(), band.len()), (all, all));
    for control in band {
        let part = control.cell.unwrap().part;
        assert!(
            control.name.to_lowercase().contains(part.name()),
            "{}",
            control.name
        );
    }
    assert!(
        controls
            .iter()
            .all(|c| c.group == Group::Band || c.cell.is_none())
    );
}

#[test]
fn every_parameter_is_set_by_a_whole_gesture() {
    let (_params, binding) = bound();
    let host = RecordingHost::default();
    for index in 0..binding.params.len() {
        for value in [0.0, 1.0, 0.37] {
            binding.apply(&UiEvent::Begin(index), &host);
            binding.apply(&UiEvent::Set(index, value), &host);
            binding.apply(&UiEvent::End(index), &host);
            let recorded = host.take();
            assert_eq!(
                recorded.iter().map(|t| t.0).collect::<Vec<_>>(),
                ["begin", "set", "end"]
            );
            let control = &binding.controls()[index];
            assert!(
                (control.value - recorded[1].2).abs() < 1e-6,
                "{}",
                control.name
            );
            assert!(
                (control.value - value).abs() <= control.step.max(0.02),
                "{}",
                control.name
            );
        }
    }
}

#[test]
fn shown_texts_can_be_typed() {
    let (_params, binding) = bound();
    let host = RecordingHost::default();
    for index in 0..binding.params.len() {
        let shown = binding.controls()[index].clone();
        binding.apply(&UiEvent::Set(index, 1.0), &host);
        host.take();
        binding.apply(&UiEvent::Type(index, shown.text.clone()), &host);
        let now = &binding.controls()[index];
        assert_eq!(now.text, shown.text, "{}", shown.name);
        assert_eq!(host.take().len(), 3);
        binding.apply(&UiEvent::Type(index, "nonsense".into()), &host);
        if !matches!(shown.kind, ControlKind::Switch) {
            assert_eq!(host.take(), [], "{}", shown.name);
        }
        host.take();
    }
}

#[test]
fn toggles_are_whole_gestures() {
    let (_params, binding) = bound();
    let host = RecordingHost::default();
    let is_toggle = |action_state: &ActionState| !matches!(action_state.action, Action::Preset(_));
    for action_state in binding.action_states().into_iter().filter(is_toggle) {
        assert!(binding.apply(&UiEvent::Action(action_state.action), &host));
        let recorded: Vec<_> = host.take().iter().map(|t| t.0).collect();
        assert_eq!(
            recorded,
            ["begin", "set", "end"],
            "{:?}",
            action_state.action
        );
        let now = binding.action_states();
        assert!(
            now.iter().any(|o| o.action == action_state.action && o.on),
            "{:?}",
            action_state.action
        );
    }
    if binding
        .action_states()
        .iter()
        .any(|action_state| action_state.action == Action::Freeze)
    {
        binding.apply(&UiEvent::Action(Action::Freeze), &host);
        assert!(
            binding
                .action_states()
                .iter()
                .all(|o| o.action != Action::Freeze || !o.on)
        );
        host.take();
    }
    assert!(!binding.apply(&UiEvent::Action(Trigger::Panic.into()), &host));
    assert_eq!(host.take(), []);
}

#[test]
fn a_preset_is_a_gesture_for_each_parameter_with_another_value() {
    let (params, binding) = bound();
    let host = RecordingHost::default();
    let all = presets::presets();
    assert_eq!(binding.presets().len(), all.len());
    for (number, preset) in all.iter().enumerate() {
        assert!(binding.apply(&UiEvent::Action(Action::Preset(number)), &host));
        let recorded = host.take();
        for gesture in recorded.chunks(3) {
            let what: Vec<_> = gesture.iter().map(|t| t.0).collect();
            assert_eq!(what, ["begin", "set", "end"], "{}", preset.name);
        }
        assert!(preset.is_set(&*params), "{}", preset.name);
        let on: Vec<_> = binding
            .action_states()
            .into_iter()
            .filter(|o| o.on)
            .collect();
        let on = |action: &Action| on.iter().any(|action_state| action_state.action == *action);
        assert!(on(&Action::Preset(number)), "{}", preset.name);
        binding.apply(&UiEvent::Action(Action::Preset(number)), &host);
        assert_eq!(host.take(), [], "nothing is set twice");
    }
}

#[test]
fn undo_steps_set_their_parameter() {
    let (params, binding) = bound();
    let host = RecordingHost::default();
    binding.undo_step(UndoStep::Vary(Variation::C), &host);
    assert_eq!(params.variation.value().0, Variation::C);
    for on in [true, false] {
        binding.undo_step(UndoStep::Freeze(on), &host);
        assert_eq!(params.freeze.value(), on);
    }
    assert_eq!(host.take().len(), 9);
    for step in [UndoStep::Clear, UndoStep::Regenerate, UndoStep::Unlearn] {
        binding.undo_step(step, &host);
    }
    assert_eq!(host.take(), []);
}
