//! Command `continuo continue IN.mid -o OUT.mid`: appends a continuation to a MIDI file.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::options::{ComputeOptions, HarmonyOptions, ModelPaths, SamplingOptions};
use anyhow::{Context, Result, bail, ensure};
use clap::ArgMatches;
use clap::error::ErrorKind;
use continuo_cli::{
    Force, Progress, at_least, note, number, one_result_on_standard_output, print, report,
};
use continuo_engine::Composer;
use continuo_files::{Input, MOST_BYTES, Output, Replace, kind, read_input};
use continuo_score::midi::{self, BuildError, MidiDocument, MidiFile, Pedal, ReadOptions};
use continuo_score::{Drums, Note, Score};

use super::continuation::{self, Continuation, Tempo};
use super::input_selection::{AnswerInput, InputSelection};
use super::inputs::{self, text};

/// Continue a MIDI file from the next bar line, at its tempo and time signature
///
/// The output is the input with one more track; everything else stays the same, byte for byte. The
/// track has a channel of its own, and the name and program of the part it continues.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to continue
    #[arg(required_unless_present = "learn", num_args = 1, value_name = "INPUT")]
    input: Vec<PathBuf>,
    /// MIDI file to write: the input, and the continuation on a track of its own
    #[arg(short, long)]
    output: PathBuf,
    /// Number of bars to generate
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    bars: u32,
    /// Write the continuation alone, from the beginning of the file
    #[arg(long)]
    only: bool,
    /// Tempo of the continuation, in beats a minute
    #[arg(long, value_name = "BPM", value_parser = number(4.0f64, 1000.0), conflicts_with = "a_tempo")]
    bpm: Option<f64>,
    /// Continue at the tempo before the ritardando or accelerando at the end
    #[arg(long)]
    a_tempo: bool,
    /// Seed: the same seed gives the same notes
    #[arg(long, default_value_t = 1, value_parser = at_least(0u64))]
    seed: u64,
    /// Recall from beyond the model's window: 0 none, 1 full
    #[arg(long, default_value_t = 1.0, value_parser = number(0.0f32, 1.0))]
    recall: f32,
    /// MIDI files, or folders of them, to learn first: they are recalled from in any key, and not
    /// continued
    #[arg(long, value_name = "FILE", num_args = 1..)]
    learn: Vec<PathBuf>,
    /// Print a report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    selection: InputSelection,
    #[command(flatten)]
    places: ModelPaths,
    #[command(flatten)]
    sampling: SamplingOptions,
    #[command(flatten)]
    harmony: HarmonyOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

