//! Builder of parameters whose changes are counted. Main thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nice_plug::prelude::*;

use super::host_choice::HostChoice;
use crate::action::Action;
use continuo_accompaniment::choices::Choice;

/// Counts changes of parameters. A writer counts after it has written, a reader reads the counter before the
/// values: so no change is missed, and some are read twice. Any thread.
#[derive(Clone, Default)]
pub(super) struct ChangeCounter(Arc<AtomicU32>);

impl ChangeCounter {
    fn increment(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    pub(super) fn value(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// Makes parameters whose changes are counted. Main thread.
#[derive(Default)]
pub(super) struct ParamBuilder {
    pub(super) changes: ChangeCounter,
}

impl ParamBuilder {
    fn callback<T>(&self) -> Arc<dyn Fn(T) + Send + Sync> {
        let changes = self.changes.clone();
        Arc::new(move |_| changes.increment())
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> BoolParam {
        BoolParam::new(name, default).with_callback(self.callback())
    }

    /// A flag that presses a button of the editor, or a toggle of it.
    pub(super) fn action(&self, action: impl Into<Action>) -> BoolParam {
        let parameter = action.into().info().parameter;
        self.flag(parameter.map_or("", |parameter| parameter.name), false)
    }

    pub(super) fn choice<T: Choice>(&self, name: &str, default: T) -> EnumParam<HostChoice<T>> {
        EnumParam::new(name, HostChoice(default)).with_callback(self.callback())
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

    /// A MIDI channel of a part, 1 to 16; 0 is the output channel.
    pub(super) fn part_channel(&self, name: &str, default: i32) -> IntParam {
        self.whole(name, default, 0, 16)
            .with_value_to_string(Arc::new(|channel| match channel {
                0 => "Output".into(),
                _ => channel.to_string(),
            }))
            .with_string_to_value(Arc::new(|text| match text.trim() {
                output if output.eq_ignore_ascii_case("output") => Some(0),
                channel => whole_number(channel),
            }))
    }

    /// A MIDI key, by its name or its number.
    pub(super) fn key(&self, name: &str, default: i32) -> IntParam {
        self.whole(name, default, 0, 127)
            .with_value_to_string(formatters::v2s_i32_key_formatter())
            .with_string_to_value(key_parser())
    }

    /// The lowest or highest MIDI key of a part. At `any`, which is the default and an end of all keys, it
    /// is no limit.
    pub(super) fn key_limit(&self, name: &str, any: i32) -> IntParam {
        let limit = self.whole(name, any, 0, 127);
        or_any(
            limit,
            any,
            formatters::v2s_i32_key_formatter(),
            key_parser(),
        )
    }

    /// The limit of the number of notes at once; 0, the default, is no limit.
    pub(super) fn most_notes(&self, name: &str) -> IntParam {
        let show = Arc::new(|notes: i32| notes.to_string());
        or_any(self.whole(name, 0, 0, 16), 0, show, Arc::new(whole_number))
    }
}

type Formatter = Arc<dyn Fn(i32) -> String + Send + Sync>;
type Parser = Arc<dyn Fn(&str) -> Option<i32> + Send + Sync>;

/// The parameter with these texts, and with `Any` for the value that is no limit.
fn or_any(param: IntParam, any: i32, show: Formatter, parse: Parser) -> IntParam {
    param
        .with_value_to_string(Arc::new(move |value| match value == any {
            true => "Any".into(),
            false => show(value),
        }))
        .with_string_to_value(Arc::new(move |text| {
            match text.trim().eq_ignore_ascii_case("any") {
                true => Some(any),
                false => parse(text),
            }
        }))
}

/// Parser of a MIDI key, by its name or its number.
fn key_parser() -> Parser {
    let named = formatters::s2v_i32_key_formatter();
    Arc::new(move |text| {
        // nice-plug's formatter panics at letters longer than a byte.
        let name = Some(text).filter(|text| text.is_ascii());
        whole_number(text).or_else(|| name.and_then(|name| named(name)))
    })
}

/// The number in a text, with any unit after it. Some hosts write `4.0` for 4.
pub(super) fn whole_number(text: &str) -> Option<i32> {
    let number = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: f64 = number.trim_start().parse().ok()?;
    // Beyond every range, and small enough that no arithmetic on it overflows.
    Some(number.round().clamp(-1e6, 1e6) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_number_accepts_decimals_and_units() {
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
}
