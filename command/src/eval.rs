//! Command `continuo eval FILES... [--recall R] [--keys N] [--json]`: measures the loss of a model
//! on pieces, with and without each memory. With `--infill N`, it measures filled bars instead.

mod infill;
mod listening;

use std::path::PathBuf;

use crate::options::{ComputeOptions, ModelPaths};
use anyhow::{Context, Result, ensure};
use clap::ArgMatches;
use continuo_cli::{Progress, at_least, number, print};
use continuo_engine::Model;
use continuo_score::Part;
use continuo_score::ngram::NgramMemory;
use serde::Serialize;

use super::input_selection::InputSelection;
use super::inputs::{self, Wanted};
use listening::{Ear, Piece, read};

/// Measure the loss of a model on pieces, in nats a token and a note, with and without memory
///
/// Each row is the network with some of its memories. The column "with the piece" is the same network
/// mixed with the memory of the piece; the other columns are without it. That memory predicts from what followed where the piece stood like this before,
/// in this key or another, note for note or varied; in learned pieces note for note.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI, WAV and FLAC files, or folders of MIDI files
    #[arg(required_unless_present = "learn", value_name = "FILES")]
    files: Vec<PathBuf>,
    /// Recall of the kNN memory and of the memory of the piece: 0 to 1
    #[arg(long, default_value_t = 1.0, value_parser = number(0.0f32, 1.0))]
    recall: f32,
    /// Count only tokens from this bar on; 1 is the first bar of a piece. This measures the
    /// prediction of a theme that returns
    #[arg(long, value_name = "BAR", default_value_t = 1, value_parser = at_least(1u32))]
    from_bar: u32,
    /// MIDI, WAV and FLAC files, or folders of them, that the n-gram memory learns before each piece
    #[arg(long, value_name = "FILE", num_args = 1..)]
    learn: Vec<PathBuf>,
    /// Average the predictions in this number of keys: the piece's own, a semitone up, one down,
    /// two up and so on, as far as there are pitches
    #[arg(long, value_name = "KEYS", default_value_t = 1,
        value_parser = number(1u8, 12))]
    keys: u8,
    /// Read each piece as one keyboard, without drums and parts, as a model without parts reads it.
    /// This compares models with parts and without
    #[arg(long)]
    merge: bool,
    /// Measure only the last row, with KV cache and kNN memory
    #[arg(long)]
    quick: bool,
    /// Fill a bar in the middle of each piece instead, in this number of pieces at most, and
    /// measure the loss of the bar after it
    #[arg(long, value_name = "BARS", value_parser = number(1usize, 100_000),
        conflicts_with_all = ["from_bar", "keys", "learn", "quick"])]
    infill: Option<usize>,
    /// With --infill: number of candidates, of which the best is kept
    #[arg(long, value_name = "N", default_value_t = 8, requires = "infill",
        value_parser = number(2u32, 256))]
    candidates: u32,
    /// With --infill: seed of the candidates
    #[arg(long, default_value_t = 1, requires = "infill", value_parser = at_least(0u64))]
    seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: InputSelection,
    #[command(flatten)]
    places: ModelPaths,
    #[command(flatten)]
    compute: ComputeOptions,
}

impl Args {
    /// Moves input files that `--learn` has taken back to `files`, and passes the path of ONNX Runtime
    /// to the options of the input, which may be a recording.
    pub(super) fn disentangle(&mut self, matches: &ArgMatches) {
        inputs::disentangle(&mut self.files, &mut self.learn, matches, true);
        self.selection.runtime.clone_from(&self.places.runtime);
    }
}

/// Sums over predicted tokens; the loss is in nats.
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

/// Losses with one of the four combinations of memories.
#[derive(Serialize)]
struct Cell {
    /// Whether the KV cache goes on from segment to segment. If it is off, a piece is read in
    /// segments of one window, and each begins with an empty KV cache.
    xl: bool,
    /// Whether the kNN memory is on.
    knn: bool,
    /// Loss without the memory of the piece.
    all: Sum,
    /// Loss with the memory of the piece; equal to `all` if the model has no weights for it.
    #[serde(rename = "suffix")]
    ngram: Sum,
    /// Loss by distance from the start of the piece, in windows: 0 to 1, 1 to 2, 2 to 4 and so on.
    by_window: [Sum; BANDS],
    /// Loss of the tokens of each part's notes, without the moves in time, in [`Part::ALL`]'s
    /// order.
    by_part: [Sum; Part::COUNT],
}

