//! Command-line options for sampling and for the musician's constraints.

use continuo_cli::number;
use continuo_score::tune::parse_pitch;
use continuo_score::{Part, Scale};

use continuo_engine::sampling::{Constraints, PartLimits, Register, Sampling, ScaleLock};

/// Options of sampling and of constraints.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingOptions {
    /// Temperature for pitches and rhythm: 0 takes the likeliest token, 1 follows the model
    #[arg(long, value_name = "T", value_parser = number(0.0, HOTTEST))]
    temperature: Option<f32>,
    /// Temperature for pitches and velocities [default: 1]
    #[arg(long, value_name = "T", value_parser = number(0.0, HOTTEST))]
    temperature_pitch: Option<f32>,
    /// Temperature for durations and moves in time [default: 1]
    #[arg(long, value_name = "T", value_parser = number(0.0, HOTTEST))]
    temperature_rhythm: Option<f32>,
    /// Top-k: keep this number of the likeliest tokens; 0 keeps all
    #[arg(long, value_name = "K", default_value_t = Sampling::default().top_k)]
    top_k: u16,
    /// Top-p (nucleus): keep the likeliest tokens up to this total probability
    #[arg(long, value_name = "P", default_value_t = Sampling::default().top_p,
        value_parser = number(0.0f32, 1.0))]
    top_p: f32,
    /// Min-p: keep tokens that are at least this fraction as likely as the likeliest
    #[arg(long, value_name = "P", default_value_t = Sampling::default().min_p,
        value_parser = number(0.0f32, 1.0))]
    min_p: f32,
    /// Greatest multiplier of the temperatures from loop detection; 1 turns it off
    #[arg(long, value_name = "TIMES", default_value_t = Sampling::default().loop_temperature,
        value_parser = number(1.0, HOTTEST))]
    warmest: f32,
    /// Play in this scale only: "D dorian", "Bb minor pentatonic"; auto: the scale of the input;
    /// off: any pitch
    #[arg(long, value_name = "SCALE", value_parser = scale)]
    scale: Option<ScaleLock>,
    /// Play pitches of this range only: C3..C6 (C4 is middle C), or MIDI keys 48..84
    #[arg(long, value_name = "LOW..HIGH", value_parser = pitches)]
    range: Option<(u8, u8)>,
    /// Greatest number of notes that sound at once
    #[arg(long, value_name = "NOTES", value_parser = number(1u8, 128))]
    polyphony: Option<u8>,
    /// Limits of one part, if the model has parts: its pitches, its greatest number of notes at once,
    /// or both: bass=E1..G3:1, keys=C3..C6, lead=:1. Of drums, the hits on one step: drums=:2. They
    /// narrow --range and --polyphony; a range that does not meet --range applies alone. Once for each
    /// part
    #[arg(long = "part-limit", value_name = "PART=LOW..HIGH:NOTES", value_parser = part_limit)]
    part_limits: Vec<(Part, PartLimits)>,
    /// Density to aim at, in notes a beat; at most twice as many notes begin within a beat
    #[arg(long, value_name = "NOTES", value_parser = number(0.0f32, 64.0))]
    density: Option<f32>,
    /// Bias pitches towards this pitch: C5
    #[arg(long, value_name = "PITCH", value_parser = pitch)]
    register: Option<u8>,
    /// Strength of that bias, in nats at a distance of an octave
    #[arg(long, value_name = "NATS", default_value_t = 1.0,
        value_parser = number(0.0f32, 100.0), requires = "register")]
    register_strength: f32,
    /// Longest note, in beats
    #[arg(long, value_name = "BEATS", value_parser = number(0.01, LONGEST))]
    longest: Option<f32>,
    /// Range of MIDI velocities, from softest to loudest: 40..100
    #[arg(long, value_name = "SOFT..LOUD", value_parser = velocities)]
    velocity: Option<(u8, u8)>,
}

impl SamplingOptions {
    /// Whether a part has limits of its own.
    pub fn limits_parts(&self) -> bool {
        !self.part_limits.is_empty()
    }

    /// Returns the sampling settings.
    pub fn sampling(&self) -> Sampling {
        let plain = Sampling::default();
        let free = Constraints::default();
        let mut of_part = free.of_part;
        for (part, limits) in &self.part_limits {
            of_part[part.index()] = *limits;
        }
        let temperature = |own: Option<f32>, plain| own.or(self.temperature).unwrap_or(plain);
        Sampling {
            pitch_temperature: temperature(self.temperature_pitch, plain.pitch_temperature),
            rhythm_temperature: temperature(self.temperature_rhythm, plain.rhythm_temperature),
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            loop_temperature: self.warmest,
            constraints: Constraints {
                scale: self.scale.unwrap_or(free.scale),
                range: self.range.unwrap_or(free.range),
                polyphony: self.polyphony,
                density: self.density,
                register: self.register.map(|centre| Register {
                    centre,
                    strength: self.register_strength,
                }),
                longest: self.longest,
                velocity: self.velocity.unwrap_or(free.velocity),
                of_part,
                ..free
            },
        }
    }
}

/// Highest temperature; above it, all tokens are nearly equally likely.
const HOTTEST: f32 = 100.0;
/// Longest note in beats; no vocabulary has a longer one.
const LONGEST: f32 = 1000.0;

fn scale(text: &str) -> Result<ScaleLock, String> {
    match text.trim() {
        "auto" => Ok(ScaleLock::Heard),
        "off" => Ok(ScaleLock::Off),
        name => name
            .parse::<Scale>()
            .map(ScaleLock::Fixed)
            .map_err(|e| e.to_string()),
    }
}

