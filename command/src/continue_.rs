//! Command `continuo continue IN.mid -o OUT.mid`: appends a continuation to a MIDI file.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::options::HarmonyOptions;
use anyhow::{Context, Result, bail, ensure};
use clap::ArgMatches;
use clap::error::ErrorKind;
use continuo_cli::{Progress, note, number, one_result_on_standard_output, print, report};
use continuo_engine::Composer;
use continuo_files::{Output, Replace, kind};
use continuo_score::merge_parts;
use continuo_score::midi::{self, BuildError, MidiDocument, MidiNote, Pedal, ReadOptions};
use continuo_score::{Drums, Note, Part, PartSet, Score};

use super::continuation::{self, Continuation, Tempo};
use super::generation::{GenerationOptions, learn_all, listen};
use super::input_selection::AnswerInput;
use super::inputs::text;
use super::music_file::MusicFile;

/// Continue a MIDI file from the next bar line, at its tempo and time signature
///
/// The output is the input with one more track; everything else stays the same, byte for byte. The
/// track has a channel of its own, and the name and program of the part it continues. A model with
/// parts adds a track for each part. Of a recording, the output is the notes that `continuo transcribe`
/// finds, and the track.
#[derive(clap::Args)]
#[command(mut_arg("bpm", |bpm| bpm.help("Tempo of the continuation in beats a minute; of a recording \
    (WAV, FLAC), the tempo of both [default: that of the file, or found]")))]
pub(crate) struct Args {
    /// MIDI file to continue, or a recording (WAV, FLAC)
    #[arg(required_unless_present = "learn", num_args = 1, value_name = "INPUT")]
    input: Vec<PathBuf>,
    /// MIDI file to write: the input, and the continuation on a track of its own
    #[arg(short, long)]
    output: PathBuf,
    /// Number of bars to generate
    #[arg(long, default_value_t = 8, value_parser = number(1u32, 10_000))]
    bars: u32,
    /// Write the continuation alone, from the beginning of the file
    #[arg(long)]
    only: bool,
    /// Continue at the tempo before the ritardando or accelerando at the end
    #[arg(long, conflicts_with = "bpm")]
    a_tempo: bool,
    /// Parts to write, if the model has parts: keys, lead, chords, bass or drums, separated by
    /// commas [default: those of the input]
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    parts: Vec<Part>,
    #[command(flatten)]
    generation: GenerationOptions,
    #[command(flatten)]
    harmony: HarmonyOptions,
}

impl Args {
    /// Moves an input file that `--learn` has taken back to the input.
    pub(super) fn disentangle(&mut self, matches: &ArgMatches) {
        self.generation.disentangle(&mut self.input, matches);
    }

