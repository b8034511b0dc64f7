//! Training: it learns, it can be interrupted, it shows how it goes.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::Device;
use continuo_trainer::checkpoint::{self, Checkpoint};
use continuo_trainer::config::{Recipe, Without, preset};
use continuo_trainer::corpus::{Corpus, Location};
use continuo_trainer::eval::evaluate;
use continuo_trainer::lanes::{Batches, Lanes};
use continuo_trainer::learner::{Learner, initial};
use continuo_trainer::model::{Model, Precision, numbers};
use continuo_trainer::train::{Ending, Event, Start, train};

use crate::songs;

/// Step, loss and norm columns of `losses.csv`.
fn losses(folder: &Path) -> Vec<[String; 3]> {
    let text = fs::read_to_string(folder.join("losses.csv")).unwrap();
    let row = |line: &str| {
        let columns: Vec<_> = line.split(',').collect();
        [0, 3, 4].map(|i| columns[i].to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn resumed_is_uninterrupted() {
    for (batches, accumulate, dropout) in [
        (Batches::Contiguous, 1, 0.0),
        (Batches::Contiguous, 3, 0.2),
        (Batches::Songs, 1, 0.0),
        (Batches::Random, 2, 0.0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let corpus = songs::corpus(folder.path(), 8, 30);
        let [whole, parts] = ["whole", "parts"].map(|f| folder.path().join(f));
        let stop = AtomicBool::new(false);
        let begin = || {
            let mut begin = songs::begin(&corpus, 12);
            if let Start::New { plan, recipe, .. } = &mut begin {
                plan.batches = batches;
                recipe.accumulate = accumulate;
                recipe.dropout = dropout;
            }
            begin
        };
        let all = songs::options(&corpus, &whole, begin(), &stop);
        assert_eq!(train(&all, |_| {}).unwrap(), Ending::Done);

        // Stopped after step 5, as Ctrl-C does it, and again after step 9.
        let mut start = begin();
        for at in [5, 9] {
            stop.store(false, Ordering::Relaxed);
            let part = songs::options(&corpus, &parts, start, &stop);
            let ending = train(&part, |event| {
                if matches!(event, Event::Step(t) if t.steps == at) {
                    stop.store(true, Ordering::Relaxed);
                }
            });
            assert_eq!(ending.unwrap(), Ending::Stopped);
            start = Start::Resume { budget: None };
        }
        // What was logged after the last checkpoint is logged anew, not twice.
        let log = parts.join("losses.csv");
        fs::write(
            &log,
            fs::read_to_string(&log).unwrap() + "10,1,1,9,9,9\n1,cut",
        )
        .unwrap();
        stop.store(false, Ordering::Relaxed);
        let rest = songs::options(&corpus, &parts, start, &stop);
        assert_eq!(train(&rest, |_| {}).unwrap(), Ending::Done);

        assert_eq!(losses(&whole), losses(&parts), "{batches:?}");
        let weights = |f: &Path| {
            let newest = Checkpoint::open(f).unwrap().path;
            ["weights", "training"]
                .map(|n| fs::read(newest.join(format!("{n}.safetensors"))).unwrap())
        };
        assert!(
            weights(&whole) == weights(&parts),
            "{batches:?}: parameters, moments and memory to the bit"
        );
    }
}

/// The same gradient, whether a step's lanes come in one round or in several.
#[test]
fn accumulated_rounds_are_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 12, 30);
    let (shape, recipe) = preset("tiny", &corpus.vocabulary).unwrap();
    let learner = |groups| {
        let model = initial(shape, &corpus.vocabulary, &Device::flex(), 3);
        let moments = Learner::no_moments(&model);
        Learner::new(model, moments, groups, vec![Device::flex()]).unwrap()
    };
    // Random pieces: no memory from one round to the next.
    let plan = songs::plan(4, Batches::Random);
    let groups = Lanes::new(&corpus, plan).unwrap().next(2, 16);
    let (mut at_once, mut in_turn) = (learner(2), learner(1));
    let one = at_once.step(std::slice::from_ref(&groups), 1e-3, &recipe);
    let mut rounds: Vec<_> = groups.into_iter().map(|g| vec![g]).collect();
    // In turn, the second follows the first in the stream, and is another song.
    rounds[1][0].input.song.fill(16);
    let two = in_turn.step(&rounds, 1e-3, &recipe);
    assert_eq!(one.tokens, two.tokens);
    assert!((one.loss - two.loss).abs() < 1e-6, "{one:?} {two:?}");
    assert!((one.norm - two.norm).abs() < 1e-5, "{one:?} {two:?}");
}

/// What a training of some steps with a recipe ends with: losses and parameters.
fn trained(change: impl FnOnce(&mut Recipe)) -> (Vec<f64>, Model) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 12, 30);
    let (shape, mut recipe) = preset("tiny", &corpus.vocabulary).unwrap();
    change(&mut recipe);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut begin = songs::begin(&corpus, 8);
    if let Start::New { recipe: r, .. } = &mut begin {
        *r = recipe;
    }
    let mut losses = Vec::new();
    let ending = train(&songs::options(&corpus, &output, begin, &stop), |event| {
        if let Event::Step(t) = event {
            losses.push(t.loss);
        }
    });
    assert_eq!(ending.unwrap(), Ending::Done);
    let model = Checkpoint::open(&output).unwrap().model(&Device::flex());
    let model = model.unwrap();
    assert_eq!(model.shape, shape);
    (losses, model)
}

