//! The plugin's parameters as [`Control`]s, and what hands do to them as gestures the host can
//! record. Used on the window's thread.

use std::sync::Arc;

use nice_plug::context::gui::GuiContext;
use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::Params;

use super::param_layout::{self, Place};
use super::view::{Action, Control, UiEvent, ControlKind, ActionState, Preset};
use crate::snapshot::Step;
use crate::presets;

/// Receives gestures: the host, or a test.
pub trait Host {
    /// A hand takes hold of a parameter.
    fn begin(&self, param: ParamPtr);
    /// It moves it, 0 to 1.
    fn set(&self, param: ParamPtr, normalized: f32);
    /// It lets go.
    fn end(&self, param: ParamPtr);
}

impl Host for GuiContext {
    fn begin(&self, param: ParamPtr) {
        // SAFETY: the pointer is one of the plugin's own parameters; the context looks it up.
        unsafe { self.raw_begin_set_parameter(param) }
    }

    fn set(&self, param: ParamPtr, normalized: f32) {
        // SAFETY: as above.
        unsafe { self.raw_set_parameter_normalized(param, normalized) }
    }

    fn end(&self, param: ParamPtr) {
        // SAFETY: as above.
        unsafe { self.raw_end_set_parameter(param) }
    }
}

struct BoundParam {
    id: String,
    ptr: ParamPtr,
    place: &'static Place,
}

/// All parameters.
pub struct ParamBinding {
    /// Keeps what the pointers point to.
    _params: Arc<dyn Params>,
    param_binding: Vec<BoundParam>,
    presets: Vec<Preset>,
    /// What each preset sets.
    settings: Vec<Vec<(ParamPtr, f32)>>,
}

// What follows reads parameters through the pointers of `param_binding`.
//
// SAFETY of all of it: they point into the `Arc` kept beside them, which is never given away,
// and parameters are read and written through atomics.
impl ParamBinding {
    /// The parameters of an instance.
    pub fn new(params: Arc<dyn Params>) -> Self {
        let param = |(id, ptr, _): (String, ParamPtr, String)| BoundParam {
            place: param_layout::find(&id),
            id,
            ptr,
        };
        let presets = presets::presets();
        let settings = presets.iter().map(|p| p.settings(&*params)).collect();
        let shown = |preset: presets::Preset| Preset {
            name: preset.name,
            about: preset.about,
        };
        Self {
            param_binding: params.param_map().into_iter().map(param).collect(),
            presets: presets.into_iter().map(shown).collect(),
            settings,
            _params: params,
        }
    }

    /// The presets, by number.
    pub fn presets(&self) -> &[Preset] {
        &self.presets
    }

    /// As they stand now.
    pub fn controls(&self) -> Vec<Control> {
        self.param_binding.iter().map(BoundParam::control).collect()
    }

    /// The acts that are parameters: those that last, and presets, which are on while everything
    /// stands as they set it.
    pub fn action_states(&self) -> Vec<ActionState> {
        let actions = (0..4).map(Action::Vary).chain([Action::Freeze]);
        let lasting = actions.filter_map(|action| {
            let (param, value) = self.lasting(&action)?;
            Some((action, (param.value() - value).abs() < 0.1))
        });
        let presets = self
            .settings
            .iter()
            .enumerate()
            .map(|(number, settings)| (Action::Preset(number), settings.iter().all(stands)));
        let action_state = |(action, on)| ActionState {
            action,
            on,
            enabled: true,
        };
        lasting.chain(presets).map(action_state).collect()
    }

    /// The parameter of an act that lasts, and its value while it is in force.
    fn lasting(&self, action: &Action) -> Option<(&BoundParam, f32)> {
        let (id, value) = match action {
            Action::Vary(number) => ("variation", f32::from(*number) / 3.0),
            Action::Freeze => ("freeze", 1.0),
            _ => return None,
        };
        let param = self.param_binding.iter().find(|param| param.id == id)?;
        Some((param, value))
    }

    /// Passes a doing on to the host; `false` if it is not about a parameter.
    pub fn apply(&self, ui_event: &UiEvent, host: &impl Host) -> bool {
        match ui_event {
            UiEvent::Begin(index) => self.with(*index, |param| host.begin(param.ptr)),
            UiEvent::Set(index, value) => {
                self.with(*index, |param| host.set(param.ptr, param.snapped(*value)));
            }
            UiEvent::End(index) => self.with(*index, |param| host.end(param.ptr)),
            UiEvent::Type(index, text) => self.with(*index, |param| {
                if let Some(value) = param.read(text) {
                    once(host, param.ptr, value.clamp(0.0, 1.0));
                }
            }),
            UiEvent::Action(Action::Preset(number)) => self.preset(*number, host),
            UiEvent::Action(action) => return self.action(action, host),
            UiEvent::Drop(_) => return false,
        }
        true
    }

    fn with(&self, index: usize, to_do: impl FnOnce(&BoundParam)) {
        if let Some(param) = self.param_binding.get(index) {
            to_do(param);
        }
    }

