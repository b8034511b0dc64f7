//! `continuo view FILE -o roll.png`: a piano roll.

use std::path::PathBuf;

use anyhow::{Context, Result};
use continuo_score::midi::{self, MidiFile};
use continuo_score::roll::{self, Part};
use continuo_score::{Drums, Score, Vocabulary, quantise};

/// Draw a MIDI file as a piano roll
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to draw
    file: PathBuf,
    /// PNG file to write
    #[arg(short, long)]
    output: PathBuf,
}

/// Colours of the parts, in turn.
const COLOURS: [[u8; 3]; 6] = [
    roll::HEARD,
    roll::PLAYED,
    [120, 210, 130],
    [226, 120, 190],
    [190, 160, 255],
    [232, 214, 96],
];

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let file = midi::read_file(&args.file)?;
    for warning in &file.warnings {
        eprintln!("continuo: {}: {warning}", args.file.display());
    }
    let steps = Vocabulary::continuo().steps_per_beat;
    let whole = Score::from_midi(&file, steps, Drums::Keep);
    let scores = by_part(&file, &whole);
    let parts: Vec<Part> = scores
        .iter()
        .zip(COLOURS.iter().cycle())
        .map(|((name, score), &colour)| Part {
            name,
            score,
            colour,
        })
        .collect();
    let title = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let png = roll::draw(&title, &parts).with_context(|| args.file.display().to_string())?;
    std::fs::write(&args.output, png).with_context(|| args.output.display().to_string())
}

/// A score for each part, with its name; parts beyond the colours are drawn as one.
fn by_part(file: &MidiFile, whole: &Score) -> Vec<(String, Score)> {
    let parts = quantise::parts(file, whole.steps_per_beat, Drums::Keep);
    let mut scores: Vec<(String, Score)> = Vec::new();
    for part in parts {
        if scores.len() == COLOURS.len() {
            // There are colours, so there is a last part.
            if let Some((name, last)) = scores.last_mut() {
                *name = "others".into();
                last.notes.extend(part.notes);
            }
            continue;
        }
        let name = match (part.name.trim(), part.channel) {
            ("", 9) => "drums".to_string(),
            ("", _) => format!("track {}", part.track),
            (name, _) => name.to_string(),
        };
        let score = Score {
            notes: part.notes,
            ..whole.clone()
        };
        scores.push((name, score));
    }
    for (_, score) in &mut scores {
        score.tidy();
    }
    scores
}
