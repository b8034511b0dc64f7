//! The notes of an electric piano together.

use crate::tone::{Stage, Tone};

/// Most notes at once. One more, and the softest of those let go, or else the oldest, makes way.
pub const POLYPHONY: usize = 16;
/// Slots beyond that are for notes fading out.
const SLOTS: usize = 3 * POLYPHONY;
const CHANNELS: usize = 16;

/// An electric piano in stereo. Made on any thread; everything else is safe on an audio thread:
/// no allocation, no lock, no system call.
pub struct ElectricPiano {
    tones: Box<[Tone]>,
    /// Channels whose sustain pedal is down.
    pedal: [bool; CHANNELS],
    born: u64,
}

impl ElectricPiano {
    /// Silent, for a rate in samples a second; anything that is none counts as 48,000.
    pub fn new(sample_rate: f64) -> Self {
        let usual = sample_rate.is_finite() && sample_rate >= 1.0;
        let sample_rate = if usual { sample_rate } else { 48_000.0 };
        Self {
            tones: (0..SLOTS).map(|_| Tone::new(sample_rate)).collect(),
            pedal: [false; CHANNELS],
            born: 0,
        }
    }

    /// Strikes a key, `velocity` from 0 to 1. The same key of the same channel, still sounding,
    /// makes way.
    pub fn note_on(&mut self, channel: u8, key: u8, velocity: f32) {
        if velocity.is_nan() || velocity <= 0.0 {
            return;
        }
        let mut sounding = 0;
        for tone in &mut self.tones {
            match tone.stage {
                Stage::Free | Stage::Fading => {}
                _ if (tone.channel, tone.key) == (channel, key) => tone.fade(),
                _ => sounding += 1,
            }
        }
        if sounding >= POLYPHONY {
            self.make_way();
        }
        self.born += 1;
        let free = self.tones.iter().position(|t| t.stage == Stage::Free);
        // Three times the polyphony within ten milliseconds is noise anyway.
        let softest = || {
            let fading = self.tones.iter().enumerate();
            let fading = fading.filter(|(_, t)| t.stage == Stage::Fading);
            fading.min_by(|a, b| a.1.loudness().total_cmp(&b.1.loudness()))
        };
        let slot = free.or_else(|| softest().map(|(slot, _)| slot));
        if let Some(tone) = slot.and_then(|slot| self.tones.get_mut(slot)) {
            tone.strike(channel, key.min(127), velocity.min(1.0), self.born);
        }
    }

    /// Lets a key go; with the pedal down it sounds on.
    pub fn note_off(&mut self, channel: u8, key: u8) {
        let pedal = self.pedal[usize::from(channel) % CHANNELS];
        for tone in &mut self.tones {
            if tone.stage == Stage::Held && (tone.channel, tone.key) == (channel, key) {
                match pedal {
                    true => tone.stage = Stage::Sustained,
                    false => tone.release(),
                }
            }
        }
    }

    /// The sustain pedal of a channel.
    pub fn pedal(&mut self, channel: u8, down: bool) {
        self.pedal[usize::from(channel) % CHANNELS] = down;
        if !down {
            for tone in &mut self.tones {
                if tone.stage == Stage::Sustained && tone.channel == channel {
                    tone.release();
                }
            }
        }
    }

    /// Lets every key of a channel go, pedal or not, as all-notes-off asks; `None` for all
    /// channels.
    pub fn all_off(&mut self, channel: Option<u8>) {
        for tone in &mut self.tones {
            let down = matches!(tone.stage, Stage::Held | Stage::Sustained);
            if down && channel.is_none_or(|c| c == tone.channel) {
                tone.release();
            }
        }
    }

    /// Silence at once, pedals up.
    pub fn reset(&mut self) {
        for tone in &mut self.tones {
            tone.stage = Stage::Free;
        }
        self.pedal = [false; CHANNELS];
    }

    /// Whether nothing sounds, and nothing will before the next note.
    pub fn is_silent(&self) -> bool {
        self.tones.iter().all(|tone| tone.stage == Stage::Free)
    }

    /// Writes the next samples, as many as the shorter slice has; never beyond -1 to 1,
    /// however many notes sound.
    pub fn render(&mut self, left: &mut [f32], right: &mut [f32]) {
        let count = left.len().min(right.len());
        let (left, right) = (&mut left[..count], &mut right[..count]);
        left.fill(0.0);
        right.fill(0.0);
        if self.is_silent() {
            return;
        }
        for tone in self.tones.iter_mut().filter(|t| t.stage != Stage::Free) {
            tone.add(left, right);
        }
        // An amplifier driven: straight where it is soft, bent where it is loud.
        for sample in left.iter_mut().chain(right) {
            *sample = sample.tanh();
        }
    }

    /// The note that is missed least makes way: the softest that was let go, or the oldest.
    fn make_way(&mut self) {
        let released = |t: &&mut Tone| t.stage == Stage::Released;
        let softest = self.tones.iter_mut().filter(released);
        let softest = softest.min_by(|a, b| a.loudness().total_cmp(&b.loudness()));
        let tone = match softest {
            Some(tone) => Some(tone),
            None => {
                let held = |t: &&mut Tone| matches!(t.stage, Stage::Held | Stage::Sustained);
                self.tones.iter_mut().filter(held).min_by_key(|t| t.born)
            }
        };
        if let Some(tone) = tone {
            tone.fade();
        }
    }
}
