//! The host's parameters. Their ids are written into songs and never change.

mod builder;
mod cache;
mod defaults;
mod host_choice;

use continuo_engine::{Constraints, PartLimits, Register, Sampling};
use continuo_score::{Part, PartSet};
use nice_plug::prelude::*;

use crate::process::AudioSettings;
use crate::state::State;
use continuo_accompaniment::choices::{
    Enter, Harmony, InputPart, ListenTo, MemoryMode, Mode, ScaleChoice, Tonic, Variation,
    VelocityFrom,
};
use continuo_accompaniment::held_chord::ChordKeys;
use continuo_accompaniment::messages::Settings;
use continuo_accompaniment::transport::OwnTime;
use continuo_accompaniment::trigger::{Trigger, TriggerSet};

use self::builder::ChangeCounter;

pub use self::cache::ParamCache;
pub use self::defaults::{listen_from_the_start, sound_from_the_start};
pub use self::host_choice::HostChoice;

/// The longest note of the models, in beats: at this value there is no limit.
const LONGEST: f32 = 32.0;

/// At this value the long memory has no limit, in bars.
const ALL_BARS: i32 = 128;

/// Nats by which a pitch an octave away from the register is less likely at full pull.
const FULL_PULL: f32 = 4.0;

/// The parameters. Shared by the host's threads and the audio thread: nice-plug keeps the values in atomics
/// and saves them with the song.
#[derive(Params)]
pub struct ContinuoParams {
    /// Generates nothing, and passes everything through.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// Incoming events pass to the output.
    #[id = "thru"]
    pub thru: BoolParam,
    /// When it plays.
    #[id = "mode"]
    pub mode: EnumParam<HostChoice<Mode>>,
    /// Plays while it is on, whatever the mode is.
    #[id = "hold"]
    pub hold: BoolParam,
    /// Ends all notes when it is switched on; generates nothing while it is on.
    #[id = "panic"]
    pub panic: BoolParam,
    /// Silence after which it starts (Continue) or stops (Along), in quarter notes.
    #[id = "gap"]
    pub gap: FloatParam,
    /// Where an answer may begin.
    #[id = "enter"]
    pub enter: EnumParam<HostChoice<Enter>>,
    /// Time from the decision to the answer, in quarter notes.
    #[id = "lead"]
    pub lead: FloatParam,
    /// Length of a turn, in bars.
    #[id = "bars"]
    pub bars: IntParam,
    /// Length of the plan ahead of the playhead, in quarter notes.
    #[id = "lookahead"]
    pub lookahead: FloatParam,
    /// Behaviour of memory when the transport jumps.
    #[id = "memory"]
    pub memory: EnumParam<HostChoice<MemoryMode>>,
    /// Weight of the long memory and of literal repetition, 0 to 1.
    #[id = "recall"]
    pub recall: FloatParam,
    /// Reach of the long memory, in bars.
    #[id = "memory_bars"]
    pub memory_bars: IntParam,
    /// Clears the memory when it is switched on.
    #[id = "clear"]
    pub clear: BoolParam,
    /// Sampling temperature of pitches and velocities.
    #[id = "temp"]
    pub temp: FloatParam,
    /// Sampling temperature of lengths and onsets.
    #[id = "temp_rhythm"]
    pub temp_rhythm: FloatParam,
    /// Probability mass of nucleus sampling.
    #[id = "top_p"]
    pub top_p: FloatParam,
    /// Scale of the generated notes.
    #[id = "scale"]
    pub scale: EnumParam<HostChoice<ScaleChoice>>,
    /// The tonic of the scale.
    #[id = "key"]
    pub key: EnumParam<HostChoice<Tonic>>,
    /// Lowest MIDI key generated.
    #[id = "low"]
    pub low: IntParam,
    /// Highest MIDI key generated.
    #[id = "high"]
    pub high: IntParam,
    /// Limit of notes at once; 0 for none.
    #[id = "voices"]
    pub voices: IntParam,
    /// Target of notes in a beat; 0 leaves it to the model.
    #[id = "density"]
    pub density: FloatParam,
    /// MIDI key around which it plays.
    #[id = "register"]
    pub register: IntParam,
    /// Strength of the register, 0 to 1.
    #[id = "reg_pull"]
    pub register_pull: FloatParam,
    /// Longest note, in beats.
    #[id = "longest"]
    pub longest: FloatParam,
    /// Seed of the random choices.
    #[id = "seed"]
    pub seed: IntParam,
    /// One of four answers to the same notes.
    #[id = "variation"]
    pub variation: EnumParam<HostChoice<Variation>>,
    /// Generates the current bar again when it is switched on.
    #[id = "regen"]
    pub regenerate: BoolParam,
    /// Repeats the last bars while it is on.
    #[id = "freeze"]
    pub freeze: BoolParam,
    /// Factor of note lengths; 1 keeps the lengths of the model.
    #[id = "length"]
    pub length: FloatParam,
    /// Source of velocities.
    #[id = "vel_from"]
    pub velocity_from: EnumParam<HostChoice<VelocityFrom>>,
    /// The fixed velocity, 1 to 127.
    #[id = "velocity"]
    pub velocity: IntParam,
    /// Share of the player's timing that generated notes take over, 0 to 1.
    #[id = "feel"]
    pub feel: FloatParam,
    /// MIDI channel of the player: 1 to 16, 0 for all.
    #[id = "in_ch"]
    pub input: IntParam,
    /// MIDI channel of generated notes: 1 to 16.
    #[id = "out_ch"]
    pub output: IntParam,
    /// Delay of generated notes, in milliseconds; negative for earlier.
    #[id = "offset"]
    pub offset: FloatParam,
    /// Uses its own tempo even where the host has a transport.
    #[id = "free_run"]
    pub free_run: BoolParam,
    /// Its own tempo, in quarter notes a minute.
    #[id = "tempo"]
    pub tempo: FloatParam,
    /// Gain of the preview sound, as a factor; 0 is off.
    #[id = "sound"]
    pub sound: FloatParam,
    /// Source of the chords that generated notes follow.
    #[id = "harmony"]
    pub harmony: EnumParam<HostChoice<Harmony>>,
    /// Pull to those chords, 0 to 1.
    #[id = "chord_pull"]
    pub chord_pull: FloatParam,
    /// MIDI channel on which chords are held: 1 to 16, 0 for the keys below the split.
    #[id = "chord_ch"]
    pub chord_channel: IntParam,
    /// The lowest MIDI key that holds no chord.
    #[id = "split"]
    pub split: IntParam,
    /// Plays the keys. Where no part is on, it plays the parts that it hears.
    #[id = "play_keys"]
    pub play_keys: BoolParam,
    /// Plays the lead.
    #[id = "play_lead"]
    pub play_lead: BoolParam,
    /// Plays the chords.
    #[id = "play_chords"]
    pub play_chords: BoolParam,
    /// Plays the bass.
    #[id = "play_bass"]
    pub play_bass: BoolParam,
    /// Plays the drums.
    #[id = "play_drums"]
    pub play_drums: BoolParam,
    /// Part of the player.
    #[id = "in_part"]
    pub input_part: EnumParam<HostChoice<InputPart>>,
    /// MIDI channel of the keys: 1 to 16, 0 for the output channel.
    #[id = "out_keys"]
    pub keys_output: IntParam,
    /// MIDI channel of the lead.
    #[id = "out_lead"]
    pub lead_output: IntParam,
    /// MIDI channel of the chords.
    #[id = "out_chords"]
    pub chords_output: IntParam,
    /// MIDI channel of the bass.
    #[id = "out_bass"]
    pub bass_output: IntParam,
    /// MIDI channel of the drums.
    #[id = "out_drums"]
    pub drums_output: IntParam,
    /// Lowest MIDI key of the keys; 0 for no limit of their own.
    #[id = "low_keys"]
    pub keys_low: IntParam,
    /// Highest MIDI key of the keys; 127 for no limit of their own.
    #[id = "high_keys"]
    pub keys_high: IntParam,
    /// Limit of notes of the keys at once; 0 for no limit of their own.
    #[id = "voices_keys"]
    pub keys_voices: IntParam,
    /// Lowest MIDI key of the lead; 0 for no limit of its own.
    #[id = "low_lead"]
    pub lead_low: IntParam,
    /// Highest MIDI key of the lead; 127 for no limit of its own.
    #[id = "high_lead"]
    pub lead_high: IntParam,
    /// Limit of notes of the lead at once; 0 for no limit of its own.
    #[id = "voices_lead"]
    pub lead_voices: IntParam,
    /// Lowest MIDI key of the chords; 0 for no limit of their own.
    #[id = "low_chords"]
    pub chords_low: IntParam,
    /// Highest MIDI key of the chords; 127 for no limit of their own.
    #[id = "high_chords"]
    pub chords_high: IntParam,
    /// Limit of notes of the chords at once; 0 for no limit of their own.
    #[id = "voices_chords"]
    pub chords_voices: IntParam,
    /// Lowest MIDI key of the bass; 0 for no limit of its own.
    #[id = "low_bass"]
    pub bass_low: IntParam,
    /// Highest MIDI key of the bass; 127 for no limit of its own.
    #[id = "high_bass"]
    pub bass_high: IntParam,
    /// Limit of notes of the bass at once; 0 for no limit of its own.
    #[id = "voices_bass"]
    pub bass_voices: IntParam,
    /// Limit of drum hits on one step; 0 for none.
    #[id = "voices_drums"]
    pub drums_voices: IntParam,
    /// Where the player's notes come from.
    #[id = "listen"]
    pub listen_to: EnumParam<HostChoice<ListenTo>>,
    /// Level in dB below which sound has no notes.
    #[id = "ear_gate"]
    pub ear_gate: FloatParam,
    /// Sensitivity of the ear, 0 to 1.
    #[id = "ear_sens"]
    pub ear_sensitivity: FloatParam,
    /// State that a song keeps beside the parameters.
    #[persist = "session"]
    pub state: State,
    /// Counts changes of all these values except the preview sound's.
    changes: ChangeCounter,
}

