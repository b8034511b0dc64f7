//! `continuo tokens FILE [--preset]`: a MIDI file as a model reads it.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use continuo_score::{Drums, PositionScore, Score, Token, Vocabulary, midi};

/// Print a MIDI file as tokens, one step a line
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to encode
    file: PathBuf,
    /// Vocabulary
    #[arg(long, value_parser = ["continuo", "midigen"], default_value = "continuo")]
    preset: String,
    /// A vocabulary.json, as in a model directory, in place of a preset
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    vocabulary: Option<PathBuf>,
    /// Keep the drums, as if they were notes
    #[arg(long)]
    drums: bool,
    /// Print ids, and nothing else, on one line
    #[arg(long)]
    ids: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let vocabulary = match &args.vocabulary {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Vocabulary::from_json(&text).with_context(|| path.display().to_string())?
        }
        None => Vocabulary::preset(&args.preset).context("no such preset")?,
    };
    let file = midi::read_file(&args.file)?;
    for warning in &file.warnings {
        eprintln!("continuo: {}: {warning}", args.file.display());
    }
    let drums = match args.drums {
        true => Drums::Keep,
        false => Drums::Drop,
    };
    let score = Score::from_midi(&file, vocabulary.steps_per_beat, drums);
    let encoded = PositionScore::encode(&score, &vocabulary);
    let text = match args.ids {
        true => {
            let ids = encoded.ids(&vocabulary).into_iter();
            ids.map(|id| id.to_string()).collect::<Vec<_>>().join(" ") + "\n"
        }
        false => by_step(&score, &encoded),
    };
    super::print(&text)
}

/// A line for each step: bar, step in the bar, and the tokens up to the next move.
fn by_step(score: &Score, encoded: &PositionScore) -> String {
    let mut text = String::new();
    let (mut begins, mut after_separator) = (true, false);
    for placed in &encoded.tokens {
        // Writing to a string does not fail.
        if begins {
            let place = score.metres.place(placed.step);
            let _ = write!(text, "{:>5}.{:<4}", place.bar + 1, place.step_in_bar);
        }
        let _ = write!(text, " {}", placed.token);
        begins = after_separator;
        if begins {
            text.push('\n');
        }
        after_separator = placed.token == Token::Separator;
    }
    text.push('\n');
    text
}