    fn tempo(&self) -> Tempo {
        match (self.generation.selection.beat.bpm, self.a_tempo) {
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
    let output = Output::check(&args.output, &kind::MIDI, args.generation.force.replace())?;
    one_result_on_standard_output(args.generation.json, &output, "the music")?;
    let lost = match args.only {
        true => "--only would leave nothing of it",
        false => "it would get the new track",
    };
    ensure!(
        !output.is_file(input) || args.generation.force.replace() == Replace::Any,
        "{}: is the input, and {lost}; name another file (or --force)",
        input.display()
    );
    let (name, document) = open(args, input)?;
    let named = name.display();
    let file = document.file();
    let parts = args.generation.selection.parts(file)?;
    let learned = args.generation.read_learned()?;
    let (model, pieces) = args.generation.load(&learned)?;
    let has_parts = model.vocabulary().has_parts();
    ensure!(
        has_parts || args.parts.is_empty(),
        "--parts: this model has no parts, and plays as one instrument"
    );
    let steps_per_beat = model.vocabulary().steps_per_beat;
    let whole = Score::from_midi(file, steps_per_beat, Drums::Keep);
    let keys = midi::read(document.bytes(), &ReadOptions::default())?;
    let Some(selected) =
        args.generation
            .selection
            .answer_input(file, &keys, &parts, model.vocabulary())
    else {
        let drums = match has_parts {
            true => "",
            false => "this model has no parts and leaves drums out, and ",
        };
        bail!(
            "{named}: has no notes to continue ({} notes in all; {drums}notes outside --tracks, \
             --channels and --last do not count)",
            file.notes.len()
        );
    };
    let is_left_out = |note: &&MidiNote| parts.chooses(note) && file.is_drum(note);
    let drums = file.notes.iter().filter(is_left_out).count();
    if drums > 0 && !has_parts {
        note(format_args!(
            "continuo: {named}: this model has no parts: {drums} drum hits are left out, and it \
             plays as one instrument"
        ));
    }
    if args.tempo() == Tempo::Kept
        && let Some(said) = tempo_change(&whole, selected.entry)
    {
        note(format_args!("continuo: {named}: {said}"));
    }
    let mut composer = Composer::new(model.clone());
    let mut played = play(args, &mut composer, &pieces, &selected)?;
    // The tracks of a type 2 file follow each other, so one of them holds all pitches.
    let divides = has_parts && (args.only || file.format != 2);
    if has_parts && !divides {
        let drums = played.notes.iter().filter(|n| !n.part.is_pitched()).count();
        if drums > 0 {
            note(format_args!(
                "continuo: {named}: {drums} drum hits are left out: the tracks of a type 2 file \
                 follow each other, and one track is added; --only writes them"
            ));
        }
        played.notes = merge_parts(&played.notes).into_owned();
    }
    let first_bar = whole.time_signatures.position(selected.entry).bar + 1;
    let last_bar = first_bar + args.bars - 1;
    let others = match has_parts {
        true => "another --seed, more --bars, other --parts",
        false => "another --seed, more --bars",
    };
    check_played(&played.notes, first_bar..=last_bar, others).with_context(|| named.to_string())?;
    let continuation = Continuation {
        document: &document,
        parts: &parts,
        score: &whole,
        from: selected.entry,
        until: played.until,
        notes: played.notes.clone(),
        tempo: args.tempo(),
        part: None,
        conducts: true,
    };
    let parts = continuation.by_part();
    let by_part = (parts.iter())
        .filter(|_| has_parts)
        .filter_map(|of| Some((of.part?.name(), of.notes.len())))
        .collect::<Vec<_>>();
    output.write(&build(args, &continuation, divides, &output.name())?)?;

    let (heard, notes) = (selected.score.notes.len(), played.notes.len());
    let stats = composer.stats();
    let ms = |share| stats.quantile(share).unwrap_or(0.0);
    if args.generation.json {
        let report = serde_json::json!({
            "input": text(input), "output": text(&args.output), "seed": args.generation.seed,
            "from_bar": first_bar, "bars": args.bars,
            "heard_scale": composer.scale().map(|s| s.to_string()),
            "heard_notes": heard, "heard_tokens": played.heard_tokens,
            "recall": args.generation.recall, "learned_files": pieces.len(),
            "learned_ms": played.learned.as_secs_f64() * 1e3,
            "listened_ms": played.listened.as_secs_f64() * 1e3,
            "played_notes": notes, "played_tokens": stats.tokens(),
            "parts": by_part.iter().copied().collect::<BTreeMap<_, _>>(),
            "ms_per_token_median": ms(0.5), "ms_per_token_p95": ms(0.95),
            "device": model.device().name(), "variant": model.variant(),
            "model": model.manifest().name,
        });
        return print(&format!("{report:#}\n"));
    }
    let by_part: Vec<String> = (by_part.iter())
        .map(|(part, notes)| format!("{part} {notes}"))
        .collect();
    let by_part = match by_part.len() {
        0 => String::new(),
        _ => format!(" ({})", by_part.join(", ")),
    };
    let line = format!(
        "{}: heard {heard} notes, played {notes}{by_part} in {} ({:.1} ms a token on {}, p95 \
         {:.1})",
        output.name(),
        in_words(&(first_bar..=last_bar)),
        ms(0.5),
        model.device(),
        ms(0.95),
    );
    report(&output, &(line + "\n"))
}

/// Reads the input and checks that it can be continued with these options. Also returns the name of
/// the input in messages.
fn open(args: &Args, input: &Path) -> Result<(PathBuf, MidiDocument)> {
    let selection = &args.generation.selection;
    let music = MusicFile::open(input, &selection.hearing())?;
    if selection.beat.first_beat.is_some() {
        music.note_without_effect(&["--first-beat"]);
    }
    let name = music.name.clone();
    let named = name.display();
    let document = music.into_document(&selection.reading(Pedal::Lengthen))?;
    super::warn(&name, &document.file().warnings);
    let tracks = document.file().tracks.len() + 1;
    ensure!(
        args.only || document.has_room(),
        "{named}: {}: --only",
        BuildError::Tracks { tracks }
    );
    ensure!(
        args.only || document.follows_tempo() || args.tempo() == Tempo::Kept,
        "{named}: its ticks are SMPTE frames, which follow no tempo; leave --bpm and --a-tempo \
         out, or add --only"
    );
    Ok((name, document))
}

/// The answer, and the time that it took.
struct Played {
    /// Notes in steps of the file.
    notes: Vec<Note>,
    /// End of the last bar, in steps of the file.
    until: u32,
    /// Number of tokens of the input.
    heard_tokens: usize,
    /// Time of learning the pieces.
    learned: Duration,
    /// Time of reading the input.
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
    composer.set_recall(args.generation.recall);
    let started = Instant::now();
    learn_all(composer, pieces).context("while learning")?;
    let learned = started.elapsed();
    let started = Instant::now();
    listen(composer, score)?;
    let listened = started.elapsed();
    let heard_tokens = composer.tokens();
    if let Some(plan) = args.harmony.plan(score, from) {
        if plan.is_empty() {
            note("continuo: --harmony: the last bars have no chord, so the model chooses them");
        }
        composer.follow_chords(plan);
    }
    let mut sampling = args.harmony.sampling(args.generation.sampling.sampling());
    let heard: PartSet = score.notes.iter().map(|note| note.part).collect();
    let written = match args.parts.is_empty() {
        true => heard,
        false => args.parts.iter().copied().collect(),
    };
    // The model imagines the whole band, and the constraints hold for the written parts.
    sampling.constraints.parts = written;
    sampling.constraints.owed = args.parts.iter().copied().collect();
    composer.answer(from, &sampling, args.generation.seed)?;
    let mut notes = Vec::new();
    let progress = Progress::new("playing", "bars", u64::from(args.bars));
    let mut until = from;
    for line in bar_lines(score, from, args.bars) {
        notes.extend(composer.play_until(line)?);
        progress.add(1);
        until = line;
    }
    drop(progress);
    notes.retain(|note| written.contains(note.part));
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

/// Fails if the answer has no note. `others` are options with which it might have some.
pub(super) fn check_played(notes: &[Note], bars: RangeInclusive<u32>, others: &str) -> Result<()> {
    ensure!(
        !notes.is_empty(),
        "0 notes were played in {}, so nothing is written: the model generated only rests; try \
         {others}, or wider limits (--density, --part-limit, --range, --scale, --velocity)",
        in_words(&bars)
    );
    Ok(())
}

/// Returns the file to write: the input with one more track, or with one for each part, or these
/// tracks alone.
fn build(args: &Args, continuation: &Continuation, by_part: bool, output: &str) -> Result<Vec<u8>> {
    let document = continuation.document;
    let parts = match by_part {
        true => continuation.by_part(),
        false => vec![continuation.clone()],
    };
    let context = || output.to_string();
    let (mut taken, mut file) = (0, None);
    for part in &parts {
        let (track, said) = match args.only {
            true => (part.alone(taken), Vec::new()),
            false => part.track(taken),
        };
        taken |= 1 << (track.channel & 15);
        let onto = file.map(|bytes| MidiDocument::read(bytes, &ReadOptions::default()));
        let onto = onto.transpose().with_context(context)?;
        if onto.is_none() && args.only {
            let alone = track.to_bytes(document.file().ticks_per_beat);
            file = Some(alone.with_context(context)?);
            continue;
        }
        let appended = onto.as_ref().unwrap_or(document).append(&track);
        let appended = appended.with_context(context)?;
        let changes = appended.changes.iter().filter(|_| !args.only);
        for said in said.iter().chain(changes) {
            note(format_args!("continuo: {output}: {said}"));
        }
        file = Some(appended.bytes);
    }
    file.with_context(|| format!("{output}: there is no note to write"))
}

/// Describes the change of the tempo before the answer. Returns `None` if the tempo stays between
/// 0.8 and 1.25 times the earlier one.
fn tempo_change(score: &Score, entry: u32) -> Option<String> {
    let (last, before) = (score.tempos.bpm(entry), continuation::a_tempo(score, entry));
    (!(0.8..=1.25).contains(&(last / before))).then(|| {
        format!(
            "the tempo goes from {before:.0} to {last:.0} beats a minute before the answer, \
             which keeps it; --a-tempo goes back"
        )
    })
}

/// Returns the step after each of `bars` bars from the step `from` on.
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
        let said = check_played(&[], 5..=8, "another --seed")
            .unwrap_err()
            .to_string();
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
