//! Continues a MIDI file: writes the input and eight bars of answer as two tracks.
//!
//! `cargo run -p continuo-tests --example continue_file -- models/default LIBRARY IN.mid OUT.mid`, where
//! LIBRARY is ONNX Runtime's library; `cargo xtask runtime` prints its path. The command `continuo continue`
//! does the same with options, and keeps every byte of the input.

use std::path::PathBuf;

use continuo_engine::{Composer, Model, ModelOptions, Runtime, Sampling};
use continuo_score::{Drums, Score, midi};

/// Length of the answer.
const BARS: u32 = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, library, input, output] = &paths[..] else {
        return Err("usage: continue_file MODEL LIBRARY IN.mid OUT.mid".into());
    };
    let model = Model::load(Runtime::load(library)?, model, &ModelOptions::default())?;

    // Notes are quantised to the steps of the model's vocabulary.
    let file = midi::read_file(input)?;
    let heard = Score::from_midi(&file, model.vocabulary().steps_per_beat, Drums::Drop);
    let start = heard.time_signatures.next_bar(heard.length);
    let end = (0..BARS).fold(start, |bar, _| heard.time_signatures.next_bar(bar + 1));

    let mut composer = Composer::new(model);
    composer.listen(&heard)?;
    composer.answer(start, &Sampling::default(), 1)?;
    let answer = Score {
        notes: composer.play_until(end)?,
        length: end,
        ..heard.clone()
    };
    println!("{} notes from bar line {start} on", answer.notes.len());
    let whole = Score {
        length: end,
        ..heard
    };
    Score::parts_to_midi(&[("heard", &whole), ("answer", &answer)]).write_file(output)?;
    Ok(())
}
