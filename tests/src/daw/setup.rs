//! Configuration of a DAW: sample rate, blocks, tempo, time signatures, and the notes of its track.

use continuo_score::TimeSignatureMap;

use crate::host::Mode;

/// A note on the track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackNote {
    /// Start in quarter notes of song position.
    pub start: f64,
    /// End in quarter notes of song position.
    pub end: f64,
    /// MIDI key.
    pub key: u8,
    /// Velocity, 0 to 1.
    pub velocity: f32,
}

/// The notes of a score as a track that starts at beat 0.
pub fn track(score: &continuo_score::Score) -> Vec<TrackNote> {
    let beats = |step: u32| f64::from(step) / f64::from(score.steps_per_beat);
    let note = |note: &continuo_score::Note| TrackNote {
        start: beats(note.start),
        end: beats(note.end()),
        key: note.pitch,
        velocity: f32::from(note.velocity) / 127.0,
    };
    score.notes.iter().map(note).collect()
}

/// Block lengths in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// One length; blocks before a transport change are shorter.
    Fixed(u32),
    /// Random lengths from 1 to `longest`.
    Random {
        /// Seed of the sequence of lengths.
        seed: u32,
        /// Length of the longest block.
        longest: u32,
    },
}

impl Blocks {
    /// Length of the longest block.
    pub(super) fn longest(self) -> u32 {
        match self {
            Blocks::Fixed(frames) => frames,
            Blocks::Random { longest, .. } => longest,
        }
    }

    /// Length of the next block.
    pub(super) fn next(&mut self) -> u32 {
        match self {
            Blocks::Fixed(frames) => *frames,
            Blocks::Random { seed, longest } => {
                // Linear congruential generator; only its high bits are random enough.
                *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                1 + (*seed >> 8) % *longest
            }
        }
    }
}

/// Configuration of a host.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Sample rate in Hz.
    pub sample_rate: f64,
    /// Block lengths.
    pub blocks: Blocks,
    /// Tempo changes: song position in quarter notes, and quarter notes per minute from there on.
    pub tempos: Vec<(f64, f64)>,
    /// Time signatures. Bars are counted from beat 0.
    pub time_signatures: TimeSignatureMap,
    /// Render mode.
    pub mode: Mode,
}
