//! A small drum kit for the keys of General MIDI: each hit is a tone whose pitch falls, filtered
//! noise, or both. A hit ends by itself; note-offs do not count.

use std::f64::consts::TAU;

use crate::decay::Decay;

/// Greatest number of hits at once. A further hit replaces the softest one.
const HITS: usize = 12;
/// Peak amplitude of the tone and the noise together at full velocity.
const LOUDEST: f32 = 0.4;

/// Sound of a drum.
struct Drum {
    /// Frequencies in Hz of the tone at the beginning and in the end; 0 for no tone.
    pitch: (f64, f64),
    /// Duration in seconds in which the frequency makes all but a thousandth of its fall.
    fall: f64,
    /// Duration in seconds of the fall of the tone by 60 dB.
    tone: f64,
    /// Share of noise, from 0 to 1, and the duration in seconds of its fall by 60 dB.
    noise: (f32, f64),
    /// Cut-off frequency in Hz of the noise's high-pass filter.
    above: f64,
}

impl Drum {
    /// Returns the drum of a General MIDI key.
    fn of(key: u8) -> Self {
        let noise = |share, seconds, above| Self {
            pitch: (0.0, 0.0),
            fall: 0.1,
            tone: 0.1,
            noise: (share, seconds),
            above,
        };
        match key {
            // Bass drums.
            35 | 36 => Self {
                pitch: (150.0, 48.0),
                fall: 0.06,
                tone: 0.35,
                noise: (0.1, 0.02),
                above: 500.0,
            },
            // Snares, side stick, clap.
            37..=40 => Self {
                pitch: (240.0, 180.0),
                fall: 0.05,
                tone: 0.15,
                noise: (0.5, 0.25),
                above: 1_200.0,
            },
            // Closed, pedal and open hi-hat.
            42 | 44 => noise(0.35, 0.06, 7_000.0),
            46 => noise(0.35, 0.4, 7_000.0),
            // Toms, from the low floor tom to the high tom.
            41 | 43 | 45 | 47 | 48 | 50 => {
                let low = 70.0 + 12.0 * f64::from(key - 41);
                Self {
                    pitch: (1.6 * low, low),
                    fall: 0.1,
                    tone: 0.5,
                    noise: (0.05, 0.05),
                    above: 800.0,
                }
            }
            // Rides, then crashes.
            51 | 53 | 59 => noise(0.2, 0.9, 5_500.0),
            49 | 52 | 55 | 57 => noise(0.4, 1.6, 3_500.0),
            // Percussion: a short sound of the key's pitch.
            _ => {
                let hz = 440.0 * ((f64::from(key.min(100)) - 45.0) / 12.0).exp2();
                Self {
                    pitch: (hz, hz),
                    fall: 0.1,
                    tone: 0.12,
                    noise: (0.15, 0.05),
                    above: 3_000.0,
                }
            }
        }
    }
}

/// A hit that sounds.
#[derive(Clone, Copy, Default)]
struct Hit {
    /// Phase of the tone in turns.
    phase: f64,
    /// Increment of the phase for each sample.
    step: f64,
    /// Increment of the phase in the end.
    last_step: f64,
    /// Factor for each sample by which the increment approaches the last one.
    fall: f64,
    /// Amplitude of the tone.
    tone: Decay,
    /// Amplitude of the noise.
    noise: Decay,
    /// State of a low-pass filter of the noise. It is subtracted, which makes a high-pass filter.
    low: f32,
    /// Coefficient of that filter.
    smooth: f32,
}

impl Hit {
    fn loudness(&self) -> f32 {
        self.tone.value() + self.noise.value()
    }
}

/// A drum kit. It is created on any thread; all other methods are safe on an audio thread: they do
/// not allocate, lock or make system calls.
pub(crate) struct DrumKit {
    hits: [Hit; HITS],
    sample_rate: f64,
    /// State of the noise, never 0.
    random: u32,
}

impl DrumKit {
    /// Creates a silent kit for a sample rate in Hz.
    pub(crate) fn new(sample_rate: f64) -> Self {
        Self {
            hits: [Hit::default(); HITS],
            sample_rate,
            random: 0x9e37_79b9,
        }
    }

