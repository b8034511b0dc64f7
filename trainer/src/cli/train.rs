//! `continuo-trainer train`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use continuo_trainer::augment::Reach;
use continuo_trainer::checkpoint::{Checkpoint, Config};
use continuo_trainer::config::{PRESETS, Without, preset};
use continuo_trainer::corpus::{Corpus, Location};
use continuo_trainer::device::{Choice, Place};
use continuo_trainer::lanes::{Batches, Plan};
use continuo_trainer::model::Precision;
use continuo_trainer::schedule::Budget;
use continuo_trainer::train::{self, Ending, Event, Options, Start, Tick};
use indicatif::{ProgressBar, ProgressStyle};

/// A model that has learned learns on at this share of the rate it began with.
const GENTLER: f64 = 0.2;

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
    #[arg(long, default_value_t = Reach::DEFAULT.transpose, value_name = "SEMITONES")]
    transpose: u8,
    /// Play each song up to so many velocity bins louder or softer.
    #[arg(long, default_value_t = Reach::DEFAULT.velocity, value_name = "BINS")]
    loudness: u8,
    /// Train for so many steps.
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    steps: Option<u64>,
    /// Train for so many minutes [default: 60]. The learning rate follows the share of the
    /// time that is spent.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// Lanes: songs side by side in one step [default: the preset's, or as many as there are
    /// songs].
    #[arg(long, value_name = "LANES")]
    batch: Option<usize>,
    /// Lanes that pass through the network at once [default: the preset's].
    #[arg(long, value_name = "LANES")]
    group: Option<usize>,
    /// Tokens of a lane in one segment [default: the preset's].
    #[arg(long, value_name = "TOKENS")]
    segment: Option<usize>,
    /// Segments of every lane whose gradients make one step [default: 1].
    #[arg(long, value_name = "SEGMENTS")]
    accumulate: Option<usize>,
    /// Tokens each token attends to [default: the preset's].
    #[arg(long, value_name = "TOKENS")]
    window: Option<usize>,
    /// Layers [default: the preset's].
    #[arg(long, value_name = "LAYERS")]
    layers: Option<usize>,
    /// Width of the network, a multiple of 64 [default: the preset's].
    #[arg(long, value_name = "NUMBERS")]
    width: Option<usize>,
    /// Leave out the kNN memory: what has left the window is forgotten.
    #[arg(long)]
    without_knn: bool,
    /// The layer with the kNN memory, counted from 0 [default: the preset's, or the last but
    /// one].
    #[arg(long, value_name = "LAYER", conflicts_with_all = ["without_knn", "from"])]
    knn_layer: Option<usize>,
    /// Memories each token recalls [default: 32].
    #[arg(long, value_name = "K", conflicts_with_all = ["without_knn", "from"])]
    knn_k: Option<usize>,
    /// What the kNN memory brings of the tokens that are like the present one: the tokens that
    /// followed them, or they themselves [default: next, or as the model of --from has it].
    #[arg(long, value_name = "WHAT", conflicts_with = "without_knn")]
    knn_recalls: Option<Recalls>,
    /// Learning rate of the kNN memory's scale and gate, as a multiple of the others'
    /// [default: 1].
    #[arg(long, value_name = "FACTOR")]
    knn_rate: Option<f64>,
    /// Parts to leave out, to see what they are worth: grid (step in bar, bar, metre), pitch
    /// (pitch classes and octaves), gate (of the kNN memory).
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    without: Vec<Part>,
    /// Share of the numbers that dropout leaves out in training [default: 0].
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Put the preset's kNN memory into the network of --from, which has none: the queries,
    /// keys and values of that layer begin anew.
    #[arg(long, requires = "from", conflicts_with = "without_knn")]
    with_knn: bool,
    /// Peak learning rate [default: the preset's].
    #[arg(long, value_name = "RATE")]
    lr: Option<f64>,
    /// How much large styles count: 1 by their tokens, 0 all alike.
    #[arg(long, default_value_t = 0.5, value_name = "POWER")]
    balance: f64,
    /// Seed of the parameters and of the order of songs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads [default: all cores].
    #[arg(long)]
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
    #[arg(long, conflicts_with_all = ["preset", "batch", "group", "segment", "accumulate", "window", "layers", "width", "without_knn", "with_knn", "knn_layer", "knn_k", "knn_recalls", "knn_rate", "without", "dropout", "recompute", "precision", "lr", "threads"])]
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
    Gate,
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit}: not s, m or h")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "such as 90s, 5m or 1h".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|e| e.to_string())
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

pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let place = Place::open(&a.device)?;
    let corpus = Corpus::open_in(&a.corpus, a.data)?;
    let budget = match (a.steps, a.minutes) {
        (Some(n), _) => Some(Budget::Steps(n)),
        (None, Some(m)) if m.is_finite() && m > 0.0 => Some(Budget::Minutes(m)),
        (None, Some(m)) => bail!("--minutes {m}: must be more than 0"),
        (None, None) => None,
    };
    let start = if a.resume {
        Start::Resume { budget }
    } else {
        new(a, &corpus, budget, &place)?
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("Ctrl-C cannot be caught")?;
    let options = Options {
        corpus: &corpus,
        output: &a.output,
        start,
        checkpoint_every: a.checkpoint_every,
        measure_every: Some(a.measure_every).filter(|t| !t.is_zero()),
        sample_every: Some(a.sample_every).filter(|t| !t.is_zero()),
        place: &place,
        stop: &stop,
    };
    let mut view = View::new(notes_per_token(&corpus), place.name.clone())?;
    let ending = train::train(&options, |event| view.show(&event));
    view.bar.finish_and_clear();
    match ending? {
        Ending::Done => {
            let (model, corpus) = (a.output.display(), a.corpus.display());
            eprintln!("done; next: continuo-trainer eval --checkpoint {model} --corpus {corpus}");
            Ok(ExitCode::SUCCESS)
        }
        Ending::Stopped => {
            eprintln!("stopped and saved; go on with --resume");
            Ok(ExitCode::from(130))
        }
    }
}