    fn action(&self, action: &Action, host: &impl Host) -> bool {
        let Some((param, value)) = self.lasting(action) else {
            return false;
        };
        let thaws = *action == Action::Freeze && param.value() >= 0.5;
        once(host, param.ptr, if thaws { 0.0 } else { value });
        true
    }

    /// Sets what a preset sets and what does not stand there already.
    fn preset(&self, number: usize, host: &impl Host) {
        let settings = self.settings.get(number).into_iter().flatten();
        for &(ptr, value) in settings.filter(|setting| !stands(setting)) {
            once(host, ptr, value);
        }
    }

    /// Sets the parameter that a step of the history is about, if it is about one.
    pub fn step(&self, step: UndoStep, host: &impl Host) {
        let (action, on) = match step {
            UndoStep::Vary(variation) => (Action::Vary(variation as u8), true),
            UndoStep::Freeze(on) => (Action::Freeze, on),
            UndoStep::Regenerate | UndoStep::Clear | UndoStep::Unlearn | UndoStep::PlayOver => return,
        };
        if let Some((param, value)) = self.lasting(&action) {
            once(host, param.ptr, if on { value } else { 0.0 });
        }
    }
}

/// A whole gesture.
fn once(host: &impl Host, ptr: ParamPtr, value: f32) {
    host.begin(ptr);
    host.set(ptr, value);
    host.end(ptr);
}

/// Whether a parameter stands at a value.
fn stands(&(ptr, value): &(ParamPtr, f32)) -> bool {
    (value_of(ptr) - value).abs() < 1e-4
}

fn value_of(ptr: ParamPtr) -> f32 {
    // SAFETY: see `ParamBinding`.
    unsafe { ptr.unmodulated_normalized_value() }
}

impl BoundParam {
    fn value(&self) -> f32 {
        value_of(self.ptr)
    }

    fn text(&self, normalized: f32) -> String {
        // SAFETY: see `ParamBinding`.
        unsafe { self.ptr.normalized_value_to_string(normalized, true) }
    }

    /// A value typed, with or without its unit.
    fn read(&self, text: &str) -> Option<f32> {
        // SAFETY: see `ParamBinding`.
        let unit = unsafe { self.ptr.unit() };
        let bare = text.trim();
        let bare = bare.strip_suffix(unit.trim()).unwrap_or(bare).trim();
        // A comma is a decimal point to half of the world.
        let bare = bare.replace(',', ".");
        // SAFETY: see `ParamBinding`.
        unsafe { self.ptr.string_to_normalized_value(&bare) }
    }

    /// The nearest value the parameter can have.
    fn snapped(&self, normalized: f32) -> f32 {
        let normalized = normalized.clamp(0.0, 1.0);
        if matches!(self.ptr, ParamPtr::BoolParam(_)) {
            return normalized.round();
        }
        // SAFETY: see `ParamBinding`.
        unsafe {
            self.ptr
                .preview_normalized(self.ptr.preview_plain(normalized))
        }
    }

