//! Writing of checkpoints.

use std::fs;
use std::path::{Path, PathBuf};

use continuo_files::{FolderOutput, Replace};
use continuo_score::Vocabulary;

use super::error::CheckpointError;
use super::listing::steps;
use super::state::{CheckpointConfig, TrainState};
use super::tensor_file::{StoredFormat, named, pack};
use crate::data::file_kinds::{CHECKPOINT, CHECKPOINT_FILES, WEIGHTS};
use crate::model::Model;
use crate::train::trainer::Trainer;

/// Writes a checkpoint into `folder` and removes all but the newest two; returns its path.
///
/// # Errors
/// A file cannot be written or removed, or another file is in the way.
pub fn save(
    folder: &Path,
    config: &CheckpointConfig,
    vocabulary: &Vocabulary,
    state: &TrainState,
    trainer: &Trainer,
) -> Result<PathBuf, CheckpointError> {
    let target = folder.join(format!("step-{:08}", state.steps));
    let draft = FolderOutput::check(&target, &CHECKPOINT, Replace::SameKind)?.begin()?;
    let write = |name: &str, bytes: &[u8]| draft.write(name, bytes);
    // Structs of numbers and strings always serialise.
    write(
        "config.json",
        &serde_json::to_vec_pretty(config).unwrap_or_default(),
    )?;
    write("vocabulary.json", vocabulary.to_json().as_bytes())?;
    write(
        "training.json",
        &serde_json::to_vec_pretty(state).unwrap_or_default(),
    )?;
    let exact = StoredFormat::F32;
    write(WEIGHTS, &weights(&trainer.model, exact))?;
    let mut training = Vec::new();
    for (spec, state) in trainer.model.specs().iter().zip(&trainer.states) {
        for (key, tensor) in state.tensors() {
            training.push(named(format!("{key}.{}", spec.name), &tensor, exact));
        }
    }
    for (b, memory) in trainer.memories.iter().enumerate() {
        let layers = memory.layers.iter().enumerate();
        let layers = layers.map(|(l, sides)| (l.to_string(), sides));
        let recalled = memory.recalled.iter().map(|r| ("recalled".to_owned(), r));
        for (name, (key, value)) in layers.chain(recalled) {
            training.push(named(format!("memory.{b}.{name}.key"), key, exact));
            training.push(named(format!("memory.{b}.{name}.value"), value, exact));
        }
    }
    write("training.safetensors", &pack(&training))?;
    draft.finish()?;
    let mut old = steps(folder);
    old.truncate(old.len().saturating_sub(2));
    for (_, path) in old {
        remove(&path)?;
    }
    Ok(target)
}

/// Removes the files of a checkpoint, and then its folder, unless other files are in it.
fn remove(checkpoint: &Path) -> Result<(), CheckpointError> {
    for name in CHECKPOINT_FILES {
        let path = checkpoint.join(name);
        match fs::remove_file(&path) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                return Err(CheckpointError::Io { path, source: why });
            }
            _ => {}
        }
    }
    match fs::remove_dir(checkpoint) {
        Err(source) if source.kind() != std::io::ErrorKind::DirectoryNotEmpty => {
            Err(CheckpointError::Io {
                path: checkpoint.into(),
                source,
            })
        }
        _ => Ok(()),
    }
}

/// Contents of [`WEIGHTS`].
pub fn weights(model: &Model, format: StoredFormat) -> Vec<u8> {
    let specs = model.specs().iter().zip(model.parameters());
    let tensors = specs.map(|(s, p)| named(s.name.clone(), &p, format));
    pack(&tensors.collect::<Vec<_>>())
}
