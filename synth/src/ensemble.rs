//! The piano and the drum kit together.

use crate::drums::DrumKit;
use crate::piano::ElectricPiano;

/// MIDI channel of the drums, from 0.
pub const DRUM_CHANNEL: u8 = 9;

/// An electric piano, with a darker and shorter sound on channels that play a bass, and a drum kit
/// on channel 10. It is created on any thread; all other methods are safe on an audio thread: they
/// do not allocate, lock or make system calls.
pub struct Ensemble {
    piano: ElectricPiano,
    drums: DrumKit,
    /// Channels that play a bass: bit *c* for channel *c*, from 0.
    bass: u16,
}

impl Ensemble {
    /// Creates a silent ensemble for a sample rate in Hz. An invalid rate counts as 48,000.
    pub fn new(sample_rate: f64) -> Self {
        let usual = sample_rate.is_finite() && sample_rate >= 1.0;
        let sample_rate = if usual { sample_rate } else { 48_000.0 };
        Self {
            piano: ElectricPiano::new(sample_rate),
            drums: DrumKit::new(sample_rate),
            bass: 0,
        }
    }

    /// Sets the channels that play a bass: bit *c* for channel *c*, from 0. The change applies
    /// to notes that begin later.
    pub fn set_bass(&mut self, channels: u16) {
        self.bass = channels;
    }

    /// Begins a note. `channel` is 0 to 15, `key` is a MIDI key, and `velocity` is 0 to 1; a
    /// velocity of 0 begins no note. A sounding note of the same key and channel fades out, except
    /// on the drums.
    pub fn note_on(&mut self, channel: u8, key: u8, velocity: f32) {
        if velocity.is_nan() || velocity <= 0.0 {
            return;
        }
        let velocity = velocity.min(1.0);
        match channel {
            DRUM_CHANNEL => self.drums.strike(key, velocity),
            _ => {
                let is_bass = self.bass >> (channel & 15) & 1 == 1;
                self.piano.note_on(channel, key, velocity, is_bass);
            }
        }
    }

    /// Releases a key; if the pedal of the channel is down, its note sounds on. Drums end by
    /// themselves.
    pub fn note_off(&mut self, channel: u8, key: u8) {
        self.piano.note_off(channel, key);
    }

    /// Sets the sustain pedal of a channel.
    pub fn pedal(&mut self, channel: u8, down: bool) {
        self.piano.pedal(channel, down);
    }

    /// Releases every note of a channel, also those that the pedal holds; `None` stands for all
    /// channels. Drums end by themselves.
    pub fn all_off(&mut self, channel: Option<u8>) {
        self.piano.all_off(channel);
    }

    /// Silences all notes at once and releases all pedals.
    pub fn reset(&mut self) {
        self.piano.reset();
        self.drums.reset();
    }

    /// Whether the output is silent until the next note.
    pub fn is_silent(&self) -> bool {
        self.piano.is_silent() && self.drums.is_silent()
    }

    /// Writes the next samples to both slices, up to the length of the shorter one. Samples stay
    /// within -1 to 1, however many notes sound.
    pub fn render(&mut self, left: &mut [f32], right: &mut [f32]) {
        let count = left.len().min(right.len());
        let (left, right) = (&mut left[..count], &mut right[..count]);
        left.fill(0.0);
        right.fill(0.0);
        if self.is_silent() {
            return;
        }
        self.piano.add(left, right);
        self.drums.add(left, right);
        // Soft clipping: linear at low levels, limited at high ones.
        for sample in left.iter_mut().chain(right) {
            *sample = sample.tanh();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(channel: u8, key: u8, bass: u16) -> Vec<f32> {
        let mut ensemble = Ensemble::new(48_000.0);
        ensemble.set_bass(bass);
        ensemble.note_on(channel, key, 0.8);
        let (mut left, mut right) = (vec![0.0; 48_000], vec![0.0; 48_000]);
        ensemble.render(&mut left, &mut right);
        left
    }

    #[test]
    fn channel_ten_is_the_drums_and_note_offs_do_not_cut_them() {
        assert_ne!(sound(9, 60, 0), sound(0, 60, 0));
        let mut ensemble = Ensemble::new(48_000.0);
        ensemble.note_on(DRUM_CHANNEL, 49, 1.0);
        ensemble.note_off(DRUM_CHANNEL, 49);
        let (mut left, mut right) = ([0.0; 4_800], [0.0; 4_800]);
        ensemble.render(&mut left, &mut right);
        assert!(!ensemble.is_silent() && left.iter().any(|s| s.abs() > 0.01));
        ensemble.reset();
        assert!(ensemble.is_silent());
    }

    #[test]
    fn bass_is_darker_and_shorter_than_the_piano() {
        let energy = |sound: &[f32]| sound.iter().map(|s| s * s).sum::<f32>();
        // Differences of neighbours weigh high frequencies.
        let bright = |sound: &[f32]| {
            let steps: Vec<f32> = sound.windows(2).map(|w| w[1] - w[0]).collect();
            energy(&steps) / energy(sound)
        };
        let (piano, bass) = (sound(1, 36, 0), sound(1, 36, 2));
        assert!(bright(&bass[..9_600]) < 0.7 * bright(&piano[..9_600]));
        let late = |sound: &[f32]| energy(&sound[38_400..]) / energy(&sound[..9_600]);
        assert!(late(&bass) < 0.7 * late(&piano));
    }
}
