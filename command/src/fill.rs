//! Command `continuo fill IN.mid --bars 9-12`: replaces the notes of some bars by notes that fit
//! the bars after them.

mod placing;

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::ArgMatches;
use clap::error::ErrorKind;
use continuo_cli::{Progress, note, number, one_result_on_standard_output, print};
use continuo_engine::{Composer, Infill, Infilled};
use continuo_files::{Output, Replace, kind};
use continuo_score::midi::{self, MidiDocument, Pedal, ReadOptions};
use continuo_score::{Drums, Part, PartFilter, Score, Vocabulary, midi_tracks};

use super::continue_::{check_played, in_words};
use super::generation::{GenerationOptions, learn_all, listen};
use super::inputs::text;

/// Fill bars of a MIDI file with new notes that fit the bars after them
///
/// The output is the input with other notes in these bars; everything else stays the same, byte for
/// byte. Of a recording it is the notes that `continuo transcribe` finds, with other notes in these
/// bars. Drums stay as they are. Several candidates are generated, and the one after which the next
/// bars are likeliest is kept. A note that begins before these bars and is held into them stays.
/// The new notes end with these bars. If notes of several tracks or channels are chosen, each new
/// note goes to the one that has the nearest note in pitch and time.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file with the bars to fill, or a recording (WAV, FLAC)
    #[arg(required_unless_present = "learn", num_args = 1, value_name = "INPUT")]
    input: Vec<PathBuf>,
    /// Bars to fill, numbered from 1 as in `inspect`: 9, or 9-12
    #[arg(long, value_name = "BARS", value_parser = bars)]
    bars: RangeInclusive<u32>,
    /// MIDI file to write: the input with other notes in these bars
    #[arg(short, long, default_value = "-")]
    output: PathBuf,
    /// Number of candidates, of which the best is kept; with 1, the bars that follow do not count
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = number(1u32, 256))]
    candidates: u32,
    #[command(flatten)]
    generation: GenerationOptions,
}

impl Args {
    /// Moves an input file that `--learn` has taken back to the input.
    pub(super) fn disentangle(&mut self, matches: &ArgMatches) {
        self.generation.disentangle(&mut self.input, matches);
    }
}

/// Parses a bar or a range of bars.
fn bars(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let number: Option<u32> = text.trim().parse().ok();
        let number = number.filter(|number| (1..=99_999).contains(number));
        number.ok_or(format!("{text:?} is no bar number from 1 to 99999"))
    };
    let (first, last) = (number(first)?, number(last)?);
    match first <= last {
        true => Ok(first..=last),
        false => Err(format!(
            "{text:?} counts backwards; name the lower bar first"
        )),
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let [input] = &args.input[..] else {
        let said = format!("one file is filled, not {}\n", args.input.len());
        continuo_cli::refuse(&clap::Error::raw(ErrorKind::TooManyValues, said));
    };
    let output = Output::check(&args.output, &kind::MIDI, args.generation.force.replace())?;
    one_result_on_standard_output(args.generation.json, &output, "the music")?;
    ensure!(
        !output.is_file(input) || args.generation.force.replace() == Replace::Any,
        "{}: is the input, and the notes of these bars would be lost; name another file (or \
         --force)",
        input.display()
    );
    let music = args.generation.selection.open(input)?;
    let name = music.name.clone();
    let named = name.display();
    let document = music.into_document(&ReadOptions::default())?;
    super::warn(&name, &document.file().warnings);
    let chosen = args.generation.selection.parts(document.file())?;
    let learned = args.generation.read_learned()?;
    let (model, pieces) = args.generation.load(&learned)?;
    let music = Music::read(args, &document, &chosen, model.vocabulary());
    let music = music.with_context(|| named.to_string())?;
    let mut composer = Composer::new(model.clone());
    composer.set_recall(args.generation.recall);
    learn_all(&mut composer, &pieces).context("while learning")?;
    let mut filled = fill(args, &mut composer, &music)?;
    // The file keeps its drums, so generated ones are left out.
    filled.notes.retain(|note| note.part != Part::Drums);
    let others = "another --seed";
    check_played(&filled.notes, args.bars.clone(), others).with_context(|| named.to_string())?;
    let replacement = music.replacement(&document, &chosen, &filled.notes);
    let (removed, added) = (replacement.removed.len(), replacement.added.len());
    let edited = document.replace(&replacement);
    let edited = edited.with_context(|| output.name().to_string())?;
    for said in &edited.changes {
        note(format_args!("continuo: {}: {said}", output.name()));
    }
    output.write(&edited.bytes)?;

    let stats = composer.stats();
    let ms = |share| stats.quantile(share).unwrap_or(0.0);
    if args.generation.json {
        let report = serde_json::json!({
            "input": text(input), "output": text(&args.output), "seed": args.generation.seed,
            "from_bar": args.bars.start(), "to_bar": args.bars.end(),
            "candidates": args.candidates, "candidate": filled.candidate + 1,
            "following_nats_a_note": filled.nats, "recall": args.generation.recall,
            "learned_files": pieces.len(), "heard_notes": music.before.notes.len(),
            "removed_notes": removed, "played_notes": added, "played_tokens": stats.tokens(),
            "ms_per_token_median": ms(0.5), "ms_per_token_p95": ms(0.95),
            "device": model.device().name(), "variant": model.variant(),
            "model": model.manifest().name,
        });
        return print(&format!("{report:#}\n"));
    }
    let why = match filled.nats {
        Some(nats) => format!(
            "candidate {} of {}, after which the next bars cost {nats:.2} nats a note",
            filled.candidate + 1,
            args.candidates
        ),
        None => "nothing follows, so the first candidate is kept".into(),
    };
    let line = format!(
        "{}: {added} notes for {removed} in {}: {why}",
        output.name(),
        in_words(&args.bars)
    );
    if output.is_standard() {
        note(line);
        return Ok(());
    }
    print(&(line + "\n"))
}

