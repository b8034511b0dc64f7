//! One voice: a carrier, and two oscillators that modulate its phase. The frequencies of all three
//! are whole multiples of the note's, so that one phase drives them without drift.

use std::f32::consts::TAU;

use crate::decay::Decay;

/// Duration of the attack in seconds; it avoids clicks.
const ATTACK: f64 = 0.001;
/// Duration of a fall by 60 dB of a released note, in seconds.
const RELEASE: f64 = 0.25;
/// Duration of a fall by 60 dB of a note whose voice another note takes, in seconds.
const FADE: f64 = 0.01;
/// Frequency ratio of the tine to the note. At a sample rate that is too low for it, the highest
/// possible ratio is used.
const TINE: f64 = 14.0;
/// Peak amplitude of a note of the piano at full velocity, before panning. Six such notes reach 1.
const LOUDEST: f32 = 0.17;

/// Stage of a voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum VoiceStage {
    /// The voice is silent and free.
    #[default]
    Free,
    /// The key is down.
    Held,
    /// The key is up, and the pedal is down.
    Sustained,
    /// The key and the pedal are up.
    Released,
    /// The voice fades quickly, since another note needs it.
    Fading,
}

/// Oscillators and envelopes of one note. Used by one thread, which may be an audio thread.
pub(crate) struct Voice {
    pub(crate) stage: VoiceStage,
    pub(crate) channel: u8,
    pub(crate) key: u8,
    /// Number of the note-on; the oldest note has the lowest.
    pub(crate) started: u64,
    sample_rate: f64,
    /// Phase in turns, from 0 to 1.
    phase: f64,
    /// Increment of the phase for each sample.
    step: f64,
    /// Frequency ratio of the tine to the note, a whole number.
    ring: f64,
    /// Amplitude envelope after the attack.
    level: Decay,
    /// Attack envelope from 0 to 1.
    attack: f32,
    /// Increment of the attack envelope for each sample.
    attack_step: f32,
    /// Constant part of the body's modulation index, in radians.
    body_floor: f32,
    /// Decaying part of the body's modulation index, in radians.
    body_index: Decay,
    /// Modulation index of the tine, in radians.
    tine_index: Decay,
    /// Amplitude of the left and of the right channel.
    pan: (f32, f32),
}

impl Voice {
    pub(crate) fn new(sample_rate: f64) -> Self {
        Self {
            stage: VoiceStage::Free,
            channel: 0,
            key: 0,
            started: 0,
            sample_rate,
            phase: 0.0,
            step: 0.0,
            ring: TINE,
            level: Decay::default(),
            attack: 0.0,
            attack_step: (1.0 / (ATTACK * sample_rate)) as f32,
            body_floor: 0.0,
            body_index: Decay::default(),
            tine_index: Decay::default(),
            pan: (0.0, 0.0),
        }
    }

    /// Begins a note; `velocity` is 0 to 1. A key whose frequency is above 0.45 of the sample rate
    /// stays silent. A bass has no tine, a lower modulation index of the body, and a shorter decay.
    pub(crate) fn note_on(
        &mut self,
        channel: u8,
        key: u8,
        velocity: f32,
        is_bass: bool,
        started: u64,
    ) {
        let hz = 440.0 * ((f64::from(key) - 69.0) / 12.0).exp2();
        // Number of partials below 0.45 of the sample rate: FM makes many, and higher ones would
        // alias.
        let room = 0.45 * self.sample_rate / hz;
        if room < 1.0 {
            return;
        }
        let (rate, height) = (self.sample_rate, f64::from(key) / 127.0);
        let bright = velocity * ((room as f32 - 1.0) / 8.0).clamp(0.0, 1.0);
        let ring = TINE.min(room.floor() - 2.0).max(1.0);
        (self.channel, self.key, self.started) = (channel, key, started);
        (self.phase, self.step, self.ring) = (0.0, hz / rate, ring);
        // Low notes decay more slowly than high ones.
        let seconds = 12.0 * (-3.0 * height).exp2();
        self.level = Decay::new(LOUDEST * velocity.powf(1.5), seconds, rate);
        self.attack = 0.0;
        self.body_floor = 0.3 * bright;
        self.body_index = Decay::new(1.1 * bright, 1.5, rate);
        self.tine_index = Decay::new(0.22 * bright * velocity, 0.6 * (1.5 - height), rate);
        if is_bass {
            self.level = Decay::new(1.3 * LOUDEST * velocity.powf(1.5), 0.4 * seconds, rate);
            self.body_index = Decay::new(0.6 * bright, 0.5, rate);
            self.tine_index = Decay::default();
        }
        // Constant-power panning, low keys to the left, in a narrow range.
        let angle = std::f32::consts::FRAC_PI_4 * (0.7 + 0.6 * height as f32);
        self.pan = (angle.cos(), angle.sin());
        self.stage = VoiceStage::Held;
    }

    /// Releases the note.
    pub(crate) fn release(&mut self) {
        self.level.slow(RELEASE, self.sample_rate);
        self.stage = VoiceStage::Released;
    }

    /// Fades the note quickly.
    pub(crate) fn fade(&mut self) {
        self.level.slow(FADE, self.sample_rate);
        self.stage = VoiceStage::Fading;
    }

    /// Returns the current amplitude.
    pub(crate) fn loudness(&self) -> f32 {
        self.level.value() * self.attack
    }

    /// Adds the voice's next samples to both slices, up to the length of the shorter one.
    pub(crate) fn add(&mut self, left: &mut [f32], right: &mut [f32]) {
        for (left, right) in left.iter_mut().zip(right) {
            let phase = self.phase as f32;
            let tine = (self.phase * self.ring).fract() as f32;
            let body = (self.body_floor + self.body_index.next()) * sine(phase);
            let swing = body + self.tine_index.next() * sine(tine);
            self.phase = (self.phase + self.step).fract();
            self.attack = (self.attack + self.attack_step).min(1.0);
            let sample = sine(phase + swing / TAU) * self.attack * self.level.next();
            *left += sample * self.pan.0;
            *right += sample * self.pan.1;
        }
        if self.level.value() == 0.0 {
            self.stage = VoiceStage::Free;
        }
    }
}

/// Returns the sine of an angle in turns, with an error below 4e-6 (-108 dB). Computes the Taylor
/// series up to the ninth power, over a quarter of a turn.
pub(crate) fn sine(turns: f32) -> f32 {
    let half = turns - turns.round();
    let quarter = match half.abs() > 0.25 {
        true => 0.5f32.copysign(half) - half,
        false => half,
    };
    let x = quarter * TAU;
    let square = x * x;
    let series = 1.0 / 362_880.0;
    let series = series * square - 1.0 / 5_040.0;
    let series = series * square + 1.0 / 120.0;
    let series = series * square - 1.0 / 6.0;
    (series * square + 1.0) * x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_equals_the_sine() {
        for n in -4_000..4_000 {
            let turns = n as f32 / 1_000.0;
            let exact = (f64::from(turns) * std::f64::consts::TAU).sin();
            assert!((f64::from(sine(turns)) - exact).abs() < 5e-6, "{turns}");
        }
    }
}
