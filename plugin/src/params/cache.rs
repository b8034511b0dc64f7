//! Parameters that say when they change.
//!
//! The values lie in some forty structures of two hundred bytes. To read them all costs little where
//! they are in the cache, and at a block of 32 samples, after whatever the host did in between, they
//! are not. So the audio thread reads them when one has changed, and else one number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nice_plug::prelude::*;

use super::ContinuoParams;
use crate::messages::Settings;
use crate::process::AudioSettings;

/// Counts changes. Whoever changes a value counts it afterwards, whoever reads values looks here
/// before: so a change is never missed, at most read twice. Any thread.
#[derive(Clone, Default)]
pub(super) struct Changes(Arc<AtomicU32>);

impl Changes {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn now(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// Makes parameters whose changes are counted. Main thread.
#[derive(Default)]
pub(super) struct ParamBuilder {
    pub(super) changes: Changes,
}

impl ParamBuilder {
    fn callback<T>(&self) -> Arc<dyn Fn(T) + Send + Sync> {
        let changes = self.changes.clone();
        Arc::new(move |_| changes.count())
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> BoolParam {
        BoolParam::new(name, default).with_callback(self.callback())
    }

    pub(super) fn choice<T: Enum + PartialEq + 'static>(
        &self,
        name: &str,
        default: T,
    ) -> EnumParam<T> {
        EnumParam::new(name, default).with_callback(self.callback())
    }

    pub(super) fn float(
        &self,
        name: &str,
        default: f32,
        min: f32,
        max: f32,
        step: f32,
        digits: usize,
    ) -> FloatParam {
        FloatParam::new(name, default, FloatRange::Linear { min, max })
            .with_step_size(step)
            .with_value_to_string(formatters::v2s_f32_rounded(digits))
            .with_callback(self.callback())
    }

    pub(super) fn percent(&self, name: &str, default: f32, min: f32, max: f32) -> FloatParam {
        FloatParam::new(name, default, FloatRange::Linear { min, max })
            .with_unit(" %")
            .with_value_to_string(formatters::v2s_f32_percentage(0))
            .with_string_to_value(formatters::s2v_f32_percentage())
            .with_callback(self.callback())
    }

    pub(super) fn whole(&self, name: &str, default: i32, min: i32, max: i32) -> IntParam {
        IntParam::new(name, default, IntRange::Linear { min, max })
            .with_string_to_value(Arc::new(whole_number))
            .with_callback(self.callback())
    }

    /// A MIDI key, by its name or its number.
    pub(super) fn key(&self, name: &str, default: i32) -> IntParam {
        let named = formatters::s2v_i32_key_formatter();
        self.whole(name, default, 0, 127)
            .with_value_to_string(formatters::v2s_i32_key_formatter())
            .with_string_to_value(Arc::new(move |text| {
                // The framework's reader panics where a letter is longer than a byte.
                let name = Some(text).filter(|text| text.is_ascii());
                whole_number(text).or_else(|| name.and_then(|name| named(name)))
            }))
    }
}

/// The number in a text, whatever unit stands behind it. Hosts that know numbers with decimals
/// alone write `4.0` for 4.
pub(super) fn whole_number(text: &str) -> Option<i32> {
    let number = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: f64 = number.trim_start().parse().ok()?;
    // Far beyond every range, and near enough to 0 that nobody who reckons with it overflows.
    Some(number.round().clamp(-1e6, 1e6) as i32)
}

/// The values as they were when last read. Owned by the audio thread.
#[derive(Default)]
pub struct ParamCache {
    /// The count of changes before that.
    seen: Option<u32>,
    settings: Settings,
    controls: AudioSettings,
}

impl ParamCache {
    /// The values now.
    pub fn now(&mut self, params: &ContinuoParams) -> (Settings, AudioSettings) {
        let changes = params.changes.now();
        if self.seen != Some(changes) {
            self.seen = Some(changes);
            (self.settings, self.controls) = (params.settings(), params.controls());
        }
        (self.settings, self.controls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_decimals_and_units() {
        for (text, number) in [
            ("4", Some(4)),
            (" 4.0 bars", Some(4)),
            ("-3 ms", Some(-3)),
            ("16bars", Some(16)),
            ("99999999999", Some(1_000_000)),
            ("bars", None),
            ("", None),
            ("C4", None),
        ] {
            assert_eq!(whole_number(text), number, "{text:?}");
        }
    }

    /// Whatever a host changes, the audio thread has it in the next block.
    #[test]
    fn every_change_is_seen() {
        let params = ContinuoParams::default();
        let mut values = ParamCache::default();
        assert_eq!(values.now(&params), (params.settings(), params.controls()));
        for (id, param, _) in params.param_map() {
            for value in [0.3, 1.0, 0.0] {
                let before = (params.settings(), params.controls());
                // SAFETY: `params` lives, and what a host does with a parameter is this.
                unsafe {
                    param._internal_set_normalized_value(value);
                    param._internal_modulate_value(0.1);
                }
                let now = (params.settings(), params.controls());
                assert_eq!(values.now(&params), now, "{id} from {before:?}");
            }
        }
        let seen = values.seen;
        values.now(&params);
        assert_eq!(values.seen, seen, "nothing has changed");
    }
}
