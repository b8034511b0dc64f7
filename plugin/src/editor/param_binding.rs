//! Binding of the controls to the plugin's parameters: parameters become [`Control`]s, and events of widgets
//! become gestures that the host can record. Window thread.

use std::sync::Arc;

use nice_plug::context::gui::GuiContext;
use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::Params;

use super::param_layout::{self, ParamLayout};
use super::view::{ActionState, Control, ControlKind, PresetItem, UiEvent};
use crate::action::Action;
use crate::presets::{self, Preset};
use continuo_accompaniment::choices::{Choice, Variation};
use continuo_accompaniment::snapshot::UndoStep;

/// Receiver of gestures: the host, or a test.
pub trait GestureHost {
    /// A gesture on a parameter begins.
    fn begin(&self, param: ParamPtr);
    /// It sets the parameter to a normalised value, 0 to 1.
    fn set(&self, param: ParamPtr, normalized: f32);
    /// It ends.
    fn end(&self, param: ParamPtr);
}

impl GestureHost for GuiContext {
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

/// One parameter.
struct BoundParam {
    id: String,
    ptr: ParamPtr,
    layout: ParamLayout,
}

/// All parameters of an instance. Owned by the window's thread.
pub struct ParamBinding {
    /// Owner of the parameters to which the pointers point.
    _params: Arc<dyn Params>,
    params: Vec<BoundParam>,
    presets: Vec<PresetItem>,
    /// Parameters and values of each preset.
    preset_values: Vec<Vec<(ParamPtr, f32)>>,
}

// The code below reads parameters through the pointers of `params`.
//
// SAFETY of all of it: they point into the `Arc` kept beside them, which is never given away,
// and parameters are read and written through atomics.
impl ParamBinding {
    /// Binds the parameters of an instance.
    pub fn new(params: Arc<dyn Params>) -> Self {
        let bind = |(id, ptr, _): (String, ParamPtr, String)| BoundParam {
            layout: param_layout::find(&id),
            id,
            ptr,
        };
        let presets = presets::presets();
        let preset_values = presets.iter().map(|p| p.settings(&*params)).collect();
        let item = |preset: Preset| PresetItem {
            name: preset.name,
            about: preset.about,
        };
        Self {
            params: params.param_map().into_iter().map(bind).collect(),
            presets: presets.into_iter().map(item).collect(),
            preset_values,
            _params: params,
        }
    }

    /// The presets, by the index in [`Action::Preset`].
    pub fn presets(&self) -> &[PresetItem] {
        &self.presets
    }

    /// The parameters as they are now, in the host's order.
    pub fn controls(&self) -> Vec<Control> {
        self.params.iter().map(BoundParam::control).collect()
    }

    /// The actions that are parameters: toggles, and presets. A preset is on while all parameters have its
    /// values.
    pub fn action_states(&self) -> Vec<ActionState> {
        let variations = Variation::VALUES.iter().copied().map(Action::Vary);
        let toggles = variations.chain([Action::Freeze]).filter_map(|action| {
            let (param, value) = self.toggle(action)?;
            Some((action, (param.value() - value).abs() < 0.1))
        });
        let presets = self.preset_values.iter().enumerate();
        let presets =
            presets.map(|(index, values)| (Action::Preset(index), values.iter().all(has_value)));
        let state = |(action, on)| ActionState {
            action,
            on,
            enabled: true,
        };
        toggles.chain(presets).map(state).collect()
    }

    /// The parameter of a toggle, and its value while the toggle is on.
    fn toggle(&self, action: Action) -> Option<(&BoundParam, f32)> {
        let info = action.info();
        let value = match action {
            Action::Vary(variation) => {
                variation.index() as f32 / (Variation::VALUES.len() - 1) as f32
            }
            _ => 1.0,
        };
        let parameter = info.parameter.filter(|_| info.is_toggle)?;
        let param = self.params.iter().find(|param| param.id == parameter.id)?;
        Some((param, value))
    }

