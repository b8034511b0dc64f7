//! Training: learning, interruption and resumption, validation.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::Device;
use continuo_trainer::data::corpus::{Corpus, Location};
use continuo_trainer::data::stream_batcher::{Batching, StreamBatcher};
use continuo_trainer::eval::evaluate;
use continuo_trainer::model::{Model, Precision, initial, random_model, values};
use continuo_trainer::train::checkpoint::{self, Checkpoint};
use continuo_trainer::train::config::{Ablation, Optimizer, TrainConfig, preset};
use continuo_trainer::train::trainer::Trainer;
use continuo_trainer::train::{Ending, Start, TrainEvent, train};

use crate::fixtures;

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
fn resumed_training_equals_uninterrupted_one() {
    use Optimizer::{AdamW, Muon};
    for (batching, accumulation_steps, dropout, optimizer) in [
        (Batching::Contiguous, 1, 0.0, AdamW),
        (Batching::Contiguous, 1, 0.0, Muon),
        (Batching::Contiguous, 3, 0.2, Muon),
        (Batching::Songs, 1, 0.0, AdamW),
        (Batching::Random, 2, 0.0, AdamW),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let corpus = fixtures::corpus(folder.path(), 8, 30);
        let [whole, parts] = ["whole", "parts"].map(|f| folder.path().join(f));
        let stop = AtomicBool::new(false);
        let begin = || {
            let mut begin = fixtures::begin(&corpus, 12);
            if let Start::New {
                batches, config, ..
            } = &mut begin
            {
                batches.batching = batching;
                config.accumulation_steps = accumulation_steps;
                config.dropout = dropout;
                config.optimizer = optimizer;
            }
            begin
        };
        let all = fixtures::options(&corpus, &whole, begin(), &stop);
        assert_eq!(train(&all, |_| {}).unwrap(), Ending::Done);

        // Stopped after step 5, as by Ctrl-C, and again after step 9.
        let mut start = begin();
        for at in [5, 9] {
            stop.store(false, Ordering::Relaxed);
            let part = fixtures::options(&corpus, &parts, start, &stop);
            let ending = train(&part, |event| {
                if matches!(event, TrainEvent::Step(t) if t.steps == at) {
                    stop.store(true, Ordering::Relaxed);
                }
            });
            assert_eq!(ending.unwrap(), Ending::Stopped);
            start = Start::Resume { budget: None };
        }
        // Lines of steps after the last checkpoint are replaced.
        let log = parts.join("losses.csv");
        fs::write(
            &log,
            fs::read_to_string(&log).unwrap() + "10,1,1,9,9,9\n1,cut",
        )
        .unwrap();
        stop.store(false, Ordering::Relaxed);
        let rest = fixtures::options(&corpus, &parts, start, &stop);
        assert_eq!(train(&rest, |_| {}).unwrap(), Ending::Done);

        assert_eq!(losses(&whole), losses(&parts), "{batching:?}");
        let weights = |f: &Path| {
            let newest = Checkpoint::open(f).unwrap().path;
            ["weights", "training"]
                .map(|n| fs::read(newest.join(format!("{n}.safetensors"))).unwrap())
        };
        assert!(
            weights(&whole) == weights(&parts),
            "{batching:?}: parameters, moments and memory to the bit"
        );
    }
}

/// The gradient is the same whether the rows come in one accumulation step or in several.
#[test]
fn accumulation_steps_add_up_to_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 12, 30);
    let (shape, config) = preset("tiny", &corpus.vocabulary).unwrap();
    let trainer = |micro_batches| {
        let model = random_model(shape, &corpus.vocabulary, &Device::flex(), 3);
        let states = Trainer::initial_states(&model, config.optimizer);
        Trainer::new(model, states, micro_batches, vec![Device::flex()]).unwrap()
    };
    // Random excerpts: no memory from one accumulation step to the next.
    let batches = fixtures::batch_config(4, Batching::Random);
    let batches = StreamBatcher::new(&corpus, batches).unwrap().next(2, 16);
    let (mut at_once, mut in_turn) = (trainer(2), trainer(1));
    let one = at_once.step(std::slice::from_ref(&batches), 1e-3, &config);
    let mut steps: Vec<_> = batches.into_iter().map(|b| vec![b]).collect();
    // In turn, the second follows the first in the stream and is another song.
    steps[1][0].input.song_start.fill(16);
    let two = in_turn.step(&steps, 1e-3, &config);
    assert_eq!(one.tokens, two.tokens);
    assert!((one.loss - two.loss).abs() < 1e-6, "{one:?} {two:?}");
    assert!(
        (one.gradient_norm - two.gradient_norm).abs() < 1e-5,
        "{one:?} {two:?}"
    );
}

