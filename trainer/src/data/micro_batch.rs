//! Part of a training step that passes through the network at once.

use crate::data::augment::Shift;
use crate::model::{IGNORED, Input};

/// Consecutive tokens of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSpan {
    /// Tokens of a song.
    Song {
        /// Index in the corpus.
        song: usize,
        /// Augmentation of the song.
        shift: Shift,
        /// First token, counted in the augmented song.
        at: usize,
        /// Tokens.
        count: usize,
    },
    /// Padding of this many tokens.
    Padding(usize),
}

/// One segment of some batch rows, and the target of each of its tokens.
#[derive(Clone, Debug, Default)]
pub struct MicroBatch {
    /// Input of the network.
    pub input: Input,
    /// Token that follows each input token, or [`IGNORED`].
    pub targets: Vec<u16>,
    /// Sources of the tokens, in their order.
    pub spans: Vec<TokenSpan>,
}

impl MicroBatch {
    /// Tokens that have a target.
    pub fn counted(&self) -> usize {
        self.targets.iter().filter(|&&t| t != IGNORED).count()
    }
}
