//! Makes pieces with a returning theme: the first bars of a tune, bars of other tunes, and the
//! first bars again, as they were or varied. `continuo eval --from-bar` then measures the prediction of
//! the return, with and without memory beyond the window.
//!
//! ```text
//! cargo run --release -p continuo-command --example returns -- FOLDER -o PIECES
//! continuo eval PIECES --from-bar 33
//! ```

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use continuo_score::{Drums, Note, Scale, Score, midi};

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
    /// Variation of the return
    #[arg(long, value_enum, default_value = "none")]
    vary: Variation,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Variation {
    /// The same notes
    None,
    /// Every note a step higher in the theme's own scale, so that intervals change
    Mode,
    /// Of every two beats the first takes three quarters, so that even notes are dotted
    Rhythm,
    /// Notes of the top voice that last a beat or more go to their upper neighbour and back
    Ornament,
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
        append(&mut piece, end, &varied(&tunes[i], args.vary), args.theme);
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

/// The tune with a variation.
fn varied(tune: &Score, variation: Variation) -> Score {
    let mut varied = tune.clone();
    match variation {
        Variation::None => {}
        Variation::Mode => {
            let scale = Scale::detect(&tune.notes, f64::INFINITY);
            for note in &mut varied.notes {
                note.pitch = step_above(note.pitch, scale);
            }
        }
        Variation::Rhythm => {
            for note in &mut varied.notes {
                let end = dotted(note.start + note.length);
                note.start = dotted(note.start);
                note.length = (end - note.start).max(1);
            }
        }
        Variation::Ornament => {
            let scale = Scale::detect(&tune.notes, f64::INFINITY);
            varied.notes = tune
                .notes
                .iter()
                .flat_map(|n| ornamented(n, tune, scale))
                .collect();
        }
    }
    varied.normalise();
    varied
}

/// The next pitch of the scale above a pitch; without a scale, the next pitch.
fn step_above(pitch: u8, scale: Option<Scale>) -> u8 {
    let above = (pitch + 1..128).find(|&p| scale.is_none_or(|scale| scale.contains(p)));
    above.unwrap_or(pitch)
}

/// Where a step lies when the first of every two beats takes three quarters of their time.
fn dotted(step: u32) -> u32 {
    let (pair, within) = (step / (2 * BEAT), step % (2 * BEAT));
    let moved = match within <= BEAT {
        true => within * 3 / 2,
        false => BEAT + BEAT / 2 + (within - BEAT) / 2,
    };
    pair * 2 * BEAT + moved
}

/// A note, or three: itself, its upper neighbour and itself.
fn ornamented(note: &Note, tune: &Score, scale: Option<Scale>) -> Vec<Note> {
    let is_top = |other: &Note| other.start != note.start || other.pitch <= note.pitch;
    if note.length < BEAT || !tune.notes.iter().all(is_top) {
        return vec![*note];
    }
    let (half, quarter) = (note.length / 2, note.length / 4);
    let part = |start: u32, length: u32, pitch: u8| Note {
        start: note.start + start,
        length,
        pitch,
        ..*note
    };
    vec![
        part(0, half, note.pitch),
        part(half, quarter, step_above(note.pitch, scale)),
        part(half + quarter, note.length - half - quarter, note.pitch),
    ]
}
