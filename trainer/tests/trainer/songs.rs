//! Songs, corpora and trainings made up for tests.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use continuo_score::{Metre, MetreMap, Note, Score, Vocabulary};
use continuo_trainer::augment::Reach;
use continuo_trainer::checkpoint::Config;
use continuo_trainer::config::preset;
use continuo_trainer::corpus::Corpus;
use continuo_trainer::device::Place;
use continuo_trainer::encode::{self, Outcome};
use continuo_trainer::lanes::{Batches, Plan};
use continuo_trainer::schedule::Budget;
use continuo_trainer::train::{Options, Start};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A little tune of so many notes; each seed has its own.
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
        });
        start += [3, 3, 6, 6, 12][random.random_range(0..5)];
    }
    if seed % 3 == 1 {
        score.metres = MetreMap::constant(
            Metre {
                numerator: 3,
                denominator: 4,
            },
            12,
        );
    }
    score.tidy();
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
) -> Result<Outcome, encode::EncodeError> {
    let vocabulary = Vocabulary::continuo();
    let options = encode::Options {
        folders,
        output,
        replace: continuo_files::Replace::SameKind,
        vocabulary,
        reading: Default::default(),
        held_out,
        seed: 1,
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

/// A new training of the tiny preset, in steps.
pub(crate) fn begin(corpus: &Corpus, steps: u64) -> Start {
    let (shape, recipe) = preset("tiny", &corpus.vocabulary).unwrap();
    Start::New {
        config: Config {
            format: Config::FORMAT,
            preset: "tiny".into(),
            shape,
        },
        recipe,
        budget: Budget::Steps(steps),
        threads: 2,
        plan: plan(recipe.lanes, Batches::Contiguous),
        from: None,
    }
}

/// Songs in lanes, every one in any key.
pub(crate) fn plan(lanes: usize, batches: Batches) -> Plan {
    Plan {
        batches,
        lanes,
        seed: 5,
        balance: 0.5,
        reach: Reach::DEFAULT,
    }
}

static CPU: LazyLock<Place> = LazyLock::new(Place::cpu);

/// Options of a training that saves only at its end.
pub(crate) fn options<'a>(
    corpus: &'a Corpus,
    output: &'a Path,
    start: Start,
    stop: &'a AtomicBool,
) -> Options<'a> {
    Options {
        corpus,
        output,
        start,
        checkpoint_every: Duration::from_secs(3600),
        measure_every: None,
        sample_every: None,
        place: &CPU,
        stop,
    }
}
