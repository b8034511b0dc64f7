//! The notes of a recording that is learned. Worker thread.

use std::ops::ControlFlow;
use std::path::Path;

use continuo_ear::{AudioFile, EarError, EarModel, MidiTranscript, Settings};
use continuo_engine::Runtime;
use continuo_score::midi::MidiFile;

use super::EarFiles;

/// Finds the notes of a WAV or FLAC file, its tempo and its first beat; the file's warnings are about
/// odd sound. Calls `goes_on` 40 times
/// or so for each second of sound, and ends once it returns `false`.
///
/// # Errors
///
/// A line for the user with the file's name.
pub fn transcribe(
    files: Result<EarFiles, String>,
    path: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<MidiFile, String> {
    let unheard = |why: String| format!("{}: its notes cannot be found: {why}", path.display());
    let files = files.map_err(unheard)?;
    let runtime = Runtime::load(&files.library).map_err(|e| unheard(e.to_string()))?;
    let model = EarModel::load(runtime.environment(), &files.model);
    let model = model.map_err(|e| unheard(e.to_string()))?;
    let mut tell = |_| match goes_on() {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    // An error of the file names it.
    let file = AudioFile::open(path).map_err(|e| e.to_string())?;
    let heard = continuo_ear::transcribe(file, model, &Settings::default(), &mut tell);
    let heard = heard.map_err(|e| match e {
        EarError::Stopped | EarError::Run(_) | EarError::Resample(_) => unheard(e.to_string()),
        other => other.to_string(),
    })?;
    Ok(MidiTranscript::new(&heard, None, None).file)
}
