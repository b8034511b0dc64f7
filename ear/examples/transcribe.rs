//! Finds the notes of audio files and prints them, one a line: file, onset and end in seconds, MIDI
//! pitch, velocity, confidence. Standard error says how long each file took.
//!
//! ```sh
//! cargo run --release -p continuo-ear --example transcribe -- LIBRARY MODEL FILE…
//! ```

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use continuo_ear::{AudioFile, EarModel, Settings, transcribe};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, model, files @ ..] = &arguments[..] else {
        return Err("name ONNX Runtime's library, the model, and audio files".into());
    };
    let environment = ort::init_from(library)?.build()?;
    for file in files {
        let model = EarModel::load(&environment, Path::new(model))?;
        let begun = Instant::now();
        let sound = AudioFile::open(Path::new(file))?;
        let heard = transcribe(sound, model, &Settings::default(), &mut |_| {
            ControlFlow::Continue(())
        })?;
        let spent = begun.elapsed().as_secs_f64();
        eprintln!(
            "{file}: {:.1} s in {spent:.2} s, {:.1} s a second, {} notes",
            heard.seconds,
            heard.seconds / spent,
            heard.notes.len()
        );
        for note in heard.notes {
            println!(
                "{file}\t{:.4}\t{:.4}\t{}\t{}\t{:.3}",
                note.onset, note.end, note.pitch, note.velocity, note.confidence
            );
        }
    }
    Ok(())
}
