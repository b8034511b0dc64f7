//! Generates many MIDI files, to measure `continuo-trainer encode`:
//!
//! ```text
//! cargo run --release -p continuo-trainer --example generate_songs -- FOLDER 200000
//! continuo-trainer encode FOLDER -o many.corpus
//! ```
//!
//! Each file is a random walk of about nine hundred notes in two voices, and no two are alike; a
//! folder has a thousand files.

use std::path::PathBuf;

use continuo_score::{Note, Score};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Notes per file.
const NOTES: usize = 900;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(count)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: generate_songs FOLDER COUNT");
    };
    let (folder, count) = (PathBuf::from(folder), count.parse::<u64>()?);
    (0..count).into_par_iter().try_for_each(|seed| {
        let within = folder.join(format!("{:03}", seed / 1000));
        std::fs::create_dir_all(&within)?;
        tune(seed)
            .to_midi()
            .write_file(&within.join(format!("{seed}.mid")))?;
        Ok(())
    })
}

fn tune(seed: u64) -> Score {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut score = Score::new(12);
    for (notes, mut pitch, lengths) in [
        (NOTES * 2 / 3, 67, [3, 6, 12]),
        (NOTES / 3, 48, [6, 12, 24]),
    ] {
        let mut start = 0;
        for _ in 0..notes {
            let length = lengths[random.random_range(0..3)];
            pitch = (pitch + random.random_range(-4..=4)).clamp(36, 90);
            score.notes.push(Note {
                start,
                length,
                pitch: pitch as u8,
                velocity: random.random_range(40..=110),
                ..Note::default()
            });
            start += length;
        }
    }
    score.normalise();
    score
}
