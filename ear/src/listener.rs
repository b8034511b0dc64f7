//! A stream of samples to notes.

use crate::error::EarError;
use crate::model::{EarModel, FRAME_SAMPLES, PITCHES, WINDOW_FRAMES, WINDOW_SAMPLES};
use crate::note::{FrameNote, Note, Settings, Thresholds, frames_per_second};
use crate::resample::{MODEL_RATE, Resampler};
use crate::tracker::Tracker;

/// Frames that each window contributes. Windows begin so many frames after each other.
const HOP_FRAMES: usize = 60;
/// Frames at a window's end that are left to the next window, because the sound after them decides
/// about them too.
const MARGIN_FRAMES: usize = 15;
/// A frame without sound.
const SILENCE: [f32; PITCHES] = [0.0; PITCHES];
/// First frame of a window that counts.
const LEAD_FRAMES: usize = WINDOW_FRAMES - MARGIN_FRAMES - HOP_FRAMES;

/// Finds notes in a stream of samples of one channel, live or from a file.
///
/// The model reads windows of 2 s at fixed sample positions, 0.7 s apart. So the same samples give
/// the same notes, whatever the sizes of the blocks. A note is returned when it has ended: see
/// [`Self::latency`].
///
/// Any thread but an audio thread may own it: a call may run the model, which takes tens of
/// milliseconds, and it allocates. One call runs the model once for each 0.7 s of samples.
pub struct Listener {
    model: EarModel,
    resampler: Resampler,
    rate: u32,
    limits: Thresholds,
    tracker: Tracker,
    /// Samples at the model's rate from the first one that the next window needs.
    samples: Vec<f32>,
    /// Greatest amplitude in the [`FRAME_SAMPLES`] samples before the next frame.
    level: f32,
    /// Samples of the stream so far at the model's rate.
    heard: u64,
    /// Frames given to the tracker so far.
    frames: u64,
    repaired: u64,
    block: Vec<f32>,
    found: Vec<FrameNote>,
}

impl Listener {
    /// Makes a listener of a stream with `rate` samples a second.
    ///
    /// # Errors
    /// Fails if the rate is outside of [`RATES`](crate::RATES).
    pub fn new(model: EarModel, rate: u32, settings: &Settings) -> Result<Self, EarError> {
        let limits = settings.thresholds();
        let mut listener = Self {
            model,
            resampler: Resampler::new(rate)?,
            rate,
            limits,
            tracker: Tracker::new(limits),
            samples: Vec::new(),
            level: 0.0,
            heard: 0,
            frames: 0,
            repaired: 0,
            block: Vec::new(),
            found: Vec::new(),
        };
        listener.reset();
        Ok(listener)
    }

    /// Greatest time in seconds from the sound of a moment until the model has read it. A note is
    /// returned 0.13 s of sound later than that after its end, or after its successor has lasted as
    /// long as the shortest note.
    pub fn latency() -> f64 {
        let frames = (HOP_FRAMES + MARGIN_FRAMES) * FRAME_SAMPLES;
        frames as f64 / f64::from(MODEL_RATE)
    }

    /// Starts over with another stream of `rate` samples a second. Unfinished notes are lost.
    ///
    /// # Errors
    /// Fails if the rate is outside of [`RATES`](crate::RATES).
    pub fn restart(&mut self, rate: u32, settings: &Settings) -> Result<(), EarError> {
        self.resampler = Resampler::new(rate)?;
        self.rate = rate;
        self.limits = settings.thresholds();
        self.reset();
        Ok(())
    }

    /// Starts over with another stream. Unfinished notes are lost.
    pub fn reset(&mut self) {
        self.resampler.reset();
        self.tracker = Tracker::new(self.limits);
        self.samples.clear();
        // Silence precedes the stream.
        self.samples.resize(LEAD_FRAMES * FRAME_SAMPLES, 0.0);
        self.level = 0.0;
        (self.heard, self.frames, self.repaired) = (0, 0, 0);
    }

    /// Moment of the stream, in seconds, up to which the notes are decided: those that have ended
    /// before it, but for the last 0.13 s. It moves on with every window.
    pub fn decided(&self) -> f64 {
        self.frames as f64 / frames_per_second()
    }

    /// Length of the stream, in seconds, that certainly suffices for [`Self::decided`]: the window, and
    /// what the resampler holds back.
    pub fn needed(&self) -> f64 {
        let window = (self.frames + MARGIN_FRAMES as u64) as f64 / frames_per_second();
        window + self.resampler.lookahead() as f64 / f64::from(self.rate)
    }

