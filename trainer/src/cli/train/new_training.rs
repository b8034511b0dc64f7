//! Start of a new training from the command line.

use anyhow::bail;
use continuo_trainer::data::augment::AugmentRange;
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::data::stream_batcher::{BatchConfig, Batching};
use continuo_trainer::model::{LikeMidigen, ModelConfig};
use continuo_trainer::train::Start;
use continuo_trainer::train::checkpoint::{Checkpoint, CheckpointConfig};
use continuo_trainer::train::config::{Ablation, PRESETS, TrainConfig, preset};
use continuo_trainer::train::device::Devices;
use continuo_trainer::train::schedule::Budget;

use super::{AblationPart, Arguments, MidigenPart, RecallTarget};

/// Learning rate of a fine-tuning, as a share of its preset's.
const FINE_TUNING_RATE: f64 = 0.2;

/// Start of a new training: the preset or the model of `--from`, changed by the other options.
///
/// # Errors
/// An option has no effect on this network, or the checkpoint cannot be read.
pub(super) fn start(
    a: &Arguments,
    corpus: &Corpus,
    budget: Option<Budget>,
    devices: &Devices,
) -> anyhow::Result<Start> {
    let from = a.from.as_deref().map(Checkpoint::open).transpose()?;
    let name = a.preset.as_deref().unwrap_or("small");
    let Some((network, defaults)) = preset(name, &corpus.vocabulary) else {
        bail!("--preset {name}: no such preset ({})", PRESETS.join(", "));
    };
    let (mut saved, defaults) = match &from {
        None => {
            let saved = CheckpointConfig {
                format: CheckpointConfig::FORMAT,
                preset: name.into(),
                model: network,
            };
            (saved, defaults)
        }
        Some(from) => {
            // The settings of the preset with these sizes, or of `small`.
            let of = |name: &&str| {
                preset(name, &from.vocabulary)
                    .filter(|(s, _)| s.shape.sizes == from.config.model.shape.sizes)
            };
            let mut config = PRESETS.iter().find_map(of).map_or(defaults, |(_, of)| of);
            config.learning_rate *= FINE_TUNING_RATE;
            (from.config.clone(), config)
        }
    };
    saved.model = model_config(a, corpus, saved.model)?;
    let config = train_config(a, corpus, devices, defaults);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Start::New {
        model: saved,
        config,
        budget: budget.unwrap_or(Budget::Minutes(60.0)),
        threads: a.threads.unwrap_or(cores),
        batches: BatchConfig {
            batching: a.batches,
            batch_rows: config.batch_rows,
            seed: a.seed,
            balance: a.balance,
            augment: AugmentRange {
                transpose: a.transpose,
                velocity: a.loudness,
            },
        },
        from,
    })
}

/// The network `config`, changed by the options.
fn model_config(
    a: &Arguments,
    corpus: &Corpus,
    mut config: ModelConfig,
) -> anyhow::Result<ModelConfig> {
    if a.layers.is_some() || a.width.is_some() {
        let (layers, width) = (config.shape.sizes.layers, config.shape.sizes.width);
        config = config
            .resized(a.layers.unwrap_or(layers), a.width.unwrap_or(width))
            .map_err(anyhow::Error::msg)?;
    }
    config.shape.window = a.window.unwrap_or(config.shape.window);
    config.shape.knn = config.shape.knn.filter(|_| !a.without_knn);
    if let Some(knn) = &mut config.shape.knn {
        knn.layer = a.knn_layer.unwrap_or(knn.layer);
        if knn.layer >= config.shape.sizes.layers {
            bail!(
                "--knn-layer {}: there are {} layers, counted from 0",
                knn.layer,
                config.shape.sizes.layers
            );
        }
        knn.k = a.knn_k.unwrap_or(knn.k);
    }
    if a.with_knn && config.shape.knn.is_none() {
        let of = |name: &&str| {
            preset(name, &corpus.vocabulary).filter(|(s, _)| s.shape.sizes == config.shape.sizes)
        };
        let Some((with, _)) = PRESETS.iter().find_map(of) else {
            bail!("--with-knn: no preset has this network's sizes, so its kNN layer is not known");
        };
        config.shape.knn = with.shape.knn;
    }
    config.shape.sounding |= a.with_sounding;
    if a.with_parts {
        if !corpus.vocabulary.has_parts() {
            bail!(
                "--with-parts: {} has no parts; encode the songs with --preset band",
                corpus.path().display()
            );
        }
        config.shape.sizes.vocabulary = corpus.vocabulary.size();
    }
    if a.with_relative {
        config.relative = Some(corpus.vocabulary.steps_per_beat);
    }
    if a.ablate.contains(&AblationPart::Relative) {
        config.relative = None;
    }
    if let Some(target) = a.knn_recalls {
        let Some(knn) = &mut config.shape.knn else {
            bail!("--knn-recalls: there is no kNN memory");
        };
        knn.following = target == RecallTarget::Next;
    }
    // The model of --from keeps its parts.
    if a.from.is_none() {
        config.like_midigen = LikeMidigen {
            norm: a.like_midigen.contains(&MidigenPart::Norm),
            feed_forward: a.like_midigen.contains(&MidigenPart::FeedForward),
            positions: a.like_midigen.contains(&MidigenPart::Positions),
        };
    }
    Ok(config)
}

/// The `defaults`, changed by the options.
fn train_config(
    a: &Arguments,
    corpus: &Corpus,
    devices: &Devices,
    defaults: TrainConfig,
) -> TrainConfig {
    let songs = corpus.songs.iter().filter(|s| !s.held_out).count();
    let batch_rows = match a.batches {
        Batching::Random => defaults.batch_rows,
        _ => defaults.batch_rows.min(songs.max(1)),
    };
    let batch_rows = a.batch.unwrap_or(batch_rows);
    TrainConfig {
        batch_rows,
        micro_batch: a
            .micro_batch
            .unwrap_or(defaults.micro_batch)
            .min(batch_rows),
        segment: a.segment.unwrap_or(defaults.segment),
        accumulation_steps: a.accumulation_steps.unwrap_or(defaults.accumulation_steps),
        precision: a.precision.unwrap_or(devices.precision),
        learning_rate: a.lr.unwrap_or(defaults.learning_rate),
        schedule: a.schedule.unwrap_or(defaults.schedule),
        recompute: a.recompute,
        recall_rate: a.knn_rate.unwrap_or(defaults.recall_rate),
        optimizer: a.optimizer.unwrap_or(defaults.optimizer),
        dropout: a.dropout.unwrap_or(defaults.dropout),
        weight_decay: a.weight_decay.unwrap_or(defaults.weight_decay),
        ablation: Ablation {
            grid: a.ablate.contains(&AblationPart::Grid),
            pitch: a.ablate.contains(&AblationPart::Pitch),
            sounding: a.ablate.contains(&AblationPart::Sounding),
            gate: a.ablate.contains(&AblationPart::Gate),
        },
        ..defaults
    }
}
