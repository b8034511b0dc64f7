//! Comparison of the plain graphs with the model.

use std::path::Path;

use crate::data::corpus::Corpus;
use crate::export::onnx::GraphFile;
use crate::export::onnx::variant::Variant;
use crate::export::parity::error::{ParityError, TOLERANCE};
use crate::export::parity::ort_reference::OrtReference;
use crate::export::parity::test_songs::{beginning, test_songs};
use crate::model::{Memory, MemoryMode, Model, values};

/// Songs compared.
const SONGS: usize = 3;
/// Tokens of a chunk; it divides no window.
const CHUNK: usize = 97;

/// Largest absolute differences between ONNX Runtime's logits and the trainer's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parity {
    /// Songs compared.
    pub songs: usize,
    /// Tokens compared.
    pub tokens: usize,
    /// Difference with all tokens of a song at once.
    pub whole: f32,
    /// Difference in chunks, with memory.
    pub chunked: f32,
    /// Difference token by token, with memory.
    pub streamed: f32,
    /// Difference in chunks with recall 0, against the trainer without kNN memory.
    pub xl_only: f32,
    /// Largest number of tokens in the kNN memory; 0 in a model without one.
    pub memories: usize,
    /// Largest change of a logit by the kNN memory.
    pub recall: f32,
    /// Largest absolute logit, for comparison.
    pub scale: f32,
}

impl Parity {
    /// Checks that every difference is rounding.
    ///
    /// # Errors
    /// A difference exceeds [`TOLERANCE`].
    pub fn check(&self) -> Result<(), ParityError> {
        let all = [self.whole, self.chunked, self.streamed, self.xl_only];
        let largest = all.into_iter().fold(0.0, larger);
        // Unlike `largest > TOLERANCE`, this rejects NaN.
        if largest <= TOLERANCE {
            Ok(())
        } else {
            Err(ParityError::Differs { largest })
        }
    }
}

/// Compares the graphs of the plain variant with `model` on songs of `corpus`, held-out ones
/// first. `runtime` is the library of ONNX Runtime.
///
/// # Errors
/// ONNX Runtime fails, the corpus has no songs, or the retrieval is not exact.
pub fn compare(
    model: &Model,
    graphs: &[GraphFile],
    corpus: &Corpus,
    runtime: &Path,
) -> Result<Parity, ParityError> {
    let mut reference = OrtReference::new(runtime, graphs, Variant::Plain, model.config)?;
    let songs = test_songs(corpus, SONGS)?;
    let mut parity = Parity {
        songs: songs.len(),
        ..Parity::default()
    };
    for song in songs {
        let input = beginning(corpus, song);
        let count = input.length;
        let mut memory = Memory {
            retrieved: Some(Vec::new()),
            ..Memory::default()
        };
        let both = values(&model.forward(&input, &mut memory));
        reference.retrieved = memory.retrieved;
        let mut memory = Memory::default();
        let xl_only = values(&model.forward_with(&input, &mut memory, MemoryMode::XL));
        parity.tokens += count;
        parity.scale = both.iter().fold(parity.scale, |m, x| m.max(x.abs()));
        parity.recall = larger(parity.recall, largest_difference(&both, &xl_only));
        let mut differs = |size, recall, expected: &[f32]| -> Result<f32, ParityError> {
            let got = reference.logits(&input, size, recall)?;
            Ok(largest_difference(expected, &got))
        };
        parity.whole = larger(parity.whole, differs(count, 1.0, &both)?);
        parity.chunked = larger(parity.chunked, differs(CHUNK, 1.0, &both)?);
        parity.streamed = larger(parity.streamed, differs(1, 1.0, &both)?);
        parity.xl_only = larger(parity.xl_only, differs(CHUNK, 0.0, &xl_only)?);
        parity.memories = parity.memories.max(reference.memories());
    }
    Ok(parity)
}

/// The larger of two differences. Unlike `f32::max`, it keeps NaN.
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
