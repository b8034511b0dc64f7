//! Names, ranges, defaults and texts of the parameters. Main thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug::prelude::*;

use super::builder::{ParamBuilder, whole_number};
use super::{ALL_BARS, ContinuoParams, LONGEST};
use crate::action::Action;
use crate::process::AudioSettings;
use crate::state::State;
use continuo_accompaniment::choices::{InputPart, ListenTo, ScaleChoice, Tonic};
use continuo_accompaniment::messages::Settings;
use continuo_accompaniment::trigger::Trigger;

/// Whether new instances have the preview sound on.
static PREVIEW_SOUND_ON: AtomicBool = AtomicBool::new(false);

/// Turns the preview sound on in all instances made from here on: for the standalone program, in which
/// nothing else plays the notes. Any thread.
pub fn sound_from_the_start() {
    PREVIEW_SOUND_ON.store(true, Ordering::Relaxed);
}

/// Whether new instances listen to sound too.
static LISTENING: AtomicBool = AtomicBool::new(false);

/// Lets all instances made from here on listen to sound as well as to MIDI: for the standalone program
/// with a microphone. Any thread.
pub fn listen_from_the_start() {
    LISTENING.store(true, Ordering::Relaxed);
}

type Formatter<T> = Arc<dyn Fn(T) -> String + Send + Sync>;
type Parser<T> = Arc<dyn Fn(&str) -> Option<T> + Send + Sync>;

/// Formatter that shows 0 as a word.
fn zero_is<T: Default + PartialEq + 'static>(
    word: &'static str,
    show: fn(T) -> String,
) -> Formatter<T> {
    Arc::new(move |value| {
        if value == T::default() {
            word.into()
        } else {
            show(value)
        }
    })
}

/// Parser that accepts the word for 0.
fn zero_from<T: Default + 'static>(word: &'static str, parse: fn(&str) -> Option<T>) -> Parser<T> {
    Arc::new(move |text| match text.trim() {
        zero if zero.eq_ignore_ascii_case(word) => Some(T::default()),
        other => parse(other),
    })
}

