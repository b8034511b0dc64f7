//! Command `continuo-trainer songs`.

use std::path::PathBuf;
use std::process::ExitCode;

use continuo_cli::print;
use continuo_trainer::data::corpus::Corpus;

/// List the songs of a corpus, one path below the encoded folder a line.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Corpus.
    corpus: PathBuf,
    /// List only held-out songs.
    #[arg(long, conflicts_with = "training")]
    held_out: bool,
    /// List only training songs.
    #[arg(long)]
    training: bool,
    /// Print one JSON object a line: path, style, tokens, notes, held_out.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// An input cannot be read or does not fit, or the output cannot be written.
pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let corpus = Corpus::open(&a.corpus)?;
    let mut text = String::new();
    for song in &corpus.songs {
        if (a.held_out && !song.held_out) || (a.training && song.held_out) {
            continue;
        }
        if a.json {
            let json = serde_json::json!({
                "path": song.path, "style": song.style, "tokens": song.tokens,
                "notes": song.notes, "held_out": song.held_out,
            });
            text += &format!("{json}\n");
        } else {
            text += &format!("{}\n", song.path);
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
