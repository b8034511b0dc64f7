//! Values of the parameters in a saved state, mended before nice-plug loads them. Main thread.

use std::collections::BTreeMap;

use nice_plug::params::internals::ParamPtr;
use nice_plug::plugin::ParamValue;
use nice_plug::prelude::Params;

/// Clamps parameter values to their ranges, because the framework takes any value.
pub fn clamp_to_ranges(values: &mut BTreeMap<String, ParamValue>, params: &dyn Params) {
    for (id, pointer, _) in params.param_map() {
        // SAFETY: the pointer is into `params`, which is borrowed here.
        let (low, high) = unsafe { (pointer.preview_plain(0.0), pointer.preview_plain(1.0)) };
        let (low, high) = (low.min(high), low.max(high));
        match values.get_mut(&id) {
            Some(ParamValue::F32(value)) => *value = value.clamp(low, high),
            Some(ParamValue::I32(value)) => *value = (*value).clamp(low as i32, high as i32),
            Some(ParamValue::Bool(_) | ParamValue::String(_)) | None => {}
        }
    }
}

/// Adds the parameters that a state lacks, with their defaults. Otherwise a state of an earlier version, which
/// has fewer, would keep the values that the instance had before.
pub fn add_missing(values: &mut BTreeMap<String, ParamValue>, params: &dyn Params) {
    for (id, pointer, _) in params.param_map() {
        // SAFETY: the pointer is into `params`, which is borrowed here.
        let default = unsafe { pointer.preview_plain(pointer.default_normalized_value()) };
        values.entry(id).or_insert_with(|| match pointer {
            ParamPtr::FloatParam(_) => ParamValue::F32(default),
            ParamPtr::BoolParam(_) => ParamValue::Bool(default > 0.5),
            ParamPtr::IntParam(_) | ParamPtr::EnumParam(_) => {
                ParamValue::I32(default.round() as i32)
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_their_ranges_are_clamped() {
        let params = crate::params::ContinuoParams::default();
        let mut values = BTreeMap::from([
            ("sound".to_string(), ParamValue::F32(1e30)),
            ("temp".to_string(), ParamValue::F32(-1.0)),
            ("top_p".to_string(), ParamValue::F32(0.75)),
            ("seed".to_string(), ParamValue::I32(i32::MAX)),
            ("mode".to_string(), ParamValue::I32(-7)),
            ("no such".to_string(), ParamValue::F32(1e30)),
        ]);
        clamp_to_ranges(&mut values, &params);
        let value = |id: &str| match values[id] {
            ParamValue::F32(value) => f64::from(value),
            ParamValue::I32(value) => f64::from(value),
            _ => f64::NAN,
        };
        assert_eq!((value("sound"), value("top_p")), (1.0, 0.75));
        assert!((value("temp") - 0.1).abs() < 1e-6);
        assert_eq!((value("seed"), value("mode")), (9999.0, 0.0));
    }

    #[test]
    fn parameters_that_a_state_lacks_get_their_defaults() {
        let params = crate::params::ContinuoParams::default();
        let mut values = BTreeMap::from([("voices".to_string(), ParamValue::I32(3))]);
        add_missing(&mut values, &params);
        assert_eq!(values.len(), params.param_map().len());
        assert!(matches!(values["voices"], ParamValue::I32(3)));
        assert!(matches!(values["high_bass"], ParamValue::I32(127)));
        assert!(matches!(values["out_drums"], ParamValue::I32(10)));
        assert!(matches!(values["thru"], ParamValue::Bool(true)));
        assert!(matches!(values["mode"], ParamValue::I32(1)), "Continue");
        assert!(matches!(values["gap"], ParamValue::F32(gap) if gap == 2.0));
    }
}