    /// Passes an event on to the host; `false` if it concerns no parameter.
    pub fn apply(&self, ui_event: &UiEvent, host: &impl GestureHost) -> bool {
        match ui_event {
            UiEvent::Begin(index) => self.with(*index, |param| host.begin(param.ptr)),
            UiEvent::Set(index, value) => {
                self.with(*index, |param| host.set(param.ptr, param.snapped(*value)));
            }
            UiEvent::End(index) => self.with(*index, |param| host.end(param.ptr)),
            UiEvent::Type(index, text) => self.with(*index, |param| {
                if let Some(value) = param.parse(text) {
                    gesture(host, param.ptr, value.clamp(0.0, 1.0));
                }
            }),
            UiEvent::Action(Action::Preset(index)) => self.apply_preset(*index, host),
            UiEvent::Action(action) => return self.apply_toggle(*action, host),
            UiEvent::Drop(_)
            | UiEvent::RegenerateBars(..)
            | UiEvent::DragNotes(..)
            | UiEvent::SaveNotes(..) => return false,
        }
        true
    }

    fn with(&self, index: usize, run: impl FnOnce(&BoundParam)) {
        if let Some(param) = self.params.get(index) {
            run(param);
        }
    }

    fn apply_toggle(&self, action: Action, host: &impl GestureHost) -> bool {
        let Some((param, value)) = self.toggle(action) else {
            return false;
        };
        let turns_off = action == Action::Freeze && param.value() >= 0.5;
        gesture(host, param.ptr, if turns_off { 0.0 } else { value });
        true
    }

    /// Sets the parameters of a preset that have another value.
    fn apply_preset(&self, index: usize, host: &impl GestureHost) {
        let values = self.preset_values.get(index).into_iter().flatten();
        for &(ptr, value) in values.filter(|setting| !has_value(setting)) {
            gesture(host, ptr, value);
        }
    }

    /// Sets the parameter of a step of undo or redo, if it has one.
    pub fn undo_step(&self, step: UndoStep, host: &impl GestureHost) {
        let (action, on) = match step {
            UndoStep::Vary(variation) => (Action::Vary(variation), true),
            UndoStep::Freeze(on) => (Action::Freeze, on),
            UndoStep::Regenerate
            | UndoStep::Infill
            | UndoStep::Clear
            | UndoStep::Unlearn
            | UndoStep::PlayOver => {
                return;
            }
        };
        if let Some((param, value)) = self.toggle(action) {
            gesture(host, param.ptr, if on { value } else { 0.0 });
        }
    }
}

/// A whole gesture.
fn gesture(host: &impl GestureHost, ptr: ParamPtr, value: f32) {
    host.begin(ptr);
    host.set(ptr, value);
    host.end(ptr);
}

/// Whether a parameter has a value.
fn has_value(&(ptr, value): &(ParamPtr, f32)) -> bool {
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

    /// Parses a value with or without its unit.
    fn parse(&self, text: &str) -> Option<f32> {
        // SAFETY: see `ParamBinding`.
        let unit = unsafe { self.ptr.unit() };
        let bare = text.trim();
        let bare = bare.strip_suffix(unit.trim()).unwrap_or(bare).trim();
        // A comma is the decimal point in many countries.
        let bare = bare.replace(',', ".");
        // SAFETY: see `ParamBinding`.
        unsafe { self.ptr.string_to_normalized_value(&bare) }
    }

    /// The nearest value that the parameter has.
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
        // The step is taken at the middle, where no end of the range limits it.
        let step = |finer| {
            // SAFETY: see `ParamBinding`.
            let next = unsafe { self.ptr.next_normalized_step(0.5, finer) };
            (next - self.snapped(0.5)).abs().max(f32::EPSILON)
        };
        let each = steps.map(|steps| 1.0 / steps.max(1) as f32);
        Control {
            name,
            group: self.layout.group,
            cell: self.layout.cell,
            kind,
            value,
            default,
            step: each.unwrap_or_else(|| step(false)),
            fine: each.unwrap_or_else(|| step(true)),
            text: self.text(value),
            help: self.layout.help,
        }
    }
}

#[cfg(test)]
mod tests;
