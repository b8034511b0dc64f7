//! Tests of the parameters: defaults, texts, ids.

use super::*;
use crate::action::Action;
use continuo_accompaniment::choices::Choice;

#[test]
fn defaults_reach_both_threads_exactly() {
    let params = ContinuoParams::default();
    assert_eq!(params.settings(), Settings::default());
    assert_eq!(params.audio_settings(), AudioSettings::default());
}

/// Sets a parameter by its text, as a host does.
fn set(params: &ContinuoParams, id: &str, text: &str) {
    let map = params.param_map();
    let (_, param, _) = map.iter().find(|(known, ..)| known == id).unwrap();
    // SAFETY: `params` lives.
    unsafe {
        let value = param.string_to_normalized_value(text).unwrap();
        param._internal_set_normalized_value(value);
    }
}

#[test]
fn limits_of_each_part_reach_the_composer_beside_those_of_all() {
    let params = ContinuoParams::default();
    let limits = || params.settings().sampling.constraints.of_part;
    assert_eq!(limits(), [PartLimits::default(); Part::COUNT]);
    let texts = [("low", "E1"), ("high", "G3"), ("voices", "2")];
    for part in Part::ALL {
        for (what, text) in texts {
            // Drums have no range.
            if part.is_pitched() || what == "voices" {
                set(&params, &format!("{what}_{part}"), text);
            }
        }
        let own = limits()[part.index()];
        let range = if part.is_pitched() {
            (28, 55)
        } else {
            (0, 127)
        };
        assert_eq!((own.range, own.polyphony), (range, Some(2)), "{part}");
        let constraints = params.settings().sampling.constraints;
        assert_eq!((constraints.range, constraints.polyphony), ((0, 127), None));
        for (what, _) in texts {
            if part.is_pitched() || what == "voices" {
                set(&params, &format!("{what}_{part}"), "any");
            }
        }
        assert_eq!(limits(), [PartLimits::default(); Part::COUNT], "{part}");
    }
}

#[test]
fn parts_reach_both_threads() {
    let params = ContinuoParams::default();
    let set = |id: &str, text: &str| set(&params, id, text);
    assert_eq!(params.settings().plays, PartSet::EMPTY);
    assert_eq!(params.audio_settings().channel(Part::Drums), 9);
    set("play_bass", "On");
    set("play_drums", "On");
    set("in_part", "Lead");
    set("out_ch", "3");
    set("out_bass", "2");
    set("out_drums", "Output");
    let settings = params.settings();
    let plays: PartSet = [Part::Bass, Part::Drums].into_iter().collect();
    assert_eq!(settings.plays, plays);
    assert_eq!(settings.input_part, Some(Part::Lead));
    let channel = |part| params.audio_settings().channel(part);
    let channels = Part::ALL.map(channel);
    assert_eq!(channels, [2, 2, 2, 1, 2]);
}

#[test]
fn ear_reaches_both_threads() {
    let params = ContinuoParams::default();
    let set = |id: &str, text: &str| set(&params, id, text);
    let now = || (params.settings().listen_to, params.audio_settings());
    let (listen_to, audio) = now();
    assert_eq!(listen_to, ListenTo::Midi);
    assert_eq!((audio.hears_keys, audio.ear), (true, None));
    set("listen", "Audio");
    set("ear_gate", "-40 dB");
    set("ear_sens", "70 %");
    let (listen_to, audio) = now();
    assert_eq!((listen_to, audio.hears_keys), (ListenTo::Audio, false));
    let ear = audio.ear.unwrap();
    assert!((ear.gate_db + 40.0).abs() < 1e-3 && (ear.sensitivity - 0.7).abs() < 1e-3);
    set("listen", "Both");
    assert!(now().1.hears_keys && now().1.ear.is_some());
}

