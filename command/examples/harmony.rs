//! Measures how closely an answer follows the chords of a loop, for several strengths of Chord
//! Pull.
//!
//! ```text
//! harmony FILE.tune      # for example score/tests/pieces/pop.tune
//! ```
//!
//! The chords of the piece's last bars (`--loop-bars`) repeat under `--bars` bars of the answer,
//! for every seed from 1 to `--seeds`. A row has one pull; at 0 the model is free. Columns:
//! - share of chord tones among the notes that begin on strong beats, and among all notes;
//! - share of beats whose recognised chord has the root of the loop's chord;
//! - share of beats that agree: the recognised chord has that root, or two pitch classes in common
//!   with the loop's chord, as C and Am have;
//! - the share of beats that agree of the worst seed;
//! - notes a beat.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use continuo_command::options::{ComputeOptions, ModelPaths, SamplingOptions};
use continuo_engine::{Composer, Model};
use continuo_score::chord::{Beat, beats, name_or_none, recognise_range};
use continuo_score::{Chord, ChordPlan, Note, Score, tune};

#[derive(Parser)]
struct Args {
    /// Piece in the notation of `score/src/tune.rs`
    piece: PathBuf,
    /// Number of bars whose chords repeat
    #[arg(long, default_value_t = 8)]
    loop_bars: u32,
    /// Number of bars to generate
    #[arg(long, default_value_t = 32)]
    bars: u32,
    /// Number of seeds
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Strengths of Chord Pull to measure, from 0 to 1
    #[arg(long, value_delimiter = ',', default_value = "0,0.25,0.5,0.7,0.85,1")]
    pulls: Vec<f32>,
    #[command(flatten)]
    places: ModelPaths,
    #[command(flatten)]
    sampling: SamplingOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Counts over one answer.
#[derive(Clone, Copy, Default)]
struct Counts {
    strong: usize,
    strong_tones: usize,
    notes: usize,
    tones: usize,
    beats: usize,
    roots: usize,
    agreeing: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let model = continuo_command::load(&args.places, &args.compute)?;
    let steps = model.vocabulary().steps_per_beat;
    let text = std::fs::read_to_string(&args.piece);
    let text = text.with_context(|| args.piece.display().to_string())?;
    let piece = tune::parse(&text, steps).map_err(|why| anyhow!(why))?;
    let from = piece.time_signatures.next_bar(piece.length);
    let plan = ChordPlan::last_bars(&piece, from, args.loop_bars);
    let until = (0..args.bars).fold(from, |at, _| piece.time_signatures.next_bar(at + 1));
    println!(
        "{}: {} bars heard, the chords of the last {} under {} bars, seeds 1 to {}",
        args.piece.display(),
        piece.time_signatures.position(from).bar,
        args.loop_bars,
        args.bars,
        args.seeds
    );
    println!("chords: {}\n", names(&piece, &plan, from, args.loop_bars));
    println!(
        "| pull | chord tones on strong beats | chord tones | beats with the root | beats that \
         agree | worst seed | notes a beat |\n|---|---|---|---|---|---|---|"
    );
    for &pull in &args.pulls {
        let answers: Vec<Counts> = (1..=args.seeds)
            .map(|seed| answer(&args, &model, &piece, &plan, from..until, pull, seed))
            .collect::<Result<_>>()?;
        let sum = |part: fn(&Counts) -> usize| answers.iter().map(part).sum::<usize>() as f64;
        let percent = |part: f64, whole: f64| 100.0 * part / whole.max(1.0);
        let worst = answers
            .iter()
            .map(|c| percent(c.agreeing as f64, c.beats as f64));
        println!(
            "| {pull} | {:.1} % | {:.1} % | {:.1} % | {:.1} % | {:.1} % | {:.2} |",
            percent(sum(|c| c.strong_tones), sum(|c| c.strong)),
            percent(sum(|c| c.tones), sum(|c| c.notes)),
            percent(sum(|c| c.roots), sum(|c| c.beats)),
            percent(sum(|c| c.agreeing), sum(|c| c.beats)),
            worst.fold(f64::INFINITY, f64::min),
            sum(|c| c.notes) / sum(|c| c.beats).max(1.0),
        );
    }
    Ok(())
}

/// Returns the names of the loop's chords, with `|` between two bars.
fn names(piece: &Score, plan: &ChordPlan, from: u32, bars: u32) -> String {
    let end = (0..bars).fold(from, |at, _| piece.time_signatures.next_bar(at + 1));
    let mut text = String::new();
    let mut last = None;
    for beat in beats(&piece.time_signatures, from, end) {
        let chord = plan.at(beat.start);
        let bar = piece.time_signatures.position(beat.start).step_in_bar == 0;
        if bar && beat.start > from {
            text += " |";
        }
        if bar || last != Some(chord) {
            text += &format!(" {}", name_or_none(chord, None));
        }
        last = Some(chord);
    }
    text.trim().into()
}

fn answer(
    args: &Args,
    model: &Arc<Model>,
    piece: &Score,
    plan: &ChordPlan,
    steps: std::ops::Range<u32>,
    pull: f32,
    seed: u64,
) -> Result<Counts> {
    let mut sampling = args.sampling.sampling();
    sampling.constraints.chord_pull = pull;
    let mut composer = Composer::new(model.clone());
    composer.listen(piece)?;
    composer.follow_chords(plan.clone());
    composer.answer(steps.start, &sampling, seed)?;
    let notes: Vec<Note> = composer.play_until(steps.end)?;
    let mut counts = Counts::default();
    for note in &notes {
        let Some(chord) = plan.at(note.start) else {
            continue;
        };
        let beat = Beat::at(&piece.time_signatures, note.start);
        let tone = usize::from(chord.contains(note.pitch));
        if beat.start == note.start && beat.accent.is_strong() {
            counts.strong += 1;
            counts.strong_tones += tone;
        }
        counts.notes += 1;
        counts.tones += tone;
    }
    let mut played = piece.clone();
    played.notes = notes;
    played.normalise();
    let spans = recognise_range(&played, steps.start, steps.end);
    for beat in beats(&piece.time_signatures, steps.start, steps.end) {
        let heard = spans.iter().find(|span| span.end > beat.start);
        let heard = heard.and_then(|span| span.chord);
        let Some((heard, wanted)) = heard.zip(plan.at(beat.start)) else {
            counts.beats += 1;
            continue;
        };
        counts.beats += 1;
        counts.roots += usize::from(heard.root == wanted.root);
        counts.agreeing += usize::from(agree(heard, wanted));
    }
    Ok(counts)
}

/// Whether a recognised chord agrees with the one to follow: they have the root, or at least two
/// pitch classes, in common.
fn agree(heard: Chord, wanted: Chord) -> bool {
    let common = heard.pitch_classes() & wanted.pitch_classes();
    heard.root == wanted.root || common.count_ones() >= 2
}
