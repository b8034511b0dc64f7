//! `continuo eval FILES... [--recall R] [--keys N] [--json]`: how well music is predicted, with each
//! of the two memories and without.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use continuo_engine::model::Fed;
use continuo_engine::options::{ComputeOptions, Places};
use continuo_engine::{Model, Runtime};
use continuo_score::suffix::{Mixture, Predicted, SuffixMemory};
use continuo_score::{Drums, PositionScore, Score, Sounding, Token, midi};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Tokens fed in one call. What comes out does not depend on it, but for rounding.
const CHUNK: usize = 64;

/// Measure how well a model predicts pieces: nats a token and a note, with and without memory
///
/// Each row is the network with some of its memories. The column "suffix" is the same row mixed
/// with the suffix memory: what followed where the piece, or one that was learned, has been before,
/// token for token, in this key or another.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI files, or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How much is recalled, where the kNN memory is on and by the suffix memory: 0 to 1
    #[arg(long, default_value_t = 1.0, value_parser = super::continue_::recall)]
    recall: f32,
    /// Count only what lies in this bar and later, 1 being a piece's first: how well a theme's
    /// return is predicted
    #[arg(long, value_name = "BAR", default_value_t = 1)]
    from_bar: u32,
    /// MIDI files, or folders of them, that the suffix memory has learned before each piece
    #[arg(long, value_name = "FILE", num_args = 1..)]
    learn: Vec<PathBuf>,
    /// Expect what the model expects on average of so many keys: the piece's own, a semitone up,
    /// one down, two up and so on, as far as there are pitches
    #[arg(long, value_name = "KEYS", default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=12))]
    keys: u8,
    /// Only with every memory, without the other rows
    #[arg(long)]
    quick: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Sums over tokens that were predicted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Sum {
    tokens: u64,
    notes: u64,
    nats: f64,
}

impl Sum {
    fn add(&mut self, notes: u64, nats: f64) {
        self.tokens += 1;
        self.notes += notes;
        self.nats += nats;
    }

    fn per_token(&self) -> f64 {
        self.nats / self.tokens.max(1) as f64
    }

    fn per_note(&self) -> f64 {
        self.nats / self.notes.max(1) as f64
    }
}

/// One of the four ways to listen, and what it gave by distance from the piece's beginning.
#[derive(Serialize)]
struct Cell {
    /// Whether windows reach back over the segment's beginning. Without, a piece is read in
    /// segments as long as the window, each from nothing.
    xl: bool,
    /// Whether what left the window is recalled.
    knn: bool,
    all: Sum,
    /// All, with the suffix memory besides; the same for a model without weights for it.
    suffix: Sum,
    /// Tokens from the piece's beginning, in windows: 0 to 1, 1 to 2, 2 to 4 and so on.
    by_window: [Sum; BANDS],
}

/// Bands of distance; the last has no end.
const BANDS: usize = 6;

fn band(position: usize, window: usize) -> usize {
    let windows = position / window;
    (usize::BITS - windows.leading_zeros()).min(BANDS as u32 - 1) as usize
}

fn band_name(band: usize) -> String {
    match band {
        0 => "0-1".into(),
        last if last == BANDS - 1 => format!("{}+", 1 << (last - 1)),
        band => format!("{}-{}", 1 << (band - 1), 1 << band),
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = Runtime::load(&args.places.library()?)?;
    let options = args.compute.model_options()?;
    let model = Model::load(runtime, &args.places.directory()?, &options)?;
    super::tell_refusals(&model);
    ensure!(
        args.keys == 1 || model.vocabulary().merges().is_empty(),
        "--keys: this model has merged tokens, by which a piece is spelt otherwise in each key"
    );
    let pieces = read(&model, &args.files, args.keys)?;
    let mut learned = SuffixMemory::new(model.vocabulary());
    if !args.learn.is_empty() {
        let pieces = read(&model, &args.learn, 1)?;
        let fed = pieces.iter().flat_map(Piece::tokens);
        fed.for_each(|fed| learned.push(fed.id, fed.rows.bar_step));
    }
    let ear = Ear {
        model: &model,
        weights: model.manifest().mixture().times(args.recall),
        learned: &learned,
        from_bar: args.from_bar,
    };
    let has_knn = model.manifest().knn.is_some();
    let mut rows = vec![(true, has_knn)];
    if !args.quick {
        let all = [(false, false), (false, true), (true, false), (true, true)];
        rows = all.into_iter().filter(|row| has_knn || !row.1).collect();
    }
    let mut cells = Vec::new();
    let tokens = |piece: &Piece| piece.keys.len() * piece.tokens().len();
    let runs = rows.len() * pieces.iter().map(tokens).sum::<usize>();
    let progress = ProgressBar::new(runs as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} tokens, {eta} left") {
        progress.set_style(style);
    }
    for (xl, knn) in rows {
        let mut cell = Cell {
            xl,
            knn,
            all: Sum::default(),
            suffix: Sum::default(),
            by_window: [Sum::default(); BANDS],
        };
        for piece in &pieces {
            let recall = if knn { args.recall } else { 0.0 };
            ear.listen(piece, recall, &mut cell)
                .context("while listening")?;
            progress.inc(tokens(piece) as u64);
        }
        cells.push(cell);
    }
    progress.finish_and_clear();
    report(args, &model, pieces.len(), &cells)
}