    /// Strikes a drum; `velocity` is 0 to 1.
    pub(crate) fn strike(&mut self, key: u8, velocity: f32) {
        let softest = |a: &&mut Hit, b: &&mut Hit| a.loudness().total_cmp(&b.loudness());
        let Some(hit) = self.hits.iter_mut().min_by(softest) else {
            return;
        };
        let (drum, rate) = (Drum::of(key), self.sample_rate);
        let level = LOUDEST * velocity.powf(1.5);
        let (share, seconds) = drum.noise;
        // A tone above half of the sample rate would alias.
        let tone = match drum.pitch.0 > 0.0 && drum.pitch.0 < rate / 2.0 {
            true => level * (1.0 - share),
            false => 0.0,
        };
        *hit = Hit {
            phase: 0.0,
            step: drum.pitch.0 / rate,
            last_step: drum.pitch.1 / rate,
            fall: 0.001f64.powf(1.0 / (drum.fall * rate)),
            tone: Decay::new(tone, drum.tone, rate),
            noise: Decay::new(level * share, seconds, rate),
            low: 0.0,
            smooth: (1.0 - (-TAU * drum.above / rate).exp()) as f32,
        };
    }

    /// Silences all drums at once.
    pub(crate) fn reset(&mut self) {
        self.hits = [Hit::default(); HITS];
    }

    /// Whether the output is silent until the next hit.
    pub(crate) fn is_silent(&self) -> bool {
        self.hits.iter().all(|hit| hit.loudness() == 0.0)
    }

    /// Adds the next samples to both slices, up to the length of the shorter one.
    pub(crate) fn add(&mut self, left: &mut [f32], right: &mut [f32]) {
        let Self { hits, random, .. } = self;
        for hit in hits.iter_mut().filter(|hit| hit.loudness() > 0.0) {
            for (left, right) in left.iter_mut().zip(right.iter_mut()) {
                // Marsaglia's xorshift; the upper bits make numbers from -1 to 1.
                *random ^= *random << 13;
                *random ^= *random >> 17;
                *random ^= *random << 5;
                let white = (*random >> 8) as f32 / 8_388_608.0 - 1.0;
                hit.low += hit.smooth * (white - hit.low);
                hit.step = hit.last_step + (hit.step - hit.last_step) * hit.fall;
                hit.phase = (hit.phase + hit.step).fract();
                let tone = crate::voice::sine(hit.phase as f32) * hit.tone.next();
                let sample = tone + (white - hit.low) * hit.noise.next();
                *left += sample;
                *right += sample;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(key: u8, velocity: f32) -> Vec<f32> {
        let mut kit = DrumKit::new(48_000.0);
        kit.strike(key, velocity);
        let (mut left, mut right) = (vec![0.0; 48_000], vec![0.0; 48_000]);
        kit.add(&mut left, &mut right);
        assert_eq!(left, right);
        left
    }

    #[test]
    fn every_key_sounds_and_ends_by_itself() {
        for key in 0..128 {
            let sound = struck(key, 1.0);
            let peak = sound.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
            assert!((0.05..1.0).contains(&peak), "{key}: {peak}");
            let soft = struck(key, 0.3);
            let quiet = soft.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
            assert!(quiet < peak / 2.0, "{key}");
            let mut kit = DrumKit::new(48_000.0);
            kit.strike(key, 1.0);
            let mut block = ([0.0; 4_800], [0.0; 4_800]);
            let blocks = (0..40).take_while(|_| {
                kit.add(&mut block.0, &mut block.1);
                !kit.is_silent()
            });
            assert!(blocks.count() < 40, "{key}");
        }
    }

    /// Mean number of changes of sign in a second, a measure of the pitch.
    fn crossings(sound: &[f32]) -> usize {
        sound
            .windows(2)
            .filter(|w| (w[0] < 0.0) != (w[1] < 0.0))
            .count()
    }

    #[test]
    fn bass_drum_is_low_and_hi_hat_is_high() {
        let [kick, tom, hat] = [36, 45, 42].map(|key| crossings(&struck(key, 1.0)[..4_800]));
        assert!(kick < tom && tom < hat / 4, "{kick}, {tom}, {hat}");
    }
}
