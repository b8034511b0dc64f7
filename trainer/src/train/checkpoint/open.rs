//! Reading of checkpoints.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use continuo_score::manifest::{Manifest, NetworkShape};
use continuo_score::{NoteState, Vocabulary};
use serde::de::DeserializeOwned;

use super::error::CheckpointError;
use super::listing::steps;
use super::state::{CheckpointConfig, TrainState};
use super::tensor_file::TensorFile;
use crate::data::file_kinds::WEIGHTS;
use crate::model::parameters::TableRole;
use crate::model::{LikeMidigen, Model, ModelConfig, ParamRole, ParamSpec, initial};
use crate::train::config::TrainConfig;
use crate::train::device::Devices;
use crate::train::optimiser::ParamState;
use crate::train::trainer::Trainer;

/// A checkpoint on disk.
#[derive(Debug)]
pub struct Checkpoint {
    /// Folder.
    pub path: PathBuf,
    /// Shape of the network.
    pub config: CheckpointConfig,
    /// Vocabulary.
    pub vocabulary: Vocabulary,
}

impl Checkpoint {
    /// Opens the newest checkpoint in `folder`, or `folder` itself if it is a checkpoint or a
    /// model directory with parameters.
    ///
    /// # Errors
    /// There is none, or a file cannot be read or is malformed.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        if folder.join("model.json").is_file() {
            return Self::open_model(folder);
        }
        let path = if folder.join("config.json").is_file() {
            folder.to_owned()
        } else {
            match steps(folder).pop() {
                Some((_, newest)) => newest,
                None => return Err(CheckpointError::None(folder.into())),
            }
        };
        let config: CheckpointConfig = read_json(&path.join("config.json"))?;
        if config.format != CheckpointConfig::FORMAT {
            return Err(CheckpointError::Malformed {
                path: path.join("config.json"),
                reason: format!(
                    "format {} (this build reads {})",
                    config.format,
                    CheckpointConfig::FORMAT
                ),
            });
        }
        Self::check(path, config)
    }

    /// Opens a model directory that holds its parameters beside its graphs.
    fn open_model(folder: &Path) -> Result<Self, CheckpointError> {
        let manifest: Manifest = read_json(&folder.join("model.json"))?;
        if !folder.join(WEIGHTS).is_file() {
            return Err(CheckpointError::NoWeights(folder.into()));
        }
        let model = ModelConfig {
            shape: manifest.shape,
            relative: match manifest.relative {
                true => Some(vocabulary(folder)?.steps_per_beat),
                false => None,
            },
            like_midigen: LikeMidigen::default(),
        };
        let config = CheckpointConfig {
            format: CheckpointConfig::FORMAT,
            preset: manifest.name,
            model,
        };
        Self::check(folder.into(), config)
    }

    fn check(path: PathBuf, config: CheckpointConfig) -> Result<Self, CheckpointError> {
        let vocabulary = vocabulary(&path)?;
        if config.model.shape.sizes.vocabulary != vocabulary.size() {
            return Err(CheckpointError::Malformed {
                path: path.join("config.json"),
                reason: format!(
                    "sizes for {} ids, beside a vocabulary of {}",
                    config.model.shape.sizes.vocabulary,
                    vocabulary.size()
                ),
            });
        }
        let NetworkShape {
            sizes, window, knn, ..
        } = config.model.shape;
        if knn.is_some_and(|knn| knn.layer >= sizes.layers || knn.k == 0) {
            return Err(CheckpointError::Malformed {
                path: path.join("config.json"),
                reason: format!(
                    "knn: layer below {} and k of at least 1, not {knn:?}",
                    sizes.layers
                ),
            });
        }
        if window == 0 || sizes.head_dim % 2 != 0 {
            return Err(CheckpointError::Malformed {
                path: path.join("config.json"),
                reason: format!(
                    "window {window}, heads of {}: not 0, and even",
                    sizes.head_dim
                ),
            });
        }
        Ok(Self {
            path,
            config,
            vocabulary,
        })
    }

    /// Loads the network.
    ///
    /// # Errors
    /// The parameters cannot be read or have other shapes.
    pub fn model(&self, device: &Device) -> Result<Model, CheckpointError> {
        self.model_as(self.config.model, device)
    }

    /// Loads the parameters into a network of another config with the same parameters.
    ///
    /// # Errors
    /// The parameters cannot be read or have other shapes.
    pub fn model_as(&self, config: ModelConfig, device: &Device) -> Result<Model, CheckpointError> {
        let file = TensorFile::open(self.path.join(WEIGHTS))?;
        Model::build(config, &self.vocabulary, device, |spec: &ParamSpec| {
            file.tensor(&spec.name, spec.shape, device)
        })
    }

    /// Loads the parameters into a network with more of them: a kNN memory, rows for the notes that
    /// sound, or the parts of `vocabulary`. The queries, keys and values of the new kNN layer are
    /// random, because they serve another search there; new rows for the notes that sound are zero
    /// and change no output; rows of the part tokens are random.
    ///
    /// # Errors
    /// The parameters cannot be read or have other shapes.
    pub fn model_with_more(
        &self,
        config: ModelConfig,
        vocabulary: &Vocabulary,
        device: &Device,
        seed: u64,
    ) -> Result<Model, CheckpointError> {
        let file = TensorFile::open(self.path.join(WEIGHTS))?;
        let before = self.config.model;
        let new_layer = config.shape.knn.filter(|_| before.shape.knn.is_none());
        let attention = new_layer.map(|knn| format!("layers.{}.attention.", knn.layer));
        let random = initial(config, vocabulary, device, seed);
        let mut random = random.parameters().into_iter();
        Model::build(config, vocabulary, device, |spec: &ParamSpec| {
            // `parameters` has the order in which `build` asks.
            let mut new = random.next().expect("one parameter for each name");
            if spec.role == ParamRole::Table(TableRole::NoteState) {
                new = new.zeros_like();
                if !before.shape.sounding {
                    return Ok(new);
                }
            }
            if let Some(rows) = self
                .vocabulary_rows(spec.role)
                .filter(|&rows| rows < spec.shape[0])
            {
                let kept = file.tensor(&spec.name, [rows, spec.shape[1]], device)?;
                return Ok(Tensor::cat(
                    vec![kept, new.narrow(0, rows, spec.shape[0] - rows)],
                    0,
                ));
            }
            let attention = attention.as_deref();
            match attention.and_then(|attention| spec.name.strip_prefix(attention)) {
                None | Some("norm" | "out") => file.tensor(&spec.name, spec.shape, device),
                Some(_) => Ok(new),
            }
        })
    }

    /// Rows of a table that the vocabulary decides; `None` for other parameters. Part tokens and their
    /// rows stand last, so a network with parts has the same tables, only longer.
    pub(super) fn vocabulary_rows(&self, role: ParamRole) -> Option<usize> {
        match role {
            ParamRole::Table(TableRole::Token) => Some(self.vocabulary.size()),
            ParamRole::Table(TableRole::NoteState) => Some(NoteState::rows(&self.vocabulary)),
            _ => None,
        }
    }

    /// Reads `training.json`.
    ///
    /// # Errors
    /// The file cannot be read or is malformed.
    pub fn state(&self) -> Result<TrainState, CheckpointError> {
        let path = self.path.join("training.json");
        let state: TrainState = read_json(&path)?;
        let TrainConfig {
            micro_batch,
            segment,
            accumulation_steps,
            ..
        } = state.config;
        if micro_batch == 0 || segment == 0 || accumulation_steps == 0 {
            let reason = "group, segment and accumulate must be at least 1".to_owned();
            return Err(CheckpointError::Malformed { path, reason });
        }
        Ok(state)
    }

    /// Restores parameters, optimiser states and memories.
    ///
    /// # Errors
    /// A file cannot be read or is malformed, or the system refuses a thread.
    pub fn trainer(
        &self,
        state: &TrainState,
        devices: &Devices,
    ) -> Result<Trainer, CheckpointError> {
        let device = &devices.device;
        let model = self.model(device)?;
        let file = TensorFile::open(self.path.join("training.safetensors"))?;
        let optimizer = state.config.optimizer;
        let states = model
            .specs()
            .iter()
            .map(|spec| {
                let load = |key: &str| {
                    let name = format!("{key}.{}", spec.name);
                    file.tensor(&name, spec.shape, device)
                };
                ParamState::load(spec, optimizer, state.steps, load)
            })
            .collect::<Result<Vec<_>, CheckpointError>>()?;
        let micro_batches = state
            .batcher
            .batch_rows()
            .div_ceil(state.config.micro_batch.max(1));
        let workers = devices.workers(state.threads);
        let mut trainer = Trainer::new(model, states, micro_batches, workers).map_err(|e| {
            CheckpointError::Io {
                path: self.path.clone(),
                source: std::io::Error::other(e),
            }
        })?;
        let homes: Vec<Device> = (0..micro_batches).map(|b| trainer.device_of(b)).collect();
        trainer.steps = state.steps;
        let sizes = self.config.model.shape.sizes;
        for ((b, memory), device) in trainer.memories.iter_mut().enumerate().zip(&homes) {
            memory.position = state.position();
            if memory.position == 0 {
                continue;
            }
            for l in 0..sizes.layers {
                let side = |side| file.memory(&format!("memory.{b}.{l}.{side}"), device);
                memory.layers.push((side("key")?, side("value")?));
            }
            if file.has(&format!("memory.{b}.recalled.key")) {
                let side = |side| file.memory(&format!("memory.{b}.recalled.{side}"), device);
                memory.recalled = Some((side("key")?, side("value")?));
            }
        }
        Ok(trainer)
    }
}

/// Reads the vocabulary in a folder.
fn vocabulary(folder: &Path) -> Result<Vocabulary, CheckpointError> {
    let path = folder.join("vocabulary.json");
    Vocabulary::from_json(&read_text(&path)?)
        .map_err(|source| CheckpointError::Vocabulary { path, source })
}

fn read_text(path: &Path) -> Result<String, CheckpointError> {
    fs::read_to_string(path).map_err(|source| CheckpointError::Io {
        path: path.into(),
        source,
    })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, CheckpointError> {
    serde_json::from_str(&read_text(path)?).map_err(|e| CheckpointError::Malformed {
        path: path.into(),
        reason: e.to_string(),
    })
}