#[test]
fn what_is_computed_again_has_the_same_gradient() {
    let (kept, _) = trained(|_| {});
    let (again, _) = trained(|recipe| recipe.recompute = true);
    for (kept, again) in kept.iter().zip(&again) {
        assert!((kept - again).abs() < 1e-5, "{kept} {again}");
    }
}

#[test]
fn what_is_left_out_stays_zero() {
    let all = Without {
        grid: true,
        pitch: true,
        sounding: true,
        gate: true,
    };
    let (with, _) = trained(|_| {});
    let (without, model) = trained(|recipe| recipe.without = all);
    assert_ne!(with, without);
    let mut left_out = 0;
    for (name, parameter) in model.parameters() {
        let zero = numbers(parameter).iter().all(|&x| x == 0.0);
        assert_eq!(zero, all.leaves_out(&name), "{name}");
        left_out += usize::from(zero);
    }
    assert_eq!(
        left_out, 8,
        "three of the grid, one of pitch, one of what sounds, three of the gate"
    );
}

#[test]
fn wherever_the_corpus_is_the_losses_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = songs::corpus(folder.path(), 8, 30).path().to_owned();
    for batches in [Batches::Contiguous, Batches::Songs, Batches::Random] {
        let of = |location| {
            let corpus = Corpus::open_in(&path, location).unwrap();
            let output = folder.path().join(format!("{location:?}-{batches:?}"));
            let stop = AtomicBool::new(false);
            let mut begin = songs::begin(&corpus, 10);
            if let Start::New { plan, .. } = &mut begin {
                plan.batches = batches;
            }
            train(&songs::options(&corpus, &output, begin, &stop), |_| {}).unwrap();
            losses(&output)
        };
        let mapped = of(Location::Mmap);
        assert_eq!(mapped.len(), 10);
        assert_eq!(mapped, of(Location::Cpu), "{batches:?}");
        assert_eq!(mapped, of(Location::Gpu), "{batches:?}");
    }
}

#[test]
fn half_as_precise_is_nearly_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 12, 30);
    let (shape, recipe) = preset("tiny", &corpus.vocabulary).unwrap();
    let of = |precision| {
        let mut model = initial(shape, &corpus.vocabulary, &Device::flex(), 3);
        model.precision = precision;
        let moments = Learner::no_moments(&model);
        let mut learner = Learner::new(model, moments, 2, vec![Device::flex()]).unwrap();
        let mut lanes = Lanes::new(&corpus, songs::plan(4, Batches::Contiguous)).unwrap();
        let mut last = 0.0;
        for _ in 0..40 {
            last = learner.step(&[lanes.next(2, 16)], 3e-3, &recipe).loss;
        }
        last
    };
    let (single, half) = (of(Precision::F32), of(Precision::Bf16));
    assert_ne!(single, half);
    assert!((single - half).abs() < 0.1 * single, "{single} {half}");
    assert!(half < 5.0, "it learns: {half}");
}

#[test]
fn it_measures_and_plays_while_it_learns() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 16, 80);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut options = songs::options(&corpus, &output, songs::begin(&corpus, 3), &stop);
    options.measure_every = Some(Duration::ZERO);
    options.sample_every = Some(Duration::ZERO);
    let (mut measured, mut sampled) = (Vec::new(), 0);
    train(&options, |event| match event {
        Event::Measured(m) => measured.push(m),
        Event::Sampled(path) => {
            sampled += 1;
            assert!(path.with_extension("png").is_file());
            let file = continuo_score::midi::read_file(path).unwrap();
            assert!(
                file.tracks.iter().any(|t| t == "given"),
                "{:?}",
                file.tracks
            );
            assert!(!file.notes.is_empty());
        }
        _ => {}
    })
    .unwrap();
    assert_eq!((measured.len(), sampled), (3, 3));
    // What it measures is what `eval` does: here, all held-out songs fit.
    let model = Checkpoint::open(&output).unwrap().model(&Device::flex());
    let eval = evaluate(&model.unwrap(), &corpus, false, |_, _| {}).unwrap();
    let (a, b) = (measured[2], eval.held_out);
    assert_eq!((a.songs, a.tokens, a.notes), (b.songs, b.tokens, b.notes));
    assert!((a.nats_per_note - b.nats_per_note).abs() < 1e-6);
    let table = fs::read_to_string(output.join("held_out.csv")).unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");
    let events = fs::read_dir(&output).unwrap().filter(|e| {
        let name = e.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("events.out.tfevents.")
    });
    assert_eq!(events.count(), 1);
}

