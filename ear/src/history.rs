//! The frames that the note search may still need.

use std::collections::VecDeque;

use crate::model::PITCHES;

/// One frame of the model's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Activation of each pitch.
    pub(crate) activation: [f32; PITCHES],
    /// Onset strength of each pitch: the model's, or the rise of the activation if that is greater.
    pub(crate) strength: [f32; PITCHES],
}

/// Frames from [`Self::first`] to the newest.
#[derive(Debug, Default)]
pub(crate) struct History {
    frames: VecDeque<Frame>,
    first: usize,
}

impl History {
    /// Number of all frames so far.
    pub(crate) fn end(&self) -> usize {
        self.first + self.frames.len()
    }

    /// Number of frames that are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.frames.len()
    }

    /// Adds a frame of the model. An onset that the model misses is inferred from the activation:
    /// its strength is the rise over both the frame before and the one before that.
    pub(crate) fn push(&mut self, notes: &[f32], onsets: &[f32]) {
        let before = |back: usize, pitch: usize| {
            let at = self.frames.len().checked_sub(back)?;
            Some(self.frames[at].activation[pitch])
        };
        let activation: [f32; PITCHES] = std::array::from_fn(|pitch| finite(notes[pitch]));
        let strength = std::array::from_fn(|pitch| {
            let rise = |back| before(back, pitch).map(|earlier| activation[pitch] - earlier);
            let inferred = match (rise(1), rise(2)) {
                (Some(one), Some(two)) => one.min(two),
                _ => 0.0,
            };
            finite(onsets[pitch]).max(inferred)
        });
        self.frames.push_back(Frame {
            activation,
            strength,
        });
    }

    /// Activation of a pitch at a frame that is still kept.
    pub(crate) fn activation(&self, frame: usize, pitch: usize) -> f32 {
        self.frames[frame - self.first].activation[pitch]
    }

    /// Onset strength of a pitch at a frame that is still kept.
    pub(crate) fn strength(&self, frame: usize, pitch: usize) -> f32 {
        self.frames[frame - self.first].strength[pitch]
    }

    /// Whether the onset strength of a pitch is greater at `frame` than at its neighbours. `frame`
    /// is not the newest.
    pub(crate) fn is_peak(&self, frame: usize, pitch: usize) -> bool {
        let here = self.strength(frame, pitch);
        frame > self.first
            && here > self.strength(frame - 1, pitch)
            && here > self.strength(frame + 1, pitch)
    }

    /// Forgets frames before `first`, but keeps two for the next rise.
    pub(crate) fn forget_before(&mut self, first: usize) {
        let first = first.min(self.end().saturating_sub(3));
        while self.first < first {
            self.frames.pop_front();
            self.first += 1;
        }
    }
}

/// Turns values that are no numbers into 0.
fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}
