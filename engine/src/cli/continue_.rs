//! `continuo continue IN.mid -o OUT.mid`: appends a continuation.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::ArgMatches;
use continuo_cli::{Force, Progress, note, number, print};
use continuo_engine::Composer;
use continuo_engine::options::{ComputeOptions, Places, SamplingOptions};
use continuo_files::{Input, MOST_BYTES, Output, kind, read_input};
use continuo_score::midi::{self, BuildError, MidiDocument, Reading};
use continuo_score::{Drums, Score};

use super::continuation::{self, Continuation, Tempo};
use super::hearing::{Heard, HearingOptions};
use super::inputs::{self, text};

/// Play on from a MIDI file, at its tempo and metre, from the next bar line
///
/// The output is the input with a track more; all else in it stays, byte for byte. The track has
/// a channel of its own, and the name and the sound of the part it continues.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to listen to
    #[arg(required_unless_present = "learn", num_args = 1, value_name = "INPUT")]
    input: Vec<PathBuf>,
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
    #[arg(long, value_name = "BPM", value_parser = number(4.0f64, 1000.0), conflicts_with = "a_tempo")]
    bpm: Option<f64>,
    /// Go on at the tempo before the ritardando, or the accelerando, at the end
    #[arg(long)]
    a_tempo: bool,
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
    hearing: HearingOptions,
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
    let [input] = &args.input[..] else {
        bail!("one file is continued, not {}", args.input.len());
    };
    let output = Output::check(&args.output, &kind::MIDI, args.force.replace())?;
    ensure!(
        !(args.json && output.is_standard()),
        "--json: standard output holds the music; name a file for one of the two"
    );
    let Input { name, bytes } = read_input(input, MOST_BYTES)?;
    let named = name.display();
    let reading = args.hearing.reading();
    let unread = || format!("{named}: not a readable MIDI file");
    let document = MidiDocument::read(bytes, &reading).with_context(unread)?;
    let file = document.file();
    super::warn(&name, &file.warnings);
    let tracks = file.tracks.len() + 1;
    ensure!(
        args.only || document.has_room(),
        "{named}: {}: --only",
        BuildError::Tracks { tracks }
    );
    ensure!(
        args.only || document.follows_tempo() || args.tempo() == Tempo::Kept,
        "{named}: counts SMPTE frames, which follow no tempo; leave --bpm and --a-tempo out, or \
         add --only"
    );
    let hearing = args.hearing.hearing(file)?;
    let learn = inputs::find(&args.learn)?;
    let model = super::load(&args.places, &args.compute)?;
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
    if args.tempo() == Tempo::Kept
        && let Some(said) = tempo_change(&whole, heard.entry)
    {
        note(format_args!("continuo: {named}: {said}"));
    }

    let Heard {
        ref score,
        origin,
        entry,
    } = heard;
    let lines = bar_lines(score, entry - origin, args.bars);
    let mut composer = Composer::new(model.clone());
    composer.set_recall(args.recall);
    let mut pieces = Vec::new();
    for file in &learn {
        let file = midi::read_file_with(file, &reading)?;
        pieces.push(Score::from_midi(&file, steps_per_beat, Drums::Drop));
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
    let listening = composer.listen_with(score, &mut report);
    listening.context("while listening")?;
    drop(progress);
    let listened = started.elapsed();
    let heard_tokens = composer.tokens();
    composer.answer(entry - origin, &args.sampling.sampling(), args.seed)?;
    let mut notes = Vec::new();
    let progress = Progress::new("playing", "bars", u64::from(args.bars));
    for &line in &lines {
        notes.extend(composer.play_until(line)?);
        progress.add(1);
    }
    drop(progress);
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
                note(format_args!("continuo: {}: {said}", output.name()));
            }
            appended.bytes
        }
    };
    output.write(&bytes)?;

    let stats = composer.stats();
    let ms = |share| stats.quantile(share).unwrap_or(0.0);
    if args.json {
        let report = serde_json::json!({
            "input": text(input), "output": text(&args.output), "seed": args.seed,
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
        return print(&format!("{report:#}\n"));
    }
    let line = format!(
        "{}: heard {} notes, played {} in bars {first_bar} to {last_bar} ({:.1} ms a token on {}, \
         p95 {:.1})",
        output.name(),
        score.notes.len(),
        notes.len(),
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
    let progress = Progress::new("learning", "notes", 0);
    while composer.read_on()?.is_some() {
        if let Some(p) = composer.learning() {
            progress.set(p.done as u64, p.all as u64);
        }
    }
    Ok(())
}

/// In words, how the tempo fell or rose before the answer.
fn tempo_change(score: &Score, entry: u32) -> Option<String> {
    let (last, before) = (score.tempos.bpm(entry), continuation::a_tempo(score, entry));
    (!(0.8..=1.25).contains(&(last / before))).then(|| {
        format!(
            "the tempo goes from {before:.0} to {last:.0} beats a minute before the answer, \
             which keeps it; --a-tempo goes back"
        )
    })
}

/// The bar lines that end each of `bars` bars from `from` on.
fn bar_lines(score: &Score, from: u32, bars: u32) -> Vec<u32> {
    let next = |line: &u32| Some(score.metres.next_bar(line + 1));
    std::iter::successors(Some(from), next)
        .skip(1)
        .take(bars as usize)
        .collect()
}