/// Number of distance bands; the last has no end.
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
    let model = super::load(&args.places, &args.compute)?;
    if let Some(count) = args.infill {
        return infill::run(args, &model, count);
    }
    ensure!(
        args.keys == 1 || model.vocabulary().merges().is_empty(),
        "--keys: this model's merged tokens split a piece differently in each key; leave it out"
    );
    let files = (&args.files[..], Wanted::Midi);
    let pieces = read(&model, files, &args.selection, (args.keys, args.merge))?;
    let mut learned = NgramMemory::new(model.vocabulary());
    if !args.learn.is_empty() {
        let whole = args.selection.whole();
        let pieces = read(
            &model,
            (&args.learn, Wanted::Music),
            &whole,
            (1, args.merge),
        )?;
        let fed = pieces.iter().flat_map(Piece::tokens);
        fed.for_each(|fed| learned.push(fed.id, fed.rows.bar_step));
    }
    let ear = Ear {
        model: &model,
        weights: model.manifest().memory_weights(),
        recall: args.recall,
        learned: &learned,
        from_bar: args.from_bar,
    };
    let has_knn = model.manifest().shape.knn.is_some();
    let mut rows = vec![(true, has_knn)];
    if !args.quick {
        let all = [(false, false), (false, true), (true, false), (true, true)];
        rows = all.into_iter().filter(|row| has_knn || !row.1).collect();
    }
    let mut cells = Vec::new();
    let runs = rows.len() * pieces.iter().map(Piece::to_read).sum::<usize>();
    let progress = Progress::new("listening", "tokens", runs as u64);
    for (xl, knn) in rows {
        let mut cell = Cell {
            xl,
            knn,
            all: Sum::default(),
            ngram: Sum::default(),
            by_window: [Sum::default(); BANDS],
            by_part: Default::default(),
        };
        for piece in &pieces {
            let recall = if knn { args.recall } else { 0.0 };
            let mut read = |tokens: usize| progress.add(tokens as u64);
            ear.listen(piece, recall, &mut cell, &mut read)
                .context("while reading the pieces")?;
        }
        cells.push(cell);
    }
    drop(progress);
    let counted = cells[0].all;
    ensure!(
        counted.notes > 0,
        "nothing to measure: no notes from bar {} on; `continuo inspect` prints how many bars a file has",
        args.from_bar,
    );
    report(args, &model, pieces.len(), &cells)
}

fn report(args: &Args, model: &Model, pieces: usize, cells: &[Cell]) -> Result<()> {
    if args.json {
        let report = serde_json::json!({
            "model": model.manifest().name, "variant": model.variant(),
            "device": model.device().name(), "window": model.manifest().shape.window,
            "recall": args.recall, "from_bar": args.from_bar, "keys": args.keys, "pieces": pieces,
            "cells": cells,
            "bands": (0..BANDS).map(band_name).collect::<Vec<_>>(), "parts": Part::ALL,
        });
        return print(&format!("{report:#}\n"));
    }
    let first = cells[0].all;
    let mut text = format!(
        "{pieces} pieces, {} tokens, {} notes; window {}, recall {}\n\n",
        first.tokens,
        first.notes,
        model.manifest().shape.window,
        args.recall
    );
    text += "nats a note, by distance from the piece's beginning in windows\n\n";
    text += "| XL | kNN | nats/token | nats/note | with the piece |";
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
            cell.ngram.per_note()
        );
        for &band in &shown {
            text += &format!(" {:.4} |", cell.by_window[band].per_note());
        }
        text += "\n";
    }
    if model.vocabulary().has_parts() {
        text += &by_part(cells[cells.len() - 1].by_part);
    }
    print(&text)
}

/// Returns the table of the loss by part.
fn by_part(sums: [Sum; Part::COUNT]) -> String {
    let mut text =
        "\nnats a note of each part with KV cache and kNN memory, without the moves in time\n\n"
            .to_string();
    text += "| part | notes | nats/note |\n|---|---|---|\n";
    for (part, sum) in Part::ALL.into_iter().zip(sums) {
        if sum.tokens > 0 {
            text += &format!("| {part} | {} | {:.4} |\n", sum.notes, sum.per_note());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_that_play_are_listed() {
        let mut sums = <[Sum; Part::COUNT]>::default();
        sums[Part::Bass.index()].add(1, 2.0);
        sums[Part::Bass.index()].add(1, 3.0);
        let table = by_part(sums);
        assert!(table.ends_with("---|\n| bass | 2 | 2.5000 |\n"), "{table}");
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
