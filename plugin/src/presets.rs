//! The presets that come with the plugin, for the editor's menu. nice-plug 0.4 has no CLAP preset discovery,
//! and VST3 has no presets of a plugin's own.
//!
//! A preset sets the parameters it names, and sets the others to their defaults, so that its effect does not
//! depend on earlier values. It leaves parameters of the song, the setup and the moment ([`KEPT`]) alone.

use std::collections::BTreeMap;

use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::Params;
use serde::Deserialize;

/// Ids of the parameters that no preset sets.
pub const KEPT: [&str; 29] = [
    // Of the song.
    "scale",
    "key",
    "seed",
    "tempo",
    "free_run",
    // Of the setup.
    "thru",
    "in_ch",
    "out_ch",
    "in_part",
    "listen",
    "ear_gate",
    "ear_sens",
    "out_keys",
    "out_lead",
    "out_chords",
    "out_bass",
    "out_drums",
    "offset",
    "sound",
    "velocity",
    "chord_ch",
    "split",
    // Of the moment.
    "bypass",
    "hold",
    "panic",
    "clear",
    "variation",
    "regen",
    "freeze",
];

/// A preset.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Name in the menu.
    pub name: String,
    /// One sentence on its effect.
    pub about: String,
    /// Values by parameter id, as the host shows them without units.
    pub values: BTreeMap<String, String>,
}

/// All presets, in the order of the menu.
pub fn presets() -> Vec<Preset> {
    // A test reads the file, which is part of the plugin.
    serde_json::from_str(include_str!("../presets.json")).unwrap_or_default()
}

impl Preset {
    /// The parameters it sets with their normalised values, 0 to 1, in the host's order. Main thread.
    pub fn settings(&self, params: &dyn Params) -> Vec<(ParamPtr, f32)> {
        let setting = |(id, pointer, _): (String, ParamPtr, String)| {
            if KEPT.contains(&id.as_str()) {
                return None;
            }
            let named = self.values.get(&id);
            // SAFETY: the pointer is into `params`, which is borrowed here.
            let value = unsafe {
                named
                    .and_then(|text| pointer.string_to_normalized_value(text))
                    .unwrap_or_else(|| pointer.default_normalized_value())
            };
            Some((pointer, value))
        };
        params.param_map().into_iter().filter_map(setting).collect()
    }

    /// Whether all parameters have its values. Main thread.
    pub fn is_set(&self, params: &dyn Params) -> bool {
        let stands = |(pointer, value): &(ParamPtr, f32)| {
            // SAFETY: as above.
            let now = unsafe { pointer.unmodulated_normalized_value() };
            (now - value).abs() < 1e-4
        };
        self.settings(params).iter().all(stands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::ContinuoParams;

    fn set(preset: &Preset, params: &ContinuoParams) {
        for (pointer, value) in preset.settings(params) {
            // SAFETY: the pointer is into `params`, which lives.
            unsafe { pointer._internal_set_normalized_value(value) };
        }
    }

    #[test]
    fn a_dozen_presets_differ_in_name_and_values() {
        let all = presets();
        assert!(all.len() >= 12, "{} presets", all.len());
        for preset in &all {
            let (name, about) = (&preset.name, &preset.about);
            assert!(!name.is_empty() && about.ends_with('.'), "{preset:?}");
            let like = |other: &&Preset| other.values == preset.values || other.name == *name;
            assert_eq!(all.iter().filter(like).count(), 1, "{name}: as another");
        }
    }

    #[test]
    fn every_value_is_in_its_parameters_range() {
        let params = ContinuoParams::default();
        let map = params.param_map();
        for id in KEPT {
            assert!(map.iter().any(|(known, ..)| known == id), "no {id}");
        }
        for preset in presets() {
            for (id, text) in &preset.values {
                let found = map.iter().find(|(known, ..)| known == id);
                let (_, pointer, _) =
                    found.unwrap_or_else(|| panic!("{}: no parameter {id:?}", preset.name));
                assert!(!KEPT.contains(&id.as_str()), "{}: {id}", preset.name);
                // SAFETY: the pointer is into `params`, which lives.
                let shown = unsafe {
                    let value = pointer.string_to_normalized_value(text);
                    let value =
                        value.unwrap_or_else(|| panic!("{}: {id} cannot be {text:?}", preset.name));
                    pointer.normalized_value_to_string(value, false)
                };
                // A value out of range has another text.
                assert_eq!(&shown, text, "{}: {id}", preset.name);
            }
        }
    }

    #[test]
    fn a_preset_ignores_earlier_values_and_keeps_the_setup() {
        let params = ContinuoParams::default();
        let kept = |params: &ContinuoParams| {
            let map = params.param_map().into_iter();
            map.filter(|(id, ..)| KEPT.contains(&id.as_str()))
                // SAFETY: the pointer is into `params`, which lives.
                .map(|(id, pointer, _)| (id, unsafe { pointer.unmodulated_normalized_value() }))
                .collect::<Vec<_>>()
        };
        let mine = kept(&params);
        for preset in presets() {
            let fresh = ContinuoParams::default();
            set(&preset, &fresh);
            set(&preset, &params);
            assert_eq!(params.settings(), fresh.settings(), "{}", preset.name);
            assert!(preset.is_set(&params), "{}", preset.name);
            assert_eq!(kept(&params), mine, "{}", preset.name);
            let others = presets().into_iter().filter(|other| other.is_set(&params));
            assert_eq!(others.count(), 1, "{}", preset.name);
        }
    }
}
