//! `continuo-trainer train`.

mod start;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use continuo_cli::{above, at_least, note, number};
use continuo_files::check_folder;
use continuo_trainer::augment::Reach;
use continuo_trainer::corpus::{Corpus, Location};
use continuo_trainer::device::{Choice, Place};
use continuo_trainer::lanes::Batches;
use continuo_trainer::model::Precision;
use continuo_trainer::schedule::Budget;
use continuo_trainer::train::{self, Ending, Options, Start};

use self::view::View;

/// The widest that music is played higher or lower: an octave.
const MOST_SEMITONES: u8 = 12;
/// The most that music is played louder or softer; a vocabulary has 16 bins.
const MOST_BINS: u8 = 15;
/// More lanes, tokens or numbers than any machine has room for.
const MOST: usize = 1 << 20;

/// Train a model on a corpus.
///
/// Checkpoints, losses.csv, held_out.csv, TensorBoard's events and samples appear in the
/// output folder. Ctrl-C saves a checkpoint and ends with exit code 130 (a second Ctrl-C ends
/// at once); --resume goes on from the newest checkpoint, with the same losses as if nothing
/// had happened.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The corpus, made by `encode`.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// The folder for checkpoints.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Sizes and recipe: tiny (tests), small (3.4 M parameters), base (25.7 M), large (114 M)
    /// [default: small].
    #[arg(long)]
    preset: Option<String>,
    /// Begin with the parameters of this training, checkpoint or model directory
    /// (fine-tuning): its sizes, its vocabulary, a fifth of its preset's learning rate.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "window", "layers", "width", "resume"])]
    from: Option<PathBuf>,
    /// Where the network runs: auto, cpu, cuda or cuda:1; several GPUs (cuda:0,cuda:1) share
    /// the lanes of each step.
    #[arg(
        long,
        default_value = "auto",
        value_name = "DEVICE",
        value_delimiter = ','
    )]
    device: Vec<Choice>,
    /// Keep fewer numbers for the backward pass and compute them again there: less memory, the
    /// same gradients, somewhat slower.
    #[arg(long)]
    recompute: bool,
    /// Numbers of the products: f32 or bf16 [default: bf16 on a GPU].
    #[arg(long, value_name = "NUMBERS", value_parser = precision)]
    precision: Option<Precision>,
    /// Where the corpus is kept: mmap, cpu (in memory) or gpu (on the device).
    #[arg(long, default_value = "mmap", value_name = "PLACE")]
    data: Location,
    /// How lanes go through songs: contiguous (one song after the other, with memory), songs
    /// (each from a segment's start, padded at its end) or random (pieces without memory).
    #[arg(long, default_value = "contiguous", value_parser = batches)]
    batches: Batches,
    /// Play each song up to so many semitones higher or lower.
    #[arg(long, default_value_t = Reach::DEFAULT.transpose, value_name = "SEMITONES", value_parser = number(0u8, MOST_SEMITONES))]
    transpose: u8,
    /// Play each song up to so many velocity bins louder or softer.
    #[arg(long, default_value_t = Reach::DEFAULT.velocity, value_name = "BINS", value_parser = number(0u8, MOST_BINS))]
    loudness: u8,
    /// Train for so many steps.
    #[arg(long, value_name = "N", conflicts_with = "minutes", value_parser = at_least(1u64))]
    steps: Option<u64>,
    /// Train for so many minutes [default: 60]. The learning rate follows the share of the
    /// time that is spent.
    #[arg(long, value_name = "M", value_parser = above(0.0))]
    minutes: Option<f64>,
    /// Lanes: songs side by side in one step [default: the preset's, or as many as there are
    /// songs].
    #[arg(long, value_name = "LANES", value_parser = number(1usize, MOST))]
    batch: Option<usize>,
    /// Lanes that pass through the network at once [default: the preset's].
    #[arg(long, value_name = "LANES", value_parser = number(1usize, MOST))]
    group: Option<usize>,
    /// Tokens of a lane in one segment [default: the preset's].
    #[arg(long, value_name = "TOKENS", value_parser = number(1usize, MOST))]
    segment: Option<usize>,
    /// Segments of every lane whose gradients make one step [default: 1].
    #[arg(long, value_name = "SEGMENTS", value_parser = number(1usize, MOST))]
    accumulate: Option<usize>,
    /// Tokens each token attends to [default: the preset's].
    #[arg(long, value_name = "TOKENS", value_parser = number(1usize, MOST))]
    window: Option<usize>,
    /// Layers [default: the preset's].
    #[arg(long, value_name = "LAYERS", value_parser = number(1usize, 1024))]
    layers: Option<usize>,
    /// Width of the network, a multiple of 64 [default: the preset's].
    #[arg(long, value_name = "NUMBERS", value_parser = number(1usize, MOST))]
    width: Option<usize>,
    /// Leave out the kNN memory: what has left the window is forgotten.
    #[arg(long)]
    without_knn: bool,
    /// The layer with the kNN memory, counted from 0 [default: the preset's, or the last but
    /// one].
    #[arg(long, value_name = "LAYER", conflicts_with_all = ["without_knn", "from"])]
    knn_layer: Option<usize>,
    /// Memories each token recalls [default: 32].
    #[arg(long, value_name = "K", conflicts_with_all = ["without_knn", "from"], value_parser = number(1usize, MOST))]
    knn_k: Option<usize>,
    /// What the kNN memory brings of the tokens that are like the present one: the tokens that
    /// followed them, or they themselves [default: next, or as the model of --from has it].
    #[arg(long, value_name = "WHAT", conflicts_with = "without_knn")]
    knn_recalls: Option<Recalls>,
    /// Learning rate of the kNN memory's scale and gate, as a multiple of the others'
    /// [default: 1].
    #[arg(long, value_name = "FACTOR", value_parser = number(0.0, 1000.0))]
    knn_rate: Option<f64>,
    /// Parts to leave out, to see what they are worth: grid (step in bar, bar, metre), pitch
    /// (pitch classes and octaves), sounding (the notes that sound), relative (how far apart
    /// tokens are in time and pitch), gate (of the kNN memory).
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    without: Vec<Part>,
    /// Parts to make as in MIDIGen, the network this one grew from, to see what ours are worth:
    /// norm (LayerNorm), feed-forward (GELU), positions (learned biases by distance). Such a
    /// network cannot be exported.
    #[arg(
        long,
        value_name = "PART",
        value_delimiter = ',',
        conflicts_with = "from"
    )]
    like_midigen: Vec<Likeness>,
    /// Share of the numbers that dropout leaves out in training [default: 0].
    #[arg(long, value_name = "SHARE", value_parser = number(0.0, 0.9))]
    dropout: Option<f64>,
    /// Weight decay (AdamW): each step makes the matrices inside the layers smaller by this times
    /// the learning rate [default: 0.1].
    #[arg(long, value_name = "DECAY", value_parser = number(0.0, 100.0))]
    weight_decay: Option<f64>,
    /// Put the preset's kNN memory into the network of --from, which has none: the queries,
    /// keys and values of that layer begin anew.
    #[arg(long, requires = "from", conflicts_with = "without_knn")]
    with_knn: bool,
    /// Tell the network of --from, which was not told, which notes sound: it begins as it was,
    /// and learns to use it.
    #[arg(long, requires = "from")]
    with_sounding: bool,
    /// Tell the attention of the network of --from, which was not told, how far apart tokens are
    /// in time and pitch. It has to learn anew what some of its numbers mean.
    #[arg(long, requires = "from")]
    with_relative: bool,
    /// Peak learning rate [default: the preset's].
    #[arg(long, value_name = "RATE", value_parser = above(0.0))]
    lr: Option<f64>,
    /// How much large styles count: 1 by their tokens, 0 all alike.
    #[arg(long, default_value_t = 0.5, value_name = "POWER", value_parser = number(0.0, 1.0))]
    balance: f64,
    /// Seed of the parameters and of the order of songs.
    #[arg(long, default_value_t = 1, value_parser = at_least(0u64))]
    seed: u64,
    /// Threads [default: all cores].
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
    /// Go on from the newest checkpoint in DIR. Preset, recipe and seed are the saved ones;
    /// --steps or --minutes set another end.
    #[arg(long, conflicts_with_all = ["preset", "batch", "group", "segment", "accumulate", "window", "layers", "width", "without_knn", "with_knn", "with_sounding", "with_relative", "knn_layer", "knn_k", "knn_recalls", "knn_rate", "without", "like_midigen", "dropout", "weight_decay", "recompute", "precision", "lr", "threads"])]
    resume: bool,
}

