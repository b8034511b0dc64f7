//! basic-pitch's model in ONNX Runtime.

use std::path::Path;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use crate::error::EarError;

/// Number of pitches: the keys of a piano.
pub(crate) const PITCHES: usize = 88;
/// MIDI number of the lowest pitch.
pub(crate) const LOWEST: u8 = 21;
/// Samples from one frame to the next.
pub(crate) const FRAME_SAMPLES: usize = 256;
/// Samples in a window.
pub(crate) const WINDOW_SAMPLES: usize = 43_844;
/// Frames in a window.
pub(crate) const WINDOW_FRAMES: usize = 172;

/// Input, shape `[batch, samples, 1]`.
const AUDIO: &str = "serving_default_input_2:0";
/// Output with the activation of each pitch, shape `[batch, frames, pitches]`.
const NOTES: &str = "StatefulPartitionedCall:1";
/// Output with the probability that a note begins, shape `[batch, frames, pitches]`.
const ONSETS: &str = "StatefulPartitionedCall:2";

/// A loaded model. It runs on the thread that calls it; not for the audio thread.
pub struct EarModel {
    session: Session,
}

/// The model's answer to one window. Both have the shape `[frames, pitches]` and values from 0 to 1.
pub(crate) struct Activations<'a> {
    pub(crate) notes: &'a [f32],
    pub(crate) onsets: &'a [f32],
}

impl EarModel {
    /// Loads the model's file. `environment` is the one of ONNX Runtime in this process.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is not basic-pitch's model.
    pub fn load(environment: &Environment, path: &Path) -> Result<Self, EarError> {
        let fail = |reason: String| EarError::Model {
            path: path.into(),
            reason,
        };
        if !path.is_file() {
            return Err(fail("there is no such file".into()));
        }
        let open = || -> ort::Result<Session> {
            Session::builder(environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(1)?
                .with_inter_threads(1)?
                .with_intra_op_spinning(false)?
                .with_inter_op_spinning(false)?
                .with_flush_to_zero()?
                .commit_from_file(path)
        };
        let session = open().map_err(|e| fail(e.to_string()))?;
        let mut model = Self { session };
        // A run proves the names and the shapes.
        model
            .run(&[0.0; WINDOW_SAMPLES], |_| ())
            .map_err(|e| fail(e.to_string()))?;
        Ok(model)
    }

    /// Gives one window to the model and its answer to `take`.
    pub(crate) fn run<T>(
        &mut self,
        window: &[f32],
        take: impl FnOnce(Activations) -> T,
    ) -> Result<T, EarError> {
        let failed = |e: ort::Error| EarError::Run(e.to_string());
        let input = TensorRef::from_array_view(([1, window.len(), 1], window)).map_err(failed)?;
        let outputs = self
            .session
            .run(ort::inputs![AUDIO => input])
            .map_err(failed)?;
        let output = |name: &str| -> Result<&[f32], EarError> {
            let value = outputs
                .get(name)
                .ok_or_else(|| EarError::Run(format!("it has no output {name}")))?;
            let (shape, values) = value.try_extract_tensor::<f32>().map_err(failed)?;
            if values.len() == WINDOW_FRAMES * PITCHES {
                return Ok(values);
            }
            Err(EarError::Run(format!(
                "its output {name} has the shape {shape}, not [1, {WINDOW_FRAMES}, {PITCHES}]"
            )))
        };
        Ok(take(Activations {
            notes: output(NOTES)?,
            onsets: output(ONSETS)?,
        }))
    }
}
