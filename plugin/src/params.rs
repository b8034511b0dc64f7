//! The parameters a host sees. Their ids are written into songs and must never change.

mod changes;
mod choices;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use continuo_engine::{Constraints, Register, Sampling};
use nice_plug::prelude::*;

use crate::messages::Settings;
use crate::process::{Buttons, AudioSettings};
use crate::state::State;
use crate::transport::OwnTime;

pub use self::changes::ParamCache;
use self::changes::whole_number;
use self::changes::{Changes, ParamBuilder};
pub use self::choices::{Enter, Memory, Mode, ScaleChoice, Tonic, Variation, VelocityFrom};

/// The longest note the models know, in beats: the same as none.
const LONGEST: f32 = 32.0;

/// From here on the memory's length is no limit.
const ALL_BARS: i32 = 128;

/// Nats a pitch an octave from the register loses at full pull.
const PULL: f32 = 4.0;

/// The parameters. Shared by the host's threads and the audio thread; nice-plug keeps the
/// values in atomics and saves them with the song.
#[derive(Params)]
pub struct ContinuoParams {
    /// Nothing is generated, and everything passes through.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// Incoming events pass to the output.
    #[id = "thru"]
    pub thru: BoolParam,
    /// What to do.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,
    /// While it is on, plays on whatever the mode is.
    #[id = "hold"]
    pub hold: BoolParam,
    /// When it goes on, everything that sounds ends; while it is on, nothing is generated.
    #[id = "panic"]
    pub panic: BoolParam,
    /// Silence after which it plays on, or plays along no more, in quarter notes.
    #[id = "gap"]
    pub gap: FloatParam,
    /// Where an answer may begin.
    #[id = "enter"]
    pub enter: EnumParam<Enter>,
    /// How long before an answer it is decided, in quarter notes.
    #[id = "lead"]
    pub lead: FloatParam,
    /// Length of a turn, in bars.
    #[id = "bars"]
    pub bars: IntParam,
    /// How far ahead it plans, in quarter notes.
    #[id = "lookahead"]
    pub lookahead: FloatParam,
    /// Whether time goes back with the transport.
    #[id = "memory"]
    pub memory: EnumParam<Memory>,
    /// How much the long memory and what was there before, word for word, count.
    #[id = "recall"]
    pub recall: FloatParam,
    /// How many bars back the long memory reaches.
    #[id = "memory_bars"]
    pub memory_bars: IntParam,
    /// When it goes on, everything heard and played is forgotten.
    #[id = "clear"]
    pub clear: BoolParam,
    /// Sampling temperature of pitches and velocities.
    #[id = "temp"]
    pub temp: FloatParam,
    /// Sampling temperature of lengths and onsets.
    #[id = "temp_rhythm"]
    pub temp_rhythm: FloatParam,
    /// Nucleus sampling.
    #[id = "top_p"]
    pub top_p: FloatParam,
    /// Which notes may be played.
    #[id = "scale"]
    pub scale: EnumParam<ScaleChoice>,
    /// The tonic of the scale.
    #[id = "key"]
    pub key: EnumParam<Tonic>,
    /// Lowest MIDI key played.
    #[id = "low"]
    pub low: IntParam,
    /// Highest MIDI key played.
    #[id = "high"]
    pub high: IntParam,
    /// Most notes it sounds at once; 0 for any.
    #[id = "voices"]
    pub voices: IntParam,
    /// Notes a beat aimed at; 0 leaves it to the model.
    #[id = "density"]
    pub density: FloatParam,
    /// MIDI key it is pulled to.
    #[id = "register"]
    pub register: IntParam,
    /// How strongly.
    #[id = "reg_pull"]
    pub register_pull: FloatParam,
    /// Longest note, in beats.
    #[id = "longest"]
    pub longest: FloatParam,
    /// Chooses among the answers.
    #[id = "seed"]
    pub seed: IntParam,
    /// The same moment answered differently.
    #[id = "variation"]
    pub variation: EnumParam<Variation>,
    /// When it goes on, this bar is thought of anew.
    #[id = "regen"]
    pub regenerate: BoolParam,
    /// While it is on, repeats what was just played.
    #[id = "freeze"]
    pub freeze: BoolParam,
    /// Length of notes: 1 is as the model has them.
    #[id = "length"]
    pub length: FloatParam,
    /// Whose velocities its notes have.
    #[id = "vel_from"]
    pub velocity_from: EnumParam<VelocityFrom>,
    /// The fixed velocity.
    #[id = "velocity"]
    pub velocity: IntParam,
    /// How much of the player's timing it takes over.
    #[id = "feel"]
    pub feel: FloatParam,
    /// Channel listened to: 1 to 16, 0 for all.
    #[id = "in_ch"]
    pub input: IntParam,
    /// Channel of generated notes: 1 to 16.
    #[id = "out_ch"]
    pub output: IntParam,
    /// How much later than planned its notes sound, in milliseconds.
    #[id = "offset"]
    pub offset: FloatParam,
    /// Goes by its own tempo even where the host has a transport.
    #[id = "free_run"]
    pub free_run: BoolParam,
    /// The own tempo, in quarter notes a minute.
    #[id = "tempo"]
    pub tempo: FloatParam,
    /// Loudness of the plugin's own sound, as a factor; 0 is off, for hosts that route notes.
    #[id = "sound"]
    pub sound: FloatParam,
    /// What a project keeps beside the parameters.
    #[persist = "session"]
    pub state: State,
    /// Counts changes of any of these values, but for the sound's.
    changes: Changes,
}

