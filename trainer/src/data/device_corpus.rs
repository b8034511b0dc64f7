//! `--data gpu`: a copy of the corpus on the training device.
//!
//! A segment's tokens are cut out and transposed on the device; only the positions of the cuts
//! are transferred.

use std::collections::HashMap;

use burn::tensor::{Device, Int, Tensor};
use continuo_score::Token;

use crate::data::augment::Shift;
use crate::data::corpus::{Corpus, TokenRecord};
use crate::data::micro_batch::{MicroBatch, TokenSpan};
use crate::model::tensors::ids;

/// A corpus on a device. The training thread owns it.
pub struct DeviceCorpus<'a> {
    corpus: &'a Corpus,
    device: Device,
    /// Ids, step-in-bar, bar and bar-length rows of all tokens.
    columns: [Tensor<1, Int>; 4],
    /// Table from id to augmented id, for each augmentation met so far.
    shifted: HashMap<Shift, Tensor<1, Int>>,
}

impl<'a> DeviceCorpus<'a> {
    /// Copies the corpus to the device.
    pub fn new(corpus: &'a Corpus, device: &Device) -> Self {
        let column = |field: fn(&TokenRecord) -> u16| {
            let songs = 0..corpus.songs.len();
            let all = songs.flat_map(|i| corpus.records(i, 0, corpus.songs[i].tokens as usize));
            ids(all.map(|r| field(&r)), device)
        };
        Self {
            corpus,
            device: device.clone(),
            columns: [
                column(|r| r.id),
                column(|r| r.bar_step),
                column(|r| r.bar),
                column(|r| r.metre),
            ],
            shifted: HashMap::new(),
        }
    }

    /// Sets `device_rows` of a micro-batch. A shifted song of merged tokens has other tokens than
    /// the corpus, and one with parts is not shifted token by token, since drums stay: such a
    /// micro-batch is left as it is and uploaded.
    pub fn attach(&mut self, batch: &mut MicroBatch) {
        let vocabulary = &self.corpus.vocabulary;
        let divided = !vocabulary.merges().is_empty() || vocabulary.has_parts();
        let is_shifted = |s: &TokenSpan| matches!(s, TokenSpan::Song { shift, .. } if *shift != Shift::default());
        if divided && batch.spans.iter().any(is_shifted) {
            return;
        }
        let mut columns: [Vec<Tensor<1, Int>>; 4] = Default::default();
        for &span in &batch.spans {
            for (column, out) in columns.iter_mut().enumerate() {
                out.push(self.rows(span, column));
            }
        }
        if !batch.spans.is_empty() {
            batch.input.device_rows = Some(columns.map(|parts| Tensor::cat(parts, 0)));
        }
    }

    /// One column of a span's tokens.
    fn rows(&mut self, span: TokenSpan, column: usize) -> Tensor<1, Int> {
        let (song, shift, at, count) = match span {
            TokenSpan::Song {
                song,
                shift,
                at,
                count,
            } => (song, shift, at, count),
            TokenSpan::Padding(count) => {
                let pad = self.corpus.vocabulary.id(Token::Pad).unwrap_or_default();
                let id = if column == 0 { pad } else { 0 };
                return ids(std::iter::repeat_n(id, count), &self.device);
            }
        };
        let from = self.corpus.songs[song].offset as usize + at;
        let rows = self.columns[column].clone().slice(from..from + count);
        if column > 0 || shift == Shift::default() {
            return rows;
        }
        let vocabulary = &self.corpus.vocabulary;
        let table = self.shifted.entry(shift).or_insert_with(|| {
            let all = (0..vocabulary.size() as u16).map(|id| shift.id(id, vocabulary));
            ids(all, &self.device)
        });
        table.clone().select(0, rows)
    }
}
