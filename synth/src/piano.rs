//! An electric piano: voices, pedals, and voice stealing.

use crate::voice::{Voice, VoiceStage};

/// Greatest number of notes at once. A further note takes the voice of the softest released note,
/// or else of the oldest.
pub const POLYPHONY: usize = 16;
/// Number of voices. Those beyond [`POLYPHONY`] are for notes that fade out.
const SLOTS: usize = 3 * POLYPHONY;
/// Number of MIDI channels.
const CHANNELS: usize = 16;

/// An electric piano in stereo. It is created on any thread; all other methods are safe on an audio
/// thread: they do not allocate, lock or make system calls.
pub(crate) struct ElectricPiano {
    voices: Box<[Voice]>,
    /// Whether the sustain pedal of each channel is down.
    pedal: [bool; CHANNELS],
    /// Number of note-ons so far.
    started: u64,
}

impl ElectricPiano {
    /// Creates a silent piano for a sample rate in Hz.
    pub(crate) fn new(sample_rate: f64) -> Self {
        Self {
            voices: (0..SLOTS).map(|_| Voice::new(sample_rate)).collect(),
            pedal: [false; CHANNELS],
            started: 0,
        }
    }

    /// Begins a note; `velocity` is above 0 and at most 1. A sounding note of the same key and
    /// channel fades out.
    pub(crate) fn note_on(&mut self, channel: u8, key: u8, velocity: f32, is_bass: bool) {
        let mut sounding = 0;
        for voice in &mut self.voices {
            match voice.stage {
                VoiceStage::Free | VoiceStage::Fading => {}
                _ if (voice.channel, voice.key) == (channel, key) => voice.fade(),
                _ => sounding += 1,
            }
        }
        if sounding >= POLYPHONY {
            self.steal_voice();
        }
        self.started += 1;
        let free = self.voices.iter().position(|t| t.stage == VoiceStage::Free);
        // Without a free voice the note replaces the softest fading one, perhaps with a click. This
        // needs more than twice the polyphony of note-ons within one fade.
        let softest = || {
            let fading = self.voices.iter().enumerate();
            let fading = fading.filter(|(_, t)| t.stage == VoiceStage::Fading);
            fading.min_by(|a, b| a.1.loudness().total_cmp(&b.1.loudness()))
        };
        let slot = free.or_else(|| softest().map(|(slot, _)| slot));
        if let Some(voice) = slot.and_then(|slot| self.voices.get_mut(slot)) {
            voice.note_on(channel, key.min(127), velocity, is_bass, self.started);
        }
    }

    /// Releases a key; if the pedal of the channel is down, its note sounds on.
    pub(crate) fn note_off(&mut self, channel: u8, key: u8) {
        let pedal = self.pedal[usize::from(channel) % CHANNELS];
        for voice in &mut self.voices {
            if voice.stage == VoiceStage::Held && (voice.channel, voice.key) == (channel, key) {
                match pedal {
                    true => voice.stage = VoiceStage::Sustained,
                    false => voice.release(),
                }
            }
        }
    }

    /// Sets the sustain pedal of a channel.
    pub(crate) fn pedal(&mut self, channel: u8, down: bool) {
        self.pedal[usize::from(channel) % CHANNELS] = down;
        if !down {
            for voice in &mut self.voices {
                if voice.stage == VoiceStage::Sustained && voice.channel == channel {
                    voice.release();
                }
            }
        }
    }

    /// Releases every note of a channel, also those that the pedal holds; `None` stands for all
    /// channels.
    pub(crate) fn all_off(&mut self, channel: Option<u8>) {
        for voice in &mut self.voices {
            let down = matches!(voice.stage, VoiceStage::Held | VoiceStage::Sustained);
            if down && channel.is_none_or(|c| c == voice.channel) {
                voice.release();
            }
        }
    }

    /// Silences all notes at once and releases all pedals.
    pub(crate) fn reset(&mut self) {
        for voice in &mut self.voices {
            voice.stage = VoiceStage::Free;
        }
        self.pedal = [false; CHANNELS];
    }

    /// Whether the output is silent until the next note.
    pub(crate) fn is_silent(&self) -> bool {
        self.voices
            .iter()
            .all(|voice| voice.stage == VoiceStage::Free)
    }

    /// Adds the next samples to both slices, up to the length of the shorter one.
    pub(crate) fn add(&mut self, left: &mut [f32], right: &mut [f32]) {
        for voice in self
            .voices
            .iter_mut()
            .filter(|t| t.stage != VoiceStage::Free)
        {
            voice.add(left, right);
        }
    }

    /// Fades the softest released note, or else the oldest note.
    fn steal_voice(&mut self) {
        let released = |t: &&mut Voice| t.stage == VoiceStage::Released;
        let softest = self.voices.iter_mut().filter(released);
        let softest = softest.min_by(|a, b| a.loudness().total_cmp(&b.loudness()));
        let voice = match softest {
            Some(voice) => Some(voice),
            None => {
                let held =
                    |t: &&mut Voice| matches!(t.stage, VoiceStage::Held | VoiceStage::Sustained);
                self.voices
                    .iter_mut()
                    .filter(held)
                    .min_by_key(|t| t.started)
            }
        };
        if let Some(voice) = voice {
            voice.fade();
        }
    }
}