/// Losses and network of a short training with changed settings.
fn trained(change: impl FnOnce(&mut TrainConfig)) -> (Vec<f64>, Model) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 12, 30);
    let (shape, mut changed) = preset("tiny", &corpus.vocabulary).unwrap();
    change(&mut changed);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut begin = fixtures::begin(&corpus, 8);
    if let Start::New { config, .. } = &mut begin {
        *config = changed;
    }
    let mut losses = Vec::new();
    let ending = train(
        &fixtures::options(&corpus, &output, begin, &stop),
        |event| {
            if let TrainEvent::Step(t) = event {
                losses.push(t.loss);
            }
        },
    );
    assert_eq!(ending.unwrap(), Ending::Done);
    let model = Checkpoint::open(&output).unwrap().model(&Device::flex());
    let model = model.unwrap();
    assert_eq!(model.config, shape);
    (losses, model)
}

#[test]
fn gradient_checkpointing_keeps_the_losses() {
    let (kept, _) = trained(|_| {});
    let (again, _) = trained(|config| config.recompute = true);
    for (kept, again) in kept.iter().zip(&again) {
        assert!((kept - again).abs() < 1e-5, "{kept} {again}");
    }
}

#[test]
fn ablated_parameters_stay_zero() {
    let all = Ablation {
        grid: true,
        pitch: true,
        sounding: true,
        gate: true,
    };
    let (with, _) = trained(|_| {});
    let (without, model) = trained(|config| config.ablation = all);
    assert_ne!(with, without);
    let mut left_out = 0;
    for (spec, parameter) in model.specs().iter().zip(model.parameters()) {
        let zero = values(&parameter).iter().all(|&x| x == 0.0);
        assert_eq!(zero, all.removes(spec.role), "{}", spec.name);
        left_out += usize::from(zero);
    }
    assert_eq!(
        left_out, 8,
        "three of the grid, one of pitch, one of the notes that sound, three of the gate"
    );
}

#[test]
fn losses_do_not_depend_on_the_corpus_storage() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixtures::corpus(folder.path(), 8, 30).path().to_owned();
    for batching in [Batching::Contiguous, Batching::Songs, Batching::Random] {
        let of = |location| {
            let corpus = Corpus::open_in(&path, location).unwrap();
            let output = folder.path().join(format!("{location:?}-{batching:?}"));
            let stop = AtomicBool::new(false);
            let mut begin = fixtures::begin(&corpus, 10);
            if let Start::New { batches, .. } = &mut begin {
                batches.batching = batching;
            }
            train(&fixtures::options(&corpus, &output, begin, &stop), |_| {}).unwrap();
            losses(&output)
        };
        let mapped = of(Location::Mmap);
        assert_eq!(mapped.len(), 10);
        assert_eq!(mapped, of(Location::Cpu), "{batching:?}");
        assert_eq!(mapped, of(Location::Gpu), "{batching:?}");
    }
}

#[test]
fn muon_learns() {
    let losses = |optimizer| trained(|config| config.optimizer = optimizer).0;
    let (adam_w, muon) = (losses(Optimizer::AdamW), losses(Optimizer::Muon));
    assert_eq!(
        adam_w[0], muon[0],
        "the first loss precedes the first update"
    );
    assert_ne!(adam_w[1], muon[1]);
    assert!(muon[7] < muon[0] - 0.3, "{muon:?}");
}

