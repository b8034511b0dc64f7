//! Checkpoints: everything a training needs to go on as if it had never stopped.
//!
//! ```text
//! DIR/losses.csv
//! DIR/step-00001200/     the newest two; each appears whole or not at all
//!   config.json            sizes, window, preset
//!   vocabulary.json
//!   weights.safetensors    parameters by name, f32, matrices [in, out]
//!   training.json          recipe, budget, progress, position in the songs
//!   training.safetensors   moments (`first.NAME`, `second.NAME`), the lanes' XL memory
//!                          (`memory.GROUP.LAYER.key`, `….value`) and kNN memory
//!                          (`memory.GROUP.recalled.key`, `….value`, if there is any)
//! ```

mod tensors;

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use continuo_files::{FolderOutput, Replace, WriteError};
use continuo_score::manifest::Manifest;
use continuo_score::{Vocabulary, vocabulary::VocabularyError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::{LikeMidigen, Recipe, Shape};
use crate::device::Place;
use crate::kinds::{CHECKPOINT, CHECKPOINT_FILES};
use crate::lanes::LanesState;
use crate::learner::{Learner, initial};
use crate::model::Model;
use crate::model::embedding::SOUNDING;
use crate::optimiser::Moments;
use crate::schedule::Budget;

use self::tensors::{Store, named, pack};

/// The file with the parameters, in a checkpoint and in a model directory.
pub const WEIGHTS: &str = "weights.safetensors";

/// What `config.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Format version; see [`Config::FORMAT`].
    pub format: u32,
    /// The preset the sizes came from.
    pub preset: String,
    /// Sizes and window.
    #[serde(flatten)]
    pub shape: Shape,
}

impl Config {
    /// The format this code writes and reads.
    pub const FORMAT: u32 = 1;
}

/// What `training.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// How it is trained.
    pub recipe: Recipe,
    /// How long.
    pub budget: Budget,
    /// Threads, on which the order of summation depends.
    pub threads: usize,
    /// Steps taken.
    pub steps: u64,
    /// Tokens predicted.
    pub tokens: u64,
    /// Seconds spent in steps.
    pub seconds: f64,
    /// Which corpus: [`crate::corpus::Corpus::fingerprint`].
    pub corpus: u64,
    /// Position in the songs.
    pub lanes: LanesState,
}

impl Progress {
    /// Tokens each lane has played.
    fn position(&self) -> u64 {
        self.steps * (self.recipe.segment * self.recipe.accumulate) as u64
    }
}

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// There is none.
    #[error("{}: no checkpoint there (a folder step-… with config.json); train one with `continuo-trainer train`", .0.display())]
    None(PathBuf),
    /// A model without them.
    #[error(
        "{}: a model without {WEIGHTS}: it can be played, not trained or measured; export it \
         again from its checkpoint", .0.display()
    )]
    NoWeights(PathBuf),
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A file that makes no sense.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Its vocabulary makes no sense.
    #[error("{}: {source}", path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VocabularyError,
    },
}

/// A checkpoint on disk.
#[derive(Debug)]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// Sizes.
    pub config: Config,
    /// Tokens.
    pub vocabulary: Vocabulary,
}