impl Default for ContinuoParams {
    fn default() -> Self {
        let settings = Settings::default();
        let audio_settings = AudioSettings::default();
        let sampling = settings.sampling;
        let ear = continuo_ear::Settings::default();
        let builder = ParamBuilder::default();
        Self {
            bypass: builder.flag("Bypass", false).make_bypass(),
            thru: builder.flag("Through", audio_settings.thru),
            mode: builder.choice("Mode", settings.mode),
            hold: builder.flag("Hold to Play", false),
            panic: builder.action(Trigger::Panic),
            gap: builder
                .float("Gap", settings.gap as f32, 0.25, 16.0, 0.25, 2)
                .with_unit(" beats"),
            enter: builder.choice("Enter", settings.enter),
            lead: builder
                .float("Lead", settings.lead as f32, 0.0, 1.0, 0.01, 2)
                .with_unit(" beats"),
            bars: builder
                .whole("Trade Length", settings.bars as i32, 1, 16)
                .with_unit(" bars"),
            lookahead: builder
                .float("Lookahead", settings.lookahead as f32, 1.0, 16.0, 0.25, 2)
                .with_unit(" beats"),
            memory: builder.choice("Memory", settings.memory),
            recall: builder.percent("Recall", settings.recall, 0.0, 1.0),
            memory_bars: builder
                .whole("Memory Length", ALL_BARS, 1, ALL_BARS)
                .with_value_to_string(Arc::new(|bars| match bars {
                    ALL_BARS.. => "All".into(),
                    1 => "1 bar".into(),
                    _ => format!("{bars} bars"),
                }))
                .with_string_to_value(Arc::new(|text| match text.trim() {
                    all if all.eq_ignore_ascii_case("all") => Some(ALL_BARS),
                    bars => whole_number(bars),
                })),
            clear: builder.action(Trigger::Clear),
            temp: builder.float("Temperature", sampling.pitch_temperature, 0.1, 2.0, 0.01, 2),
            temp_rhythm: builder.float(
                "Rhythm Temperature",
                sampling.rhythm_temperature,
                0.1,
                2.0,
                0.01,
                2,
            ),
            top_p: builder.float("Top P", sampling.top_p, 0.05, 1.0, 0.01, 2),
            scale: builder.choice("Scale", ScaleChoice::Off),
            key: builder.choice("Key", Tonic::C),
            low: builder.key("Lowest Note", 0),
            high: builder.key("Highest Note", 127),
            voices: builder.most_notes("Most Notes"),
            density: builder
                .float("Density", 0.0, 0.0, 16.0, 0.1, 1)
                .with_value_to_string(zero_is("Model", |density: f32| {
                    format!("{density:.1} notes/beat")
                }))
                .with_string_to_value(zero_from("model", |text| {
                    text.trim_end_matches("notes/beat").trim().parse().ok()
                })),
            register: builder.key("Register", 60),
            register_pull: builder.percent("Register Pull", 0.0, 0.0, 1.0),
            longest: builder
                .float("Longest Note", LONGEST, 0.25, LONGEST, 0.25, 2)
                .with_unit(" beats"),
            seed: builder.whole("Seed", settings.seed as i32, 0, 9999),
            variation: builder.choice("Variation", settings.variation),
            regenerate: builder.action(Trigger::Regenerate),
            freeze: builder.action(Action::Freeze),
            length: builder.percent("Note Length", settings.length as f32, 0.1, 2.0),
            velocity_from: builder.choice("Velocity From", settings.velocity_from),
            velocity: builder.whole("Fixed Velocity", i32::from(settings.velocity), 1, 127),
            feel: builder.percent("Feel", settings.feel as f32, 0.0, 1.0),
            input: builder
                .whole("Input Channel", 0, 0, 16)
                .with_value_to_string(zero_is("All", |channel: i32| channel.to_string()))
                .with_string_to_value(zero_from("all", whole_number)),
            output: builder.whole(
                "Output Channel",
                i32::from(audio_settings.output) + 1,
                1,
                16,
            ),
            offset: builder
                .float("Output Offset", 0.0, -100.0, 100.0, 0.1, 1)
                .with_unit(" ms"),
            free_run: builder.flag("Free Run", audio_settings.own_time.always),
            tempo: builder
                .float(
                    "Tempo",
                    audio_settings.own_time.tempo as f32,
                    20.0,
                    300.0,
                    0.1,
                    1,
                )
                .with_unit(" BPM"),
            sound: FloatParam::new(
                "Preview Sound",
                if PREVIEW_SOUND_ON.load(Ordering::Relaxed) {
                    0.5
                } else {
                    0.0
                },
                FloatRange::Skewed {
                    min: 0.0,
                    max: 1.0,
                    factor: FloatRange::gain_skew_factor(-60.0, 0.0),
                },
            )
            .with_smoother(SmoothingStyle::Linear(20.0))
            .with_unit(" dB")
            .with_value_to_string(formatters::v2s_f32_gain_to_db(1))
            .with_string_to_value(formatters::s2v_f32_gain_to_db()),
            harmony: builder.choice("Harmony", settings.harmony),
            chord_pull: builder.percent("Chord Pull", 0.5, 0.0, 1.0),
            chord_channel: builder
                .whole("Chord Channel", 0, 0, 16)
                .with_value_to_string(zero_is("Split", |channel: i32| channel.to_string()))
                .with_string_to_value(zero_from("split", whole_number)),
            split: builder.key("Chord Split", i32::from(settings.chord_keys.split)),
            play_keys: builder.flag("Play Keys", false),
            play_lead: builder.flag("Play Lead", false),
            play_chords: builder.flag("Play Chords", false),
            play_bass: builder.flag("Play Bass", false),
            play_drums: builder.flag("Play Drums", false),
            input_part: builder.choice("Input Part", InputPart::Auto),
            keys_output: builder.part_channel("Keys Channel", 0),
            lead_output: builder.part_channel("Lead Channel", 0),
            chords_output: builder.part_channel("Chords Channel", 0),
            bass_output: builder.part_channel("Bass Channel", 0),
            drums_output: builder.part_channel("Drums Channel", 10),
            keys_low: builder.key_limit("Keys Lowest Note", 0),
            keys_high: builder.key_limit("Keys Highest Note", 127),
            keys_voices: builder.most_notes("Keys Most Notes"),
            lead_low: builder.key_limit("Lead Lowest Note", 0),
            lead_high: builder.key_limit("Lead Highest Note", 127),
            lead_voices: builder.most_notes("Lead Most Notes"),
            chords_low: builder.key_limit("Chords Lowest Note", 0),
            chords_high: builder.key_limit("Chords Highest Note", 127),
            chords_voices: builder.most_notes("Chords Most Notes"),
            bass_low: builder.key_limit("Bass Lowest Note", 0),
            bass_high: builder.key_limit("Bass Highest Note", 127),
            bass_voices: builder.most_notes("Bass Most Notes"),
            drums_voices: builder.most_notes("Drums Most Notes"),
            listen_to: builder.choice(
                "Listen To",
                match LISTENING.load(Ordering::Relaxed) {
                    true => ListenTo::Both,
                    false => settings.listen_to,
                },
            ),
            ear_gate: builder
                .float("Ear Gate", ear.gate_db, -80.0, -20.0, 1.0, 0)
                .with_unit(" dB"),
            ear_sensitivity: builder.percent("Ear Sensitivity", ear.sensitivity, 0.0, 1.0),
            state: State::default(),
            changes: builder.changes,
        }
    }
}
