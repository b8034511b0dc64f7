//! Command `continuo tokens FILE [--preset]`: prints a MIDI file as tokens.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use continuo_cli::print;
use continuo_files::{MOST_BYTES, read_text};
use continuo_score::midi::Pedal;
use continuo_score::{Drums, Score, Token, TokenSequence, Vocabulary};

use super::input_selection::InputSelection;

/// Print a MIDI file as tokens, one step a line
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to encode, or a recording (WAV, FLAC)
    file: PathBuf,
    /// Vocabulary of the tokens
    #[arg(long, value_parser = ["continuo", "band", "midigen"], default_value = "continuo")]
    preset: String,
    /// Vocabulary from this file instead of a preset: vocabulary.json of a model directory
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    vocabulary: Option<PathBuf>,
    /// Keep the drums as notes
    #[arg(long)]
    drums: bool,
    /// Print only the ids of the tokens, on one line
    #[arg(long)]
    ids: bool,
    #[command(flatten)]
    selection: InputSelection,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let vocabulary = match &args.vocabulary {
        Some(path) => {
            let text = read_text(path, MOST_BYTES)?;
            Vocabulary::from_json(&text).with_context(|| path.display().to_string())?
        }
        None => Vocabulary::preset(&args.preset).context("no such preset")?,
    };
    let chosen = (args.selection).read(&args.file, Pedal::Ignore, vocabulary.steps_per_beat)?;
    super::warn(&chosen.name, &chosen.file.warnings);
    let score = match args.drums {
        true => chosen.score(Drums::Keep),
        false => chosen.score_for(&vocabulary),
    };
    let encoded = TokenSequence::encode(&score, &vocabulary);
    let text = match args.ids {
        true => {
            let ids = encoded.ids(&vocabulary).into_iter();
            ids.map(|id| id.to_string()).collect::<Vec<_>>().join(" ") + "\n"
        }
        false => by_step(&score, chosen.first_bar, &encoded, &vocabulary),
    };
    print(&text)
}

/// Returns a line for each step: bar, step in the bar, and the tokens up to the next move. `+`
/// joins the base tokens of one merged token. It stands at the end of a line if the token continues
/// on the next line.
fn by_step(
    score: &Score,
    first_bar: u32,
    encoded: &TokenSequence,
    vocabulary: &Vocabulary,
) -> String {
    let mut text = String::new();
    let (mut begins, mut after_separator) = (true, false);
    let lengths = encoded.ids(vocabulary).into_iter();
    // Yields whether each base token is the first of its id.
    let mut first = lengths.flat_map(|id| (0..vocabulary.expand(id).len()).map(|at| at == 0));
    for placed in &encoded.tokens {
        let joined = !first.next().unwrap_or(true);
        if begins && joined {
            text.push('+');
        }
        // Writing to a string does not fail.
        if begins {
            if !text.is_empty() {
                text.push('\n');
            }
            let place = score.time_signatures.position(placed.step);
            let _ = write!(
                text,
                "{:>5}.{:<4}",
                place.bar + first_bar,
                place.step_in_bar
            );
        }
        let join = if joined && !begins { '+' } else { ' ' };
        let _ = write!(text, "{join}{}", placed.token);
        begins = after_separator;
        after_separator = placed.token == Token::Separator;
    }
    text.push('\n');
    text
}
