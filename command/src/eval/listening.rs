//! Pieces, and the loss of the model on each of their tokens.

use std::path::PathBuf;

use anyhow::{Result, bail};
use continuo_engine::Model;
use continuo_engine::loss::nats;
use continuo_engine::model::InputToken;
use continuo_score::TokenParts;
use continuo_score::gate::NetworkPrediction;
use continuo_score::midi::Pedal;
use continuo_score::ngram::NgramMemory;
use continuo_score::piece_memory::{MemoryWeights, PieceMemory, likelihood};
use continuo_score::{NoteState, Part, Score, Token, TokenSequence};

use super::super::input_selection::InputSelection;
use super::super::inputs::{Wanted, find, read_all};
use super::{Cell, band};

/// Number of tokens in one call. The result depends on it only by rounding.
const CHUNK: usize = 64;

/// A piece as input of the network.
pub(super) struct Piece {
    /// Tokens in the piece's own key and in others; only pitches differ.
    keys: Vec<Vec<InputToken>>,
    /// Number of notes that begin at each token.
    notes: Vec<u64>,
    /// Part of the first note to which each token belongs, if any.
    parts: Vec<Option<Part>>,
}

/// Reads the pieces in files, and the wanted ones in folders, each in `keys` keys, and as one keyboard if they
/// are `merged`. Leaves out pieces without a token to predict.
///
/// # Errors
/// Fails if no piece is left, or if a folder cannot be read.
pub(super) fn read(
    model: &Model,
    (named, wanted): (&[PathBuf], Wanted),
    selection: &InputSelection,
    (keys, merged): (u8, bool),
) -> Result<Vec<Piece>> {
    let files = find(named, wanted)?;
    let steps_per_beat = model.vocabulary().steps_per_beat;
    let mut pieces = read_all(&files, |file| {
        let chosen = selection.read(file, Pedal::Ignore, steps_per_beat)?;
        let score = chosen.score_merged_or_for(merged, model.vocabulary());
        Ok(Piece::new(model, &score, keys))
    })?;
    pieces.retain(|piece| piece.tokens().len() > 1);
    match (&files[..], pieces.is_empty()) {
        ([file], true) => bail!("{}: has no notes to predict", file.display()),
        (_, true) => bail!("no notes to predict in the {} files named", files.len()),
        (_, false) => Ok(pieces),
    }
}

/// Returns the transposition of each of `keys` keys in semitones: 0, 1, -1, 2, -2 and so on.
fn shifts(keys: u8) -> impl Iterator<Item = i8> {
    (1..=keys as i8).map(|n| if n % 2 == 0 { n / 2 } else { -(n / 2) })
}

impl Piece {
    fn new(model: &Model, score: &Score, keys: u8) -> Self {
        let vocabulary = model.vocabulary();
        let input_token = |score: Score| {
            let ids = TokenSequence::encode(&score, vocabulary).positioned_ids(vocabulary);
            model.input_tokens(&ids, &score.time_signatures, &mut NoteState::default())
        };
        let keys = shifts(keys).filter_map(|shift| score.transposed(shift));
        let keys: Vec<_> = keys.map(input_token).collect();
        let is_note = |token: &Token| matches!(token, Token::Pitch(_));
        let notes = |input_token: &InputToken| {
            vocabulary.tokens(input_token.id).filter(is_note).count() as u64
        };
        // The first key is the piece's own, which always fits.
        let notes = keys[0].iter().map(notes).collect();
        let mut reader = TokenParts::default();
        let parts = keys[0].iter().map(|input_token| {
            let tokens = vocabulary.tokens(input_token.id);
            tokens.fold(None, |owner: Option<Part>, token| {
                let part = reader.read(token);
                owner.or(part)
            })
        });
        let parts = parts.collect();
        Self { keys, notes, parts }
    }

    /// Returns the tokens in the piece's own key.
    pub(super) fn tokens(&self) -> &[InputToken] {
        &self.keys[0]
    }

    /// Returns the number of tokens in all keys.
    pub(super) fn to_read(&self) -> usize {
        self.keys.len() * self.tokens().len()
    }
}

/// A model with settings for evaluation.
pub(super) struct Ear<'a> {
    pub(super) model: &'a Model,
    /// Weights of the memories of tokens.
    pub(super) weights: MemoryWeights,
    /// Recall of the memories of tokens, 0 to 1.
    pub(super) recall: f32,
    /// N-gram memory of the learned pieces.
    pub(super) learned: &'a NgramMemory,
    /// First bar whose tokens count, from 1.
    pub(super) from_bar: u32,
}

