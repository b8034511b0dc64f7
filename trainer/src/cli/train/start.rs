//! What the command line asks of a new training.

use anyhow::bail;
use continuo_trainer::augment::Reach;
use continuo_trainer::checkpoint::{Checkpoint, Config};
use continuo_trainer::config::{LikeMidigen, PRESETS, Recipe, Shape, Without, preset};
use continuo_trainer::corpus::Corpus;
use continuo_trainer::device::Place;
use continuo_trainer::lanes::{Batches, Plan};
use continuo_trainer::model::Precision;
use continuo_trainer::schedule::Budget;
use continuo_trainer::train::Start;

use super::{Arguments, Likeness, Part, Recalls};

/// A model that has learned learns on at this share of the rate it began with.
const GENTLER: f64 = 0.2;

pub(super) fn new(
    a: &Arguments,
    corpus: &Corpus,
    budget: Option<Budget>,
    place: &Place,
) -> anyhow::Result<Start> {
    let from = a.from.as_deref().map(Checkpoint::open).transpose()?;
    let name = a.preset.as_deref().unwrap_or("small");
    let Some((shape, usual)) = preset(name, &corpus.vocabulary) else {
        bail!("--preset {name}: no such preset ({})", PRESETS.join(", "));
    };
    let (mut config, usual) = match &from {
        None => {
            let config = Config {
                format: Config::FORMAT,
                preset: name.into(),
                shape,
            };
            (config, usual)
        }
        Some(from) => {
            // The recipe of the preset with these sizes, or small's.
            let of = |name: &&str| {
                preset(name, &from.vocabulary).filter(|(s, _)| s.sizes == from.config.shape.sizes)
            };
            let mut recipe = PRESETS.iter().find_map(of).map_or(usual, |(_, of)| of);
            recipe.learning_rate *= GENTLER;
            (from.config.clone(), recipe)
        }
    };
    config.shape = network(a, corpus, config.shape)?;
    let recipe = recipe(a, corpus, place, usual);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Start::New {
        config,
        recipe,
        budget: budget.unwrap_or(Budget::Minutes(60.0)),
        threads: a.threads.unwrap_or(cores),
        plan: Plan {
            batches: a.batches,
            lanes: recipe.lanes,
            seed: a.seed,
            balance: a.balance,
            reach: Reach {
                transpose: a.transpose,
                velocity: a.loudness,
            },
        },
        from,
    })
}

/// The preset's shape, or that of `--from`, with what is asked for otherwise.
fn network(a: &Arguments, corpus: &Corpus, mut shape: Shape) -> anyhow::Result<Shape> {
    if a.layers.is_some() || a.width.is_some() {
        let (layers, width) = (shape.sizes.layers, shape.sizes.width);
        shape = shape
            .resized(a.layers.unwrap_or(layers), a.width.unwrap_or(width))
            .map_err(anyhow::Error::msg)?;
    }
    shape.window = a.window.unwrap_or(shape.window);
    shape.knn = shape.knn.filter(|_| !a.without_knn);
    if let Some(knn) = &mut shape.knn {
        knn.layer = a.knn_layer.unwrap_or(knn.layer);
        if knn.layer >= shape.sizes.layers {
            bail!(
                "--knn-layer {}: there are {} layers, counted from 0",
                knn.layer,
                shape.sizes.layers
            );
        }
        knn.k = a.knn_k.unwrap_or(knn.k);
    }
    if a.with_knn && shape.knn.is_none() {
        let of =
            |name: &&str| preset(name, &corpus.vocabulary).filter(|(s, _)| s.sizes == shape.sizes);
        let Some((with, _)) = PRESETS.iter().find_map(of) else {
            bail!("--with-knn: no preset has this network's sizes, so its kNN layer is not known");
        };
        shape.knn = with.knn;
    }
    shape.sounding |= a.with_sounding;
    if a.with_relative {
        shape.relative = Some(corpus.vocabulary.steps_per_beat);
    }
    if a.without.contains(&Part::Relative) {
        shape.relative = None;
    }
    if let Some(what) = a.knn_recalls {
        let Some(knn) = &mut shape.knn else {
            bail!("--knn-recalls: there is no kNN memory");
        };
        knn.following = what == Recalls::Next;
    }
    // What a model of --from was made like, it stays.
    if a.from.is_none() {
        shape.like_midigen = LikeMidigen {
            norm: a.like_midigen.contains(&Likeness::Norm),
            feed_forward: a.like_midigen.contains(&Likeness::FeedForward),
            positions: a.like_midigen.contains(&Likeness::Positions),
        };
    }
    Ok(shape)
}

/// The `usual` recipe, with what is asked for otherwise.
fn recipe(a: &Arguments, corpus: &Corpus, place: &Place, usual: Recipe) -> Recipe {
    let songs = corpus.songs.iter().filter(|s| !s.held_out).count();
    let lanes = match a.batches {
        Batches::Random => usual.lanes,
        _ => usual.lanes.min(songs.max(1)),
    };
    let lanes = a.batch.unwrap_or(lanes);
    let numbers = if place.gpu {
        Precision::Bf16
    } else {
        Precision::F32
    };
    Recipe {
        lanes,
        group: a.group.unwrap_or(usual.group).min(lanes),
        segment: a.segment.unwrap_or(usual.segment),
        accumulate: a.accumulate.unwrap_or(usual.accumulate),
        precision: a.precision.unwrap_or(numbers),
        learning_rate: a.lr.unwrap_or(usual.learning_rate),
        recompute: a.recompute,
        recall_rate: a.knn_rate.unwrap_or(usual.recall_rate),
        dropout: a.dropout.unwrap_or(usual.dropout),
        weight_decay: a.weight_decay.unwrap_or(usual.weight_decay),
        without: Without {
            grid: a.without.contains(&Part::Grid),
            pitch: a.without.contains(&Part::Pitch),
            sounding: a.without.contains(&Part::Sounding),
            gate: a.without.contains(&Part::Gate),
        },
        ..usual
    }
}