impl Checkpoint {
    /// The newest checkpoint in `folder`, or the one that `folder` is, or the parameters in
    /// the model directory that it is.
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
        let config: Config = read_json(&path.join("config.json"))?;
        if config.format != Config::FORMAT {
            return Err(CheckpointError::Malformed {
                path: path.join("config.json"),
                reason: format!(
                    "format {} (this build reads {})",
                    config.format,
                    Config::FORMAT
                ),
            });
        }
        Self::check(path, config)
    }

    /// A model directory that has its parameters beside its graphs.
    fn open_model(folder: &Path) -> Result<Self, CheckpointError> {
        let manifest: Manifest = read_json(&folder.join("model.json"))?;
        if !folder.join(WEIGHTS).is_file() {
            return Err(CheckpointError::NoWeights(folder.into()));
        }
        let shape = Shape {
            sizes: manifest.sizes,
            window: manifest.window,
            knn: manifest.knn,
            sounding: manifest.sounding,
            relative: match manifest.relative {
                true => Some(vocabulary(folder)?.steps_per_beat),
                false => None,
            },
            like_midigen: LikeMidigen::default(),
        };
        let config = Config {
            format: Config::FORMAT,
            preset: manifest.name,
            shape,
        };
        Self::check(folder.into(), config)
    }

    fn check(path: PathBuf, config: Config) -> Result<Self, CheckpointError> {
        let vocabulary = vocabulary(&path)?;
        if config.shape.sizes.vocabulary != vocabulary.size() {
            return Err(CheckpointError::Malformed {
                path: path.join("config.json"),
                reason: format!(
                    "sizes for {} ids, beside a vocabulary of {}",
                    config.shape.sizes.vocabulary,
                    vocabulary.size()
                ),
            });
        }
        let Shape {
            sizes, window, knn, ..
        } = config.shape;
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

    /// The parameters.
    pub fn model(&self, device: &Device) -> Result<Model, CheckpointError> {
        self.model_as(self.config.shape, device)
    }

    /// The parameters, for a network of a shape that has the same.
    pub fn model_as(&self, shape: Shape, device: &Device) -> Result<Model, CheckpointError> {
        let store = Store::open(self.path.join(WEIGHTS))?;
        Model::build(shape, &self.vocabulary, device, |name, dims| {
            store.tensor(name, dims, device)
        })
    }

    /// The parameters, for a network that has more: a kNN memory, or rows for the notes that
    /// sound. The queries, keys and values of the kNN layer, which mean something else there,
    /// begin as in a new network; those rows begin at nothing, so that all is as it was.
    pub fn model_with_more(
        &self,
        shape: Shape,
        device: &Device,
        seed: u64,
    ) -> Result<Model, CheckpointError> {
        let store = Store::open(self.path.join(WEIGHTS))?;
        let had = self.config.shape;
        let new_layer = shape.knn.filter(|_| had.knn.is_none());
        let attention = new_layer.map(|knn| format!("layers.{}.attention.", knn.layer));
        let fresh = initial(shape, &self.vocabulary, device, seed);
        let mut fresh = fresh.parameters().into_iter();
        Model::build(shape, &self.vocabulary, device, |name, dims| {
            // `parameters` and `build` go through the same list.
            let (_, new) = fresh.next().expect("one parameter for each name");
            if name == SOUNDING && !had.sounding {
                return Ok(new.zeros_like());
            }
            let attention = attention.as_deref();
            match attention.and_then(|attention| name.strip_prefix(attention)) {
                None | Some("norm" | "out") => store.tensor(name, dims, device),
                Some(_) => Ok(new.clone()),
            }
        })
    }

    /// What `training.json` says.
    pub fn progress(&self) -> Result<Progress, CheckpointError> {
        let path = self.path.join("training.json");
        let progress: Progress = read_json(&path)?;
        let Recipe {
            group,
            segment,
            accumulate,
            ..
        } = progress.recipe;
        if group == 0 || segment == 0 || accumulate == 0 {
            let reason = "group, segment and accumulate must be at least 1".to_owned();
            return Err(CheckpointError::Malformed { path, reason });
        }
        Ok(progress)
    }

    /// Parameters, moments and memories, as they were.
    pub fn learner(&self, progress: &Progress, place: &Place) -> Result<Learner, CheckpointError> {
        let device = &place.device;
        let model = self.model(device)?;
        let store = Store::open(self.path.join("training.safetensors"))?;
        let moments = model
            .parameters()
            .into_iter()
            .map(|(name, p)| {
                Ok(Moments {
                    first: store.tensor(&format!("first.{name}"), p.dims(), device)?,
                    second: store.tensor(&format!("second.{name}"), p.dims(), device)?,
                })
            })
            .collect::<Result<Vec<_>, CheckpointError>>()?;
        let groups = progress
            .lanes
            .lanes()
            .div_ceil(progress.recipe.group.max(1));
        let workers = place.workers(progress.threads);
        let mut learner =
            Learner::new(model, moments, groups, workers).map_err(|e| CheckpointError::Io {
                path: self.path.clone(),
                source: std::io::Error::other(e),
            })?;
        let homes: Vec<Device> = (0..groups).map(|g| learner.device_of(g)).collect();
        learner.steps = progress.steps;
        let sizes = self.config.shape.sizes;
        for ((g, memory), device) in learner.memories.iter_mut().enumerate().zip(&homes) {
            memory.position = progress.position();
            if memory.position == 0 {
                continue;
            }
            for l in 0..sizes.layers {
                let side = |side| store.memory(&format!("memory.{g}.{l}.{side}"), device);
                memory.layers.push((side("key")?, side("value")?));
            }
            if store.has(&format!("memory.{g}.recalled.key")) {
                let side = |side| store.memory(&format!("memory.{g}.recalled.{side}"), device);
                memory.recalled = Some((side("key")?, side("value")?));
            }
        }
        Ok(learner)
    }
}

