//! Notes, and the settings that decide about them.

use crate::model::{FRAME_SAMPLES, LOWEST};
use crate::resample::MODEL_RATE;

/// A note that was found in sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// Onset in seconds from the beginning of the stream.
    pub onset: f64,
    /// End in seconds from the beginning of the stream, later than the onset.
    pub end: f64,
    /// MIDI number, 21 to 108.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127, from the mean activation of the pitch.
    pub velocity: u8,
    /// Confidence from 0 to 1: the geometric mean of the onset's strength and the mean activation.
    pub confidence: f32,
    /// Length of the stream, in seconds, that certainly suffices to find the note
    /// ([`Listener::needed`](crate::Listener::needed)). It is the same for all sizes of blocks.
    pub decided: f64,
}

/// Settings of a transcription. All of them hold for a whole stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Sensitivity from 0 to 1. More finds more notes, and more wrong ones. 0.5 has the thresholds of
    /// the paper: 0.5 for an onset and 0.3 for a pitch that sounds.
    pub sensitivity: f32,
    /// Level in dB of full scale. Moments in which no sample is louder have no notes, because the
    /// model normalises each window and would find notes in the faintest noise.
    pub gate_db: f32,
    /// Shortest note in seconds.
    pub shortest: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sensitivity: 0.5,
            gate_db: -60.0,
            shortest: 0.1277,
        }
    }
}

/// Settings in the units of the note search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    /// Strength from which a peak is an onset.
    pub(crate) onset: f32,
    /// Activation from which a pitch sounds.
    pub(crate) sounding: f32,
    /// Confidence that a note must have.
    pub(crate) confidence: f32,
    /// Number of frames that a note must be longer than.
    pub(crate) shortest: usize,
    /// Amplitude that a sample must exceed.
    pub(crate) gate: f32,
}

impl Settings {
    pub(crate) fn thresholds(&self) -> Thresholds {
        let sensitivity = if self.sensitivity.is_nan() {
            Self::default().sensitivity
        } else {
            self.sensitivity.clamp(0.0, 1.0)
        };
        Thresholds {
            onset: 0.9 - 0.8 * sensitivity,
            sounding: 0.5 - 0.4 * sensitivity,
            confidence: 0.6 - 0.6 * sensitivity,
            shortest: (self.shortest * frames_per_second()).round().max(1.0) as usize,
            gate: 10f32.powf(self.gate_db / 20.0),
        }
    }
}

/// Frames of the model in a second.
pub(crate) fn frames_per_second() -> f64 {
    f64::from(MODEL_RATE) / FRAME_SAMPLES as f64
}

/// A note in frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FrameNote {
    /// First frame, and the one after the last.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Index of the pitch, 0 to 87.
    pub(crate) pitch: usize,
    /// Strength of the onset, 0 to 1.
    pub(crate) strength: f32,
    /// Mean activation, 0 to 1.
    pub(crate) activation: f32,
}

impl FrameNote {
    /// Geometric mean of the onset's strength and the activation, 0 to 1.
    pub(crate) fn confidence(&self) -> f32 {
        (self.strength * self.activation).sqrt().clamp(0.0, 1.0)
    }

    /// The note, which the sound up to second `decided` of the stream decided.
    pub(crate) fn to_note(self, decided: f64) -> Note {
        let seconds = |frame: usize| frame as f64 / frames_per_second();
        Note {
            onset: seconds(self.start),
            end: seconds(self.end),
            pitch: LOWEST + self.pitch as u8,
            velocity: (127.0 * self.activation).round().clamp(1.0, 127.0) as u8,
            confidence: self.confidence(),
            decided,
        }
    }
}
