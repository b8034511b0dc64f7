//! Prints `path<TAB>notes<TAB>ids<TAB>FNV-1a of the ids` for MIDI files, or why there are none: two builds
//! that print the same encode the same. Files are named on standard input, one a line.
//!
//! `find FOLDER -name '*.mid' | sort | cargo run --release -p continuo-score --example ids [PRESET]`

use std::io::{BufRead, Write};
use std::path::Path;

use continuo_score::{Drums, Score, TokenSequence, Vocabulary, midi};

fn main() -> std::io::Result<()> {
    let preset = std::env::args().nth(1).unwrap_or("continuo".into());
    let vocabulary = Vocabulary::preset(&preset).ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        match midi::read_file(Path::new(&path)) {
            Ok(file) => {
                let score = Score::from_midi(&file, vocabulary.steps_per_beat, Drums::Drop);
                let ids = TokenSequence::encode(&score, &vocabulary).ids(&vocabulary);
                let hash = ids.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &id| {
                    (hash ^ u64::from(id)).wrapping_mul(0x100_0000_01b3)
                });
                writeln!(
                    out,
                    "{path}\t{}\t{}\t{hash:016x}",
                    score.notes.len(),
                    ids.len()
                )?;
            }
            Err(error) => writeln!(out, "{path}\terror: {error}")?,
        }
    }
    out.flush()
}
