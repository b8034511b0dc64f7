//! The presets that come with the plugin, for the editor's menu: CLAP's preset discovery is not
//! in the framework (nice-plug 0.4), and VST3 has no such thing for a plugin's own.
//!
//! A preset says how it plays: it sets the parameters it names, and puts the others that say how
//! it plays at their defaults, so that it sounds the same whatever was before. What belongs to
//! the song, the setup or the moment ([`KEPT`]) it leaves alone.

use std::collections::BTreeMap;

use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::Params;
use serde::Deserialize;

/// What no preset touches, by id.
pub const KEPT: [&str; 18] = [
    // The song's.
    "scale",
    "key",
    "seed",
    "tempo",
    "free_run",
    // How it is wired.
    "thru",
    "in_ch",
    "out_ch",
    "offset",
    "sound",
    "velocity",
    // The moment's.
    "bypass",
    "hold",
    "panic",
    "clear",
    "variation",
    "regen",
    "freeze",
];

/// A way to play.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What a menu shows.
    pub name: String,
    /// One line on what it does.
    pub about: String,
    /// Parameter ids, and values as the host shows them, without units.
    pub values: BTreeMap<String, String>,
}

/// All of them, in the order of the menu.
pub fn presets() -> Vec<Preset> {
    // The file is part of the plugin, and a test reads it.
    serde_json::from_str(include_str!("../presets.json")).unwrap_or_default()
}

impl Preset {
    /// Every parameter it sets and its normalised value, 0 to 1, in the host's order: for an
    /// editor to set one by one, with the host's gestures. Main thread.
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

    /// Whether the parameters stand as it sets them. Main thread.
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
    fn there_are_a_dozen_with_names_of_their_own() {
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
    fn every_value_is_one_the_parameter_can_have() {
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
                // Out of range, it would be shown as something else.
                assert_eq!(&shown, text, "{}: {id}", preset.name);
            }
        }
    }

    #[test]
    fn a_preset_is_the_same_whatever_was_before_and_leaves_the_setup_alone() {
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
