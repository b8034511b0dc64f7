//! `continuo-trainer songs`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use continuo_trainer::corpus::Corpus;

/// List the songs of a corpus: paths below the folder that was encoded, one a line.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The corpus.
    corpus: PathBuf,
    /// Only those kept apart for measuring.
    #[arg(long, conflicts_with = "training")]
    held_out: bool,
    /// Only those to train on.
    #[arg(long)]
    training: bool,
    /// One JSON object a line: path, style, tokens, notes, held_out.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let corpus = Corpus::open(&a.corpus)?;
    let mut out = std::io::stdout().lock();
    for song in &corpus.songs {
        if (a.held_out && !song.held_out) || (a.training && song.held_out) {
            continue;
        }
        let told = if a.json {
            let json = serde_json::json!({
                "path": song.path, "style": song.style, "tokens": song.tokens,
                "notes": song.notes, "held_out": song.held_out,
            });
            writeln!(out, "{json}")
        } else {
            writeln!(out, "{}", song.path)
        };
        match told {
            // Whoever reads has read enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            told => told?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
