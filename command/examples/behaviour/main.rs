//! Compares generated music with real music, and searches it for copied passages.
//!
//! ```text
//! behaviour FOLDER                       # plays on from the openings of a folder of tunes
//! continuo-trainer songs X.corpus --held-out | behaviour DATA/train --listed
//! behaviour DATA/train --copies 200      # free runs, searched in every tune of the folder
//! ```
//!
//! The first two forms compare generated bars with the real ones in the same place. The scale is
//! that of the input. A random note is in a scale of seven tones in 58 of 100 cases. A random onset
//! is on a beat in 8 of 100 cases (12 steps a beat).

mod measures;
mod suffix_automaton;

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use clap::Parser;
use continuo_command::options::{ComputeOptions, ModelPaths, SamplingOptions};
use continuo_engine::{Composer, Model};
use continuo_score::{Drums, Scale, Score, midi};

use measures::{NUMBERS, Passage, compare, compare_shares};
use suffix_automaton::SuffixAutomaton;

/// Shortest passage that counts as a copy, in notes; shorter ones are equal by chance.
const LEAST: usize = 12;

#[derive(Parser)]
struct Args {
    /// Folder of MIDI files, searched with its subfolders
    folder: PathBuf,
    /// Use only the files that standard input lists, with paths relative to the folder
    #[arg(long)]
    listed: bool,
    /// Greatest number of tunes
    #[arg(long, default_value_t = 200)]
    tunes: usize,
    /// Number of bars of input, and number of bars to generate
    #[arg(long, default_value_t = 8)]
    bars: u32,
    /// Generate this number of pieces without input, 32 bars each, and search for their passages in
    /// the folder
    #[arg(long, value_name = "RUNS")]
    copies: Option<u64>,
    /// Seed of the first tune; each further tune has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Recall: 0 to 1
    #[arg(long, default_value_t = 1.0)]
    recall: f32,
    #[command(flatten)]
    places: ModelPaths,
    #[command(flatten)]
    sampling: SamplingOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let model = continuo_command::load(&args.places, &args.compute)?;
    let files = if args.listed {
        let lines = std::io::stdin().lock().lines();
        lines
            .map(|line| Ok(args.folder.join(line?)))
            .collect::<Result<_>>()?
    } else {
        midi::files_in(&args.folder, usize::MAX)?.files
    };
    match args.copies {
        Some(runs) => copies(&args, model, &files, runs),
        None => behaviour(&args, model, &files),
    }
}

fn read(path: &Path, steps: u32) -> Option<Score> {
    let file = midi::read_file(path).ok()?;
    Some(Score::from_midi(&file, steps, Drums::Drop))
}

fn behaviour(args: &Args, model: Arc<Model>, files: &[PathBuf]) -> Result<()> {
    let beat = model.vocabulary().steps_per_beat;
    let (mut real, mut played, mut few) = (Vec::new(), Vec::new(), 0);
    for score in files.iter().filter_map(|file| read(file, beat)) {
        let last = score.notes.iter().map(|n| n.end()).max().unwrap_or(0);
        let lines = score.time_signatures.bar_lines(last);
        let bars = args.bars as usize;
        // The tune has all bars that the comparison needs.
        let (Some(&from), Some(&end)) = (lines.get(bars), lines.get(2 * bars)) else {
            continue;
        };
        let opening = score.until(from);
        let half_life = f64::from(32 * beat);
        let Some(scale) = Scale::detect(&opening.notes, half_life) else {
            continue;
        };
        let mut composer = Composer::new(model.clone());
        composer.set_recall(args.recall);
        composer.listen(&opening)?;
        let seed = args.seed + real.len() as u64;
        composer.answer(from, &args.sampling.sampling(), seed)?;
        let notes = composer.play_until(end)?;
        let within = |n: &&continuo_score::Note| (from..end).contains(&n.start);
        let next: Vec<_> = score.notes.iter().filter(within).copied().collect();
        let passage =
            |notes: &[_]| Passage::new(notes, from, end, &score.time_signatures, beat, scale);
        real.push(passage(&next));
        played.push(passage(&notes));
        few += usize::from(notes.len() < bars);
        if real.len() == args.tunes {
            break;
        }
    }
    ensure!(
        !real.is_empty(),
        "{}: no tune of more than {} bars",
        args.folder.display(),
        2 * args.bars
    );
    let (bars, tunes, seed) = (args.bars, real.len(), args.seed);
    println!("{tunes} tunes, {bars} bars heard, the next {bars} compared, seeds from {seed}\n");
    println!("| | what came next | played | distance |\n|---|---|---|---|");
    for (number, name) in NUMBERS.iter().enumerate() {
        let [a, b, apart] = compare(&real, &played, number);
        println!("| {name} | {a:.2} | {b:.2} | {apart:.2} |");
    }
    let shares = |shares: &[f64]| {
        let percent = shares.iter().map(|s| format!("{:.0}", 100.0 * s));
        percent.collect::<Vec<_>>().join(" ")
    };
    let (a, b, apart) = compare_shares(&real, &played, |p| &p.places);
    let name = "onsets by sixteenth of the bar, %";
    println!("| {name} | {} | {} | {apart:.2} |", shares(&a), shares(&b));
    let (a, b, apart) = compare_shares(&real, &played, |p| &p.lengths);
    let name = "notes by length (1/32, 1/16, … 4/1), %";
    println!("| {name} | {} | {} | {apart:.2} |", shares(&a), shares(&b));
    println!("\nanswers of less than a note a bar: {few}");
    Ok(())
}

fn copies(args: &Args, model: Arc<Model>, files: &[PathBuf], runs: u64) -> Result<()> {
    let beat = model.vocabulary().steps_per_beat;
    let (mut known, mut notes) = (SuffixAutomaton::new(), 0);
    for seed in args.seed..args.seed + runs {
        let mut composer = Composer::new(model.clone());
        composer.set_recall(args.recall);
        composer.listen(&Score::new(beat))?;
        composer.answer(0, &args.sampling.sampling(), seed)?;
        let mut played = composer.play_until(32 * 4 * beat)?;
        played.sort_by_key(|n| (n.start, n.pitch));
        notes += played.len();
        known.add(&played);
    }
    let (mut songs, mut most, mut longest) = (0, (0, PathBuf::new()), (0, 0, PathBuf::new()));
    for file in files {
        let Some(score) = read(file, beat) else {
            continue;
        };
        songs += 1;
        let (by_notes, by_steps) = known.longest(&score.notes, LEAST);
        if by_notes.notes > most.0 {
            most = (by_notes.notes, file.clone());
        }
        if by_steps.steps > longest.0 {
            longest = (by_steps.steps, by_steps.notes, file.clone());
        }
    }
    let below = |path: &Path| {
        let below = path.strip_prefix(&args.folder).unwrap_or(path);
        below.display().to_string()
    };
    println!("{runs} runs of 32 bars, {notes} notes, searched in {songs} tunes");
    println!(
        "most notes in a row as in a tune: {} ({})",
        most.0,
        below(&most.1)
    );
    println!(
        "longest passage of {LEAST} notes or more: {:.2} beats, {} notes ({})",
        f64::from(longest.0) / f64::from(beat),
        longest.1,
        below(&longest.2)
    );
    Ok(())
}
