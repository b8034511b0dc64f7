//! `continuo continue IN.mid -o OUT.mid`: appends a continuation.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use continuo_engine::options::{ComputeOptions, Places, SamplingOptions};
use continuo_engine::{Composer, Model, Runtime};
use continuo_score::midi::{self, MidiDocument, Reading, WriteError};
use continuo_score::{Drums, Score};
use indicatif::{ProgressBar, ProgressStyle};

use super::continuation::{self, Continuation, Tempo};
use super::hearing::{Heard, HearingOptions};

/// Play on from a MIDI file, at its tempo and metre, from the next bar line
///
/// The output is the input with a track more; all else in it stays, byte for byte. The track has
/// a channel of its own, and the name and the sound of the part it continues.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to listen to
    input: PathBuf,
    /// MIDI file to write: the input, and the continuation on a track of its own
    #[arg(short, long)]
    output: PathBuf,
    /// Bars to play
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    bars: u32,
    /// Write the continuation alone, from the beginning of the file
    #[arg(long)]
    only: bool,
    /// Go on at so many beats a minute
    #[arg(long, value_name = "BPM", value_parser = bpm, conflicts_with = "a_tempo")]
    bpm: Option<f64>,
    /// Go on at the tempo before the ritardando, or the accelerando, at the end
    #[arg(long)]
    a_tempo: bool,
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
    hearing: HearingOptions,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    sampling: SamplingOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

impl Args {
    fn tempo(&self) -> Tempo {
        match (self.bpm, self.a_tempo) {
            (Some(bpm), _) => Tempo::Bpm(bpm),
            (None, true) => Tempo::Before,
            (None, false) => Tempo::Kept,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let named = args.input.display();
    let bytes = std::fs::read(&args.input).with_context(|| named.to_string())?;
    let reading = args.hearing.reading();
    let unread = || format!("{named}: not a readable MIDI file");
    let document = MidiDocument::read(bytes, &reading).with_context(unread)?;
    let file = document.file();
    for warning in &file.warnings {
        eprintln!("continuo: {named}: {warning}");
    }
    let tracks = file.tracks.len() + 1;
    ensure!(
        args.only || document.has_room(),
        "{named}: {}: --only",
        WriteError::Tracks { tracks }
    );
    ensure!(
        args.only || document.follows_tempo() || args.tempo() == Tempo::Kept,
        "{named}: counts SMPTE frames, which follow no tempo; leave --bpm and --a-tempo out, or \
         add --only"
    );
    let hearing = args.hearing.hearing(file)?;
    let runtime = Runtime::load(&args.places.library()?)?;
    let options = args.compute.model_options()?;
    let model = Model::load(runtime, &args.places.directory()?, &options)?;
    super::tell_refusals(&model);
    let steps_per_beat = model.vocabulary().steps_per_beat;
    let whole = Score::from_midi(file, steps_per_beat, Drums::Keep);
    let keys = midi::read(document.bytes(), &Reading::default()).with_context(unread)?;
    let heard = args.hearing.hear(file, &keys, &hearing, steps_per_beat);
    let Some(heard) = heard else {
        bail!(
            "{named}: has no notes to continue ({} notes in all; drums are not listened to, nor \
             what --tracks, --channels and --last leave out)",
            file.notes.len()
        );
    };
    hint_at_tempo(args, &whole, heard.entry);

    let Heard {
        ref score,
        origin,
        entry,
    } = heard;
    let lines = bar_lines(score, entry - origin, args.bars);
    let mut composer = Composer::new(model.clone());
    composer.set_recall(args.recall);
    let mut pieces = Vec::new();
    for file in &args.learn {
        let file = midi::read_file_with(file, &reading)?;
        pieces.push(Score::from_midi(&file, steps_per_beat, Drums::Drop));
    }
    if !pieces.is_empty() && !model.learns() {
        bail!("--learn: this model has no long memory to learn into");
    }
    let started = Instant::now();
    composer.learn(&pieces).context("while learning")?;
    let learned = started.elapsed();
    let started = Instant::now();
    composer.listen(score).context("while listening")?;
    let listened = started.elapsed();
    let heard_tokens = composer.tokens();
    composer.answer(entry - origin, &args.sampling.sampling(), args.seed)?;
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
    let until = lines.last().copied().unwrap_or(entry - origin);
    for note in &mut notes {
        note.length = note.length.min(until - note.start);
        note.start += origin;
    }
    let first_bar = whole.metres.place(entry).bar + 1;
    let last_bar = first_bar + args.bars - 1;
    ensure!(
        !notes.is_empty(),
        "{named}: 0 notes were played in bars {first_bar} to {last_bar}, so nothing is written: \
         the model chose to rest there; try another --seed, more --bars, or wider limits \
         (--density, --range, --scale, --velocity)"
    );
    let continuation = Continuation {
        document: &document,
        hearing: &hearing,
        score: &whole,
        from: entry,
        until: until + origin,
        notes: &notes,
        tempo: args.tempo(),
    };
    let bytes = match args.only {
        true => continuation.alone().to_bytes(file.ticks_per_beat)?,
        false => {
            let (track, said) = continuation.track();
            let appended = document.append(&track)?;
            for said in said.iter().chain(&appended.changes) {
                eprintln!("continuo: {}: {said}", args.output.display());
            }
            appended.bytes
        }
    };
    std::fs::write(&args.output, bytes).with_context(|| args.output.display().to_string())?;

    let stats = composer.stats();
    let ms = |share| stats.quantile(share).unwrap_or(0.0);
    if args.json {
        let report = serde_json::json!({
            "input": args.input, "output": args.output, "seed": args.seed,
            "from_bar": first_bar, "bars": args.bars,
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
            "{}: heard {} notes, played {} in bars {first_bar} to {last_bar} ({:.1} ms a token on {}, p95 {:.1})",
            args.output.display(),
            score.notes.len(),
            notes.len(),
            ms(0.5),
            model.device(),
            ms(0.95),
        );
    }
    Ok(())
}

/// Says that the tempo fell or rose before the answer, where nothing is said about the answer's.
fn hint_at_tempo(args: &Args, score: &Score, entry: u32) {
    let (last, before) = (score.tempos.bpm(entry), continuation::a_tempo(score, entry));
    if args.tempo() == Tempo::Kept && !(0.8..=1.25).contains(&(last / before)) {
        eprintln!(
            "continuo: {}: the tempo goes from {before:.0} to {last:.0} beats a minute before \
             the answer, which keeps it; --a-tempo goes back",
            args.input.display()
        );
    }
}

/// Beats a minute that a MIDI file can hold: 24 bits of microseconds a beat.
fn bpm(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(bpm) if (4.0..=1000.0).contains(&bpm) => Ok(bpm),
        _ => Err("must be between 4 and 1000 beats a minute".into()),
    }
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