impl Ear<'_> {
    /// Adds the loss of a piece to a cell. Every token but the first is predicted from those before
    /// it; tokens before `from_bar` are not counted. `recall` is that of the kNN memory. Calls
    /// `read` with the number of tokens after every chunk.
    ///
    /// # Errors
    /// Fails if the network or the index of the kNN memory does.
    pub(super) fn listen(
        &self,
        piece: &Piece,
        recall: f32,
        cell: &mut Cell,
        read: &mut dyn FnMut(usize),
    ) -> Result<()> {
        let window = self.model.manifest().shape.window;
        // Probability of each token from the memory of the piece, and the network's share in it.
        let mut mixed = Vec::with_capacity(piece.tokens().len());
        let mut memory = PieceMemory::new(self.model.vocabulary());
        let mut remember = |position: usize, logits: &[f32]| {
            let [now, next] = [0, 1].map(|ahead| piece.tokens()[position + ahead]);
            let bar_length = self.model.sizes().bar_length(now.rows.metre);
            memory.push(now.id, now.rows.bar_step, bar_length);
            mixed.push(self.mixed(&memory, logits, next.id));
        };
        let mut keys = Vec::with_capacity(piece.keys.len());
        for (key, tokens) in piece.keys.iter().enumerate() {
            // The first is the piece's own key.
            let each = |position: usize, logits: &[f32]| {
                if key == 0 {
                    remember(position, logits);
                }
            };
            keys.push(self.expect(tokens, recall, cell.xl, &mut *read, each)?);
        }
        for (position, pair) in piece.tokens().windows(2).enumerate() {
            let next = pair[1];
            if next.bar + 1 < self.from_bar {
                continue;
            }
            let network = mean(keys.iter().map(|nats| nats[position]));
            let (remembered, rest) = mixed[position];
            let mixed = -(remembered + rest * (-network).exp())
                .max(f64::MIN_POSITIVE)
                .ln();
            let notes = piece.notes[position + 1];
            cell.ngram.add(notes, mixed);
            cell.all.add(notes, network);
            if let Some(part) = piece.parts[position + 1] {
                cell.by_part[part.index()].add(notes, network);
            }
            cell.by_window[band(position + 1, window)].add(notes, network);
        }
        Ok(())
    }

    /// Returns the network's loss in nats for every token but the first. Calls `each` with the position of
    /// every token but the last, and the logits after it.
    fn expect(
        &self,
        tokens: &[InputToken],
        recall: f32,
        xl: bool,
        read: &mut dyn FnMut(usize),
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<Vec<f64>> {
        let model = self.model;
        let (window, vocabulary) = (model.manifest().shape.window, model.sizes().vocabulary);
        let mut memory = model.memory();
        let mut expected = Vec::with_capacity(tokens.len());
        let segment = if xl { tokens.len() } else { window };
        // The last token predicts nothing.
        for segment in tokens[..tokens.len() - 1].chunks(segment) {
            if !xl {
                memory.clear_window();
            }
            for chunk in segment.chunks(CHUNK) {
                let logits = model.forward(&mut memory, chunk, recall)?;
                read(chunk.len());
                for logits in logits.chunks_exact(vocabulary) {
                    each(expected.len(), logits);
                    let next = tokens[expected.len() + 1];
                    expected.push(nats(logits, usize::from(next.id)));
                }
            }
        }
        Ok(expected)
    }

    /// Returns the probability of an id from the memories of tokens, and the network's share in the
    /// mixture.
    fn mixed(&self, memory: &PieceMemory, logits: &[f32], id: u16) -> (f64, f64) {
        let network = NetworkPrediction::from_logits(logits);
        let (learned, within) = (self.learned, 0..usize::MAX);
        let sources = (self.weights).weigh(memory, learned, &within, &network, self.recall);
        let remembered = likelihood(&sources, id, 0.0);
        (remembered, likelihood(&sources, id, 1.0) - remembered)
    }
}

/// Returns the negative logarithm of the mean of likelihoods that are given in nats.
fn mean(nats: impl Iterator<Item = f64> + Clone) -> f64 {
    let least = nats.clone().fold(f64::INFINITY, f64::min);
    let (sum, count) = nats.fold((0.0, 0.0), |(sum, count), nats| {
        (sum + (least - nats).exp(), count + 1.0)
    });
    least - f64::ln(sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_surround_the_own_key_and_likelihoods_are_averaged() {
        assert_eq!(shifts(1).collect::<Vec<_>>(), [0]);
        assert_eq!(shifts(6).collect::<Vec<_>>(), [0, 1, -1, 2, -2, 3]);
        let mut all: Vec<_> = shifts(12).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(-5..=6));
        assert_eq!(mean([1234.5].into_iter()), 1234.5);
        let three = mean([0.5f64, 0.25, 0.15].map(|p| -p.ln()).into_iter());
        assert!((three + 0.3f64.ln()).abs() < 1e-12);
        let unlikely = mean([2000.0, 2000.0 + 3f64.ln()].into_iter());
        assert!((unlikely - 2000.0 + (2.0f64 / 3.0).ln()).abs() < 1e-9);
    }
}