fn new(
    a: &Arguments,
    corpus: &Corpus,
    budget: Option<Budget>,
    place: &Place,
) -> anyhow::Result<Start> {
    let from = a.from.as_deref().map(Checkpoint::open).transpose()?;
    let name = a.preset.as_deref().unwrap_or("small");
    let Some((mut shape, mut recipe)) = preset(name, &corpus.vocabulary) else {
        bail!("--preset {name}: no such preset ({})", PRESETS.join(", "));
    };
    let mut config = Config {
        format: Config::FORMAT,
        preset: name.into(),
        shape,
    };
    if let Some(from) = &from {
        config = from.config.clone();
        shape = config.shape;
        // The recipe of the preset with these sizes, or small's.
        let same = |name: &&str| {
            preset(name, &from.vocabulary).is_some_and(|(s, _)| s.sizes == shape.sizes)
        };
        if let Some((_, of)) = PRESETS
            .iter()
            .find(|n| same(n))
            .and_then(|name| preset(name, &from.vocabulary))
        {
            recipe = of;
        }
        recipe.learning_rate *= GENTLER;
    }
    let positive = |name: &str, given: Option<usize>, usual: usize| match given {
        Some(0) => bail!("--{name} 0: must be at least 1"),
        given => Ok(given.unwrap_or(usual)),
    };
    let songs = corpus.songs.iter().filter(|s| !s.held_out).count();
    let lanes = match a.batches {
        Batches::Random => recipe.lanes,
        _ => recipe.lanes.min(songs.max(1)),
    };
    if a.layers.is_some() || a.width.is_some() {
        let (layers, width) = (shape.sizes.layers, shape.sizes.width);
        shape = shape
            .resized(a.layers.unwrap_or(layers), a.width.unwrap_or(width))
            .map_err(anyhow::Error::msg)?;
        config.shape = shape;
    }
    config.shape.window = positive("window", a.window, shape.window)?;
    config.shape.knn = shape.knn.filter(|_| !a.without_knn);
    if let Some(knn) = &mut config.shape.knn {
        knn.layer = a.knn_layer.unwrap_or(knn.layer);
        if knn.layer >= shape.sizes.layers {
            bail!(
                "--knn-layer {}: there are {} layers, counted from 0",
                knn.layer,
                shape.sizes.layers
            );
        }
        knn.k = positive("knn-k", a.knn_k, knn.k)?;
    }
    if a.with_knn && config.shape.knn.is_none() {
        let of =
            |name: &&str| preset(name, &corpus.vocabulary).filter(|(s, _)| s.sizes == shape.sizes);
        let Some((with, _)) = PRESETS.iter().find_map(of) else {
            bail!("--with-knn: no preset has this network's sizes, so its kNN layer is not known");
        };
        config.shape.knn = with.knn;
    }
    if let Some(what) = a.knn_recalls {
        let Some(knn) = &mut config.shape.knn else {
            bail!("--knn-recalls: there is no kNN memory");
        };
        knn.following = what == Recalls::Next;
    }
    recipe.lanes = positive("batch", a.batch, lanes)?;
    recipe.group = positive("group", a.group, recipe.group)?.min(recipe.lanes);
    recipe.segment = positive("segment", a.segment, recipe.segment)?;
    recipe.accumulate = positive("accumulate", a.accumulate, recipe.accumulate)?;
    let usual = if place.gpu {
        Precision::Bf16
    } else {
        Precision::F32
    };
    recipe.precision = a.precision.unwrap_or(usual);
    recipe.learning_rate = a.lr.unwrap_or(recipe.learning_rate);
    recipe.recompute = a.recompute;
    recipe.recall_rate = a.knn_rate.unwrap_or(recipe.recall_rate);
    recipe.dropout = a.dropout.unwrap_or(recipe.dropout);
    if !(0.0..=0.9).contains(&recipe.dropout) {
        bail!("--dropout {}: must be 0 to 0.9", recipe.dropout);
    }
    recipe.without = Without {
        grid: a.without.contains(&Part::Grid),
        pitch: a.without.contains(&Part::Pitch),
        gate: a.without.contains(&Part::Gate),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Start::New {
        config,
        recipe,
        budget: budget.unwrap_or(Budget::Minutes(60.0)),
        threads: positive("threads", a.threads, cores)?,
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

fn notes_per_token(corpus: &Corpus) -> f64 {
    let sum = |f: fn(&continuo_trainer::corpus::Song) -> u64| {
        corpus
            .songs
            .iter()
            .filter(|s| !s.held_out)
            .map(f)
            .sum::<u64>() as f64
    };
    sum(|s| s.notes) / sum(|s| s.tokens).max(1.0)
}

/// The progress bar, or lines in a log where there is no terminal.
struct View {
    bar: ProgressBar,
    lines: bool,
    said: Option<Instant>,
    notes_per_token: f64,
    device: String,
}

impl View {
    fn new(notes_per_token: f64, device: String) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{bar:30} {percent}%  {msg}")?;
        let bar = ProgressBar::new(10_000).with_style(style);
        let lines = !std::io::stderr().is_terminal();
        Ok(Self {
            bar,
            lines,
            said: None,
            notes_per_token,
            device,
        })
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Begin {
                parameters,
                spent,
                tokens,
            } => {
                eprintln!(
                    "{parameters} parameters, {tokens} tokens a step, on {}; {:.1} % of the \
                     training done",
                    self.device,
                    spent * 100.0
                );
            }
            Event::Step(tick) => self.step(tick),
            Event::Saved(path) => self.say(&format!("saved {}", path.display())),
            Event::Sampled(path) => self.say(&format!("sample {}", path.display())),
            Event::Measured(m) => self.say(&format!(
                "held out: {:.3} nats/token ({:.2} a note), {} songs",
                m.nats_per_token, m.nats_per_note, m.songs
            )),
        }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    fn step(&mut self, t: &Tick) {
        let text = format!(
            "step {}  loss {:.3} nats/token ({:.2} a note)  {:.0} tokens/s  {} to go",
            t.steps,
            t.smooth,
            t.smooth / self.notes_per_token,
            t.speed,
            indicatif::HumanDuration(Duration::from_secs_f64(t.left.clamp(0.0, 1e9))),
        );
        if self.lines {
            if self
                .said
                .is_none_or(|at| at.elapsed() > Duration::from_secs(10))
            {
                eprintln!("{text}");
                self.said = Some(Instant::now());
            }
        } else {
            self.bar.set_position((t.spent * 10_000.0) as u64);
            self.bar.set_message(text);
        }
    }
}
