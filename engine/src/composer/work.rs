//! The work that a composer divides into slices, as data.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use continuo_score::Note;

use super::encoding::PieceEncoder;
use crate::knn::kv_store::KvStore;
use crate::memory::Memory;
use crate::model::{InputToken, Model, Prefill};
use crate::sampling::Sampling;

/// Tokens in one run of the network, with variants that allow several: enough to use the machine, few
/// enough that a run takes milliseconds.
pub(super) const CHUNK: usize = 64;

/// Time during which a slice begins new runs of the network.
const SLICE: Duration = Duration::from_millis(4);

/// Unread tokens up to which an answer waits for all of them.
pub(super) const MAX_WAIT: usize = 512;

/// Tokens before the end that an answer waits for if there are more: some dozens of notes.
pub(super) const PARTIAL_WINDOW: usize = 128;

/// Tokens that the memories of tokens read at once: about 12 µs each.
pub(super) const TOKEN_MEMORY_CHUNK: usize = 128;

/// Reading that a composer still has to do, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PendingWork {
    /// Input that an answer waits for.
    Input,
    /// Earlier tokens for the long memories. Until they are read, answers depend on the last bars
    /// alone.
    CatchUp,
    /// Pieces to be learned.
    Learning,
}

/// A few milliseconds of work, from the moment it begins.
pub(super) struct TimeSlice(Instant);

impl TimeSlice {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.elapsed() >= SLICE
    }
}

/// Settings of the long memories.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MemorySettings {
    /// Weight of their predictions, 0 to 1.
    pub(super) recall: f32,
    /// Bars back that they reach; `None` for no limit.
    pub(super) reach: Option<u32>,
}

/// Positions at which a run of the network must end, however the work is divided into slices.
#[derive(Default)]
pub(super) struct RunBoundaries {
    /// Ends of unread inputs, rising.
    pub(super) ends: VecDeque<usize>,
    /// `(position, settings)` of changes at positions that are not read yet, rising.
    pub(super) changes: VecDeque<(usize, MemorySettings)>,
}

/// Earlier tokens, being read beside the window in use.
#[derive(Default)]
pub(super) struct CatchUp {
    /// Keys and values of the song, if those in use are not exact.
    pub(super) song: Option<KvStore>,
    /// The stream that computes them.
    pub(super) prefill: Option<Prefill>,
    /// The window that will replace the one in use.
    pub(super) window: Option<Memory>,
    /// Logits after its last token, `[vocabulary]`.
    pub(super) logits: Option<Vec<f32>>,
}

/// Progress of reading, in tokens of input or in notes of learned pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number read.
    pub done: usize,
    /// Number to read, including those read.
    pub all: usize,
}

/// Pieces still to be learned.
pub(super) struct LearningQueue {
    pub(super) pieces: VecDeque<PieceEncoder>,
    /// Encoded and unread tokens of the first piece.
    pub(super) tokens: VecDeque<InputToken>,
    pub(super) prefill: Prefill,
    pub(super) progress: Progress,
}

impl LearningQueue {
    pub(super) fn new(model: &Model) -> Self {
        Self {
            pieces: VecDeque::new(),
            tokens: VecDeque::new(),
            prefill: model.prefill(),
            progress: Progress::default(),
        }
    }
}

/// An answer that begins once all of its input is encoded.
pub(super) struct PendingAnswer {
    pub(super) at: u32,
    pub(super) sampling: Sampling,
    pub(super) seed: u64,
    /// Its own earlier notes.
    pub(super) own: Vec<Note>,
    /// Later settings, which apply from the first token.
    pub(super) tuned: Option<Sampling>,
}
