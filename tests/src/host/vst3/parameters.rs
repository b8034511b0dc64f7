//! A VST3 plugin's parameters as a host lists them, shows them and reads them.

use std::mem::zeroed;

use anyhow::{Result, bail};
use vst3::Steinberg::Vst::{
    IEditControllerTrait, ParameterInfo, ParameterInfo_::ParameterFlags_, String128, TChar,
};
use vst3::Steinberg::kResultOk;

use super::{Vst3Host, ok};

/// The flag of parameters that a host does not show; the bindings lack it.
const IS_HIDDEN: i32 = 1 << 4;

/// A parameter as the format describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Vst3Parameter {
    /// The number that the format knows it by.
    pub id: u32,
    /// Its name.
    pub title: String,
    /// Steps above the lowest; 0 for a continuous one.
    pub steps: i32,
    /// The default, normalised.
    pub default: f64,
    /// Whether a host shows it.
    pub is_hidden: bool,
    /// Whether a host may record automation of it.
    pub is_automatable: bool,
}

impl Vst3Host {
    /// Every parameter, in the plugin's order. An error if the plugin describes one too many.
    pub fn parameters(&self) -> Result<Vec<Vst3Parameter>> {
        let controller = &self.main.controller;
        // SAFETY: the controller is initialised; zeros are a valid description, which has room.
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
                    title: text(&info.title),
                    steps: info.stepCount,
                    default: info.defaultNormalizedValue,
                    is_hidden: flags & IS_HIDDEN != 0,
                    is_automatable: flags & ParameterFlags_::kCanAutomate as i32 != 0,
                })
            };
            (0..count).map(describe).collect()
        }
    }

    /// A normalised value as the plugin shows it; `None` where it does not.
    pub fn show(&self, id: u32, value: f64) -> Option<String> {
        let mut shown: String128 = [0; 128];
        // SAFETY: the controller is initialised, and there is room for 128 characters.
        let told = unsafe {
            let controller = &self.main.controller;
            controller.getParamStringByValue(id, value, &mut shown)
        };
        (told == kResultOk).then(|| text(&shown))
    }

    /// The normalised value that a text means; `None` where the plugin does not understand it.
    pub fn read(&self, id: u32, text: &str) -> Option<f64> {
        let mut characters: Vec<_> = text
            .encode_utf16()
            .chain([0])
            .map(|unit| unit as TChar)
            .collect();
        let mut value = 0.0;
        // SAFETY: the text ends with a zero, and there is room for the value.
        let told = unsafe {
            let controller = &self.main.controller;
            controller.getParamValueByString(id, characters.as_mut_ptr(), &mut value)
        };
        (told == kResultOk).then_some(value)
    }

    /// The plain value of a normalised one.
    pub fn plain(&self, id: u32, value: f64) -> f64 {
        // SAFETY: the controller is initialised.
        unsafe { self.main.controller.normalizedParamToPlain(id, value) }
    }

    /// Sets a normalised value while nothing is processed, and gives the one that then holds.
    pub fn set(&self, id: u32, value: f64) -> Result<f64> {
        let controller = &self.main.controller;
        // SAFETY: the controller is initialised.
        unsafe {
            ok(controller.setParamNormalized(id, value), "a value")?;
            Ok(controller.getParamNormalized(id))
        }
    }

    /// The parameter by which a controller of a channel comes in, if there is one.
    pub fn controller_parameter(&self, channel: i16, controller: i16) -> Option<u32> {
        use vst3::Steinberg::Vst::{IMidiMapping, IMidiMappingTrait};
        let mapping = self.main.controller.cast::<IMidiMapping>()?;
        let mut id = 0;
        // SAFETY: the controller is initialised, and there is room for the answer.
        let told = unsafe { mapping.getMidiControllerAssignment(0, channel, controller, &mut id) };
        (told == kResultOk).then_some(id)
    }
}

/// UTF-16 up to the first zero.
fn text(units: &[TChar]) -> String {
    let units = units.iter().take_while(|&&unit| unit != 0);
    let units: Vec<u16> = units.map(|&unit| unit as u16).collect();
    String::from_utf16_lossy(&units)
}
