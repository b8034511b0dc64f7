//! Embedding of tokens and of their positions in time.
//!
//! The token table is `E = token + A·pitch`, where `A` is constant, `[vocabulary, 12 + 11]`:
//! pitch tokens have a 1 in the column of their pitch class and in that of their octave, so that
//! a pitch shares parameters with its octaves and neighbours. A merged token has the average of
//! its pitches' rows, which keeps its length independent of their number.
//!
//! One row each for the position in time, and the rows of the notes that sound ([`NoteState`]),
//! are added.

use burn::module::{Module, Param};
use burn::nn::Embedding;
use burn::tensor::{Device, Tensor, TensorData};
use continuo_score::{NoteContext, NoteState, Token, Vocabulary};

use super::config::ModelConfig;
use super::input::Input;
use super::parameters::{Builder, ParamInit, ParamRole, TableRole};
use super::tensors::ids;

/// Columns of `A`: twelve pitch classes, then eleven octaves.
pub const PITCH_FEATURES: usize = 12 + 11;

/// Name of the table for the notes that sound.
pub(crate) const SOUNDING: &str = "embedding.sounding";

/// Tables of the input embedding.
#[derive(Module, Debug)]
pub(super) struct InputEmbedding {
    token: Param<Tensor<2>>,
    pitch: Param<Tensor<2>>,
    bar_step: Embedding,
    bar: Embedding,
    metre: Embedding,
    /// Only in networks whose input includes the notes that sound.
    sounding: Option<Param<Tensor<2>>>,
}

impl InputEmbedding {
    pub(super) fn build<E>(
        config: &ModelConfig,
        vocabulary: &Vocabulary,
        mut builder: Builder<'_, impl ParamInit<E>>,
    ) -> Result<Self, E> {
        let s = &config.shape.sizes;
        let table = ParamRole::Table;
        Ok(Self {
            token: builder.matrix("token", table(TableRole::Token), [s.vocabulary, s.width])?,
            pitch: builder.matrix("pitch", table(TableRole::Pitch), [PITCH_FEATURES, s.width])?,
            bar_step: builder.embedding("bar_step", TableRole::Grid, [s.bar_steps, s.width])?,
            bar: builder.embedding("bar", TableRole::Grid, [s.bars, s.width])?,
            metre: builder.embedding("metre", TableRole::Grid, [s.bar_steps, s.width])?,
            sounding: match config.shape.sounding {
                true => Some(builder.matrix(
                    "sounding",
                    table(TableRole::NoteState),
                    [NoteState::rows(vocabulary), s.width],
                )?),
                false => None,
            },
        })
    }

    /// The token table `E`, `[vocabulary, width]`; `features` is the constant `A`.
    pub(super) fn table(&self, features: &Tensor<2>) -> Tensor<2> {
        self.token.val() + features.clone().matmul(self.pitch.val())
    }

    /// Input of the first layer, `[batch * length, width]`, given the token table.
    pub(super) fn embed(&self, input: &Input, table: Tensor<2>, device: &Device) -> Tensor<2> {
        let indices = |column: usize, rows: &[u16]| match &input.device_rows {
            Some(rows) => rows[column].clone(),
            None => ids(rows.iter().copied(), device),
        };
        let rows = |embedding: &Embedding, column: usize, rows: &[u16]| {
            let indices = indices(column, rows).unsqueeze::<2>();
            embedding.forward(indices).squeeze_dim::<2>(0)
        };
        let h = table.select(0, indices(0, &input.tokens))
            + rows(&self.bar_step, 1, &input.bar_step)
            + rows(&self.bar, 2, &input.bar)
            + rows(&self.metre, 3, &input.metre);
        match &self.sounding {
            Some(table) => {
                let [rows, _] = table.dims();
                h + counts(&input.contexts, rows, device).matmul(table.val())
            }
            None => h,
        }
    }
}

/// Multiplicity of each sounding row, `[tokens, rows]`: its product with the table adds up the rows
/// of each token.
fn counts(contexts: &[NoteContext], rows: usize, device: &Device) -> Tensor<2> {
    let mut data = vec![0.0f32; contexts.len() * rows];
    for (token, context) in data.chunks_exact_mut(rows).zip(contexts) {
        for row in context.rows {
            // The padding row adds nothing.
            if row != NoteState::NOTHING {
                token[usize::from(row)] += 1.0;
            }
        }
    }
    Tensor::from_data(TensorData::new(data, [contexts.len(), rows]), device)
}

/// The pitch class and octave columns of a token, if it is a pitch.
fn pitch_features(token: Token) -> Option<[usize; 2]> {
    match token {
        Token::Pitch(p) => Some([usize::from(p % 12), 12 + usize::from(p / 12)]),
        _ => None,
    }
}

/// The constant `A`, `[vocabulary, PITCH_FEATURES]`.
pub(super) fn features(vocabulary: &Vocabulary, device: &Device) -> Tensor<2> {
    let size = vocabulary.size();
    let mut data = vec![0.0f32; size * PITCH_FEATURES];
    for (id, row) in (0..).zip(data.chunks_exact_mut(PITCH_FEATURES)) {
        let pitches: Vec<_> = vocabulary.tokens(id).filter_map(pitch_features).collect();
        for column in pitches.iter().flatten() {
            row[*column] += 1.0 / pitches.len() as f32;
        }
    }
    Tensor::from_data(TensorData::new(data, [size, PITCH_FEATURES]), device)
}
