//! Embeddings of tokens and of their place in time.
//!
//! A token's row is `E = token + A·pitch`, where `A` is constant, `[vocabulary, 12 + 11]`:
//! pitch tokens have a one in the column of their pitch class and in that of their octave, so
//! that a pitch shares what it knows with its octaves and neighbours. A merged token has the
//! average of its pitches' rows: it knows which they are, and is no larger for having several.
//!
//! To that come one row each for its place in time, and the rows of the notes that sound
//! ([`NoteState`]).

use burn::tensor::{Device, Int, Tensor, TensorData};
use continuo_score::{NoteContext, NoteState, Token, Vocabulary};

use super::{Input, Make};
use crate::config::Shape;

/// Columns of `A`: twelve pitch classes, then eleven octaves.
pub const PITCH_FEATURES: usize = 12 + 11;

/// The name of the rows for the notes that sound.
pub(crate) const SOUNDING: &str = "embedding.sounding";

pub(super) struct Embedding {
    /// The constant `A`.
    pub(super) features: Tensor<2>,
    token: Tensor<2>,
    pitch: Tensor<2>,
    bar_step: Tensor<2>,
    bar: Tensor<2>,
    metre: Tensor<2>,
    /// In networks that are told which notes sound.
    sounding: Option<Tensor<2>>,
}

impl Embedding {
    pub(super) fn build<E>(
        shape: &Shape,
        features: Tensor<2>,
        make: &mut impl Make<E>,
    ) -> Result<Self, E> {
        let s = &shape.sizes;
        Ok(Self {
            features,
            token: make("embedding.token", [s.vocabulary, s.width])?,
            pitch: make("embedding.pitch", [PITCH_FEATURES, s.width])?,
            bar_step: make("embedding.bar_step", [s.bar_steps, s.width])?,
            bar: make("embedding.bar", [s.bars, s.width])?,
            metre: make("embedding.metre", [s.bar_steps, s.width])?,
            sounding: match shape.sounding {
                true => Some(make(SOUNDING, [NoteState::ROWS, s.width])?),
                false => None,
            },
        })
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &Tensor<2>> {
        let all = [
            &self.token,
            &self.pitch,
            &self.bar_step,
            &self.bar,
            &self.metre,
        ];
        all.into_iter().chain(&self.sounding)
    }

    pub(super) fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Tensor<2>> {
        let all = [
            &mut self.token,
            &mut self.pitch,
            &mut self.bar_step,
            &mut self.bar,
            &mut self.metre,
        ];
        all.into_iter().chain(&mut self.sounding)
    }

    /// `E`, `[vocabulary, width]`.
    pub(super) fn table(&self) -> Tensor<2> {
        self.token.clone() + self.features.clone().matmul(self.pitch.clone())
    }

    /// `[lanes * length, width]`, given `E`.
    pub(super) fn embed(&self, input: &Input, table: Tensor<2>, device: &Device) -> Tensor<2> {
        let rows = |table: Tensor<2>, column: usize, rows: &[u16]| {
            let rows = match &input.resident {
                Some(resident) => resident[column].clone(),
                None => ids(rows.iter().copied(), device),
            };
            table.select(0, rows)
        };
        let h = rows(table, 0, &input.tokens)
            + rows(self.bar_step.clone(), 1, &input.bar_step)
            + rows(self.bar.clone(), 2, &input.bar)
            + rows(self.metre.clone(), 3, &input.metre);
        match &self.sounding {
            Some(table) => h + counts(&input.told, device).matmul(table.clone()),
            None => h,
        }
    }
}

/// How often each row is to be added, `[tokens, Sounding::ROWS]`: a product with it is quicker to
/// go back through than so many gathered rows.
fn counts(told: &[NoteContext], device: &Device) -> Tensor<2> {
    let mut data = vec![0.0f32; told.len() * NoteState::ROWS];
    for (token, told) in data.chunks_exact_mut(NoteState::ROWS).zip(told) {
        for row in told.rows {
            // The row that adds nothing lies outside.
            if let Some(count) = token.get_mut(usize::from(row)) {
                *count += 1.0;
            }
        }
    }
    Tensor::from_data(TensorData::new(data, [told.len(), NoteState::ROWS]), device)
}

/// Ids or rows, on a device.
pub(crate) fn ids(rows: impl Iterator<Item = u16>, device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.map(i64::from).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
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
