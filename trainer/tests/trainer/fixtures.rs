//! Generated songs, corpora and trainings for tests.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::tensor::Device;
use continuo_score::{Note, Score, TimeSignature, TimeSignatureMap, Vocabulary};
use continuo_trainer::data::augment::AugmentRange;
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::data::encode::{self, EncodeOutcome};
use continuo_trainer::data::stream_batcher::{BatchConfig, Batching};
use continuo_trainer::export::ExportOptions;
use continuo_trainer::export::onnx::variant::Variant;
use continuo_trainer::model::Model;
use continuo_trainer::train::checkpoint::{Checkpoint, CheckpointConfig};
use continuo_trainer::train::config::preset;
use continuo_trainer::train::device::Devices;
use continuo_trainer::train::schedule::Budget;
use continuo_trainer::train::{Start, TrainOptions, train};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A short tune of `notes` notes; each seed gives another.
pub(crate) fn tune(seed: u64, notes: usize) -> Score {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut score = Score::new(12);
    let mut start = 0;
    for _ in 0..notes {
        score.notes.push(Note {
            start,
            // No longer than the shortest step, so that no key is struck again while it sounds.
            length: random.random_range(1..=3),
            pitch: 60 + [0, 2, 4, 5, 7, 9, 11][random.random_range(0..7)],
            velocity: random.random_range(40..=110),
            ..Note::default()
        });
        start += [3, 3, 6, 6, 12][random.random_range(0..5)];
    }
    if seed % 3 == 1 {
        score.time_signatures = TimeSignatureMap::constant(
            TimeSignature {
                numerator: 3,
                denominator: 4,
            },
            12,
        );
    }
    score.normalise();
    score
}

/// Writes tunes as `a/0.mid`, `b/1.mid`, `a/2.mid`, … below `folder`.
pub(crate) fn write(folder: &Path, songs: u64, notes: usize) {
    for i in 0..songs {
        let style = folder.join(if i % 2 == 0 { "a" } else { "b" });
        std::fs::create_dir_all(&style).unwrap();
        tune(i, notes)
            .to_midi()
            .write_file(&style.join(format!("{i}.mid")))
            .unwrap();
    }
}

/// Encodes folders into `output`.
pub(crate) fn encode(
    folders: &[PathBuf],
    output: &Path,
    held_out: f64,
) -> Result<EncodeOutcome, encode::EncodeError> {
    let vocabulary = Vocabulary::continuo();
    let options = encode::EncodeOptions {
        folders,
        output,
        replace: continuo_files::Replace::SameKind,
        vocabulary,
        divide: false,
        merge: None,
        grooves: &[],
        reading: Default::default(),
        split: encode::Split::Share {
            share: held_out,
            seed: 1,
        },
    };
    encode::encode(&options, |_, _| {})
}

/// A corpus of tunes in `folder`.
pub(crate) fn corpus(folder: &Path, songs: u64, notes: usize) -> Corpus {
    let midi = folder.join("midi");
    write(&midi, songs, notes);
    let path = folder.join("songs.corpus");
    encode(&[midi], &path, 0.25).unwrap();
    Corpus::open(&path).unwrap()
}

/// Options of an export of the plain variant into `output`.
pub(crate) fn export_options<'a>(
    checkpoint: &'a Checkpoint,
    corpus: &'a Corpus,
    output: &'a Path,
    runtime: &'a Path,
) -> ExportOptions<'a> {
    ExportOptions {
        checkpoint,
        output,
        corpus,
        calibrate: None,
        variants: &[Variant::Plain],
        runtime,
        name: "test".into(),
        licence: "MIT".into(),
        training_data: "tunes made up".into(),
        held_out: None,
        progress: &|_, _| (),
    }
}

/// A new training of the tiny preset, in steps.
pub(crate) fn begin(corpus: &Corpus, steps: u64) -> Start {
    let (model, config) = preset("tiny", &corpus.vocabulary).unwrap();
    Start::New {
        model: CheckpointConfig {
            format: CheckpointConfig::FORMAT,
            preset: "tiny".into(),
            model,
        },
        config,
        budget: Budget::Steps(steps),
        threads: 2,
        batches: batch_config(config.batch_rows, Batching::Contiguous),
        from: None,
    }
}

/// Trains a tiny model on `corpus` for `steps` steps at a high learning rate.
pub(crate) fn trained(corpus: &Corpus, output: &Path, steps: u64) -> Model {
    let mut begin = begin(corpus, steps);
    if let Start::New { config, .. } = &mut begin {
        config.learning_rate = 1e-2;
    }
    let stop = AtomicBool::new(false);
    train(&options(corpus, output, begin, &stop), |_| {}).unwrap();
    let checkpoint = Checkpoint::open(output).unwrap();
    checkpoint.model(&Device::flex()).unwrap()
}

/// Batches of songs, each in any key.
pub(crate) fn batch_config(batch_rows: usize, batching: Batching) -> BatchConfig {
    BatchConfig {
        batching,
        batch_rows,
        seed: 5,
        balance: 0.5,
        augment: AugmentRange::DEFAULT,
    }
}

static CPU: LazyLock<Devices> = LazyLock::new(Devices::cpu);

/// Options of a training that saves only at its end.
pub(crate) fn options<'a>(
    corpus: &'a Corpus,
    output: &'a Path,
    start: Start,
    stop: &'a AtomicBool,
) -> TrainOptions<'a> {
    TrainOptions {
        corpus,
        output,
        start,
        checkpoint_every: Duration::from_secs(3600),
        measure_every: None,
        sample_every: None,
        devices: &CPU,
        stop,
    }
}