/// The chosen notes around the bars to fill.
struct Music {
    /// Whole file on the grid, with drums, for its bars and its tempo.
    whole: Score,
    /// First step of the bars to fill to the step after them, in steps of the file.
    range: Range<u32>,
    /// Chosen notes before the bars to fill. Step 0 of this score is `origin`.
    before: Score,
    /// Chosen notes after the bars to fill, in steps of `before`.
    following: Vec<continuo_score::Note>,
    /// First step of `before`, in steps of the file.
    origin: u32,
    /// Part of each track and channel, for a model with parts; empty for others.
    parts: BTreeMap<(u16, u8), Part>,
}

impl Music {
    fn read(
        args: &Args,
        document: &MidiDocument,
        filter: &PartFilter,
        vocabulary: &Vocabulary,
    ) -> Result<Self> {
        let file = midi::read(
            document.bytes(),
            &args.generation.selection.reading(Pedal::Lengthen),
        )?;
        let mut whole = Score::from_midi(&file, vocabulary.steps_per_beat, Drums::Keep);
        let chosen = filter.score(&file, vocabulary);
        ensure!(
            chosen.notes.iter().any(|note| note.part != Part::Drums),
            "has no pitches to go by ({} notes in all; `fill` leaves drums as they are, and notes \
             outside --tracks and --channels do not count)",
            file.notes.len()
        );
        whole.end_with_music();
        let lines = whole.time_signatures.bar_lines(whole.length);
        let (first, last) = (*args.bars.start() as usize, *args.bars.end() as usize);
        ensure!(
            last <= lines.len(),
            "--bars: the music ends at bar {}, before bar {last}; `continuo continue` appends more",
            lines.len()
        );
        let from = lines[first - 1];
        let until = whole.time_signatures.next_bar(lines[last - 1] + 1);
        let origin = match args.generation.selection.last() {
            Some(bars) => whole.bars_before(from, bars),
            None => 0,
        };
        let heard = match origin {
            0 => chosen,
            origin => chosen.from_step(origin),
        };
        let mut before = heard.clone();
        before.notes.retain(|note| note.start < from - origin);
        let mut following = heard.notes;
        following.retain(|note| note.start >= until - origin);
        let parts = match vocabulary.has_parts() {
            true => midi_tracks(&file, vocabulary.steps_per_beat, Drums::Drop)
                .into_iter()
                .map(|track| ((track.track, track.channel), track.part))
                .collect(),
            false => BTreeMap::new(),
        };
        Ok(Self {
            parts,
            whole,
            range: from..until,
            before,
            following,
            origin,
        })
    }
}

/// Reads the notes before the bars, and fills the bars. The returned notes are in steps of the
/// file.
fn fill(args: &Args, composer: &mut Composer, music: &Music) -> Result<Infilled> {
    listen(composer, &music.before)?;
    let infill = Infill {
        from: music.range.start - music.origin,
        until: music.range.end - music.origin,
        following: music.following.clone(),
        staying: Vec::new(),
        candidates: args.candidates,
        sampling: args.generation.sampling.sampling(),
        seed: args.generation.seed,
        own: Vec::new(),
    };
    let all = u64::from(args.candidates);
    let progress = Progress::new("weighing", "candidates", all);
    let mut filled = composer.infill_with(infill, &mut |done| progress.set(done.into(), all))?;
    drop(progress);
    filled
        .notes
        .iter_mut()
        .for_each(|note| note.start += music.origin);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_bars() {
        assert_eq!(bars("9"), Ok(9..=9));
        assert_eq!(bars("9-12"), Ok(9..=12));
        for wrong in ["", "0", "12-9", "a", "1-", "-3", "1,2", "200000"] {
            assert!(bars(wrong).is_err(), "{wrong:?}");
        }
    }
}