impl Args {
    /// Moves an input file that `--learn` has taken back to the input.
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
        let said = format!("one file is continued, not {}\n", args.input.len());
        continuo_cli::refuse(&clap::Error::raw(ErrorKind::TooManyValues, said));
    };
    let output = Output::check(&args.output, &kind::MIDI, args.force.replace())?;
    one_result_on_standard_output(args.json, &output, "the music")?;
    ensure!(
        !(args.only && output.is_file(input)) || args.force.replace() == Replace::Any,
        "{}: is the input, and --only would leave nothing of it; name another file (or --force)",
        input.display()
    );
    let (name, document) = open(args, input)?;
    let named = name.display();
    let file = document.file();
    let parts = args.selection.parts(file)?;
    let learn = inputs::find(&args.learn)?;
    let reading = args.selection.reading(Pedal::Lengthen);
    let learned = inputs::read_all(&learn, |file| Ok(midi::read_file_with(file, &reading)?))?;
    let model = super::load(&args.places, &args.compute)?;
    let steps_per_beat = model.vocabulary().steps_per_beat;
    let whole = Score::from_midi(file, steps_per_beat, Drums::Keep);
    let keys = midi::read(document.bytes(), &ReadOptions::default())?;
    let Some(selected) = args
        .selection
        .answer_input(file, &keys, &parts, model.vocabulary())
    else {
        bail!(
            "{named}: has no notes to continue ({} notes in all; drums are left out, and so are \
             notes outside --tracks, --channels and --last)",
            file.notes.len()
        );
    };
    if args.tempo() == Tempo::Kept
        && let Some(said) = tempo_change(&whole, selected.entry)
    {
        note(format_args!("continuo: {named}: {said}"));
    }
    let on_grid = |file: &MidiFile| {
        let mut piece = Score::for_vocabulary(file, model.vocabulary());
        piece.end_with_music();
        piece
    };
    let pieces: Vec<Score> = learned.iter().map(on_grid).collect();
    if !pieces.is_empty() && !model.can_learn() {
        bail!("--learn: this model has no kNN or n-gram memory to learn into");
    }
    let mut composer = Composer::new(model.clone());
    let played = play(args, &mut composer, &pieces, &selected)?;
    let first_bar = whole.time_signatures.position(selected.entry).bar + 1;
    let last_bar = first_bar + args.bars - 1;
    check_played(&played.notes, first_bar..=last_bar).with_context(|| named.to_string())?;
    let continuation = Continuation {
        document: &document,
        parts: &parts,
        score: &whole,
        from: selected.entry,
        until: played.until,
        notes: &played.notes,
        tempo: args.tempo(),
    };
    output.write(&build(args, &continuation, &output.name())?)?;

    let (heard, notes) = (selected.score.notes.len(), played.notes.len());
    let stats = composer.stats();
    let ms = |share| stats.quantile(share).unwrap_or(0.0);
    if args.json {
        let report = serde_json::json!({
            "input": text(input), "output": text(&args.output), "seed": args.seed,
            "from_bar": first_bar, "bars": args.bars,
            "heard_scale": composer.scale().map(|s| s.to_string()),
            "heard_notes": heard, "heard_tokens": played.heard_tokens,
            "recall": args.recall, "learned_files": pieces.len(),
            "learned_ms": played.learned.as_secs_f64() * 1e3,
            "listened_ms": played.listened.as_secs_f64() * 1e3,
            "played_notes": notes, "played_tokens": stats.tokens(),
            "ms_per_token_median": ms(0.5), "ms_per_token_p95": ms(0.95),
            "device": model.device().name(), "variant": model.variant(), "model": model.manifest().name,
        });
        return print(&format!("{report:#}\n"));
    }
    let line = format!(
        "{}: heard {heard} notes, played {notes} in {} ({:.1} ms a token on {}, p95 {:.1})",
        output.name(),
        in_words(&(first_bar..=last_bar)),
        ms(0.5),
        model.device(),
        ms(0.95),
    );
    report(&output, &(line + "\n"))
}

/// Reads the input and checks that the options can continue it. Also returns its name in messages.
fn open(args: &Args, input: &Path) -> Result<(PathBuf, MidiDocument)> {
    let Input { name, bytes } = read_input(input, MOST_BYTES)?;
    let named = name.display();
    let document = MidiDocument::read(bytes, &args.selection.reading(Pedal::Lengthen))
        .with_context(|| format!("{named}: not a readable MIDI file"))?;
    super::warn(&name, &document.file().warnings);
    let tracks = document.file().tracks.len() + 1;
    ensure!(
        args.only || document.has_room(),
        "{named}: {}: --only",
        BuildError::Tracks { tracks }
    );
    ensure!(
        args.only || document.follows_tempo() || args.tempo() == Tempo::Kept,
        "{named}: its ticks are SMPTE frames, which follow no tempo; leave --bpm and --a-tempo out, or \
         add --only"
    );
    Ok((name, document))
}

/// Notes of the answer, in steps of the file.
struct Played {
    notes: Vec<Note>,
    /// End of the last bar, in steps of the file.
    until: u32,
    heard_tokens: usize,
    learned: Duration,
    listened: Duration,
}

