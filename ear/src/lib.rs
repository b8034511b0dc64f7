//! Audio to notes: WAV and FLAC files or a live stream, by the model of basic-pitch (Bittner et al.,
//! "A Lightweight Instrument-Agnostic Model for Polyphonic Note Transcription and Multipitch
//! Estimation", ICASSP 2022) in ONNX Runtime.
//!
//! - [`AudioFile`] decodes a file block by block and mixes its channels to one.
//! - [`Listener`] converts the sample rate, gives windows at fixed sample positions to the model
//!   ([`EarModel`]), and finds notes in its frames as they come. So memory is bounded for a file of
//!   any length.
//! - [`transcribe`] does both. [`find_beat`] finds the tempo of its notes, and [`MidiTranscript`] makes a
//!   MIDI file of them.
//!
//! The notes are found anew from the paper: peaks of the onset strength, inferred onsets, and the
//! sound that is left over. The paper looks through a whole recording backwards; here each note is
//! decided as soon as later sound cannot change it, so that a live stream and a file give the same.
//!
//! Bad input is defined. Samples that are no numbers count as silence, silence and sound below
//! [`Settings::gate_db`] have no notes, clipped sound is read as it is, and a file without samples
//! has no notes. Nothing here is for the audio thread.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use continuo_ear::{AudioFile, EarModel, Settings, transcribe};
//!
//! let environment = ort::init_from("target/runtime/libonnxruntime.so")?.build()?;
//! let model = EarModel::load(&environment, "target/runtime/basic-pitch.onnx".as_ref())?;
//! let file = AudioFile::open("song.wav".as_ref())?;
//! let heard = transcribe(file, model, &Settings::default(), &mut |_| ControlFlow::Continue(()))?;
//! for note in heard.notes {
//!     println!("{:.2} s: pitch {}", note.onset, note.pitch);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audio_file;
mod error;
mod history;
mod listener;
mod midi_transcript;
mod model;
mod note;
mod onset_notes;
mod resample;
mod residual;
mod tempo;
mod tracker;
mod transcribe;

pub use audio_file::{AudioFile, RATES};
pub use error::EarError;
pub use listener::Listener;
pub use midi_transcript::{DEFAULT_BPM, MidiTranscript, TempoSource};
pub use model::EarModel;
pub use note::{Note, Settings};
pub use tempo::{Beat, find_beat};
pub use transcribe::{Transcript, transcribe};
