//! Writes notation for other readers to be compared with: `notate FOLDER < NAMES` writes
//! `FOLDER/0001.musicxml` for each MIDI file (or tune) that is named on standard input, and prints one
//! JSON line for it: `{"file": …, "output": …, "silence": …, "notes": [[part, start, end, pitch], …]}`.
//! Times are in steps, 12 a beat; `silence` are the steps before a pickup. Drum hits end at their start.

use std::io::{BufRead, Write};
use std::path::Path;

use continuo_notation::{Options, write};
use continuo_score::{Score, Vocabulary, midi, tune};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("usage: notate FOLDER < NAMES")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, path) in (1..).zip(std::io::stdin().lock().lines()) {
        let path = path?;
        let Ok(mut score) = score(Path::new(&path)) else {
            continue;
        };
        score.end_with_music();
        let output = folder.join(format!("{number:04}.musicxml"));
        let options = Options {
            title: &path,
            first_bar: 1,
        };
        let written = match write(&score, &options, std::fs::File::create(&output)?) {
            Ok(written) => written,
            Err(why) => {
                eprintln!("{path}: {why}");
                continue;
            }
        };
        let end = |note: &continuo_score::Note| match note.part.is_pitched() {
            true => note.end(),
            false => note.start,
        };
        let notes = score.notes.iter();
        let notes: Vec<_> = notes
            .map(|note| (note.part.name(), note.start, end(note), note.pitch))
            .collect();
        let line = json!({
            "file": path, "output": output, "notes": notes, "silence": written.silence,
        });
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn score(path: &Path) -> Result<Score, Box<dyn std::error::Error>> {
    if path.extension().is_some_and(|ending| ending == "tune") {
        return Ok(tune::parse(&std::fs::read_to_string(path)?, 12)?);
    }
    let file = midi::read_file(path)?;
    Ok(Score::for_vocabulary(&file, &Vocabulary::band()))
}