#[test]
fn a_model_learns_on_from_another() {
    // From one like itself, and from those that have no kNN memory yet, or are not told what sounds.
    for (knn, sounding) in [(true, true), (false, true), (true, false), (false, false)] {
        let folder = tempfile::tempdir().unwrap();
        let corpus = songs::corpus(folder.path(), 8, 30);
        let [first, second] = ["first", "second"].map(|f| folder.path().join(f));
        let stop = AtomicBool::new(false);
        let mut start = songs::begin(&corpus, 60);
        if let Start::New { config, .. } = &mut start {
            config.shape.knn = config.shape.knn.filter(|_| knn);
            config.shape.sounding = sounding;
        }
        let mut last = 0.0;
        train(&songs::options(&corpus, &first, start, &stop), |event| {
            if let Event::Step(t) = event {
                last = t.smooth;
            }
        })
        .unwrap();
        let mut start = songs::begin(&corpus, 1);
        if let Start::New { from, .. } = &mut start {
            *from = Some(Checkpoint::open(&first).unwrap());
        }
        let mut begins = 0.0;
        train(&songs::options(&corpus, &second, start, &stop), |event| {
            if let Event::Step(t) = event {
                begins = t.loss;
            }
        })
        .unwrap();
        // It begins where the first ended, not where random parameters do (ln 340 = 5.8).
        assert!(begins < last + 0.5 && last < 5.0, "{begins} after {last}");
        let second = Checkpoint::open(&second).unwrap();
        assert!(second.config.shape.knn.is_some() && second.config.shape.sounding);
    }
}

#[test]
fn learns_what_it_hears() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 12, 60);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut begin = songs::begin(&corpus, 150);
    if let Start::New { recipe, .. } = &mut begin {
        recipe.learning_rate = 1e-2;
    }
    let options = songs::options(&corpus, &output, begin, &stop);
    train(&options, |_| {}).unwrap();
    let model = Checkpoint::open(&output)
        .unwrap()
        .model(&burn::tensor::Device::flex())
        .unwrap();
    let measured = evaluate(&model, &corpus, true, |_, _| {}).unwrap();
    let all = measured.all;
    let [model, unigram] = [all.nats, all.unigram_nats].map(|n| all.per_token(n));
    assert!(
        model < 0.8 * unigram,
        "{model} nats a token, unigram {unigram}"
    );
    let songs = corpus.songs.iter().filter(|s| s.held_out);
    let (tokens, notes) = songs.fold((0, 0), |(t, n), s| (t + s.tokens - 1, n + s.notes));
    assert_eq!((all.tokens, all.notes), (tokens, notes));
    assert_eq!(
        measured.kinds.values().map(|k| k.tokens).sum::<u64>(),
        tokens
    );
    assert_eq!(measured.held_out.nats_per_token, model);
    let cells = &measured.cells;
    let on: Vec<_> = cells.iter().map(|c| (c.xl, c.knn)).collect();
    assert_eq!(
        on,
        [(true, true), (true, false), (false, true), (false, false)]
    );
    assert!((cells[0].all.nats_per_token - model).abs() < 1e-9);
    for cell in cells {
        assert_eq!((cell.all.tokens, cell.all.notes), (tokens, notes));
    }
    let nats = |i: usize| cells[i].all.nats_per_token;
    assert!(
        nats(0) < nats(2) && nats(1) < nats(3),
        "XL helps: {cells:?}"
    );
    assert!(nats(0) != nats(1), "kNN does something");
}

#[test]
fn only_the_newest_two_checkpoints_stay() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 12, 20);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut options = songs::options(&corpus, &output, songs::begin(&corpus, 5), &stop);
    options.checkpoint_every = Duration::ZERO;
    train(&options, |_| {}).unwrap();
    let steps: Vec<u64> = checkpoint::steps(&output)
        .into_iter()
        .map(|s| s.0)
        .collect();
    assert_eq!(steps, [4, 5]);
}
