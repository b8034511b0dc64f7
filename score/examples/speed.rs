//! Times reading, and reading to ids, on one thread, for `compare/speed.py`: best of the
//! given number of rounds, in milliseconds a file. Files are named on standard input.
//!
//! `find FOLDER -name '*.mid' | cargo run --release -p continuo-score --example speed [ROUNDS [VOCABULARY.json]]`

use std::hint::black_box;
use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

use continuo_score::{Drums, Score, TokenIds, Vocabulary, midi};

fn main() -> std::io::Result<()> {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let lines = std::io::stdin().lock().lines();
    let files = lines.map(|line| line.map(PathBuf::from));
    let files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
    let v = match std::env::args().nth(2) {
        Some(path) => {
            let read = Vocabulary::from_json(&std::fs::read_to_string(path)?);
            read.map_err(std::io::Error::other)?
        }
        None => Vocabulary::continuo(),
    };
    let (mut read, mut encode) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds.unwrap_or(5) {
        let started = Instant::now();
        for file in &files {
            let _ = black_box(midi::read_file(file));
        }
        read = read.min(started.elapsed().as_secs_f64());
        let started = Instant::now();
        for file in &files {
            if let Ok(file) = midi::read_file(file) {
                let score = Score::from_midi(&file, v.steps_per_beat, Drums::Drop);
                black_box(TokenIds::encode(&score, &v));
            }
        }
        encode = encode.min(started.elapsed().as_secs_f64());
    }
    let each = 1e3 / files.len().max(1) as f64;
    println!("{} {}", read * each, encode * each);
    Ok(())
}