    /// Whether a pitch sounds at [`Self::decided`].
    pub fn is_sounding(&self) -> bool {
        self.tracker.is_sounding()
    }

    /// Number of samples so far that were no finite numbers. Each was read as silence.
    pub fn repaired_samples(&self) -> u64 {
        self.repaired
    }

    /// Hears the next samples, of any number, and returns the notes that are finished.
    ///
    /// # Errors
    /// Fails if the model does not run.
    pub fn push(&mut self, block: &[f32]) -> Result<Vec<Note>, EarError> {
        let mut cleaned = std::mem::take(&mut self.block);
        cleaned.clear();
        cleaned.extend(block.iter().map(|sample| {
            let finite = sample.is_finite();
            self.repaired += u64::from(!finite);
            // Far above full scale nothing is gained, and a square could overflow.
            if finite {
                sample.clamp(-64.0, 64.0)
            } else {
                0.0
            }
        }));
        let before = self.samples.len();
        let pushed = self.resampler.push(&cleaned, &mut self.samples);
        self.block = cleaned;
        pushed?;
        self.heard += (self.samples.len() - before) as u64;
        let mut notes = Vec::new();
        self.read_windows(u64::MAX, &mut notes)?;
        Ok(notes)
    }

    /// Returns all notes that are left, and starts over with another stream.
    ///
    /// # Errors
    /// Fails if the model does not run.
    pub fn finish(&mut self) -> Result<Vec<Note>, EarError> {
        let before = self.samples.len();
        self.resampler.finish(&mut self.samples)?;
        // The resampler may take back a few samples of its padding.
        self.heard = (self.heard + self.samples.len() as u64) - before as u64;
        let frames = self.heard.div_ceil(FRAME_SAMPLES as u64);
        let mut notes = Vec::new();
        while self.frames < frames {
            // Silence follows the stream.
            self.samples
                .resize(WINDOW_SAMPLES.max(self.samples.len()), 0.0);
            self.read_windows(frames, &mut notes)?;
        }
        self.tracker.finish(&mut self.found);
        let end = self.heard as f64 / f64::from(MODEL_RATE);
        self.hand_over(end, &mut notes);
        self.reset();
        Ok(notes)
    }

    /// Runs the model on every whole window, up to frame `most`.
    fn read_windows(&mut self, most: u64, notes: &mut Vec<Note>) -> Result<(), EarError> {
        let mut from = 0;
        while self.frames < most && self.samples.len() >= from + WINDOW_SAMPLES {
            let window = &self.samples[from..from + WINDOW_SAMPLES];
            // The blocks that follow the frames that count.
            let blocks = window[LEAD_FRAMES * FRAME_SAMPLES..].chunks_exact(FRAME_SAMPLES);
            let levels: Vec<f32> = blocks
                .map(|block| block.iter().fold(0.0, |most: f32, it| most.max(it.abs())))
                .collect();
            let (tracker, found, gate) = (&mut self.tracker, &mut self.found, self.limits.gate);
            let before = self.level;
            let left = most - self.frames;
            let taken = (HOP_FRAMES as u64).min(left) as usize;
            // A frame is centred on the first sample of its block.
            let is_loud = |at: usize| {
                let earlier = if at == 0 { before } else { levels[at - 1] };
                earlier.max(levels[at]) > gate
            };
            if !(0..taken).any(is_loud) {
                // Silence needs no model.
                (0..taken).for_each(|_| tracker.push(&SILENCE, &SILENCE, found));
            } else {
                self.model.run(window, |activations| {
                    for at in 0..taken {
                        let row = (LEAD_FRAMES + at) * PITCHES..(LEAD_FRAMES + at + 1) * PITCHES;
                        if is_loud(at) {
                            let (notes, onsets) = (activations.notes, activations.onsets);
                            tracker.push(&notes[row.clone()], &onsets[row], found);
                        } else {
                            tracker.push(&SILENCE, &SILENCE, found);
                        }
                    }
                })?;
            }
            self.level = levels[HOP_FRAMES - 1];
            self.frames += taken as u64;
            from += HOP_FRAMES * FRAME_SAMPLES;
            self.hand_over(self.needed(), notes);
        }
        self.samples.drain(..from);
        Ok(())
    }

    /// Appends the found notes to `notes`, those of one window in order of onset and pitch.
    fn hand_over(&mut self, decided: f64, notes: &mut Vec<Note>) {
        self.found.sort_by_key(|note| (note.start, note.pitch));
        notes.extend(self.found.drain(..).map(|note| note.to_note(decided)));
    }
}