/// Learns the pieces, reads the input, and generates the answer.
fn play(
    args: &Args,
    composer: &mut Composer,
    pieces: &[Score],
    input: &AnswerInput,
) -> Result<Played> {
    let (score, origin) = (&input.score, input.origin);
    let from = input.entry - origin;
    composer.set_recall(args.recall);
    let started = Instant::now();
    learn_all(composer, pieces).context("while learning")?;
    let learned = started.elapsed();
    let started = Instant::now();
    let progress = Progress::new("listening", "tokens", 0);
    let mut report = |p: continuo_engine::composer::Progress| {
        progress.set(p.done as u64, p.all as u64);
    };
    let listening = composer.listen_with(score, &mut report);
    listening.context("while reading the input")?;
    drop(progress);
    let listened = started.elapsed();
    let heard_tokens = composer.tokens();
    if let Some(plan) = args.harmony.plan(score, from) {
        if plan.is_empty() {
            note("continuo: --harmony: the last bars have no chord, so it plays freely");
        }
        composer.follow_chords(plan);
    }
    let sampling = args.harmony.sampling(args.sampling.sampling());
    composer.answer(from, &sampling, args.seed)?;
    let mut notes = Vec::new();
    let progress = Progress::new("playing", "bars", u64::from(args.bars));
    let mut until = from;
    for line in bar_lines(score, from, args.bars) {
        notes.extend(composer.play_until(line)?);
        progress.add(1);
        until = line;
    }
    drop(progress);
    for note in &mut notes {
        note.length = note.length.min(until - note.start);
        note.start += origin;
    }
    Ok(Played {
        notes,
        until: until + origin,
        heard_tokens,
        learned,
        listened,
    })
}

/// Formats a range of bars: "bar 5" or "bars 5 to 8".
pub(super) fn in_words(bars: &RangeInclusive<u32>) -> String {
    match (bars.start(), bars.end()) {
        (first, last) if first == last => format!("bar {first}"),
        (first, last) => format!("bars {first} to {last}"),
    }
}

/// Fails if the answer has no note.
pub(super) fn check_played(notes: &[Note], bars: RangeInclusive<u32>) -> Result<()> {
    ensure!(
        !notes.is_empty(),
        "0 notes were played in {}, so nothing is written: the model generated only rests; try \
         another --seed, more --bars, or wider limits (--density, --range, --scale, --velocity)",
        in_words(&bars)
    );
    Ok(())
}

/// Returns the file to write: the input with one more track, or the continuation alone.
fn build(args: &Args, continuation: &Continuation, output: &str) -> Result<Vec<u8>> {
    let document = continuation.document;
    if args.only {
        let alone = continuation.alone();
        return alone
            .to_bytes(document.file().ticks_per_beat)
            .with_context(|| output.to_string());
    }
    let (track, said) = continuation.track();
    let appended = document.append(&track);
    let appended = appended.with_context(|| output.to_string())?;
    for said in said.iter().chain(&appended.changes) {
        note(format_args!("continuo: {output}: {said}"));
    }
    Ok(appended.bytes)
}

/// Learns pieces, with a progress line.
pub(super) fn learn_all(composer: &mut Composer, pieces: &[Score]) -> Result<()> {
    composer.begin_learning(pieces)?;
    let progress = Progress::new("learning", "notes", 0);
    while composer.poll()?.is_some() {
        if let Some(p) = composer.learning() {
            progress.set(p.done as u64, p.all as u64);
        }
    }
    Ok(())
}

/// Describes the fall or rise of the tempo before the answer.
fn tempo_change(score: &Score, entry: u32) -> Option<String> {
    let (last, before) = (score.tempos.bpm(entry), continuation::a_tempo(score, entry));
    (!(0.8..=1.25).contains(&(last / before))).then(|| {
        format!(
            "the tempo goes from {before:.0} to {last:.0} beats a minute before the answer, \
             which keeps it; --a-tempo goes back"
        )
    })
}

/// Returns the end of each of `bars` bars from `from` on.
fn bar_lines(score: &Score, from: u32, bars: u32) -> Vec<u32> {
    let next = |line: &u32| Some(score.time_signatures.next_bar(line + 1));
    std::iter::successors(Some(from), next)
        .skip(1)
        .take(bars as usize)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_without_notes_fails_with_the_reason() {
        let said = check_played(&[], 5..=8).unwrap_err().to_string();
        assert!(
            said.contains("0 notes were played in bars 5 to 8"),
            "{said}"
        );
        assert!(said.contains("rest"), "{said}");
    }

    #[test]
    fn gradual_change_of_tempo_is_reported() {
        let mut score = Score::new(12);
        assert_eq!(tempo_change(&score, 192), None);
        score.tempos = continuo_score::TempoMap::new(vec![(0, 120.0), (168, 90.0), (180, 60.0)]);
        let said = tempo_change(&score, 192).unwrap();
        assert!(
            said.contains("from 120 to 60") && said.contains("--a-tempo"),
            "{said}"
        );
    }
}
