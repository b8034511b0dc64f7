//! The proof that what was exported is what was trained: ONNX Runtime's logits against the
//! trainer's, on real songs, with both memories in use.
//!
//! Two memories may be equally near, to rounding, and then either choice is right but the
//! logits differ. So the search is proved by itself (what the trainer chose are the nearest by
//! the exported queries and keys, to [`TIE`]), and the logits are compared with the trainer's
//! choice.

pub mod loss;
mod player;
mod runtime;

use std::path::{Path, PathBuf};

use crate::corpus::Corpus;
use crate::model::{Input, Memory, Model, Use, numbers};
use crate::onnx::kind::Kind;
use crate::onnx::network::File;
use player::Player;
pub use runtime::find_runtime;

/// The largest difference of two logits that counts as equal.
pub const TOLERANCE: f32 = 1e-4;
/// Cosine similarities that differ by no more are equal.
pub const TIE: f32 = 1e-5;
/// Songs compared.
const SONGS: usize = 3;
/// Tokens of each: several windows, and a whole one at once still fits in memory.
const TOKENS: usize = 1200;
/// Tokens in a chunk; no divisor of any window.
const CHUNK: usize = 97;

/// Why it could not be proved.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// There is no ONNX Runtime.
    #[error(
        "ONNX Runtime not found{}; fetch it with `cargo xtask runtime`, or name the library \
         with --runtime or CONTINUO_RUNTIME",
        .0.as_ref().map(|p| format!(" at {}", p.display())).unwrap_or_default()
    )]
    NoRuntime(Option<PathBuf>),
    /// It is there and does not load.
    #[error("{}: ONNX Runtime does not load: {reason}", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It refuses the graph.
    #[error("ONNX Runtime on the exported graph: {0}")]
    Run(#[from] ort::Error),
    /// The graph asks for an input that no contract knows.
    #[error("the exported graph has an input {0:?} that nobody feeds")]
    Input(String),
    /// The graphs do not give what they should.
    #[error("the exported graphs have no output {0:?}")]
    Output(&'static str),
    /// There is nothing to compare with.
    #[error("{}: no songs", .0.display())]
    NoSongs(PathBuf),
    /// The search found others.
    #[error("at token {position} the trainer did not choose the nearest memories")]
    Search {
        /// Of the song.
        position: usize,
    },
    /// A variant is too far off.
    #[error(
        "the variant {kind} loses {per_token:.3} nats a token (at most {} is allowed)",
        loss::MOST_LOST
    )]
    Loses {
        /// The variant.
        kind: &'static str,
        /// Nats a token.
        per_token: f64,
    },
    /// They differ.
    #[error(
        "the exported graph is not the model: logits differ by up to {largest:.2e} (at most {TOLERANCE:.0e} is rounding)"
    )]
    Differs {
        /// Largest absolute difference.
        largest: f32,
    },
}

/// Largest absolute differences between ONNX Runtime's logits and the trainer's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parity {
    /// Songs compared.
    pub songs: usize,
    /// Tokens compared.
    pub tokens: usize,
    /// All tokens of a song at once.
    pub whole: f32,
    /// In chunks, with memory.
    pub chunked: f32,
    /// Token by token, with memory.
    pub streamed: f32,
    /// In chunks, with recall 0, against the trainer without kNN memory.
    pub xl_only: f32,
    /// Most tokens the kNN memory had; 0 in a model without one.
    pub memories: usize,
    /// By how much the kNN memory changes a logit at most.
    pub recall: f32,
    /// The largest of the logits themselves, for comparison.
    pub scale: f32,
}

impl Parity {
    /// An error if any difference is more than rounding.
    pub fn check(&self) -> Result<(), ParityError> {
        let all = [self.whole, self.chunked, self.streamed, self.xl_only];
        let largest = all.into_iter().fold(0.0, larger);
        // Not `largest > TOLERANCE`: NaN is a difference too.
        if largest <= TOLERANCE {
            Ok(())
        } else {
            Err(ParityError::Differs { largest })
        }
    }
}

/// Compares the graphs of the plain variant with `model` on songs of `corpus`: held-out ones if it has
/// any.
pub fn compare(
    model: &Model,
    graphs: &[File],
    corpus: &Corpus,
    runtime: &Path,
) -> Result<Parity, ParityError> {
    let mut player = Player::new(runtime, graphs, Kind::Plain, model.shape)?;
    let songs = songs(corpus, SONGS)?;
    let mut parity = Parity {
        songs: songs.len(),
        ..Parity::default()
    };
    for song in songs {
        let input = beginning(corpus, song);
        let count = input.length;
        let mut memory = Memory {
            chosen: Some(Vec::new()),
            ..Memory::default()
        };
        let both = numbers(&model.forward(&input, &mut memory));
        player.chosen = memory.chosen;
        let mut memory = Memory::default();
        let xl_only = numbers(&model.forward_with(&input, &mut memory, Use::XL));
        parity.tokens += count;
        parity.scale = both.iter().fold(parity.scale, |m, x| m.max(x.abs()));
        parity.recall = larger(parity.recall, largest_difference(&both, &xl_only));
        let mut differs = |size, recall, expected: &[f32]| -> Result<f32, ParityError> {
            let got = player.play(&input, size, recall)?;
            Ok(largest_difference(expected, &got))
        };
        parity.whole = larger(parity.whole, differs(count, 1.0, &both)?);
        parity.chunked = larger(parity.chunked, differs(CHUNK, 1.0, &both)?);
        parity.streamed = larger(parity.streamed, differs(1, 1.0, &both)?);
        parity.xl_only = larger(parity.xl_only, differs(CHUNK, 0.0, &xl_only)?);
        parity.memories = parity.memories.max(player.memories());
    }
    Ok(parity)
}

/// Songs to compare: held-out ones first, then long ones, which fill the memory.
fn songs(corpus: &Corpus, most: usize) -> Result<Vec<usize>, ParityError> {
    let mut songs: Vec<usize> = (0..corpus.songs.len()).collect();
    songs.sort_by_key(|&i| {
        let song = &corpus.songs[i];
        let tokens = song.tokens.min(TOKENS as u64);
        (!song.held_out, std::cmp::Reverse(tokens), i)
    });
    songs.truncate(most);
    if songs.is_empty() {
        return Err(ParityError::NoSongs(corpus.path().into()));
    }
    Ok(songs)
}

/// As much of a song as is compared.
fn beginning(corpus: &Corpus, song: usize) -> Input {
    let count = (corpus.songs[song].tokens as usize - 1).min(TOKENS);
    let mut input = Input {
        lanes: 1,
        length: count,
        ..Input::default()
    };
    input.extend(corpus, song, 0, count, 0);
    input
}

/// The larger of two differences. NaN must not get lost, as it would in `f32::max`.
fn larger(a: f32, b: f32) -> f32 {
    if b <= a { a } else { b }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, larger)
}
