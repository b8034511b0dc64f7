//! Input of the network: a batch of token rows.

use burn::tensor::{Int, Tensor};
use continuo_score::NoteContext;

/// Tokens for the network: `batch_rows` rows of `length` tokens each, row after row in every
/// field.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Rows.
    pub batch_rows: usize,
    /// Tokens of a row.
    pub length: usize,
    /// Token ids.
    pub tokens: Vec<u16>,
    /// Rows of the step-in-bar embedding.
    pub bar_step: Vec<u16>,
    /// Rows of the bar-number embedding.
    pub bar: Vec<u16>,
    /// Rows of the bar-length embedding.
    pub metre: Vec<u16>,
    /// Context of each token: the notes that sound, the steps since its piece began, the latest
    /// pitch.
    pub contexts: Vec<NoteContext>,
    /// Stream position, in tokens, at which the song of each token begins.
    pub song_start: Vec<u64>,
    /// Copies of `tokens`, `bar_step`, `bar` and `metre` that are already on the device.
    pub device_rows: Option<[Tensor<1, Int>; 4]>,
}