fn pitch(text: &str) -> Result<u8, String> {
    let key = text.parse().ok().filter(|&key| key < 128);
    let named = || {
        let mut letters = text.chars();
        let first = letters.next()?.to_ascii_uppercase();
        parse_pitch(&format!("{first}{}", letters.as_str()))
    };
    key.or_else(named)
        .ok_or_else(|| format!("{text:?} is no pitch: C4 is middle C, or a MIDI key 0 to 127"))
}

fn pitches(text: &str) -> Result<(u8, u8), String> {
    let (low, high) = text
        .split_once("..")
        .ok_or("must be two pitches, as C3..C6")?;
    Ok((pitch(low.trim())?, pitch(high.trim())?))
}

fn part_limit(text: &str) -> Result<(Part, PartLimits), String> {
    let (part, limits) = text
        .split_once('=')
        .ok_or("must be a part and its limits, as bass=E1..G3:1 or lead=:1")?;
    let part: Part = part.parse().map_err(|e| format!("{e}"))?;
    let (range, most) = match limits.split_once(':') {
        Some((range, most)) => (range.trim(), Some(most.trim())),
        None => (limits.trim(), None),
    };
    let mut own = PartLimits::default();
    match range {
        "" if most.is_none() => {
            return Err(format!(
                "has no limit of the {part}; name pitches, notes at once or both, as {part}=C3..C6:2"
            ));
        }
        "" => {}
        _ if !part.is_pitched() => {
            return Err(
                "drums have no pitches to limit; limit their hits on a step, as drums=:2".into(),
            );
        }
        range => own.range = pitches(range)?,
    }
    if let Some(most) = most {
        let number = most.parse().ok().filter(|most| (1..=128).contains(most));
        own.polyphony = Some(number.ok_or_else(|| {
            format!("{most:?} is no number of notes from 1 to 128, as in {part}=:2")
        })?);
    }
    Ok((part, own))
}

fn velocities(text: &str) -> Result<(u8, u8), String> {
    let wrong = || "must be two velocities from 1 to 127, as 40..100".to_string();
    let (soft, loud) = text.split_once("..").ok_or_else(wrong)?;
    let velocity = |text: &str| text.trim().parse().ok().filter(|v| (1..=127).contains(v));
    match (velocity(soft), velocity(loud)) {
        (Some(soft), Some(loud)) => Ok((soft, loud)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        sampling: SamplingOptions,
    }

    fn read(line: &str) -> Result<Sampling, clap::Error> {
        let words = ["x"].into_iter().chain(line.split_whitespace());
        Ok(Line::try_parse_from(words)?.sampling.sampling())
    }

    #[test]
    fn missing_options_have_their_defaults() {
        assert_eq!(read("").unwrap(), Sampling::default());
    }

    #[test]
    fn options_set_their_settings() {
        let all = read(
            "--temperature .5 --temperature-rhythm 1.5 --top-k 5 --min-p .1 --warmest 1 \
             --scale D-dorian --range c3..84 --polyphony 3 --density 2.5 --register C5 \
             --longest 1.5 --velocity 40..100",
        )
        .unwrap();
        assert_eq!((all.pitch_temperature, all.rhythm_temperature), (0.5, 1.5));
        assert_eq!((all.top_k, all.min_p, all.loop_temperature), (5, 0.1, 1.0));
        let c = all.constraints;
        let dorian = "D dorian".parse().unwrap();
        assert_eq!(c.scale, ScaleLock::Fixed(dorian));
        assert_eq!((c.range, c.velocity), ((48, 84), (40, 100)));
        assert_eq!(
            (c.polyphony, c.density, c.longest),
            (Some(3), Some(2.5), Some(1.5))
        );
        let register = c.register.unwrap();
        assert_eq!((register.centre, register.strength), (72, 1.0));
        let auto = read("--scale auto").unwrap().constraints.scale;
        assert_eq!(auto, ScaleLock::Heard);
    }

    #[test]
    fn part_limits_name_pitches_notes_or_both() {
        let line = "--part-limit bass=E1..G3:1 --part-limit lead=:1 --part-limit Keys=48..c6 \
                    --part-limit drums=:2 --polyphony 4";
        let c = read(line).unwrap().constraints;
        let of = |part: Part| {
            let limits = c.of_part[part.index()];
            (limits.range, limits.polyphony)
        };
        assert_eq!(of(Part::Bass), ((28, 55), Some(1)));
        assert_eq!(of(Part::Lead), ((0, 127), Some(1)));
        assert_eq!(of(Part::Keys), ((48, 84), None));
        assert_eq!(of(Part::Drums), ((0, 127), Some(2)));
        assert_eq!(of(Part::Chords), ((0, 127), None));
        assert_eq!((c.range, c.polyphony), ((0, 127), Some(4)));
    }

    #[test]
    fn wrong_part_limits_say_what_to_write() {
        for (value, said) in [
            ("bass", "bass=E1..G3:1"),
            ("viola=C3..C5", "keys, lead, chords, bass and drums"),
            ("bass=", "bass=C3..C6:2"),
            ("bass=E1", "C3..C6"),
            ("bass=E1..H3", "H3"),
            ("bass=E1..G3:0", "1 to 128"),
            ("bass=:", "1 to 128"),
            ("drums=C1..C2", "drums=:2"),
        ] {
            let error = read(&format!("--part-limit {value}")).unwrap_err();
            assert!(error.to_string().contains(said), "{value}: {error}");
        }
    }

    #[test]
    fn invalid_values_are_refused() {
        for line in [
            "--temperature -1",
            "--temperature-pitch NaN",
            "--top-p 1.5",
            "--scale H-major",
            "--range C3",
            "--range C3..H9",
            "--polyphony 0",
            "--warmest 0.5",
            "--longest 0",
            "--density inf",
            "--velocity 0..10",
            "--register-strength 2",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
