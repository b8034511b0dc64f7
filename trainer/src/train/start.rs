//! Start of a training: its first state, new or from a checkpoint.

use std::fs;

use continuo_files::check_folder;
use continuo_score::manifest::{Knn, NetworkShape, Sizes};

use crate::data::stream_batcher::{Batching, StreamBatcher};
use crate::model::{ModelConfig, initial};
use crate::train::checkpoint::{self, Checkpoint, CheckpointConfig, TrainState};
use crate::train::error::{TrainError, io_at};
use crate::train::options::{Start, TrainOptions};
use crate::train::trainer::Trainer;

/// Network shape, saved state and trainer before the next step.
///
/// # Errors
/// The output folder is taken or cannot be written, the corpus does not fit, or a checkpoint
/// cannot be read.
pub(super) fn begin(
    options: &TrainOptions<'_>,
) -> Result<(CheckpointConfig, TrainState, Trainer), TrainError> {
    let TrainOptions {
        corpus,
        output,
        devices,
        ..
    } = *options;
    check_folder(output)?;
    match &options.start {
        Start::New {
            model: saved,
            config,
            budget,
            threads,
            batches,
            from,
        } => {
            if !checkpoint::steps(output).is_empty() {
                return Err(TrainError::Taken(output.into()));
            }
            devices.check_precision(config.precision)?;
            let mut vocabulary = match from {
                None => corpus.vocabulary.clone(),
                Some(from) => from.vocabulary.clone(),
            };
            if vocabulary.size() < saved.model.shape.sizes.vocabulary {
                // `--with-parts`. The name does not matter for the tokens.
                vocabulary = vocabulary.with_parts().named(corpus.vocabulary.name());
            }
            corpus
                .fits(&vocabulary, &saved.model.shape.sizes)
                .map_err(TrainError::Corpus)?;
            let songs = corpus.songs.iter().filter(|s| !s.held_out).count();
            if songs > 0 && songs < batches.batch_rows && batches.batching != Batching::Random {
                return Err(TrainError::FewSongs {
                    path: corpus.path().into(),
                    songs,
                    batch_rows: batches.batch_rows,
                });
            }
            let batcher =
                StreamBatcher::new(corpus, *batches).ok_or_else(|| TrainError::no_songs(corpus))?;
            let (wanted, device) = (saved.model, &devices.device);
            let mut model = match from {
                None => initial(wanted, &corpus.vocabulary, device, batches.seed),
                Some(from) if has_same_parameters(from.config.model, wanted) => {
                    from.model_as(wanted, device)?
                }
                Some(from) if can_grow(from.config.model, wanted) => {
                    from.model_with_more(wanted, &vocabulary, device, batches.seed)?
                }
                Some(from) => return Err(TrainError::OtherModel(from.path.clone())),
            };
            let parameters = model.parameters();
            let ablated = parameters.into_iter().zip(model.specs()).map(|(p, spec)| {
                match config.ablation.removes(spec.role) {
                    true => p.zeros_like(),
                    false => p,
                }
            });
            let ablated = ablated.collect();
            model.set_parameters(ablated);
            fs::create_dir_all(output).map_err(io_at(output))?;
            let state = TrainState {
                config: *config,
                budget: *budget,
                threads: *threads,
                steps: 0,
                tokens: 0,
                seconds: 0.0,
                corpus: corpus.fingerprint(),
                batcher: batcher.state,
            };
            let states = Trainer::initial_states(&model, config.optimizer);
            let micro_batches = config.batch_rows.div_ceil(config.micro_batch.max(1));
            let workers = devices.workers(*threads);
            let trainer = Trainer::new(model, states, micro_batches, workers)
                .map_err(|e| io_at(output)(std::io::Error::other(e)))?;
            Ok((saved.clone(), state, trainer))
        }
        Start::Resume { budget } => {
            let checkpoint = Checkpoint::open(output)?;
            let mut state = checkpoint.state()?;
            corpus
                .fits(&checkpoint.vocabulary, &checkpoint.config.model.shape.sizes)
                .map_err(TrainError::Corpus)?;
            if !corpus.has_fingerprint(state.corpus) {
                return Err(TrainError::other_corpus(corpus));
            }
            devices.check_precision(state.config.precision)?;
            state.budget = budget.unwrap_or(state.budget);
            let trainer = checkpoint.trainer(&state, devices)?;
            Ok((checkpoint.config, state, trainer))
        }
    }
}

/// Whether two networks have parameters of the same names and shapes.
fn has_same_parameters(a: ModelConfig, b: ModelConfig) -> bool {
    let parameters = |config: ModelConfig| ModelConfig {
        shape: NetworkShape {
            knn: config.shape.knn.map(|knn| Knn {
                following: false,
                ..knn
            }),
            ..config.shape
        },
        relative: None,
        ..config
    };
    parameters(a) == parameters(b)
}

/// Whether network `to` is network `from` with more parameters.
fn can_grow(from: ModelConfig, to: ModelConfig) -> bool {
    let before = ModelConfig {
        shape: NetworkShape {
            knn: to.shape.knn.filter(|_| from.shape.knn.is_some()),
            sounding: to.shape.sounding && from.shape.sounding,
            sizes: Sizes {
                vocabulary: from.shape.sizes.vocabulary,
                ..to.shape.sizes
            },
            ..to.shape
        },
        ..to
    };
    has_same_parameters(from, before)
}
