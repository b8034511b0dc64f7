//! Time of a variant, and its loss by rounded weights.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use continuo_score::Token;

use crate::data::corpus::Corpus;
use crate::export::onnx::GraphFile;
use crate::export::onnx::variant::Variant;
use crate::export::parity::error::{MOST_LOST, ParityError};
use crate::export::parity::ort_reference::OrtReference;
use crate::export::parity::test_songs::{beginning, test_songs};
use crate::model::{Memory, Model, cross_entropy};

/// Songs measured.
const SONGS: usize = 4;

/// Measurement of a variant, token by token, with both memories, on one thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VariantLoss {
    /// The variant.
    pub variant: Variant,
    /// Bytes of its files.
    pub bytes: usize,
    /// Tokens measured.
    pub tokens: usize,
    /// Time of ONNX Runtime without the search, milliseconds per token.
    pub milliseconds: f64,
    /// Loss beyond the trainer's, nats per token.
    pub per_token: f64,
    /// Loss beyond the trainer's, nats per note.
    pub per_note: f64,
}

impl VariantLoss {
    /// Checks that the variant loses little enough.
    ///
    /// # Errors
    /// It loses more than [`MOST_LOST`].
    pub fn check(&self) -> Result<(), ParityError> {
        // Unlike `>`, this rejects NaN.
        if self.per_token <= MOST_LOST {
            Ok(())
        } else {
            let (variant, per_token) = (self.variant.name(), self.per_token);
            Err(ParityError::Loses { variant, per_token })
        }
    }
}

/// Measures a variant on songs of `corpus`, held-out ones first.
///
/// # Errors
/// ONNX Runtime fails, or the corpus has no songs.
pub fn measure(
    model: &Model,
    graphs: &[GraphFile],
    variant: Variant,
    corpus: &Corpus,
    runtime: &Path,
) -> Result<VariantLoss, ParityError> {
    let mut reference = OrtReference::new(runtime, graphs, variant, model.config)?;
    let device = Device::flex();
    let (mut lost, mut seconds) = (0.0, 0.0);
    let (mut tokens, mut notes) = (0, 0);
    for song in test_songs(corpus, SONGS)? {
        let input = beginning(corpus, song);
        let count = input.length;
        let targets: Vec<u16> = corpus.records(song, 1, 1 + count).map(|r| r.id).collect();
        let sum = |logits| f64::from(cross_entropy(logits, &targets).sum().into_scalar::<f32>());
        let expected = sum(model.forward(&input, &mut Memory::default()));
        let data = TensorData::new(
            reference.logits(&input, 1, 1.0)?,
            [count, model.config.shape.sizes.vocabulary],
        );
        lost += sum(Tensor::from_data(data, &device)) - expected;
        seconds += reference.elapsed.as_secs_f64();
        tokens += count;
        let is_note = |id: &&u16| matches!(corpus.vocabulary.token(**id), Some(Token::Pitch(_)));
        notes += targets.iter().filter(is_note).count();
    }
    Ok(VariantLoss {
        variant,
        bytes: graphs.iter().map(|file| file.bytes.len()).sum(),
        tokens,
        milliseconds: seconds * 1e3 / tokens.max(1) as f64,
        per_token: lost / tokens.max(1) as f64,
        per_note: lost / notes.max(1) as f64,
    })
}