    fn control(&self) -> Control {
        let value = self.value();
        // SAFETY: see `ParamBinding`.
        let (steps, default, name) = unsafe {
            let name = self.ptr.name().to_owned();
            (
                self.ptr.step_count(),
                self.ptr.default_normalized_value(),
                name,
            )
        };
        let kind = match (self.ptr, steps) {
            (ParamPtr::BoolParam(_), _) => ControlKind::Switch,
            (ParamPtr::EnumParam(_), Some(steps)) => {
                let name = |step| self.text(step as f32 / steps.max(1) as f32);
                ControlKind::Choice((0..=steps).map(name).collect())
            }
            _ => ControlKind::Number,
        };
        // From the middle, where neither end is in the way.
        let step = |finer| {
            // SAFETY: see `ParamBinding`.
            let next = unsafe { self.ptr.next_normalized_step(0.5, finer) };
            (next - self.snapped(0.5)).abs().max(f32::EPSILON)
        };
        let each = steps.map(|steps| 1.0 / steps.max(1) as f32);
        Control {
            name,
            group: self.place.group,
            kind,
            value,
            default,
            step: each.unwrap_or_else(|| step(false)),
            fine: each.unwrap_or_else(|| step(true)),
            text: self.text(value),
            tip: self.place.tip,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::choices::Variation;
    use crate::params::ContinuoParams;

    /// What a host would be told; parameters follow at once.
    #[derive(Default)]
    struct Told(RefCell<Vec<(&'static str, ParamPtr, f32)>>);

    impl Host for Told {
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

    impl Told {
        fn take(&self) -> Vec<(&'static str, ParamPtr, f32)> {
            std::mem::take(&mut *self.0.borrow_mut())
        }
    }

    fn param_binding() -> (Arc<ContinuoParams>, ParamBinding) {
        let params = Arc::new(ContinuoParams::default());
        (params.clone(), ParamBinding::new(params))
    }

    #[test]
    fn every_parameter_has_a_place_and_says_what_it_does() {
        let (_, param_binding) = param_binding();
        for param in &param_binding.param_binding {
            assert!(
                param_layout::known(&param.id),
                "parameter `{}` has no place in the editor: give it one in editor/places.rs",
                param.id
            );
            assert!(param.place.tip.len() > 10, "{}", param.id);
        }
    }

    #[test]
    fn every_value_goes_to_the_host_and_comes_back() {
        let (_params, param_binding) = param_binding();
        let host = Told::default();
        for index in 0..param_binding.param_binding.len() {
            for value in [0.0, 1.0, 0.37] {
                param_binding.apply(&UiEvent::Begin(index), &host);
                param_binding.apply(&UiEvent::Set(index, value), &host);
                param_binding.apply(&UiEvent::End(index), &host);
                let told = host.take();
                assert_eq!(
                    told.iter().map(|t| t.0).collect::<Vec<_>>(),
                    ["begin", "set", "end"]
                );
                let control = &param_binding.controls()[index];
                assert!((control.value - told[1].2).abs() < 1e-6, "{}", control.name);
                assert!(
                    (control.value - value).abs() <= control.step.max(0.02),
                    "{}",
                    control.name
                );
            }
        }
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        let (_params, param_binding) = param_binding();
        let host = Told::default();
        for index in 0..param_binding.param_binding.len() {
            let shown = param_binding.controls()[index].clone();
            param_binding.apply(&UiEvent::Set(index, 1.0), &host);
            host.take();
            param_binding.apply(&UiEvent::Type(index, shown.text.clone()), &host);
            let now = &param_binding.controls()[index];
            assert_eq!(now.text, shown.text, "{}", shown.name);
            assert_eq!(host.take().len(), 3);
            param_binding.apply(&UiEvent::Type(index, "nonsense".into()), &host);
            if !matches!(shown.kind, ControlKind::Switch) {
                assert_eq!(host.take(), [], "{}", shown.name);
            }
            host.take();
        }
    }

    #[test]
    fn acts_that_last_are_whole_gestures() {
        let (_params, param_binding) = param_binding();
        let host = Told::default();
        let lasting = |action_state: &ActionState| !matches!(action_state.action, Action::Preset(_));
        for action_state in param_binding.action_states().into_iter().filter(lasting) {
            assert!(param_binding.apply(&UiEvent::Action(action_state.action.clone()), &host));
            let told: Vec<_> = host.take().iter().map(|t| t.0).collect();
            assert_eq!(told, ["begin", "set", "end"], "{:?}", action_state.action);
            let now = param_binding.action_states();
            assert!(
                now.iter().any(|o| o.action == action_state.action && o.on),
                "{:?}",
                action_state.action
            );
        }
        if param_binding.action_states().iter().any(|action_state| action_state.action == Action::Freeze) {
            param_binding.apply(&UiEvent::Action(Action::Freeze), &host);
            assert!(param_binding.action_states().iter().all(|o| o.action != Action::Freeze || !o.on));
            host.take();
        }
        assert!(!param_binding.apply(&UiEvent::Action(Action::Panic), &host));
        assert_eq!(host.take(), []);
    }

    #[test]
    fn a_preset_is_a_gesture_for_each_parameter_that_stands_elsewhere() {
        let (params, param_binding) = param_binding();
        let host = Told::default();
        let all = presets::presets();
        assert_eq!(param_binding.presets().len(), all.len());
        for (number, preset) in all.iter().enumerate() {
            assert!(param_binding.apply(&UiEvent::Action(Action::Preset(number)), &host));
            let told = host.take();
            for gesture in told.chunks(3) {
                let what: Vec<_> = gesture.iter().map(|t| t.0).collect();
                assert_eq!(what, ["begin", "set", "end"], "{}", preset.name);
            }
            assert!(preset.is_set(&*params), "{}", preset.name);
            let on: Vec<_> = param_binding.action_states().into_iter().filter(|o| o.on).collect();
            let on = |action: &Action| on.iter().any(|action_state| action_state.action == *action);
            assert!(on(&Action::Preset(number)), "{}", preset.name);
            param_binding.apply(&UiEvent::Action(Action::Preset(number)), &host);
            assert_eq!(host.take(), [], "nothing is set twice");
        }
    }

    #[test]
    fn a_step_of_the_history_sets_its_parameter() {
        let (params, param_binding) = param_binding();
        let host = Told::default();
        param_binding.step(UndoStep::Vary(Variation::C), &host);
        assert_eq!(params.variation.value(), Variation::C);
        for on in [true, false] {
            param_binding.step(UndoStep::Freeze(on), &host);
            assert_eq!(params.freeze.value(), on);
        }
        assert_eq!(host.take().len(), 9);
        for step in [UndoStep::Clear, UndoStep::Regenerate, UndoStep::Unlearn] {
            param_binding.step(step, &host);
        }
        assert_eq!(host.take(), []);
    }
}