/// Files named, and MIDI files in the folders named, in order of name.
fn find(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            files.extend(midi::files_in(path, usize::MAX)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// A piece as the network reads it.
struct Piece {
    /// In the piece's own key, and in others: the same tokens, but for the pitches.
    keys: Vec<Vec<Fed>>,
    /// How many notes each token begins.
    notes: Vec<u64>,
}

/// The pieces in files and folders, each in so many keys, without those that hold nothing to
/// predict.
fn read(model: &Model, named: &[PathBuf], keys: u8) -> Result<Vec<Piece>> {
    let files = find(named)?;
    let mut pieces = Vec::new();
    for file in &files {
        match midi::read_file(file) {
            Ok(midi) => pieces.push(Piece::new(model, &midi, keys)),
            Err(error) => eprintln!("continuo: left out: {error}"),
        }
    }
    pieces.retain(|piece| piece.tokens().len() > 1);
    if pieces.is_empty() {
        bail!("no notes to predict in the {} files named", files.len());
    }
    Ok(pieces)
}

/// How far a piece is moved for each of so many keys, in semitones: 0, 1, -1, 2, -2 and so on.
fn shifts(keys: u8) -> impl Iterator<Item = i8> {
    (1..=keys as i8).map(|n| if n % 2 == 0 { n / 2 } else { -(n / 2) })
}

impl Piece {
    fn new(model: &Model, file: &midi::MidiFile, keys: u8) -> Self {
        let vocabulary = model.vocabulary();
        let score = Score::from_midi(file, vocabulary.steps_per_beat, Drums::Drop);
        let fed = |score: Score| {
            let ids = PositionScore::encode(&score, vocabulary).placed_ids(vocabulary);
            model.fed_all(&ids, &score.metres, &mut Sounding::default())
        };
        let keys = shifts(keys).filter_map(|shift| score.transposed(shift));
        let keys: Vec<_> = keys.map(fed).collect();
        let is_note = |token: &Token| matches!(token, Token::Pitch(_));
        let notes = |fed: &Fed| vocabulary.tokens(fed.id).filter(is_note).count() as u64;
        // The first is its own key, which it cannot leave.
        let notes = keys[0].iter().map(notes).collect();
        Self { keys, notes }
    }

    /// In its own key.
    fn tokens(&self) -> &[Fed] {
        &self.keys[0]
    }
}

/// Who listens.
struct Ear<'a> {
    model: &'a Model,
    /// Of the suffix memory.
    weights: Mixture,
    learned: &'a SuffixMemory,
    from_bar: u32,
}

impl Ear<'_> {
    /// Adds a piece to a cell: every token but the first is predicted from those before it; those
    /// before `from_bar` do not count. `recall` is that of the kNN memory.
    fn listen(&self, piece: &Piece, recall: f32, cell: &mut Cell) -> Result<()> {
        let window = self.model.manifest().window;
        let keys = piece.keys.iter();
        let keys: Vec<_> = keys
            .map(|tokens| self.expect(tokens, recall, cell.xl))
            .collect::<Result<_>>()?;
        let mut suffix = SuffixMemory::new(self.model.vocabulary());
        for (position, pair) in piece.tokens().windows(2).enumerate() {
            let [read, next] = [pair[0], pair[1]];
            suffix.push(read.id, read.rows.bar_step);
            if next.bar + 1 < self.from_bar {
                continue;
            }
            let network = mean(keys.iter().map(|nats| nats[position]));
            let mixed = self.mixed(&suffix, next.id, network);
            let notes = piece.notes[position + 1];
            cell.suffix.add(notes, mixed);
            cell.all.add(notes, network);
            cell.by_window[band(position + 1, window)].add(notes, network);
        }
        Ok(())
    }

    /// The nats of every token but the first, to the network.
    fn expect(&self, tokens: &[Fed], recall: f32, xl: bool) -> Result<Vec<f64>> {
        let model = self.model;
        let (window, vocabulary) = (model.manifest().window, model.sizes().vocabulary);
        let mut memory = model.memory();
        let mut expected = Vec::with_capacity(tokens.len());
        // The last token predicts nothing.
        let segment = if xl { tokens.len() } else { window };
        for segment in tokens[..tokens.len() - 1].chunks(segment) {
            if !xl {
                memory.forget_window();
            }
            for chunk in segment.chunks(CHUNK) {
                let logits = model.feed(&mut memory, chunk, recall)?;
                for logits in logits.chunks_exact(vocabulary) {
                    let next = tokens[expected.len() + 1];
                    expected.push(nats(logits, usize::from(next.id)));
                }
            }
        }
        Ok(expected)
    }

    /// The nats of an id, to the network and the suffix memory together.
    fn mixed(&self, suffix: &SuffixMemory, id: u16, network: f64) -> f64 {
        let followed = suffix.look(0..usize::MAX, self.learned);
        let likelihood =
            (self.weights).likelihood(&Predicted::new((-network).exp(), &followed, id));
        -likelihood.max(f64::MIN_POSITIVE).ln()
    }
}

