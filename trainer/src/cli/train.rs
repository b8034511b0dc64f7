//! Command `continuo-trainer train`.

mod new_training;
mod progress_view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use continuo_cli::{above, at_least, note, number};
use continuo_files::check_folder;
use continuo_trainer::data::augment::AugmentRange;
use continuo_trainer::data::corpus::{Corpus, Location};
use continuo_trainer::data::stream_batcher::Batching;
use continuo_trainer::model::Precision;
use continuo_trainer::train::config::Optimizer;
use continuo_trainer::train::device::{DeviceChoice, Devices};
use continuo_trainer::train::schedule::{Budget, Schedule};
use continuo_trainer::train::{self, Ending, Start, TrainOptions};

use self::progress_view::ProgressView;

/// Largest transposition in semitones: an octave.
const MOST_SEMITONES: u8 = 12;
/// Largest change of velocity in bins; a vocabulary has 16.
const MOST_BINS: u8 = 15;
/// Upper limit of counts, beyond the memory of any machine.
const MOST: usize = 1 << 20;

/// Train a model on a corpus.
///
/// Checkpoints, losses.csv, held_out.csv, TensorBoard's events and samples appear in the
/// output folder. Ctrl-C saves a checkpoint and ends with exit code 130 (a second Ctrl-C ends
/// at once). --resume continues from the newest checkpoint, with the same losses as a training
/// without interruption.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Corpus, made by `encode`.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// Folder for checkpoints.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Sizes and training settings: tiny (tests), small (3.4 M parameters), default (small
    /// with Muon, for many hours), base (25.7 M), large (114 M)
    /// [default: small].
    #[arg(long)]
    preset: Option<String>,
    /// Start from the parameters of a training, checkpoint or model directory (fine-tuning), with
    /// its sizes, its vocabulary, and a fifth of its preset's learning rate.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "window", "layers", "width", "resume"])]
    from: Option<PathBuf>,
    /// Device: auto, cpu, cuda or cuda:1 (NVIDIA), wgpu or wgpu:1 (any GPU, through Vulkan, Metal or
    /// Direct3D 12); several GPUs (cuda:0,cuda:1) share the batch rows of each step.
    #[arg(
        long,
        default_value = "auto",
        value_name = "DEVICE",
        value_delimiter = ','
    )]
    device: Vec<DeviceChoice>,
    /// Compute cheap activations again in the backward pass instead of keeping them (gradient
    /// checkpointing): less memory, more computation.
    #[arg(long)]
    recompute: bool,
    /// Number format of the matrix products: f32 or bf16 [default: bf16 with CUDA, else f32].
    #[arg(long, value_name = "FORMAT", value_parser = precision)]
    precision: Option<Precision>,
    /// Storage of the corpus: mmap, cpu (in memory) or gpu (on the device).
    #[arg(long, default_value = "mmap", value_name = "PLACE")]
    data: Location,
    /// Order of the songs in a batch row: contiguous (one song after the other, with memory), songs
    /// (each begins with a segment and is padded at its end) or random (excerpts without memory).
    #[arg(long, default_value = "contiguous", value_parser = batching)]
    batches: Batching,
    /// Transpose each song at random, by at most this many semitones up or down.
    #[arg(long, default_value_t = AugmentRange::DEFAULT.transpose, value_name = "SEMITONES", value_parser = number(0u8, MOST_SEMITONES))]
    transpose: u8,
    /// Change the loudness of each song at random, by at most this many velocity bins.
    #[arg(long, default_value_t = AugmentRange::DEFAULT.velocity, value_name = "BINS", value_parser = number(0u8, MOST_BINS))]
    loudness: u8,
    /// Length of the training in steps.
    #[arg(long, value_name = "N", conflicts_with = "minutes", value_parser = at_least(1u64))]
    steps: Option<u64>,
    /// Length of the training in minutes [default: 60]. The learning rate follows the share of the
    /// time that is spent.
    #[arg(long, value_name = "M", value_parser = above(0.0))]
    minutes: Option<f64>,
    /// Batch rows: songs side by side in one step [default: the preset's, but no more than songs].
    #[arg(long, value_name = "ROWS", value_parser = number(1usize, MOST))]
    batch: Option<usize>,
    /// Batch rows that pass through the network at once [default: the preset's].
    #[arg(long, alias = "group", value_name = "ROWS", value_parser = number(1usize, MOST))]
    micro_batch: Option<usize>,
    /// Tokens of a batch row in one segment [default: the preset's].
    #[arg(long, value_name = "TOKENS", value_parser = number(1usize, MOST))]
    segment: Option<usize>,
    /// Segments of every batch row whose gradients are added up in one step [default: 1].
    #[arg(long, alias = "accumulate", value_name = "SEGMENTS", value_parser = number(1usize, MOST))]
    accumulation_steps: Option<usize>,
    /// Tokens that each token attends to [default: the preset's].
    #[arg(long, value_name = "TOKENS", value_parser = number(1usize, MOST))]
    window: Option<usize>,
    /// Number of layers [default: the preset's].
    #[arg(long, value_name = "LAYERS", value_parser = number(1usize, 1024))]
    layers: Option<usize>,
    /// Width of the network, a multiple of 64 [default: the preset's].
    #[arg(long, value_name = "NUMBERS", value_parser = number(1usize, MOST))]
    width: Option<usize>,
    /// Leave out the kNN memory: tokens that have left the window are forgotten.
    #[arg(long)]
    without_knn: bool,
    /// The layer with the kNN memory, counted from 0 [default: the preset's, or the last but
    /// one].
    #[arg(long, value_name = "LAYER", conflicts_with_all = ["without_knn", "from"])]
    knn_layer: Option<usize>,
    /// Tokens that each query recalls [default: 32].
    #[arg(long, value_name = "K", conflicts_with_all = ["without_knn", "from"], value_parser = number(1usize, MOST))]
    knn_k: Option<usize>,
    /// Values that the kNN memory returns for a match: those of the next token, or its own
    /// [default: next, or that of the model of --from].
    #[arg(long, value_name = "WHAT", conflicts_with = "without_knn")]
    knn_recalls: Option<RecallTarget>,
    /// Learning rate of the kNN memory's scale and gate, as a multiple of the others'
    /// [default: 1].
    #[arg(long, value_name = "FACTOR", value_parser = number(0.0, 1000.0))]
    knn_rate: Option<f64>,
    /// Parts to leave out, to measure their value: grid (step in bar, bar, metre), pitch (pitch
    /// classes and octaves), sounding (the notes that sound), relative (distances in time and
    /// pitch), gate (of the kNN memory).
    #[arg(long, alias = "without", value_name = "PART", value_delimiter = ',')]
    ablate: Vec<AblationPart>,
    /// Parts to build as in MIDIGen, the network that this one is derived from, to measure the
    /// value of ours: norm (LayerNorm), feed-forward (GELU), positions (learned biases by distance). Such a
    /// network cannot be exported.
    #[arg(
        long,
        value_name = "PART",
        value_delimiter = ',',
        conflicts_with = "from"
    )]
    like_midigen: Vec<MidigenPart>,
    /// Share of the values that dropout sets to zero in training [default: 0].
    #[arg(long, value_name = "SHARE", value_parser = number(0.0, 0.9))]
    dropout: Option<f64>,
    /// Optimiser of the matrices inside the layers: adamw or muon; AdamW trains everything else
    /// [default: the preset's].
    #[arg(long, value_name = "NAME", value_parser = optimizer)]
    optimizer: Option<Optimizer>,
    /// Weight decay: each step shrinks the matrices inside the layers by this share times the
    /// learning rate [default: 0.1].
    #[arg(long, value_name = "DECAY", value_parser = number(0.0, 100.0))]
    weight_decay: Option<f64>,
    /// Add the preset's kNN memory to the network of --from: the queries, keys and values of that
    /// layer are initialised again.
    #[arg(long, requires = "from", conflicts_with = "without_knn")]
    with_knn: bool,
    /// Add the notes that sound to the input of the network of --from. Its outputs stay the same
    /// until it has learnt to use them.
    #[arg(long, requires = "from")]
    with_sounding: bool,
    /// Add the parts of a band to the vocabulary of the network of --from, for a corpus that has
    /// them.
    #[arg(long, requires = "from")]
    with_parts: bool,
    /// Add distances in time and pitch to the attention of the network of --from. Some of its
    /// parameters get another meaning and have to be learnt again.
    #[arg(long, requires = "from")]
    with_relative: bool,
    /// Course of the learning rate after it has risen: cosine, or wsd (at its peak, and down in the
    /// last quarter, so that a training can be resumed before with a larger budget)
    /// [default: the preset's].
    #[arg(long, value_name = "NAME", value_parser = schedule)]
    schedule: Option<Schedule>,
    /// Peak learning rate [default: the preset's].
    #[arg(long, value_name = "RATE", value_parser = above(0.0))]
    lr: Option<f64>,
    /// Weight of large styles: 1 in proportion to their tokens, 0 all alike.
    #[arg(long, default_value_t = 0.5, value_name = "POWER", value_parser = number(0.0, 1.0))]
    balance: f64,
    /// Seed of the initial parameters and of the order of songs.
    #[arg(long, default_value_t = 1, value_parser = at_least(0u64))]
    seed: u64,
    /// Number of threads on the CPU [default: all cores].
    #[arg(long, value_parser = number(1usize, 4096))]
    threads: Option<usize>,
    /// Time between checkpoints: 90s, 5m, 1h.
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = duration)]
    checkpoint_every: Duration,
    /// Time between measurements on held-out songs; 0 for none.
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = duration)]
    measure_every: Duration,
    /// Time between samples (DIR/samples/*.mid and *.png); 0 for none.
    #[arg(long, default_value = "15m", value_name = "TIME", value_parser = duration)]
    sample_every: Duration,
    /// Continue from the newest checkpoint in DIR with its settings and seed; --steps or --minutes
    /// set another end.
    #[arg(long, conflicts_with_all = ["preset", "batch", "micro_batch", "segment", "accumulation_steps", "window", "layers", "width", "without_knn", "with_knn", "with_sounding", "with_parts", "with_relative", "knn_layer", "knn_k", "knn_recalls", "knn_rate", "ablate", "like_midigen", "dropout", "optimizer", "schedule", "weight_decay", "recompute", "precision", "lr", "threads", "transpose", "loudness", "balance", "batches", "seed"])]
    resume: bool,
}

