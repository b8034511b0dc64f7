//! The parameters a host sees. Their ids are written into songs and must never change.

use nice_plug::prelude::*;

use crate::messages::Settings;
use crate::state::State;

/// What the plugin does with what it hears.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Listens only.
    #[id = "off"]
    Off,
    /// Plays on when the player has been silent for `gap` beats; yields at the first key.
    #[id = "continue"]
    Continue,
}

/// Where an answer may begin.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enter {
    /// On any step of the model's grid.
    #[id = "step"]
    Step,
    /// On a written beat of the host's bar: a quarter in 3/4, an eighth in 6/8.
    #[id = "beat"]
    Beat,
    /// On the host's bar line.
    #[id = "bar"]
    Bar,
}

/// The parameters. Shared by the host's threads and the audio thread; nice-plug keeps the
/// values in atomics and saves them with the song.
#[derive(Params)]
pub struct ContinuoParams {
    /// Incoming notes pass to the output.
    #[id = "thru"]
    pub thru: BoolParam,
    /// What to do.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,
    /// Silence after which it plays on, in quarter notes.
    #[id = "gap"]
    pub gap: FloatParam,
    /// Where an answer may begin.
    #[id = "enter"]
    pub enter: EnumParam<Enter>,
    /// Sampling temperature.
    #[id = "temp"]
    pub temp: FloatParam,
    /// Nucleus sampling.
    #[id = "top_p"]
    pub top_p: FloatParam,
    /// How far ahead it plans, in quarter notes.
    #[id = "lookahead"]
    pub lookahead: FloatParam,
    /// Chooses among the answers.
    #[id = "seed"]
    pub seed: IntParam,
    /// Loudness of the plugin's own sound, as a factor; 0 is off, for hosts that route notes.
    #[id = "sound"]
    pub sound: FloatParam,
    /// What a project keeps beside the parameters.
    #[persist = "session"]
    pub state: State,
}

impl Default for ContinuoParams {
    fn default() -> Self {
        let default = Settings::default();
        let float = |name: &str, default: f32, min: f32, max: f32, step: f32| {
            FloatParam::new(name, default, FloatRange::Linear { min, max })
                .with_step_size(step)
                .with_value_to_string(formatters::v2s_f32_rounded(2))
        };
        Self {
            thru: BoolParam::new("Through", true),
            mode: EnumParam::new("Mode", default.mode),
            gap: float("Gap", default.gap as f32, 0.25, 16.0, 0.25).with_unit(" beats"),
            enter: EnumParam::new("Enter", default.enter),
            temp: float("Temperature", default.temperature, 0.1, 2.0, 0.01),
            top_p: float("Top P", default.top_p, 0.05, 1.0, 0.01),
            lookahead: float("Lookahead", default.lookahead as f32, 1.0, 16.0, 0.25)
                .with_unit(" beats"),
            seed: IntParam::new(
                "Seed",
                default.seed as i32,
                IntRange::Linear { min: 0, max: 9999 },
            ),
            sound: FloatParam::new(
                "Preview Sound",
                0.0,
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
        }
    }
}

impl ContinuoParams {
    /// The values now, for the composer. Safe on the audio thread.
    pub fn settings(&self) -> Settings {
        Settings {
            mode: self.mode.value(),
            gap: f64::from(self.gap.value()),
            enter: self.enter.value(),
            temperature: self.temp.value(),
            top_p: self.top_p.value(),
            lookahead: f64::from(self.lookahead.value()),
            seed: self.seed.value().unsigned_abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_reach_the_composer_exactly() {
        assert_eq!(ContinuoParams::default().settings(), Settings::default());
    }

    #[test]
    fn ids_never_change() {
        let ids: Vec<_> = ContinuoParams::default()
            .param_map()
            .into_iter()
            .map(|(id, ..)| id)
            .collect();
        let known = [
            "thru",
            "mode",
            "gap",
            "enter",
            "temp",
            "top_p",
            "lookahead",
            "seed",
            "sound",
        ];
        assert_eq!(ids, known);
        assert_eq!(Mode::ids(), Some(["off", "continue"].as_slice()));
        assert_eq!(Enter::ids(), Some(["step", "beat", "bar"].as_slice()));
    }
}
