//! Does it play like music? Plays on from the openings of a folder of tunes, and sets what it
//! played beside what it had heard: scale, rhythm, density, length, range.
//!
//! ```text
//! cargo run --release -p continuo-engine --example behaviour -- FOLDER --tunes 50
//! ```
//!
//! The scale of a tune is the major scale (with its relative minor) that holds most of what
//! was heard; a note drawn blindly is in it 7 times of 12. A blindly drawn onset is on a beat
//! once in 12 steps, on a sixteenth 4 times.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use continuo_engine::options::{ComputeOptions, Places, SamplingOptions};
use continuo_engine::{Composer, Model, Runtime};
use continuo_score::{Drums, Note, Score, midi};

#[derive(Parser)]
struct Args {
    /// Folder of MIDI files; the first in order of name are taken
    folder: PathBuf,
    /// Tunes
    #[arg(long, default_value_t = 50)]
    tunes: usize,
    /// Bars heard, then bars played
    #[arg(long, default_value_t = 8)]
    bars: u32,
    /// Seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    sampling: SamplingOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// What is counted of some bars.
#[derive(Default)]
struct Counts {
    bars: f64,
    notes: f64,
    in_scale: f64,
    on_beat: f64,
    on_sixteenth: f64,
    beats_long: f64,
    pitch: f64,
}

impl Counts {
    fn add(&mut self, notes: &[Note], scale: [bool; 12], steps: u32, bars: u32) {
        self.bars += f64::from(bars);
        for note in notes {
            let share = |yes: bool| if yes { 1.0 } else { 0.0 };
            self.notes += 1.0;
            self.in_scale += share(scale[usize::from(note.pitch % 12)]);
            self.on_beat += share(note.start % steps == 0);
            self.on_sixteenth += share((note.start * 4) % steps == 0);
            self.beats_long += f64::from(note.length) / f64::from(steps);
            self.pitch += f64::from(note.pitch);
        }
    }
}

/// The major scale that holds most of the notes, by their lengths.
fn scale_of(notes: &[Note]) -> [bool; 12] {
    const MAJOR: [usize; 7] = [0, 2, 4, 5, 7, 9, 11];
    let mut weight = [0u64; 12];
    for note in notes {
        weight[usize::from(note.pitch % 12)] += u64::from(note.length);
    }
    let held = |tonic: usize| MAJOR.iter().map(|d| weight[(tonic + d) % 12]).sum::<u64>();
    let tonic = (0..12).max_by_key(|&t| held(t)).unwrap_or(0);
    let mut scale = [false; 12];
    MAJOR.iter().for_each(|d| scale[(tonic + d) % 12] = true);
    scale
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = Runtime::load(&args.places.library()?)?;
    let model = Model::load(
        runtime,
        &args.places.directory()?,
        &args.compute.model_options()?,
    )?;
    let steps = model.vocabulary().steps_per_beat;
    let folder =
        std::fs::read_dir(&args.folder).with_context(|| args.folder.display().to_string())?;
    let mut files: Vec<PathBuf> = folder.filter_map(|e| e.ok().map(|e| e.path())).collect();
    files.sort();

    let (mut heard, mut played, mut tunes, mut silent) =
        (Counts::default(), Counts::default(), 0, 0);
    for file in files {
        let Ok(file) = midi::read_file(&file) else {
            continue;
        };
        let score = Score::from_midi(&file, steps, Drums::Drop);
        let lines = score.metres.bar_lines(score.length);
        let Some(&from) = lines.get(args.bars as usize) else {
            continue;
        };
        let next = |line: &u32| Some(score.metres.next_bar(line + 1));
        let end = std::iter::successors(Some(from), next)
            .nth(args.bars as usize)
            .unwrap_or(from);
        let opening = score.until(from);
        if opening.notes.len() < 8 {
            continue;
        }
        let mut composer = Composer::new(model.clone());
        composer.listen(&opening)?;
        composer.answer(from, &args.sampling.sampling(), args.seed)?;
        let notes = composer.play_until(end)?;
        let scale = scale_of(&opening.notes);
        heard.add(&opening.notes, scale, steps, args.bars);
        played.add(&notes, scale, steps, args.bars);
        silent += usize::from(notes.len() < args.bars as usize);
        tunes += 1;
        if tunes == args.tunes {
            break;
        }
    }
    ensure!(
        tunes > 0,
        "{}: no tune of more than {} bars",
        args.folder.display(),
        args.bars
    );
    println!(
        "{tunes} tunes, {} bars heard and played, seed {}",
        args.bars, args.seed
    );
    println!("| | heard | played | blind |\n|---|---|---|---|");
    let row = |name: &str, value: fn(&Counts) -> f64, blind: &str| {
        println!(
            "| {name} | {:.2} | {:.2} | {blind} |",
            value(&heard),
            value(&played)
        );
    };
    row(
        "notes in the scale heard, % of notes",
        |c| 100.0 * c.in_scale / c.notes,
        "58.33",
    );
    row(
        "onsets on a beat, %",
        |c| 100.0 * c.on_beat / c.notes,
        "8.33",
    );
    row(
        "onsets on a sixteenth, %",
        |c| 100.0 * c.on_sixteenth / c.notes,
        "33.33",
    );
    row("notes a bar", |c| c.notes / c.bars, "");
    row("mean length, beats", |c| c.beats_long / c.notes, "");
    row("mean pitch", |c| c.pitch / c.notes, "");
    println!("answers of less than a note a bar: {silent}");
    Ok(())
}