/// Values of `--knn-recalls`.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum RecallTarget {
    Next,
    Own,
}

/// Values of `--ablate`.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum AblationPart {
    Grid,
    Pitch,
    Sounding,
    Relative,
    Gate,
}

/// Values of `--like-midigen`.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum MidigenPart {
    Norm,
    FeedForward,
    Positions,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a time such as 90s, 5m or 1h".to_owned();
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::F32),
        "bf16" => Ok(Precision::Bf16),
        _ => Err("f32 or bf16".into()),
    }
}

fn optimizer(text: &str) -> Result<Optimizer, String> {
    match text {
        "adamw" => Ok(Optimizer::AdamW),
        "muon" => Ok(Optimizer::Muon),
        _ => Err("adamw or muon".into()),
    }
}

fn schedule(text: &str) -> Result<Schedule, String> {
    match text {
        "cosine" => Ok(Schedule::Cosine),
        "wsd" => Ok(Schedule::Wsd),
        _ => Err("cosine or wsd".into()),
    }
}

fn batching(text: &str) -> Result<Batching, String> {
    match text {
        "contiguous" => Ok(Batching::Contiguous),
        "songs" => Ok(Batching::Songs),
        "random" => Ok(Batching::Random),
        _ => Err("contiguous, songs or random".into()),
    }
}

