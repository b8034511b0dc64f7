//! Measures how a model accompanies: one part is withheld from pieces of several parts, and the
//! model plays along with the rest, bar by bar, as the plugin does in *Along*.
//!
//! ```text
//! accompany FOLDER --listed --part bass < list     # for example from `continuo-trainer songs`
//! ```
//!
//! From bar `--from-bar` on, for `--bars` bars, the model reads all notes before the bar line and
//! plays the bar; with `--beats`, beat by beat. With a model that has parts, only the withheld part
//! counts, and the rest of the band is imagined. A model without parts plays one stream. With
//! `--solos`, nobody has written the part. The first row measures the written part. Columns:
//! - doubled: share of the notes that begin together with a note of another part of the same pitch
//!   class;
//! - chord tones: share of the notes on beats that are tones of the written piece's chord;
//! - onsets shared: share of the steps with an onset of either part, played or written, that have
//!   an onset of both.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;
use continuo_command::options::{ComputeOptions, ModelPaths, SamplingOptions};
use continuo_engine::{Composer, Model};
use continuo_score::chord::{Beat, recognise_range};
use continuo_score::merge_parts;
use continuo_score::{Note, Part, PartSet, Score, midi};

#[derive(Parser)]
struct Args {
    /// Folder of MIDI files, searched with its subfolders
    folder: PathBuf,
    /// Read paths below the folder from standard input, one a line
    #[arg(long)]
    listed: bool,
    /// Part to withhold
    #[arg(long, default_value = "bass")]
    part: Part,
    /// Take keyboard solos, in which nobody has written the part
    #[arg(long)]
    solos: bool,
    /// Decide at each beat instead of each bar
    #[arg(long)]
    beats: bool,
    /// Number of pieces
    #[arg(long, default_value_t = 50)]
    pieces: usize,
    /// First bar that is accompanied, from 0
    #[arg(long, default_value_t = 4)]
    from_bar: u32,
    /// Number of bars that are accompanied
    #[arg(long, default_value_t = 16)]
    bars: u32,
    #[command(flatten)]
    places: ModelPaths,
    #[command(flatten)]
    sampling: SamplingOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Counts over all pieces.
#[derive(Default)]
struct Counts {
    bars: usize,
    notes: usize,
    doubled: usize,
    on_beats: usize,
    chord_tones: usize,
    shared: usize,
    either: usize,
}

/// A piece without one part.
struct Withheld {
    /// The other parts.
    player: Score,
    /// The withheld part.
    written: Vec<Note>,
    /// Whole piece.
    whole: Score,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let model = continuo_command::load(&args.places, &args.compute)?;
    let steps = model.vocabulary().steps_per_beat;
    let (mut written, mut played) = (Counts::default(), Counts::default());
    let mut pieces = 0;
    for path in paths(&args)? {
        let Ok(file) = midi::read_file(&path) else {
            continue;
        };
        let Some(piece) = withheld(&args, Score::from_midi_parts(&file, steps)) else {
            continue;
        };
        let lines = bar_lines(&piece.whole, args.from_bar, args.bars);
        let (from, until) = (lines[0], lines[lines.len() - 1]);
        let lines = match args.beats {
            true => beat_lines(&piece.whole, from, until),
            false => lines,
        };
        let answer = accompany(&args, &model, &piece.player, &lines, pieces as u64 + 1)?;
        let inside = |note: &&Note| (from..until).contains(&note.start);
        let real: Vec<Note> = piece.written.iter().filter(inside).copied().collect();
        for (counts, notes) in [(&mut written, &real), (&mut played, &answer)] {
            counts.bars += args.bars as usize;
            count(counts, notes, &real, &piece, from, until);
        }
        pieces += 1;
        if pieces == args.pieces {
            break;
        }
    }
    match args.solos {
        true => println!("{pieces} keyboard solos, accompanied by {}\n", args.part),
        false => println!("{pieces} pieces, the {} withheld\n", args.part),
    }
    println!(
        "| | notes a bar | doubled | chord tones on beats | onsets shared with the written part |\n\
         |---|---|---|---|---|"
    );
    let name = &model.manifest().name;
    for (what, counts) in [("written", &written), (name.as_str(), &played)] {
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        println!(
            "| {what} | {:.2} | {:.1} % | {:.1} % | {:.1} % |",
            counts.notes as f64 / counts.bars.max(1) as f64,
            percent(counts.doubled, counts.notes),
            percent(counts.chord_tones, counts.on_beats),
            percent(counts.shared, counts.either),
        );
    }
    Ok(())
}

fn paths(args: &Args) -> Result<Vec<PathBuf>> {
    if !args.listed {
        return Ok(midi::files_in(&args.folder, usize::MAX)?.files);
    }
    let lines = std::io::stdin().lock().lines();
    Ok(lines
        .map(|line| Ok(args.folder.join(line?.trim())))
        .collect::<std::io::Result<_>>()?)
}

/// Returns the piece without the part. Returns `None` if the piece is too short, or if the part or
/// the other pitched parts have fewer notes than accompanied bars.
fn withheld(args: &Args, whole: Score) -> Option<Withheld> {
    let lines = bar_lines(&whole, args.from_bar, args.bars);
    let (from, until) = (lines[0], lines[lines.len() - 1]);
    if until > whole.length {
        return None;
    }
    let (written, others): (Vec<Note>, Vec<Note>) =
        whole.notes.iter().partition(|note| note.part == args.part);
    let pitched: Vec<Note> = others
        .iter()
        .filter(|n| n.part.is_pitched())
        .copied()
        .collect();
    let busy = |notes: &[Note]| {
        let inside = notes.iter().filter(|n| (from..until).contains(&n.start));
        inside.count() >= args.bars as usize
    };
    let player = Score {
        notes: others,
        ..whole.clone()
    };
    let fits = match args.solos {
        true => whole.notes.iter().all(|note| note.part == Part::Keys),
        false => busy(&written),
    };
    (fits && busy(&pitched)).then_some(Withheld {
        player,
        written,
        whole,
    })
}

fn bar_lines(score: &Score, from_bar: u32, bars: u32) -> Vec<u32> {
    let next = |line: &u32| Some(score.time_signatures.next_bar(line + 1));
    std::iter::successors(Some(0), next)
        .skip(from_bar as usize)
        .take(bars as usize + 1)
        .collect()
}

fn beat_lines(score: &Score, from: u32, until: u32) -> Vec<u32> {
    let next = |&at: &u32| Some(Beat::at(&score.time_signatures, at).end);
    let beats = std::iter::successors(Some(from), next);
    let mut lines: Vec<u32> = beats.take_while(|&at| at < until).collect();
    lines.push(until);
    lines
}

/// Plays along from line to line. Returns the notes of the withheld part.
fn accompany(
    args: &Args,
    model: &Arc<Model>,
    player: &Score,
    lines: &[u32],
    seed: u64,
) -> Result<Vec<Note>> {
    let has_parts = model.vocabulary().has_parts();
    let mut sampling = args.sampling.sampling();
    if has_parts {
        sampling.constraints.parts = PartSet::from_iter([args.part]);
        sampling.constraints.owed = sampling.constraints.parts;
    }
    let mut composer = Composer::new(model.clone());
    let mut answer: Vec<Note> = Vec::new();
    for (bar, line) in lines.windows(2).enumerate() {
        let mut heard = player.until(line[0]);
        heard.notes.extend(&answer);
        heard.normalise();
        if !has_parts {
            heard.notes = merge_parts(&heard.notes).into_owned();
        }
        composer.listen(&heard)?;
        composer.answer(line[0], &sampling, seed * 1_000 + bar as u64)?;
        let notes = composer.play_until(line[1])?.into_iter();
        let notes = notes.filter(|note| !has_parts || note.part == args.part);
        answer.extend(notes.map(|note| Note {
            part: args.part,
            ..note
        }));
    }
    Ok(answer)
}

fn count(
    counts: &mut Counts,
    notes: &[Note],
    real: &[Note],
    piece: &Withheld,
    from: u32,
    until: u32,
) {
    let drums = notes.iter().chain(real).all(|note| !note.part.is_pitched());
    let key = |note: &Note| (note.start, note.pitch % 12);
    let player = piece.player.notes.iter().filter(|n| n.part.is_pitched());
    let player: BTreeSet<(u32, u8)> = player.map(key).collect();
    let spans = recognise_range(&piece.whole, from, until);
    for note in notes {
        counts.notes += 1;
        if drums {
            continue;
        }
        counts.doubled += usize::from(player.contains(&key(note)));
        let chord = spans.iter().find(|span| span.end > note.start);
        let on_beat = Beat::at(&piece.whole.time_signatures, note.start).start == note.start;
        if let (Some(chord), true) = (chord.and_then(|span| span.chord), on_beat) {
            counts.on_beats += 1;
            counts.chord_tones += usize::from(chord.contains(note.pitch));
        }
    }
    let onsets = |notes: &[Note]| notes.iter().map(|n| n.start).collect::<BTreeSet<u32>>();
    let (own, real) = (onsets(notes), onsets(real));
    counts.shared += own.intersection(&real).count();
    counts.either += own.union(&real).count();
}
