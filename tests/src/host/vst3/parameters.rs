//! A VST3 plugin's parameters: list, text conversion and MIDI mapping.

use std::mem::zeroed;

use anyhow::{Result, bail};
use vst3::Steinberg::Vst::{
    IEditControllerTrait, ParameterInfo, ParameterInfo_::ParameterFlags_, String128,
};
use vst3::Steinberg::kResultOk;

use super::convert::{from_utf16, ok, to_utf16};
use super::instance::Vst3Host;

/// `ParameterInfo::kIsHidden`, which the bindings lack.
const IS_HIDDEN: i32 = 1 << 4;

/// A VST3 plugin's description of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Vst3Parameter {
    /// The number that identifies it.
    pub id: u32,
    /// Its display name.
    pub title: String,
    /// Number of steps above the lowest value; 0 for a continuous parameter.
    pub steps: i32,
    /// Its normalised default value.
    pub default: f64,
    /// Whether hosts leave it out of their lists.
    pub is_hidden: bool,
    /// Whether a host may record automation of it.
    pub is_automatable: bool,
}

impl Vst3Host {
    /// Every parameter, in the plugin's order.
    ///
    /// # Errors
    ///
    /// Fails when the plugin describes a parameter outside its own count.
    pub fn parameters(&self) -> Result<Vec<Vst3Parameter>> {
        let controller = &self.main.controller;
        // SAFETY: the controller is initialised; a `ParameterInfo` of zeros is valid and has room for the answer.
        unsafe {
            let count = controller.getParameterCount();
            let mut info: ParameterInfo = zeroed();
            for index in [-1, count, count + 1] {
                if controller.getParameterInfo(index, &mut info) == kResultOk {
                    bail!("the plugin describes parameter {index} of {count}");
                }
            }
            let describe = |index| {
                let mut info: ParameterInfo = zeroed();
                ok(controller.getParameterInfo(index, &mut info), "a parameter")?;
                let flags = info.flags;
                Ok(Vst3Parameter {
                    id: info.id,
                    title: from_utf16(&info.title),
                    steps: info.stepCount,
                    default: info.defaultNormalizedValue,
                    is_hidden: flags & IS_HIDDEN != 0,
                    is_automatable: flags & ParameterFlags_::kCanAutomate as i32 != 0,
                })
            };
            (0..count).map(describe).collect()
        }
    }

    /// The text that the plugin displays for a normalised value; `None` where it has none.
    pub fn show(&self, id: u32, value: f64) -> Option<String> {
        let mut shown: String128 = [0; 128];
        // SAFETY: the controller is initialised, and there is room for 128 characters.
        let result = unsafe {
            let controller = &self.main.controller;
            controller.getParamStringByValue(id, value, &mut shown)
        };
        (result == kResultOk).then(|| from_utf16(&shown))
    }

    /// The normalised value of a text; `None` where the plugin does not understand it.
    pub fn read(&self, id: u32, text: &str) -> Option<f64> {
        let mut characters = to_utf16(text);
        let mut value = 0.0;
        // SAFETY: the text ends with a zero, and there is room for the value.
        let result = unsafe {
            let controller = &self.main.controller;
            controller.getParamValueByString(id, characters.as_mut_ptr(), &mut value)
        };
        (result == kResultOk).then_some(value)
    }

    /// The plain value of a normalised one.
    pub fn plain(&self, id: u32, value: f64) -> f64 {
        // SAFETY: the controller is initialised.
        unsafe { self.main.controller.normalizedParamToPlain(id, value) }
    }

    /// Sets a normalised value while nothing is processed. Returns the value that the plugin holds
    /// then.
    pub fn set(&self, id: u32, value: f64) -> Result<f64> {
        let controller = &self.main.controller;
        // SAFETY: the controller is initialised.
        unsafe {
            ok(controller.setParamNormalized(id, value), "a value")?;
            Ok(controller.getParamNormalized(id))
        }
    }

    /// The parameter that a MIDI controller on a channel is mapped to, if any.
    pub fn controller_parameter(&self, channel: i16, controller: i16) -> Option<u32> {
        use vst3::Steinberg::Vst::{IMidiMapping, IMidiMappingTrait};
        let mapping = self.main.controller.cast::<IMidiMapping>()?;
        let mut id = 0;
        // SAFETY: the controller is initialised, and there is room for the answer.
        let result =
            unsafe { mapping.getMidiControllerAssignment(0, channel, controller, &mut id) };
        (result == kResultOk).then_some(id)
    }
}
