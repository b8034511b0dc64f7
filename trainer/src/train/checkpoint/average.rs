//! The average of several networks' parameters.
//!
//! A network that was trained on from another is joined with it by a path of low loss, and a network
//! between the two often has a lower loss than either (Wortsman et al. 2022, *Robust fine-tuning of
//! zero-shot models*).

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use continuo_files::{FolderOutput, Replace};

use super::error::CheckpointError;
use super::open::Checkpoint;
use super::save::weights;
use super::tensor_file::{StoredFormat, TensorFile};
use crate::data::file_kinds::{CHECKPOINT, TRAINING, WEIGHTS};
use crate::model::{Model, ParamSpec};

/// Writes a checkpoint whose parameters are the averages of those of `checkpoints`, all of one shape.
/// Some may lack the parts of a band: rows that they lack are averages of the others. The result has
/// no state of a training, so it is a start (`train --from`) and not resumed.
///
/// # Errors
/// The shapes differ, parameters cannot be read, or the folder cannot be written.
pub fn average(
    checkpoints: &[Checkpoint],
    output: &Path,
    replace: Replace,
    device: &Device,
) -> Result<(), CheckpointError> {
    let largest = checkpoints.iter().max_by_key(|c| c.vocabulary.size());
    let Some(largest) = largest else {
        return Err(CheckpointError::None(output.into()));
    };
    let mut files = Vec::new();
    for checkpoint in checkpoints {
        check_shape(checkpoint, largest)?;
        files.push((checkpoint, TensorFile::open(checkpoint.path.join(WEIGHTS))?));
    }
    let mean = |spec: &ParamSpec| -> Result<Tensor<2>, CheckpointError> {
        let [rows, columns] = spec.shape;
        let mut sum = Tensor::zeros(spec.shape, device);
        let mut counts = vec![0.0_f32; rows];
        for (checkpoint, file) in &files {
            let own = checkpoint.vocabulary_rows(spec.role).unwrap_or(rows);
            let own = own.min(rows);
            let mut values = file.tensor(&spec.name, [own, columns], device)?;
            if own < rows {
                let missing = Tensor::zeros([rows - own, columns], device);
                values = Tensor::cat(vec![values, missing], 0);
            }
            sum = sum + values;
            counts[..own].iter_mut().for_each(|count| *count += 1.0);
        }
        Ok(sum / Tensor::from_data(TensorData::new(counts, [rows, 1]), device))
    };
    if output.join(TRAINING).exists() {
        return Err(CheckpointError::OfTraining(output.into()));
    }
    let model = Model::build(largest.config.model, &largest.vocabulary, device, mean)?;
    let draft = FolderOutput::check(output, &CHECKPOINT, replace)?.begin()?;
    // A struct of numbers and strings always serialises.
    let config = serde_json::to_vec_pretty(&largest.config).unwrap_or_default();
    draft.write("config.json", &config)?;
    draft.write("vocabulary.json", largest.vocabulary.to_json().as_bytes())?;
    draft.write(WEIGHTS, &weights(&model, StoredFormat::F32))?;
    Ok(draft.finish()?)
}

/// Fails unless a checkpoint has the shape of another, or its shape without parts.
fn check_shape(checkpoint: &Checkpoint, largest: &Checkpoint) -> Result<(), CheckpointError> {
    let own = checkpoint
        .vocabulary
        .clone()
        .named(largest.vocabulary.name());
    let mut shape = checkpoint.config.model;
    shape.shape.sizes.vocabulary = largest.vocabulary.size();
    let same_tokens = own == largest.vocabulary || own.with_parts() == largest.vocabulary;
    if same_tokens && shape == largest.config.model {
        return Ok(());
    }
    Err(CheckpointError::Malformed {
        path: checkpoint.path.clone(),
        reason: format!(
            "a network of another shape than {}; average a training with what it started from",
            largest.path.display()
        ),
    })
}
