//! `continuo-trainer songs`.

use std::path::PathBuf;
use std::process::ExitCode;

use continuo_cli::print;
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