/// Writes a checkpoint into `folder` and removes all but the newest two.
pub fn save(
    folder: &Path,
    config: &Config,
    vocabulary: &Vocabulary,
    progress: &Progress,
    learner: &Learner,
) -> Result<PathBuf, CheckpointError> {
    let place = folder.join(format!("step-{:08}", progress.steps));
    let draft = FolderOutput::check(&place, &CHECKPOINT, Replace::SameKind)?.begin()?;
    let write = |name: &str, bytes: &[u8]| draft.write(name, bytes);
    // Structs of numbers and strings always serialise.
    write(
        "config.json",
        &serde_json::to_vec_pretty(config).unwrap_or_default(),
    )?;
    write("vocabulary.json", vocabulary.to_json().as_bytes())?;
    write(
        "training.json",
        &serde_json::to_vec_pretty(progress).unwrap_or_default(),
    )?;
    let parameters = learner.model.parameters();
    write(WEIGHTS, &weights(&learner.model))?;
    let mut training = Vec::new();
    for ((name, _), moments) in parameters.iter().zip(&learner.moments) {
        training.push(named(format!("first.{name}"), &moments.first));
        training.push(named(format!("second.{name}"), &moments.second));
    }
    for (g, memory) in learner.memories.iter().enumerate() {
        let layers = memory.layers.iter().enumerate();
        let layers = layers.map(|(l, sides)| (l.to_string(), sides));
        let recalled = memory.recalled.iter().map(|r| ("recalled".to_owned(), r));
        for (name, (key, value)) in layers.chain(recalled) {
            training.push(named(format!("memory.{g}.{name}.key"), key));
            training.push(named(format!("memory.{g}.{name}.value"), value));
        }
    }
    write("training.safetensors", &pack(training))?;
    draft.finish()?;
    let mut old = steps(folder);
    old.truncate(old.len().saturating_sub(2));
    for (_, path) in old {
        remove(&path)?;
    }
    Ok(place)
}

/// Removes a checkpoint: its own files, and then its folder, unless its owner keeps others there.
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

/// The bytes of [`WEIGHTS`].
pub fn weights(model: &Model) -> Vec<u8> {
    let parameters = model.parameters();
    pack(parameters.into_iter().map(|(n, p)| named(n, p)).collect())
}

/// All checkpoints in a folder, oldest first.
pub fn steps(folder: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut steps: Vec<_> = entries
        .filter_map(|e| {
            let path = e.ok()?.path();
            let step = path
                .file_name()?
                .to_str()?
                .strip_prefix("step-")?
                .parse()
                .ok()?;
            path.join("config.json").is_file().then_some((step, path))
        })
        .collect();
    steps.sort();
    steps
}

/// The vocabulary of a folder.
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
