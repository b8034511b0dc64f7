//! `continuo view FILE -o roll.png`: a piano roll.

use std::path::PathBuf;

use anyhow::{Context, Result};
use continuo_score::roll::{self, Part};
use continuo_score::{Drums, Score, midi};

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
    let steps = continuo_score::Vocabulary::continuo().steps_per_beat;
    // A track each; those without notes are no parts.
    let mut scores = Vec::new();
    for track in 0..file.tracks.len() {
        let mut part = file.clone();
        part.notes.retain(|n| usize::from(n.track) == track);
        if !part.notes.is_empty() {
            let name = match file.tracks[track].as_str() {
                "" => format!("track {track}"),
                name => name.to_string(),
            };
            scores.push((name, Score::from_midi(&part, steps, Drums::Keep)));
        }
    }
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
