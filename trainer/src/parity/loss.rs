//! What a variant costs and loses: its time, and the nats that rounding its weights gives away.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use continuo_score::Token;

use super::player::Player;
use super::{ParityError, beginning, songs};
use crate::corpus::Corpus;
use crate::learner::nats;
use crate::model::{Memory, Model};
use crate::onnx::kind::Kind;
use crate::onnx::network::File;

/// Most nats a token that a variant may lose.
pub const MOST_LOST: f64 = 0.02;
/// Songs measured.
const SONGS: usize = 4;

/// A variant, measured token by token, with both memories, on one thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Which.
    pub kind: Kind,
    /// Bytes of its files.
    pub bytes: usize,
    /// Tokens measured.
    pub tokens: usize,
    /// Milliseconds a token that ONNX Runtime takes, without the search.
    pub milliseconds: f64,
    /// Nats a token more than the trainer needs.
    pub per_token: f64,
    /// The same, a note.
    pub per_note: f64,
}

impl Loss {
    /// An error if it loses more than [`MOST_LOST`].
    pub fn check(&self) -> Result<(), ParityError> {
        // Not `>`: NaN is too much, too.
        if self.per_token <= MOST_LOST {
            Ok(())
        } else {
            let (kind, per_token) = (self.kind.name(), self.per_token);
            Err(ParityError::Loses { kind, per_token })
        }
    }
}

/// Measures a variant on songs of `corpus`: held-out ones if it has any.
pub fn measure(
    model: &Model,
    graphs: &[File],
    kind: Kind,
    corpus: &Corpus,
    runtime: &Path,
) -> Result<Loss, ParityError> {
    let mut player = Player::new(runtime, graphs, kind, model.shape)?;
    let device = Device::flex();
    let (mut lost, mut seconds) = (0.0, 0.0);
    let (mut tokens, mut notes) = (0, 0);
    for song in songs(corpus, SONGS)? {
        let input = beginning(corpus, song);
        let count = input.length;
        let targets: Vec<u16> = corpus.records(song, 1, 1 + count).map(|r| r.id).collect();
        let sum = |logits| f64::from(nats(logits, &targets).sum().into_scalar::<f32>());
        let expected = sum(model.forward(&input, &mut Memory::default()));
        let data = TensorData::new(
            player.play(&input, 1, 1.0)?,
            [count, model.shape.sizes.vocabulary],
        );
        lost += sum(Tensor::from_data(data, &device)) - expected;
        seconds += player.spent.as_secs_f64();
        tokens += count;
        let is_note = |id: &&u16| matches!(corpus.vocabulary.token(**id), Some(Token::Pitch(_)));
        notes += targets.iter().filter(is_note).count();
    }
    Ok(Loss {
        kind,
        bytes: graphs.iter().map(|file| file.bytes.len()).sum(),
        tokens,
        milliseconds: seconds * 1e3 / tokens.max(1) as f64,
        per_token: lost / tokens.max(1) as f64,
        per_note: lost / notes.max(1) as f64,
    })
}