/// Each step of each parameter, by the texts that hosts show and send back, with and without
/// the unit, and as a number with decimals.
#[test]
fn texts_of_every_step_parse_to_that_step() {
    let params = ContinuoParams::default();
    let mut stepped = 0;
    for (id, param, _) in params.param_map() {
        // SAFETY: `params` lives.
        unsafe {
            let Some(steps) = param.step_count() else {
                continue;
            };
            stepped += 1;
            for step in 0..=steps {
                let value = step as f32 / steps as f32;
                let shown = param.normalized_value_to_string(value, false);
                let with_unit = param.normalized_value_to_string(value, true);
                let mut texts = vec![shown.clone(), with_unit];
                if let Ok(number) = shown.parse::<i32>() {
                    assert_eq!(number as f32, param.preview_plain(value), "{id}");
                    texts.extend([format!("{number}.0"), format!("{number}.0 bars")]);
                }
                for text in texts {
                    let read = param.string_to_normalized_value(&text);
                    let read = read.unwrap_or_else(|| panic!("{id}: not {text:?}"));
                    let back = (f64::from(read) * steps as f64).round() as usize;
                    assert_eq!(back, step, "{id}: {text:?} is read as another step");
                    // Set, it is shown the same again.
                    param._internal_set_normalized_value(read);
                    let now = param.unmodulated_normalized_value();
                    assert_eq!(param.normalized_value_to_string(now, false), shown, "{id}");
                }
            }
            for nonsense in ["", "ü", "ü4", "é#1", "#", "-", "\u{1d11e}", "1e999", "NaN"] {
                param.string_to_normalized_value(nonsense);
            }
        }
    }
    assert!(stepped > 15, "{stepped} parameters have steps");
}

#[test]
fn ids_and_choices_are_those_of_saved_songs() {
    let ids: Vec<_> = ContinuoParams::default()
        .param_map()
        .into_iter()
        .map(|(id, ..)| id)
        .collect();
    let known = [
        "bypass",
        "thru",
        "mode",
        "hold",
        "panic",
        "gap",
        "enter",
        "lead",
        "bars",
        "lookahead",
        "memory",
        "recall",
        "memory_bars",
        "clear",
        "temp",
        "temp_rhythm",
        "top_p",
        "scale",
        "key",
        "low",
        "high",
        "voices",
        "density",
        "register",
        "reg_pull",
        "longest",
        "seed",
        "variation",
        "regen",
        "freeze",
        "length",
        "vel_from",
        "velocity",
        "feel",
        "in_ch",
        "out_ch",
        "offset",
        "free_run",
        "tempo",
        "sound",
        "harmony",
        "chord_pull",
        "chord_ch",
        "split",
        "play_keys",
        "play_lead",
        "play_chords",
        "play_bass",
        "play_drums",
        "in_part",
        "out_keys",
        "out_lead",
        "out_chords",
        "out_bass",
        "out_drums",
        "low_keys",
        "high_keys",
        "voices_keys",
        "low_lead",
        "high_lead",
        "voices_lead",
        "low_chords",
        "high_chords",
        "voices_chords",
        "low_bass",
        "high_bass",
        "voices_bass",
        "voices_drums",
        "listen",
        "ear_gate",
        "ear_sens",
    ];
    assert_eq!(ids, known);
    let harmonies = ["free", "loop_2", "loop_4", "loop_8", "loop_16", "held"];
    assert_eq!(Harmony::IDS, harmonies);
    let modes = ["off", "continue", "trade", "along", "free"];
    assert_eq!(Mode::IDS, modes);
    assert_eq!(Enter::IDS, ["step", "beat", "bar"]);
    assert_eq!(MemoryMode::IDS, ["song", "session"]);
    assert_eq!(Variation::IDS, ["a", "b", "c", "d"]);
    let velocities = ["model", "follow", "fixed"];
    assert_eq!(VelocityFrom::IDS, velocities);
    let parts = ["auto", "keys", "lead", "chords", "bass", "drums"];
    assert_eq!(InputPart::IDS, parts);
    assert_eq!(ListenTo::IDS, ["midi", "audio", "both"]);
}

/// An editor finds the parameter of an action by its id, a host shows its name.
#[test]
fn every_parameter_of_an_action_exists_under_its_name() {
    let params = ContinuoParams::default();
    for action in Action::WITH_PARAMETER {
        let parameter = action.info().parameter.unwrap();
        let map = params.param_map();
        let (_, param, _) = map.iter().find(|(id, ..)| id == parameter.id).unwrap();
        // SAFETY: `params` lives.
        assert_eq!(unsafe { param.name() }, parameter.name);
    }
}
