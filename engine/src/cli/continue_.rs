//! `continuo continue IN.mid -o OUT.mid`: appends a continuation.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::ArgMatches;
use continuo_cli::{Force, Progress, note, number, print};
use continuo_engine::Composer;
use continuo_engine::options::{ComputeOptions, Places, SamplingOptions};
use continuo_files::{Output, kind};
use continuo_score::midi::{self, MidiFile, MidiNote};
use continuo_score::{Drums, Note, Score};

use super::inputs::{self, text};

/// Play on from a MIDI file, at its tempo and metre, from the next bar line
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to listen to
    #[arg(required_unless_present = "learn", num_args = 1, value_name = "INPUT")]
    input: Vec<PathBuf>,
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
    #[arg(long, default_value_t = 1.0, value_parser = number(0.0f32, 1.0))]
    recall: f32,
    /// MIDI files, or folders of them, to learn first: what they say, in any key, is recalled from,
    /// and not continued
    #[arg(long, value_name = "FILE", num_args = 1..)]
    learn: Vec<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    sampling: SamplingOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

impl Args {
    /// Sees to what `--learn` took of the input.
    pub(super) fn disentangle(&mut self, matches: &ArgMatches) {
        inputs::disentangle(&mut self.input, &mut self.learn, matches, false);
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let [input] = &args.input[..] else {
        bail!("one file is continued, not {}", args.input.len());
    };
    let output = Output::check(&args.output, &kind::MIDI, args.force.replace())?;
    ensure!(
        !(args.json && output.is_standard()),
        "--json: standard output holds the music; name a file for one of the two"
    );
    let mut file = midi::read_file(input)?;
    super::warn(input, &file.warnings);
    let learn = inputs::find(&args.learn)?;
    let model = super::load(&args.places, &args.compute)?;
    let steps_per_beat = model.vocabulary().steps_per_beat;
    let score = Score::from_midi(&file, steps_per_beat, Drums::Drop);
    let Some(end) = score.notes.iter().map(Note::end).max() else {
        bail!(
            "{}: has no notes to continue (drums are not listened to)",
            input.display()
        );
    };

    // From the bar line at or after the last note's end, whatever silence the file ends with.
    let from = score.metres.next_bar(end);
    let lines = bar_lines(&score, from, args.bars);
    let mut composer = Composer::new(model.clone());
    composer.set_recall(args.recall);
    let mut pieces = Vec::new();
    for file in &learn {
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
    learn_all(&mut composer, &pieces).context("while learning")?;
    let learned = started.elapsed();
    let started = Instant::now();
    let progress = Progress::new("listening", "tokens", 0);
    let mut report = |p: continuo_engine::composer::Progress| {
        progress.set(p.done as u64, p.all as u64);
    };
    let heard = composer.listen_with(&score, &mut report);
    heard.context("while listening")?;
    drop(progress);
    let listened = started.elapsed();
    let heard_tokens = composer.tokens();
    composer.answer(from, &args.sampling.sampling(), args.seed)?;
    let mut notes = Vec::new();
    let progress = Progress::new("playing", "bars", u64::from(args.bars));
    for &line in &lines {
        notes.extend(composer.play_until(line)?);
        progress.add(1);
    }
    drop(progress);
    let until = lines.last().copied().unwrap_or(from);
    for note in &mut notes {
        note.length = note.length.min(until - note.start);
    }
    append(&mut file, &notes, steps_per_beat, until);
    output.write(&file.to_bytes())?;

    let stats = composer.stats();
    let ms = |share| stats.quantile(share).unwrap_or(0.0);
    if args.json {
        let report = serde_json::json!({
            "input": text(input), "output": text(&args.output), "seed": args.seed,
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
        return print(&format!("{report:#}\n"));
    }
    let line = format!(
        "{}: heard {} notes, played {} in bars {} to {} ({:.1} ms a token on {}, p95 {:.1})",
        output.name(),
        score.notes.len(),
        notes.len(),
        score.metres.place(from).bar + 1,
        score.metres.place(from).bar + args.bars,
        ms(0.5),
        model.device(),
        ms(0.95),
    );
    if output.is_standard() {
        note(line);
        return Ok(());
    }
    print(&(line + "\n"))
}

fn learn_all(composer: &mut Composer, pieces: &[Score]) -> Result<()> {
    composer.begin_learning(pieces)?;
    let progress = Progress::new("learning", "tokens", 0);
    while let Some(p) = composer.read_on()? {
        progress.set(p.done as u64, p.all as u64);
    }
    Ok(())
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
