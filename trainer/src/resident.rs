//! `--data gpu`: the corpus on the device that trains. What a segment reads is cut from it
//! there, and moved into another key there; only where to cut goes over the bus.

use std::collections::HashMap;

use burn::tensor::{Device, Int, Tensor};
use continuo_score::Token;

use crate::augment::Shift;
use crate::corpus::{Corpus, Record};
use crate::learner::Group;
use crate::model::embedding::ids;

/// Consecutive tokens of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// `count` tokens of a song, from `at` on, moved.
    Song {
        /// Index in the corpus.
        song: usize,
        /// How it is moved.
        shift: Shift,
        /// First token, of the moved song.
        at: usize,
        /// Tokens.
        count: usize,
    },
    /// So many pads.
    Pads(usize),
}

/// A corpus on a device.
pub struct Resident<'a> {
    corpus: &'a Corpus,
    device: Device,
    /// Ids, step-in-bar, bar and bar-length rows of all tokens.
    columns: [Tensor<1, Int>; 4],
    /// The ids that ids become.
    moved: HashMap<Shift, Tensor<1, Int>>,
}

impl<'a> Resident<'a> {
    /// Copies the corpus there.
    pub fn new(corpus: &'a Corpus, device: &Device) -> Self {
        let column = |field: fn(&Record) -> u16| {
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
            moved: HashMap::new(),
        }
    }

    /// Gives a group what it reads. A song of merged tokens that is moved has other tokens
    /// than the corpus: what it reads is uploaded as always.
    pub fn attach(&mut self, group: &mut Group) {
        let vocabulary = &self.corpus.vocabulary;
        let merged = !vocabulary.merges().is_empty();
        let moves =
            |p: &Piece| matches!(p, Piece::Song { shift, .. } if *shift != Shift::default());
        if merged && group.pieces.iter().any(moves) {
            return;
        }
        let mut columns: [Vec<Tensor<1, Int>>; 4] = Default::default();
        for &piece in &group.pieces {
            for (column, out) in columns.iter_mut().enumerate() {
                let part = self.part(piece, column);
                out.push(part);
            }
        }
        if !group.pieces.is_empty() {
            group.input.resident = Some(columns.map(|parts| Tensor::cat(parts, 0)));
        }
    }

    fn part(&mut self, piece: Piece, column: usize) -> Tensor<1, Int> {
        let (song, shift, at, count) = match piece {
            Piece::Song {
                song,
                shift,
                at,
                count,
            } => (song, shift, at, count),
            Piece::Pads(count) => {
                let pad = self.corpus.vocabulary.id(Token::Pad).unwrap_or_default();
                let id = if column == 0 { pad } else { 0 };
                return ids(std::iter::repeat_n(id, count), &self.device);
            }
        };
        let from = self.corpus.songs[song].offset as usize + at;
        let part = self.columns[column].clone().slice(from..from + count);
        if column > 0 || shift == Shift::default() {
            return part;
        }
        let vocabulary = &self.corpus.vocabulary;
        let table = self.moved.entry(shift).or_insert_with(|| {
            let all = (0..vocabulary.size() as u16).map(|id| shift.id(id, vocabulary));
            ids(all, &self.device)
        });
        table.clone().select(0, part)
    }
}