/// The negative log-likelihood of an id.
fn nats(logits: &[f32], id: usize) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(l - most).exp()).sum();
    sum.ln() - f64::from(logits[id] - most)
}

/// The nats of the mean of likelihoods given as nats.
fn mean(nats: impl Iterator<Item = f64> + Clone) -> f64 {
    let least = nats.clone().fold(f64::INFINITY, f64::min);
    let (sum, count) = nats.fold((0.0, 0.0), |(sum, count), nats| {
        (sum + (least - nats).exp(), count + 1.0)
    });
    least - f64::ln(sum / count)
}

fn report(args: &Args, model: &Model, pieces: usize, cells: &[Cell]) -> Result<()> {
    if args.json {
        let report = serde_json::json!({
            "model": model.manifest().name, "variant": model.variant(),
            "device": model.device().name(), "window": model.manifest().window,
            "recall": args.recall, "from_bar": args.from_bar, "keys": args.keys, "pieces": pieces,
            "cells": cells,
            "bands": (0..BANDS).map(band_name).collect::<Vec<_>>(),
        });
        return super::print(&format!("{report:#}\n"));
    }
    let first = cells[0].all;
    let mut text = format!(
        "{pieces} pieces, {} tokens, {} notes; window {}, recall {}\n\n",
        first.tokens,
        first.notes,
        model.manifest().window,
        args.recall
    );
    text += "nats a note, by distance from the piece's beginning in windows\n\n";
    text += "| XL | kNN | nats/token | nats/note | with suffix |";
    let shown: Vec<usize> = (0..BANDS)
        .filter(|&b| cells[0].by_window[b].tokens > 0)
        .collect();
    let columns: String = shown
        .iter()
        .map(|&b| format!(" {} |", band_name(b)))
        .collect();
    text += &format!(
        "{columns}\n|---|---|---|---|---|{}\n",
        "---|".repeat(shown.len())
    );
    for cell in cells {
        let on = |on: bool| if on { "on" } else { "off" };
        let (token, note) = (cell.all.per_token(), cell.all.per_note());
        text += &format!(
            "| {} | {} | {token:.4} | {note:.4} | {:.4} |",
            on(cell.xl),
            on(cell.knn),
            cell.suffix.per_note()
        );
        for &band in &shown {
            text += &format!(" {:.4} |", cell.by_window[band].per_note());
        }
        text += "\n";
    }
    super::print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelihoods_sum_to_one() {
        let logits = [1.5f32, -2.0, 0.25, 80.0];
        let sum: f64 = (0..4).map(|id| (-nats(&logits, id)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert!((nats(&[0.0; 8], 3) - 8f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn keys_lie_around_the_own_one_and_their_mean_is_of_likelihoods() {
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

    #[test]
    fn bands_double() {
        let bands: Vec<usize> = [0, 9, 10, 19, 20, 40, 79, 80, 159, 160, 9999]
            .map(|position| band(position, 10))
            .to_vec();
        assert_eq!(bands, [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5]);
        assert_eq!(band_name(0), "0-1");
        assert_eq!(band_name(3), "4-8");
        assert_eq!(band_name(5), "16+");
    }
}