/// Runs the command. The first Ctrl-C sets `stop`: a checkpoint is saved, and the command ends.
///
/// # Errors
/// The training cannot start or continue.
pub(super) fn run(a: &Arguments, stop: &AtomicBool) -> anyhow::Result<ExitCode> {
    check_folder(&a.output)?;
    let devices = Devices::open(&a.device)?;
    let corpus = Corpus::open_in(&a.corpus, a.data)?;
    let budget = match (a.steps, a.minutes) {
        (Some(n), _) => Some(Budget::Steps(n)),
        (None, Some(m)) => Some(Budget::Minutes(m)),
        (None, None) => None,
    };
    let start = if a.resume {
        Start::Resume { budget }
    } else {
        new_training::start(a, &corpus, budget, &devices)?
    };
    let options = TrainOptions {
        corpus: &corpus,
        output: &a.output,
        start,
        checkpoint_every: a.checkpoint_every,
        measure_every: Some(a.measure_every).filter(|t| !t.is_zero()),
        sample_every: Some(a.sample_every).filter(|t| !t.is_zero()),
        devices: &devices,
        stop,
    };
    let mut view = ProgressView::new(&corpus, devices.name.clone())?;
    let ending = train::train(&options, |event| view.show(&event));
    view.clear();
    match ending? {
        Ending::Done => {
            let (model, corpus) = (a.output.display(), a.corpus.display());
            note(format_args!(
                "done; next: continuo-trainer eval --checkpoint {model} --corpus {corpus}"
            ));
            Ok(ExitCode::SUCCESS)
        }
        Ending::NothingLeft => {
            note(
                "nothing left to train: the budget is spent; go on with --resume and a larger --steps or \
                 --minutes",
            );
            Ok(ExitCode::SUCCESS)
        }
        Ending::Stopped => {
            note("stopped and saved; continue with --resume");
            Ok(ExitCode::from(130))
        }
    }
}
