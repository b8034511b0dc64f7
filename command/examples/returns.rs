//! Makes pieces with a returning theme: the first bars of a tune, bars of other tunes, and the
//! first bars again. `continuo eval --from-bar` then measures the prediction of the return, with
//! and without memory beyond the window.
//!
//! ```text
//! cargo run --release -p continuo-command --example returns -- FOLDER -o PIECES
//! continuo eval PIECES --from-bar 33
//! ```

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use continuo_score::{Drums, Note, Score, midi};

#[derive(Parser)]
struct Args {
    /// Folder of MIDI files; the first ones in order of name are used
    folder: PathBuf,
    /// Folder for the pieces
    #[arg(short, long)]
    output: PathBuf,
    /// Number of pieces
    #[arg(long, default_value_t = 20)]
    pieces: usize,
    /// Number of bars of the theme
    #[arg(long, default_value_t = 8)]
    theme: u32,
    /// Number of bars between the theme and its return
    #[arg(long, default_value_t = 24)]
    between: u32,
}

/// Steps in a beat, and in a bar of four beats.
const BEAT: u32 = 12;
const BAR: u32 = 4 * BEAT;

fn main() -> Result<()> {
    let args = Args::parse();
    let name = || args.folder.display().to_string();
    let tunes: Vec<Score> = midi::files_in(&args.folder, usize::MAX)?
        .files
        .iter()
        .map(|file| Ok(Score::from_midi(&midi::read_file(file)?, BEAT, Drums::Drop)))
        .collect::<Result<_>>()?;
    let bars = |tune: &Score| tune.length / BAR;
    ensure!(
        tunes.iter().any(|tune| bars(tune) >= args.theme),
        "{}: no tune of {} bars",
        name(),
        args.theme
    );
    std::fs::create_dir_all(&args.output)?;
    let themes = (0..tunes.len()).filter(|&i| bars(&tunes[i]) >= args.theme);
    for i in themes.take(args.pieces) {
        let mut piece = Score::new(BEAT);
        let mut others = tunes.iter().cycle().skip(i + 1);
        append(&mut piece, 0, &tunes[i], args.theme);
        let (mut at, end) = (args.theme, args.theme + args.between);
        while let (true, Some(other)) = (at < end, others.next()) {
            let count = bars(other).min(end - at);
            append(&mut piece, at, other, count);
            at += count;
        }
        append(&mut piece, end, &tunes[i], args.theme);
        piece.normalise();
        let file = args.output.join(format!("{i:03}.mid"));
        piece.to_midi().write_file(&file)?;
    }
    Ok(())
}

/// Appends the first `count` bars of a tune to a piece, from bar `at` on (0 is the first).
fn append(piece: &mut Score, at: u32, tune: &Score, count: u32) {
    let end = count * BAR;
    for note in tune.notes.iter().filter(|note| note.start < end) {
        piece.notes.push(Note {
            start: at * BAR + note.start,
            length: note.length.min(end - note.start),
            ..*note
        });
    }
}