/// What `--knn-recalls` asks for.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Recalls {
    Next,
    Own,
}

/// What `--without` leaves out.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    Grid,
    Pitch,
    Sounding,
    Relative,
    Gate,
}

/// What `--like-midigen` makes otherwise.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Likeness {
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

fn batches(text: &str) -> Result<Batches, String> {
    match text {
        "contiguous" => Ok(Batches::Contiguous),
        "songs" => Ok(Batches::Songs),
        "random" => Ok(Batches::Random),
        _ => Err("contiguous, songs or random".into()),
    }
}

/// Trains. `stop` is raised by the first Ctrl-C: a checkpoint is saved, and the command ends.
pub(super) fn run(a: &Arguments, stop: &AtomicBool) -> anyhow::Result<ExitCode> {
    check_folder(&a.output)?;
    let place = Place::open(&a.device)?;
    let corpus = Corpus::open_in(&a.corpus, a.data)?;
    let budget = match (a.steps, a.minutes) {
        (Some(n), _) => Some(Budget::Steps(n)),
        (None, Some(m)) => Some(Budget::Minutes(m)),
        (None, None) => None,
    };
    let start = if a.resume {
        Start::Resume { budget }
    } else {
        start::new(a, &corpus, budget, &place)?
    };
    let options = Options {
        corpus: &corpus,
        output: &a.output,
        start,
        checkpoint_every: a.checkpoint_every,
        measure_every: Some(a.measure_every).filter(|t| !t.is_zero()),
        sample_every: Some(a.sample_every).filter(|t| !t.is_zero()),
        place: &place,
        stop,
    };
    let mut view = View::new(&corpus, place.name.clone())?;
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
        Ending::Stopped => {
            note("stopped and saved; go on with --resume");
            Ok(ExitCode::from(130))
        }
    }
}
