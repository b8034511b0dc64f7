//! Prints the notes of MIDI files for other readers to be compared with: one JSON line a file,
//! `{"file": …, "warnings": …, "notes": [[start, end, pitch, velocity, channel, track], …]}`
//! with times in ticks, or `{"file": …, "error": …}`. Files are named on standard input.

use std::io::{BufRead, Write};
use std::path::Path;

use continuo_score::midi;
use serde_json::json;

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        let line = match midi::read_file(Path::new(&path)) {
            Ok(file) => {
                let notes = file.notes.iter();
                let notes: Vec<_> = notes
                    .map(|n| (n.start, n.end, n.pitch, n.velocity, n.channel, n.track))
                    .collect();
                json!({ "file": path, "type": file.format, "warnings": file.warnings, "notes": notes })
            }
            Err(error) => json!({ "file": path, "error": error.to_string() }),
        };
        writeln!(out, "{line}")?;
    }
    out.flush()
}
