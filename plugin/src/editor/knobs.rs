//! The plugin's parameters as [`Control`]s, and what hands do to them as gestures the host can
//! record. Used on the window's thread.

use std::sync::Arc;

use nice_plug::context::gui::GuiContext;
use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::Params;

use super::places::{self, Place};
use super::view::{Act, Control, Doing, Kind, Offer, Preset};
use crate::editor_link::Step;
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

struct Knob {
    id: String,
    ptr: ParamPtr,
    place: &'static Place,
}

/// All parameters.
pub struct Knobs {
    /// Keeps what the pointers point to.
    _params: Arc<dyn Params>,
    knobs: Vec<Knob>,
    presets: Vec<Preset>,
    /// What each preset sets.
    settings: Vec<Vec<(ParamPtr, f32)>>,
}

// What follows reads parameters through the pointers of `knobs`.
//
// SAFETY of all of it: they point into the `Arc` kept beside them, which is never given away,
// and parameters are read and written through atomics.
impl Knobs {
    /// The parameters of an instance.
    pub fn new(params: Arc<dyn Params>) -> Self {
        let knob = |(id, ptr, _): (String, ParamPtr, String)| Knob {
            place: places::find(&id),
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
            knobs: params.param_map().into_iter().map(knob).collect(),
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
        self.knobs.iter().map(Knob::control).collect()
    }

    /// The acts that are parameters: those that last, and presets, which are on while everything
    /// stands as they set it.
    pub fn offers(&self) -> Vec<Offer> {
        let acts = (0..4).map(Act::Vary).chain([Act::Freeze]);
        let lasting = acts.filter_map(|act| {
            let (knob, value) = self.lasting(&act)?;
            Some((act, (knob.value() - value).abs() < 0.1))
        });
        let presets = self
            .settings
            .iter()
            .enumerate()
            .map(|(number, settings)| (Act::Preset(number), settings.iter().all(stands)));
        let offer = |(act, on)| Offer {
            act,
            on,
            enabled: true,
        };
        lasting.chain(presets).map(offer).collect()
    }

    /// The parameter of an act that lasts, and its value while it is in force.
    fn lasting(&self, act: &Act) -> Option<(&Knob, f32)> {
        let (id, value) = match act {
            Act::Vary(number) => ("variation", f32::from(*number) / 3.0),
            Act::Freeze => ("freeze", 1.0),
            _ => return None,
        };
        let knob = self.knobs.iter().find(|knob| knob.id == id)?;
        Some((knob, value))
    }

    /// Passes a doing on to the host; `false` if it is not about a parameter.
    pub fn apply(&self, doing: &Doing, host: &impl Host) -> bool {
        match doing {
            Doing::Begin(index) => self.with(*index, |knob| host.begin(knob.ptr)),
            Doing::Set(index, value) => {
                self.with(*index, |knob| host.set(knob.ptr, knob.snapped(*value)));
            }
            Doing::End(index) => self.with(*index, |knob| host.end(knob.ptr)),
            Doing::Type(index, text) => self.with(*index, |knob| {
                if let Some(value) = knob.read(text) {
                    once(host, knob.ptr, value.clamp(0.0, 1.0));
                }
            }),
            Doing::Act(Act::Preset(number)) => self.preset(*number, host),
            Doing::Act(act) => return self.act(act, host),
            Doing::Drop(_) => return false,
        }
        true
    }

    fn with(&self, index: usize, to_do: impl FnOnce(&Knob)) {
        if let Some(knob) = self.knobs.get(index) {
            to_do(knob);
        }
    }

    fn act(&self, act: &Act, host: &impl Host) -> bool {
        let Some((knob, value)) = self.lasting(act) else {
            return false;
        };
        let thaws = *act == Act::Freeze && knob.value() >= 0.5;
        once(host, knob.ptr, if thaws { 0.0 } else { value });
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
    pub fn step(&self, step: Step, host: &impl Host) {
        let (act, on) = match step {
            Step::Vary(variation) => (Act::Vary(variation as u8), true),
            Step::Freeze(on) => (Act::Freeze, on),
            Step::Regenerate | Step::Clear | Step::Unlearn | Step::PlayOver => return,
        };
        if let Some((knob, value)) = self.lasting(&act) {
            once(host, knob.ptr, if on { value } else { 0.0 });
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
    // SAFETY: see `Knobs`.
    unsafe { ptr.unmodulated_normalized_value() }
}

impl Knob {
    fn value(&self) -> f32 {
        value_of(self.ptr)
    }

    fn text(&self, normalized: f32) -> String {
        // SAFETY: see `Knobs`.
        unsafe { self.ptr.normalized_value_to_string(normalized, true) }
    }

    /// A value typed, with or without its unit.
    fn read(&self, text: &str) -> Option<f32> {
        // SAFETY: see `Knobs`.
        let unit = unsafe { self.ptr.unit() };
        let bare = text.trim();
        let bare = bare.strip_suffix(unit.trim()).unwrap_or(bare).trim();
        // A comma is a decimal point to half of the world.
        let bare = bare.replace(',', ".");
        // SAFETY: see `Knobs`.
        unsafe { self.ptr.string_to_normalized_value(&bare) }
    }

    /// The nearest value the parameter can have.
    fn snapped(&self, normalized: f32) -> f32 {
        let normalized = normalized.clamp(0.0, 1.0);
        if matches!(self.ptr, ParamPtr::BoolParam(_)) {
            return normalized.round();
        }
        // SAFETY: see `Knobs`.
        unsafe {
            self.ptr
                .preview_normalized(self.ptr.preview_plain(normalized))
        }
    }

    fn control(&self) -> Control {
        let value = self.value();
        // SAFETY: see `Knobs`.
        let (steps, default, name) = unsafe {
            let name = self.ptr.name().to_owned();
            (
                self.ptr.step_count(),
                self.ptr.default_normalized_value(),
                name,
            )
        };
        let kind = match (self.ptr, steps) {
            (ParamPtr::BoolParam(_), _) => Kind::Switch,
            (ParamPtr::EnumParam(_), Some(steps)) => {
                let name = |step| self.text(step as f32 / steps.max(1) as f32);
                Kind::Choice((0..=steps).map(name).collect())
            }
            _ => Kind::Number,
        };
        // From the middle, where neither end is in the way.
        let step = |finer| {
            // SAFETY: see `Knobs`.
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
    use crate::params::{ContinuoParams, Variation};

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

    fn knobs() -> (Arc<ContinuoParams>, Knobs) {
        let params = Arc::new(ContinuoParams::default());
        (params.clone(), Knobs::new(params))
    }

    #[test]
    fn every_parameter_has_a_place_and_says_what_it_does() {
        let (_, knobs) = knobs();
        for knob in &knobs.knobs {
            assert!(
                places::known(&knob.id),
                "parameter `{}` has no place in the editor: give it one in editor/places.rs",
                knob.id
            );
            assert!(knob.place.tip.len() > 10, "{}", knob.id);
        }
    }

    #[test]
    fn every_value_goes_to_the_host_and_comes_back() {
        let (_params, knobs) = knobs();
        let host = Told::default();
        for index in 0..knobs.knobs.len() {
            for value in [0.0, 1.0, 0.37] {
                knobs.apply(&Doing::Begin(index), &host);
                knobs.apply(&Doing::Set(index, value), &host);
                knobs.apply(&Doing::End(index), &host);
                let told = host.take();
                assert_eq!(
                    told.iter().map(|t| t.0).collect::<Vec<_>>(),
                    ["begin", "set", "end"]
                );
                let control = &knobs.controls()[index];
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
        let (_params, knobs) = knobs();
        let host = Told::default();
        for index in 0..knobs.knobs.len() {
            let shown = knobs.controls()[index].clone();
            knobs.apply(&Doing::Set(index, 1.0), &host);
            host.take();
            knobs.apply(&Doing::Type(index, shown.text.clone()), &host);
            let now = &knobs.controls()[index];
            assert_eq!(now.text, shown.text, "{}", shown.name);
            assert_eq!(host.take().len(), 3);
            knobs.apply(&Doing::Type(index, "nonsense".into()), &host);
            if !matches!(shown.kind, Kind::Switch) {
                assert_eq!(host.take(), [], "{}", shown.name);
            }
            host.take();
        }
    }

    #[test]
    fn acts_that_last_are_whole_gestures() {
        let (_params, knobs) = knobs();
        let host = Told::default();
        let lasting = |offer: &Offer| !matches!(offer.act, Act::Preset(_));
        for offer in knobs.offers().into_iter().filter(lasting) {
            assert!(knobs.apply(&Doing::Act(offer.act.clone()), &host));
            let told: Vec<_> = host.take().iter().map(|t| t.0).collect();
            assert_eq!(told, ["begin", "set", "end"], "{:?}", offer.act);
            let now = knobs.offers();
            assert!(
                now.iter().any(|o| o.act == offer.act && o.on),
                "{:?}",
                offer.act
            );
        }
        if knobs.offers().iter().any(|offer| offer.act == Act::Freeze) {
            knobs.apply(&Doing::Act(Act::Freeze), &host);
            assert!(knobs.offers().iter().all(|o| o.act != Act::Freeze || !o.on));
            host.take();
        }
        assert!(!knobs.apply(&Doing::Act(Act::Panic), &host));
        assert_eq!(host.take(), []);
    }

    #[test]
    fn a_preset_is_a_gesture_for_each_parameter_that_stands_elsewhere() {
        let (params, knobs) = knobs();
        let host = Told::default();
        let all = presets::presets();
        assert_eq!(knobs.presets().len(), all.len());
        for (number, preset) in all.iter().enumerate() {
            assert!(knobs.apply(&Doing::Act(Act::Preset(number)), &host));
            let told = host.take();
            for gesture in told.chunks(3) {
                let what: Vec<_> = gesture.iter().map(|t| t.0).collect();
                assert_eq!(what, ["begin", "set", "end"], "{}", preset.name);
            }
            assert!(preset.is_set(&*params), "{}", preset.name);
            let on: Vec<_> = knobs.offers().into_iter().filter(|o| o.on).collect();
            let on = |act: &Act| on.iter().any(|offer| offer.act == *act);
            assert!(on(&Act::Preset(number)), "{}", preset.name);
            knobs.apply(&Doing::Act(Act::Preset(number)), &host);
            assert_eq!(host.take(), [], "nothing is set twice");
        }
    }

    #[test]
    fn a_step_of_the_history_sets_its_parameter() {
        let (params, knobs) = knobs();
        let host = Told::default();
        knobs.step(Step::Vary(Variation::C), &host);
        assert_eq!(params.variation.value(), Variation::C);
        for on in [true, false] {
            knobs.step(Step::Freeze(on), &host);
            assert_eq!(params.freeze.value(), on);
        }
        assert_eq!(host.take().len(), 9);
        for step in [Step::Clear, Step::Regenerate, Step::Unlearn] {
            knobs.step(step, &host);
        }
        assert_eq!(host.take(), []);
    }
}