/// Whether an instance sounds by itself from the beginning.
static SOUNDS: AtomicBool = AtomicBool::new(false);

/// Instances made from here on have the preview sound on: for a program in which nobody routes
/// their notes.
pub fn sound_from_the_start() {
    SOUNDS.store(true, Ordering::Relaxed);
}

type Show<T> = Arc<dyn Fn(T) -> String + Send + Sync>;
type Parse<T> = Arc<dyn Fn(&str) -> Option<T> + Send + Sync>;

/// Shows 0 as a word.
fn zero_is<T: Default + PartialEq + 'static>(word: &'static str, show: fn(T) -> String) -> Show<T> {
    Arc::new(move |value| {
        if value == T::default() {
            word.into()
        } else {
            show(value)
        }
    })
}

/// Understands the word too.
fn zero_from<T: Default + 'static>(word: &'static str, parse: fn(&str) -> Option<T>) -> Parse<T> {
    Arc::new(move |text| match text.trim() {
        zero if zero.eq_ignore_ascii_case(word) => Some(T::default()),
        other => parse(other),
    })
}

impl Default for ContinuoParams {
    fn default() -> Self {
        let settings = Settings::default();
        let controls = AudioSettings::default();
        let sampling = settings.sampling;
        let noted = ParamBuilder::default();
        Self {
            bypass: noted.flag("Bypass", false).make_bypass(),
            thru: noted.flag("Through", controls.thru),
            mode: noted.choice("Mode", settings.mode),
            hold: noted.flag("Hold to Play", false),
            panic: noted.flag("Panic", false),
            gap: noted
                .float("Gap", settings.gap as f32, 0.25, 16.0, 0.25, 2)
                .with_unit(" beats"),
            enter: noted.choice("Enter", settings.enter),
            lead: noted
                .float("Lead", settings.lead as f32, 0.0, 1.0, 0.01, 2)
                .with_unit(" beats"),
            bars: noted
                .whole("Trade Length", settings.bars as i32, 1, 16)
                .with_unit(" bars"),
            lookahead: noted
                .float("Lookahead", settings.lookahead as f32, 1.0, 16.0, 0.25, 2)
                .with_unit(" beats"),
            memory: noted.choice("Memory", settings.memory),
            recall: noted.percent("Recall", settings.recall, 0.0, 1.0),
            memory_bars: noted
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
            clear: noted.flag("Clear Memory", false),
            temp: noted.float("Temperature", sampling.pitch_temperature, 0.1, 2.0, 0.01, 2),
            temp_rhythm: noted.float(
                "Rhythm Temperature",
                sampling.rhythm_temperature,
                0.1,
                2.0,
                0.01,
                2,
            ),
            top_p: noted.float("Top P", sampling.top_p, 0.05, 1.0, 0.01, 2),
            scale: noted.choice("Scale", ScaleChoice::Off),
            key: noted.choice("Key", Tonic::C),
            low: noted.key("Lowest Note", 0),
            high: noted.key("Highest Note", 127),
            voices: noted
                .whole("Most Notes", 0, 0, 16)
                .with_value_to_string(zero_is("Any", |voices: i32| voices.to_string()))
                .with_string_to_value(zero_from("any", whole_number)),
            density: noted
                .float("Density", 0.0, 0.0, 16.0, 0.1, 1)
                .with_value_to_string(zero_is("Model", |density: f32| {
                    format!("{density:.1} notes/beat")
                }))
                .with_string_to_value(zero_from("model", |text| {
                    text.trim_end_matches("notes/beat").trim().parse().ok()
                })),
            register: noted.key("Register", 60),
            register_pull: noted.percent("Register Pull", 0.0, 0.0, 1.0),
            longest: noted
                .float("Longest Note", LONGEST, 0.25, LONGEST, 0.25, 2)
                .with_unit(" beats"),
            seed: noted.whole("Seed", settings.seed as i32, 0, 9999),
            variation: noted.choice("Variation", settings.variation),
            regenerate: noted.flag("Regenerate", false),
            freeze: noted.flag("Freeze", settings.freeze),
            length: noted.percent("Note Length", settings.length as f32, 0.1, 2.0),
            velocity_from: noted.choice("Velocity From", settings.velocity_from),
            velocity: noted.whole("Fixed Velocity", i32::from(settings.velocity), 1, 127),
            feel: noted.percent("Feel", settings.feel as f32, 0.0, 1.0),
            input: noted
                .whole("Input Channel", 0, 0, 16)
                .with_value_to_string(zero_is("All", |channel: i32| channel.to_string()))
                .with_string_to_value(zero_from("all", whole_number)),
            output: noted.whole("Output Channel", i32::from(controls.output) + 1, 1, 16),
            offset: noted
                .float("Output Offset", 0.0, -100.0, 100.0, 0.1, 1)
                .with_unit(" ms"),
            free_run: noted.flag("Free Run", controls.own_time.always),
            tempo: noted
                .float("Tempo", controls.own_time.tempo as f32, 20.0, 300.0, 0.1, 1)
                .with_unit(" BPM"),
            sound: FloatParam::new(
                "Preview Sound",
                if SOUNDS.load(Ordering::Relaxed) {
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
            state: State::default(),
            changes: noted.changes,
        }
    }
}

impl ContinuoParams {
    /// The values now, for the composer. Safe on the audio thread.
    pub fn settings(&self) -> Settings {
        let mode = if self.bypass.value() || self.panic.value() {
            Mode::Off
        } else if self.hold.value() || self.freeze.value() {
            Mode::Free
        } else {
            self.mode.value()
        };
        Settings {
            mode,
            gap: f64::from(self.gap.value()),
            enter: self.enter.value(),
            lead: f64::from(self.lead.value()),
            bars: self.bars.value().unsigned_abs(),
            memory: self.memory.value(),
            recall: self.recall.value(),
            reach: Some(self.memory_bars.value())
                .filter(|&bars| bars < ALL_BARS)
                .map(i32::unsigned_abs),
            sampling: self.sampling(),
            lookahead: f64::from(self.lookahead.value()),
            length: f64::from(self.length.value()),
            velocity_from: self.velocity_from.value(),
            velocity: self.velocity.value().clamp(1, 127) as u8,
            feel: f64::from(self.feel.value()),
            freeze: self.freeze.value(),
            seed: self.seed.value().unsigned_abs(),
            variation: self.variation.value(),
        }
    }

    fn sampling(&self) -> Sampling {
        let key = |param: &IntParam| param.value().clamp(0, 127) as u8;
        let some = |value: f32| Some(value).filter(|&value| value > 0.0);
        let constraints = Constraints {
            scale: self.scale.value().lock(self.key.value()),
            range: (key(&self.low), key(&self.high)),
            polyphony: u8::try_from(self.voices.value()).ok().filter(|&v| v > 0),
            density: some(self.density.value()),
            register: some(self.register_pull.value()).map(|pull| Register {
                centre: key(&self.register),
                strength: PULL * pull,
            }),
            longest: Some(self.longest.value()).filter(|&longest| longest < LONGEST),
            ..Constraints::default()
        };
        Sampling {
            pitch_temperature: self.temp.value(),
            rhythm_temperature: self.temp_rhythm.value(),
            top_p: self.top_p.value(),
            constraints,
            ..Sampling::default()
        }
    }

    /// The values now, for the audio thread.
    pub fn controls(&self) -> AudioSettings {
        let channel = |number: i32| u8::try_from(number - 1).ok().filter(|&c| c < 16);
        AudioSettings {
            thru: self.thru.value() || self.bypass.value(),
            input: channel(self.input.value()),
            output: channel(self.output.value()).unwrap_or(0),
            offset: f64::from(self.offset.value()) / 1000.0,
            own_time: OwnTime {
                tempo: f64::from(self.tempo.value()),
                always: self.free_run.value(),
            },
            buttons: Buttons {
                panic: self.panic.value(),
                regenerate: self.regenerate.value(),
                clear: self.clear.value(),
                // No parameters: a host has an undo of its own.
                ..Buttons::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_reach_both_threads_exactly() {
        let params = ContinuoParams::default();
        assert_eq!(params.settings(), Settings::default());
        assert_eq!(params.controls(), AudioSettings::default());
    }

    /// Each step of each parameter, by the texts that hosts show and send back, with and without
    /// the unit, and as a number with decimals.
    #[test]
    fn every_step_is_shown_and_set_as_what_it_is() {
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
    fn ids_never_change() {
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
        ];
        assert_eq!(ids, known);
        let modes = ["off", "continue", "trade", "along", "free"];
        assert_eq!(Mode::ids(), Some(modes.as_slice()));
        assert_eq!(Enter::ids(), Some(["step", "beat", "bar"].as_slice()));
        assert_eq!(Memory::ids(), Some(["song", "session"].as_slice()));
        assert_eq!(Variation::ids(), Some(["a", "b", "c", "d"].as_slice()));
        let velocities = ["model", "follow", "fixed"];
        assert_eq!(VelocityFrom::ids(), Some(velocities.as_slice()));
    }
}