/// The MIDI channel, 0 to 15, of a number from 1 to 16.
fn channel(number: i32) -> Option<u8> {
    u8::try_from(number - 1).ok().filter(|&c| c < 16)
}

/// The MIDI key, 0 to 127, of a parameter.
fn key(param: &IntParam) -> u8 {
    param.value().clamp(0, 127) as u8
}

/// The maximum number of notes of a parameter; `None` at 0.
fn voices(param: &IntParam) -> Option<u8> {
    u8::try_from(param.value()).ok().filter(|&most| most > 0)
}

impl ContinuoParams {
    /// Current values for the composer. Audio thread.
    pub fn settings(&self) -> Settings {
        let mode = if self.bypass.value() || self.panic.value() {
            Mode::Off
        } else if self.hold.value() || self.freeze.value() {
            Mode::Free
        } else {
            self.mode.value().0
        };
        let audio_settings = self.audio_settings();
        Settings {
            mode,
            gap: f64::from(self.gap.value()),
            enter: self.enter.value().0,
            lead: f64::from(self.lead.value()),
            bars: self.bars.value().unsigned_abs(),
            memory: self.memory.value().0,
            recall: self.recall.value(),
            reach: Some(self.memory_bars.value())
                .filter(|&bars| bars < ALL_BARS)
                .map(i32::unsigned_abs),
            sampling: self.sampling(),
            lookahead: f64::from(self.lookahead.value()),
            length: f64::from(self.length.value()),
            velocity_from: self.velocity_from.value().0,
            velocity: self.velocity.value().clamp(1, 127) as u8,
            feel: f64::from(self.feel.value()),
            freeze: self.freeze.value(),
            harmony: self.harmony.value().0,
            chord_keys: ChordKeys {
                channel: channel(self.chord_channel.value()),
                split: self.split.value().clamp(0, 127) as u8,
            },
            seed: self.seed.value().unsigned_abs(),
            variation: self.variation.value().0,
            plays: self.plays(),
            listen_to: self.listen_to.value().0,
            input_part: self.input_part.value().0.fixed(),
            output_channels: Part::ALL.map(|part| audio_settings.channel(part)),
        }
    }