#[test]
fn bf16_learns_nearly_as_f32() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 12, 30);
    let (shape, config) = preset("tiny", &corpus.vocabulary).unwrap();
    let of = |precision| {
        let mut model = initial(shape, &corpus.vocabulary, &Device::flex(), 3);
        model.precision = precision;
        let states = Trainer::initial_states(&model, config.optimizer);
        let mut trainer = Trainer::new(model, states, 2, vec![Device::flex()]).unwrap();
        let mut batcher =
            StreamBatcher::new(&corpus, fixtures::batch_config(4, Batching::Contiguous)).unwrap();
        let mut last = 0.0;
        for _ in 0..40 {
            last = trainer.step(&[batcher.next(2, 16)], 3e-3, &config).loss;
        }
        last
    };
    let (single, half) = (of(Precision::F32), of(Precision::Bf16));
    assert_ne!(single, half);
    assert!((single - half).abs() < 0.1 * single, "{single} {half}");
    assert!(half < 5.0, "it learns: {half}");
}

#[test]
fn training_measures_and_samples() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 16, 80);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut options = fixtures::options(&corpus, &output, fixtures::begin(&corpus, 3), &stop);
    options.measure_every = Some(Duration::ZERO);
    options.sample_every = Some(Duration::ZERO);
    let (mut measured, mut sampled) = (Vec::new(), 0);
    train(&options, |event| match event {
        TrainEvent::Measured(m) => measured.push(m),
        TrainEvent::Sampled(path) => {
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
    // `eval` measures the same: here, all held-out songs fit.
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
fn training_starts_from_another_model() {
    // From an equal network, and from one without kNN memory or without the notes that sound.
    for (knn, sounding) in [(true, true), (false, true), (true, false), (false, false)] {
        let folder = tempfile::tempdir().unwrap();
        let corpus = fixtures::corpus(folder.path(), 8, 30);
        let [first, second] = ["first", "second"].map(|f| folder.path().join(f));
        let stop = AtomicBool::new(false);
        let mut start = fixtures::begin(&corpus, 60);
        if let Start::New { model, .. } = &mut start {
            model.model.shape.knn = model.model.shape.knn.filter(|_| knn);
            model.model.shape.sounding = sounding;
        }
        let mut last = 0.0;
        train(&fixtures::options(&corpus, &first, start, &stop), |event| {
            if let TrainEvent::Step(t) = event {
                last = t.smooth_loss;
            }
        })
        .unwrap();
        let mut start = fixtures::begin(&corpus, 1);
        if let Start::New { from, .. } = &mut start {
            *from = Some(Checkpoint::open(&first).unwrap());
        }
        let mut begins = 0.0;
        train(
            &fixtures::options(&corpus, &second, start, &stop),
            |event| {
                if let TrainEvent::Step(t) = event {
                    begins = t.loss;
                }
            },
        )
        .unwrap();
        // It begins near the first one's end, not at the loss of random parameters (ln 340 = 5.8).
        assert!(begins < last + 0.5 && last < 5.0, "{begins} after {last}");
        let second = Checkpoint::open(&second).unwrap();
        assert!(second.config.model.shape.knn.is_some() && second.config.model.shape.sounding);
    }
}

#[test]
fn training_beats_unigram_and_both_memories_help() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = fixtures::corpus(folder.path(), 12, 60);
    let model = fixtures::trained(&corpus, &folder.path().join("out"), 150);
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
        measured
            .token_groups
            .values()
            .map(|k| k.tokens)
            .sum::<u64>(),
        tokens
    );
    assert_eq!(measured.held_out.nats_per_token, model);
    let cells = &measured.ablations;
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
    let corpus = fixtures::corpus(folder.path(), 12, 20);
    let output = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let mut options = fixtures::options(&corpus, &output, fixtures::begin(&corpus, 5), &stop);
    options.checkpoint_every = Duration::ZERO;
    train(&options, |_| {}).unwrap();
    let steps: Vec<u64> = checkpoint::steps(&output)
        .into_iter()
        .map(|s| s.0)
        .collect();
    assert_eq!(steps, [4, 5]);
}
