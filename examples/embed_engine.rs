//! Embeds the engine: listens to a tune and prints the notes of an answer.
//!
//! `cargo run -p continuo-tests --example embed_engine -- models/default LIBRARY`, where LIBRARY is ONNX
//! Runtime's library; `cargo xtask runtime` prints its path.

use std::path::PathBuf;

use continuo_engine::{Composer, Model, ModelOptions, Runtime, Sampling};
use continuo_score::tune;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, library] = &paths[..] else {
        return Err("usage: embed_engine MODEL LIBRARY".into());
    };
    let runtime = Runtime::load(library)?;
    let model = Model::load(runtime, model, &ModelOptions::default())?;
    let mut composer = Composer::new(model);
    let heard = tune::minuet();
    composer.listen(&heard)?;
    // The answer starts where the tune ends. The same seed gives the same notes.
    let seed = 1;
    composer.answer(heard.length, &Sampling::default(), seed)?;
    let four_bars = 4 * 3 * heard.steps_per_beat;
    for note in composer.play_until(heard.length + four_bars)? {
        println!(
            "step {}: key {}, {} steps",
            note.start, note.pitch, note.length
        );
    }
    Ok(())
}