    fn plays(&self) -> PartSet {
        let on = |part: &Part| match part {
            Part::Keys => self.play_keys.value(),
            Part::Lead => self.play_lead.value(),
            Part::Chords => self.play_chords.value(),
            Part::Bass => self.play_bass.value(),
            Part::Drums => self.play_drums.value(),
        };
        Part::ALL.into_iter().filter(on).collect()
    }

    fn sampling(&self) -> Sampling {
        let some = |value: f32| Some(value).filter(|&value| value > 0.0);
        let constraints = Constraints {
            scale: self.scale.value().0.lock(self.key.value().0),
            range: (key(&self.low), key(&self.high)),
            polyphony: voices(&self.voices),
            density: some(self.density.value()),
            register: some(self.register_pull.value()).map(|pull| Register {
                centre: key(&self.register),
                strength: FULL_PULL * pull,
            }),
            longest: Some(self.longest.value()).filter(|&longest| longest < LONGEST),
            chord_pull: match self.harmony.value().0 {
                Harmony::Free => 0.0,
                _ => self.chord_pull.value(),
            },
            of_part: Part::ALL.map(|part| self.part_limits(part)),
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

    /// Limits of a part of its own. The engine combines them with those of all parts.
    fn part_limits(&self, part: Part) -> PartLimits {
        let (low, high, most) = match part {
            Part::Keys => (&self.keys_low, &self.keys_high, &self.keys_voices),
            Part::Lead => (&self.lead_low, &self.lead_high, &self.lead_voices),
            Part::Chords => (&self.chords_low, &self.chords_high, &self.chords_voices),
            Part::Bass => (&self.bass_low, &self.bass_high, &self.bass_voices),
            Part::Drums => {
                return PartLimits {
                    polyphony: voices(&self.drums_voices),
                    ..PartLimits::default()
                };
            }
        };
        PartLimits {
            range: (key(low), key(high)),
            polyphony: voices(most),
        }
    }

    /// Current values for the audio thread. Audio thread.
    pub fn audio_settings(&self) -> AudioSettings {
        AudioSettings {
            thru: self.thru.value() || self.bypass.value(),
            input: channel(self.input.value()),
            hears_keys: self.listen_to.value().0.hears_keys(),
            ear: self.ear_settings(),
            output: channel(self.output.value()).unwrap_or(0),
            part_outputs: Part::ALL.map(|part| {
                let output = match part {
                    Part::Keys => &self.keys_output,
                    Part::Lead => &self.lead_output,
                    Part::Chords => &self.chords_output,
                    Part::Bass => &self.bass_output,
                    Part::Drums => &self.drums_output,
                };
                channel(output.value())
            }),
            offset: f64::from(self.offset.value()) / 1000.0,
            own_time: OwnTime {
                tempo: f64::from(self.tempo.value()),
                always: self.free_run.value(),
            },
            triggers: self.triggers(),
        }
    }

    /// Settings of the ear; `None` where sound does not count.
    fn ear_settings(&self) -> Option<continuo_ear::Settings> {
        let hears = self.listen_to.value().0.hears_audio();
        hears.then(|| continuo_ear::Settings {
            sensitivity: self.ear_sensitivity.value(),
            gate_db: self.ear_gate.value(),
            ..continuo_ear::Settings::default()
        })
    }

    /// Triggers that are on. Undo and redo are no parameters, as hosts have an undo of their own.
    fn triggers(&self) -> TriggerSet {
        let mut triggers = TriggerSet::default();
        triggers.set(Trigger::Panic, self.panic.value());
        triggers.set(Trigger::Regenerate, self.regenerate.value());
        triggers.set(Trigger::Clear, self.clear.value());
        triggers
    }
}

#[cfg(test)]
mod tests;
