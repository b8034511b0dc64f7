//! `continuo continue IN.mid -o OUT.mid`: appends a continuation.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use continuo_engine::options::{ComputeOptions, Places, SamplingOptions};
use continuo_engine::{Composer, Model, Runtime};
use continuo_score::midi::{self, MidiFile, MidiNote};
use continuo_score::{Drums, Note, Score};
use indicatif::{ProgressBar, ProgressStyle};

/// Play on from a MIDI file, at its tempo and metre, from the next bar line
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to listen to
    input: PathBuf,
    /// MIDI file to write: the input's notes, and the continuation on a track of its own
    #[arg(short, long)]
    output: PathBuf,
    /// Bars to play
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    bars: u32,
    /// Seed: the same seed gives the same notes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much is recalled from beyond the model's window: 0 nothing, 1 all
    #[arg(long, default_value_t = 1.0, value_parser = recall)]
    recall: f32,
    /// MIDI files to learn first: what they say, in any key, is recalled from, and not continued
    #[arg(long, value_name = "FILE", num_args = 1..)]
    learn: Vec<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    sampling: SamplingOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut file = midi::read_file(&args.input)?;
    for warning in &file.warnings {
        eprintln!("continuo: {}: {warning}", args.input.display());
    }
    let runtime = Runtime::load(&args.places.library()?)?;
    let options = args.compute.model_options()?;
    let model = Model::load(runtime, &args.places.directory()?, &options)?;
    super::tell_refusals(&model);
    let steps_per_beat = model.vocabulary().steps_per_beat;
    let score = Score::from_midi(&file, steps_per_beat, Drums::Drop);
    let Some(end) = score.notes.iter().map(Note::end).max() else {
        bail!(
            "{}: has no notes to continue (drums are not listened to)",
            args.input.display()
        );
    };

    // From the bar line at or after the last note's end, whatever silence the file ends with.
    let from = score.metres.next_bar(end);
    let lines = bar_lines(&score, from, args.bars);
    let mut composer = Composer::new(model.clone());
    composer.set_recall(args.recall);
    let mut pieces = Vec::new();
    for file in &args.learn {
        pieces.push(Score::from_midi(
            &midi::read_file(file)?,
            steps_per_beat,
            Drums::Drop,
        ));
    }
    if !pieces.is_empty() && !model.learns() {
        bail!("--learn: this model has no long memory to learn into");
    }
    let started = Instant::now();
    composer.learn(&pieces).context("while learning")?;
    let learned = started.elapsed();
    let started = Instant::now();
    composer.listen(&score).context("while listening")?;
    let listened = started.elapsed();
    let heard_tokens = composer.tokens();
    composer.answer(from, &args.sampling.sampling(), args.seed)?;
    let mut notes = Vec::new();
    let progress = ProgressBar::new(u64::from(args.bars));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} bar {pos}/{len}") {
        progress.set_style(style);
    }
    for &line in &lines {
        notes.extend(composer.play_until(line)?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let until = lines.last().copied().unwrap_or(from);
    for note in &mut notes {
        note.length = note.length.min(until - note.start);
    }
    append(&mut file, &notes, steps_per_beat, until);
    file.write_file(&args.output)?;

    let stats = composer.stats();
    let ms = |share| stats.quantile(share).unwrap_or(0.0);
    if args.json {
        let report = serde_json::json!({
            "input": args.input, "output": args.output, "seed": args.seed,
            "from_bar": score.metres.place(from).bar + 1, "bars": args.bars,
            "heard_scale": composer.scale().map(|s| s.to_string()),
            "heard_notes": score.notes.len(), "heard_tokens": heard_tokens,
            "recall": args.recall, "learned_files": pieces.len(),
            "learned_ms": learned.as_secs_f64() * 1e3,
            "listened_ms": listened.as_secs_f64() * 1e3,
            "played_notes": notes.len(), "played_tokens": stats.tokens(),
            "ms_per_token_median": ms(0.5), "ms_per_token_p95": ms(0.95),
            "device": model.device().name(), "variant": model.variant(), "model": model.manifest().name,
        });
        println!("{report:#}");
    } else {
        println!(
            "{}: heard {} notes, played {} in bars {} to {} ({:.1} ms a token on {}, p95 {:.1})",
            args.output.display(),
            score.notes.len(),
            notes.len(),
            score.metres.place(from).bar + 1,
            score.metres.place(from).bar + args.bars,
            ms(0.5),
            model.device(),
            ms(0.95),
        );
    }
    Ok(())
}

/// A number from 0 to 1.
pub(super) fn recall(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(recall) if (0.0..=1.0).contains(&recall) => Ok(recall),
        _ => Err("must be between 0 and 1".into()),
    }
}

/// The bar lines that end each of `bars` bars from `from` on.
fn bar_lines(score: &Score, from: u32, bars: u32) -> Vec<u32> {
    let next = |line: &u32| Some(score.metres.next_bar(line + 1));
    std::iter::successors(Some(from), next)
        .skip(1)
        .take(bars as usize)
        .collect()
}

/// Adds the notes to the file as a track of their own; the file's notes stay as they were.
fn append(file: &mut MidiFile, notes: &[Note], steps_per_beat: u32, until: u32) {
    let track = file.tracks.len().min(usize::from(u16::MAX)) as u16;
    file.tracks.push("Continuo".into());
    let beat = u64::from(file.ticks_per_beat);
    let tick = |step: u32| u64::from(step) * beat / u64::from(steps_per_beat);
    file.notes.extend(notes.iter().map(|note| MidiNote {
        start: tick(note.start),
        end: tick(note.end()),
        pitch: note.pitch,
        velocity: note.velocity,
        channel: 0,
        track,
    }));
    file.end = file.end.max(tick(until));
}
