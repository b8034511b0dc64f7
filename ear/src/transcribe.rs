//! A whole file to notes.

use std::ops::ControlFlow;

use crate::audio_file::AudioFile;
use crate::error::EarError;
use crate::listener::Listener;
use crate::model::EarModel;
use crate::note::{Note, Settings};

/// Result of [`transcribe`].
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// Notes in order of onset and pitch.
    pub notes: Vec<Note>,
    /// Length of the file in seconds.
    pub seconds: f64,
    /// Sample rate of the file in Hz.
    pub rate: u32,
    /// Number of its channels.
    pub channels: usize,
    /// Number of samples that were no numbers, and were read as silence.
    pub repaired_samples: u64,
    /// Number of packets that could not be decoded, and were read as silence.
    pub damaged_packets: usize,
}

impl Transcript {
    /// Lines about odd sound, for the user.
    pub fn warnings(&self) -> Vec<String> {
        let (samples, packets) = (self.repaired_samples, self.damaged_packets);
        let samples = (samples > 0)
            .then(|| format!("{samples} samples are no numbers and were read as silence"));
        let packets =
            (packets > 0).then(|| format!("{packets} damaged packets were read as silence"));
        samples.into_iter().chain(packets).collect()
    }
}

/// Finds the notes of a WAV or FLAC file. `progress` gets the seconds that are done after each packet of
/// the file, 40 times or so for each second of sound, and may stop the work. Memory is bounded but for the notes, so that the file
/// may be hours long.
///
/// # Errors
/// Fails if the file cannot be read on, if the model does not run, or if `progress` stops it
/// ([`EarError::Stopped`]).
pub fn transcribe(
    mut file: AudioFile,
    model: EarModel,
    settings: &Settings,
    progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<Transcript, EarError> {
    let rate = file.rate();
    let mut listener = Listener::new(model, rate, settings)?;
    let (mut notes, mut samples) = (Vec::new(), 0u64);
    while let Some(block) = file.read()? {
        notes.extend(listener.push(block)?);
        samples += block.len() as u64;
        if progress(samples as f64 / f64::from(rate)).is_break() {
            return Err(EarError::Stopped);
        }
    }
    let repaired_samples = listener.repaired_samples();
    notes.extend(listener.finish()?);
    notes.sort_by(|a: &Note, b: &Note| a.onset.total_cmp(&b.onset).then(a.pitch.cmp(&b.pitch)));
    Ok(Transcript {
        notes,
        seconds: samples as f64 / f64::from(rate),
        rate,
        channels: file.channels(),
        repaired_samples,
        damaged_packets: file.damaged_packets(),
    })
}
