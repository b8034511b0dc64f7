//! `continuo-trainer train`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use continuo_trainer::checkpoint::Config;
use continuo_trainer::config::{PRESETS, preset};
use continuo_trainer::corpus::Corpus;
use continuo_trainer::schedule::Budget;
use continuo_trainer::train::{self, Ending, Event, Options, Start, Tick};
use indicatif::{ProgressBar, ProgressStyle};

/// Train a model on a corpus.
///
/// Checkpoints and losses.csv appear in the output folder. Ctrl-C saves a checkpoint and ends
/// with exit code 130 (a second Ctrl-C ends at once); --resume goes on from the newest
/// checkpoint, with the same losses as if nothing had happened.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The corpus, made by `encode`.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// The folder for checkpoints.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Sizes and recipe: tiny (tests), small (3.4 M parameters), base (25.7 M).
    #[arg(long, default_value = "small")]
    preset: String,
    /// Train for so many steps.
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    steps: Option<u64>,
    /// Train for so many minutes [default: 60]. The learning rate follows the share of the
    /// time that is spent.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// Lanes: songs side by side in one step [default: the preset's].
    #[arg(long, value_name = "LANES")]
    batch: Option<usize>,
    /// Lanes that pass through the network at once [default: the preset's].
    #[arg(long, value_name = "LANES")]
    group: Option<usize>,
    /// Tokens of a lane in one step [default: the preset's].
    #[arg(long, value_name = "TOKENS")]
    segment: Option<usize>,
    /// Tokens each token attends to [default: the preset's].
    #[arg(long, value_name = "TOKENS")]
    window: Option<usize>,
    /// Leave out the kNN memory: what has left the window is forgotten.
    #[arg(long)]
    without_knn: bool,
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
    /// Go on from the newest checkpoint in DIR. Preset, recipe and seed are the saved ones;
    /// --steps or --minutes set another end.
    #[arg(long, conflicts_with_all = ["batch", "group", "segment", "window", "without_knn", "lr", "threads"])]
    resume: bool,
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

pub(super) fn run(a: &Arguments) -> anyhow::Result<ExitCode> {
    let corpus = Corpus::open(&a.corpus)?;
    let budget = match (a.steps, a.minutes) {
        (Some(n), _) => Some(Budget::Steps(n)),
        (None, Some(m)) if m.is_finite() && m > 0.0 => Some(Budget::Minutes(m)),
        (None, Some(m)) => bail!("--minutes {m}: must be more than 0"),
        (None, None) => None,
    };
    let start = if a.resume {
        Start::Resume { budget }
    } else {
        new(a, &corpus, budget)?
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
        stop: &stop,
    };
    let mut view = View::new(notes_per_token(&corpus))?;
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

fn new(a: &Arguments, corpus: &Corpus, budget: Option<Budget>) -> anyhow::Result<Start> {
    let Some((mut shape, mut recipe)) = preset(&a.preset, &corpus.vocabulary) else {
        bail!(
            "--preset {}: no such preset ({})",
            a.preset,
            PRESETS.join(", ")
        );
    };
    let positive = |name: &str, given: Option<usize>, usual: usize| match given {
        Some(0) => bail!("--{name} 0: must be at least 1"),
        given => Ok(given.unwrap_or(usual)),
    };
    shape.window = positive("window", a.window, shape.window)?;
    shape.knn = shape.knn.filter(|_| !a.without_knn);
    recipe.lanes = positive("batch", a.batch, recipe.lanes)?;
    recipe.group = positive("group", a.group, recipe.group)?.min(recipe.lanes);
    recipe.segment = positive("segment", a.segment, recipe.segment)?;
    recipe.learning_rate = a.lr.unwrap_or(recipe.learning_rate);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Start::New {
        config: Config {
            format: Config::FORMAT,
            preset: a.preset.clone(),
            shape,
        },
        recipe,
        budget: budget.unwrap_or(Budget::Minutes(60.0)),
        seed: a.seed,
        threads: positive("threads", a.threads, cores)?,
        balance: a.balance,
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
}

impl View {
    fn new(notes_per_token: f64) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{bar:30} {percent}%  {msg}")?;
        let bar = ProgressBar::new(10_000).with_style(style);
        let lines = !std::io::stderr().is_terminal();
        Ok(Self {
            bar,
            lines,
            said: None,
            notes_per_token,
        })
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Begin(size, spent) => {
                eprintln!(
                    "{size} parameters; {:.1} % of the training done",
                    spent * 100.0
                );
            }
            Event::Step(tick) => self.step(tick),
            Event::Saved(path) => self.bar.suspend(|| eprintln!("saved {}", path.display())),
        }
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
