//! `train`: a corpus becomes a checkpoint.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;

use crate::checkpoint::{self, Checkpoint, CheckpointError, Config, Progress};
use crate::config::Recipe;
use crate::corpus::Corpus;
use crate::files::Staged;
use crate::lanes::Lanes;
use crate::learner::{Learner, initial};
use crate::schedule::Budget;

/// What to train.
pub struct Options<'a> {
    /// The songs.
    pub corpus: &'a Corpus,
    /// The folder for checkpoints and `losses.csv`.
    pub output: &'a Path,
    /// How long, and how often to save.
    pub start: Start,
    /// Time between checkpoints; there is always one at the end.
    pub checkpoint_every: Duration,
    /// Set from outside to save and stop.
    pub stop: &'a AtomicBool,
}

/// Where a training begins.
#[expect(clippy::large_enum_variant, reason = "there is one, made once")]
pub enum Start {
    /// With random parameters.
    New {
        /// Sizes.
        config: Config,
        /// How to train.
        recipe: Recipe,
        /// How long.
        budget: Budget,
        /// Seed of parameters and of the order of songs.
        seed: u64,
        /// Threads.
        threads: usize,
        /// See [`Lanes::new`].
        balance: f64,
    },
    /// At the newest checkpoint in the output folder.
    Resume {
        /// Another budget than the saved one.
        budget: Option<Budget>,
    },
}

/// What is told after every step.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Steps taken.
    pub steps: u64,
    /// Tokens predicted.
    pub tokens: u64,
    /// Loss of this step, nats a token.
    pub loss: f64,
    /// Loss, averaged over about the last hundred steps.
    pub smooth: f64,
    /// Norm of the gradient before clipping.
    pub norm: f64,
    /// Learning rate.
    pub rate: f64,
    /// Tokens a second, over the whole training.
    pub speed: f64,
    /// Share of the budget spent.
    pub spent: f64,
    /// Seconds to go.
    pub left: f64,
}

/// What is told.
pub enum Event<'a> {
    /// Training begins, with a model of so many parameters, at this share of the budget.
    Begin(usize, f64),
    /// A step was taken.
    Step(Tick),
    /// A checkpoint was written.
    Saved(&'a Path),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The budget is spent.
    Done,
    /// It was told to stop; the checkpoint says where.
    Stopped,
}

/// Why it could not train.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The output folder is taken.
    #[error("{}: a training is there already; go on with --resume, or choose another folder", .0.display())]
    Taken(PathBuf),
    /// The corpus is not the model's.
    #[error("{0}")]
    Corpus(String),
    /// All songs are held out.
    #[error("{}: no songs to train on (all {songs} are held out)", path.display())]
    NoSongs {
        /// The corpus.
        path: PathBuf,
        /// Its songs.
        songs: usize,
    },
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The loss file could not be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// Learning went astray.
    #[error("step {step}: the loss is {loss}; go on from the last checkpoint with a lower --lr")]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        loss: f64,
    },
}

/// Trains.
pub fn train(options: &Options<'_>, mut tell: impl FnMut(Event<'_>)) -> Result<Ending, TrainError> {
    let Options {
        corpus,
        output,
        stop,
        ..
    } = *options;
    let device = Device::flex();
    let (config, mut progress, mut learner) = begin(options, &device)?;
    let no_songs = || TrainError::NoSongs {
        path: corpus.path().into(),
        songs: corpus.songs.len(),
    };
    let mut lanes = Lanes::restore(corpus, progress.lanes.clone()).ok_or_else(no_songs)?;
    let recipe = progress.recipe;
    let mut losses = Losses::open(&output.join("losses.csv"), progress.steps)?;
    let mut smooth: Option<f64> = None;
    let mut saved = Instant::now();
    let begun = progress.budget.spent(progress.steps, progress.seconds);
    tell(Event::Begin(learner.model.size(), begun));
    let ending = loop {
        let spent = progress.budget.spent(progress.steps, progress.seconds);
        let stopped = stop.load(Ordering::Relaxed);
        let over = spent >= 1.0 || stopped;
        if over || saved.elapsed() >= options.checkpoint_every {
            progress.lanes = lanes.state.clone();
            losses.flush()?;
            let path = checkpoint::save(output, &config, &corpus.vocabulary, &progress, &learner)?;
            tell(Event::Saved(&path));
            saved = Instant::now();
        }
        if over {
            break if spent >= 1.0 {
                Ending::Done
            } else {
                Ending::Stopped
            };
        }
        let now = Instant::now();
        let groups = lanes.next(recipe.group, recipe.segment);
        let tokens: usize = groups.iter().map(|g| g.targets.len()).sum();
        let rate = recipe.rate(spent);
        let report = learner.step(&groups, rate, &recipe);
        if !report.loss.is_finite() || !report.norm.is_finite() {
            losses.flush()?;
            return Err(TrainError::Diverged {
                step: learner.steps,
                loss: report.loss,
            });
        }
        progress.steps = learner.steps;
        progress.tokens += tokens as u64;
        progress.seconds += now.elapsed().as_secs_f64();
        let mean = smooth.map_or(report.loss, |s| s + (report.loss - s) * 0.02);
        smooth = Some(mean);
        let spent = progress.budget.spent(progress.steps, progress.seconds);
        let tick = Tick {
            steps: progress.steps,
            tokens: progress.tokens,
            loss: report.loss,
            smooth: mean,
            norm: report.norm,
            rate,
            speed: progress.tokens as f64 / progress.seconds,
            spent,
            left: progress.seconds * (1.0 - spent) / spent.max(1e-9),
        };
        losses.add(&tick, progress.seconds)?;
        tell(Event::Step(tick));
    };
    Ok(ending)
}

fn begin(
    options: &Options<'_>,
    device: &Device,
) -> Result<(Config, Progress, Learner), TrainError> {
    let Options { corpus, output, .. } = *options;
    match &options.start {
        Start::New {
            config,
            recipe,
            budget,
            seed,
            threads,
            balance,
        } => {
            if !checkpoint::steps(output).is_empty() {
                return Err(TrainError::Taken(output.into()));
            }
            corpus
                .fits(&corpus.vocabulary, &config.shape.sizes)
                .map_err(TrainError::Corpus)?;
            fs::create_dir_all(output).map_err(|source| TrainError::Io {
                path: output.into(),
                source,
            })?;
            let lanes = Lanes::new(corpus, recipe.lanes, *seed, *balance);
            let Some(lanes) = lanes else {
                let path = corpus.path().into();
                return Err(TrainError::NoSongs {
                    path,
                    songs: corpus.songs.len(),
                });
            };
            let progress = Progress {
                recipe: *recipe,
                budget: *budget,
                threads: *threads,
                seed: *seed,
                steps: 0,
                tokens: 0,
                seconds: 0.0,
                corpus: corpus.fingerprint(),
                lanes: lanes.state,
            };
            let model = initial(config.shape, &corpus.vocabulary, device, *seed);
            let moments = Learner::no_moments(&model);
            let groups = recipe.lanes.div_ceil(recipe.group.max(1));
            let learner =
                Learner::new(model, moments, groups, *threads).map_err(|e| TrainError::Io {
                    path: output.into(),
                    source: std::io::Error::other(e),
                })?;
            Ok((config.clone(), progress, learner))
        }
        Start::Resume { budget } => {
            let checkpoint = Checkpoint::open(output)?;
            let mut progress = checkpoint.progress()?;
            corpus
                .fits(&checkpoint.vocabulary, &checkpoint.config.shape.sizes)
                .map_err(TrainError::Corpus)?;
            if progress.corpus != corpus.fingerprint() {
                return Err(TrainError::Corpus(format!(
                    "{}: not the corpus this training began with; resume with that one, or \
                     begin anew in another folder",
                    corpus.path().display(),
                )));
            }
            progress.budget = budget.unwrap_or(progress.budget);
            let learner = checkpoint.learner(&progress, device)?;
            Ok((checkpoint.config, progress, learner))
        }
    }
}

/// `losses.csv`: one line a step.
struct Losses {
    path: PathBuf,
    out: BufWriter<File>,
}

const COLUMNS: &str = "step,tokens,seconds,loss,gradient_norm,learning_rate";

impl Losses {
    /// Opens the file and drops what it says of steps after `steps`: they will be taken anew.
    fn open(path: &Path, steps: u64) -> Result<Self, TrainError> {
        let io = |source| TrainError::Io {
            path: path.into(),
            source,
        };
        let before = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(io(e)),
        };
        let mut text = format!("{COLUMNS}\n");
        for line in before.lines().skip(1) {
            let step = line.split(',').next().and_then(|s| s.parse::<u64>().ok());
            if step.is_some_and(|s| s <= steps) {
                text += line;
                text.push('\n');
            }
        }
        let staged = Staged::file(path);
        fs::write(staged.temporary(), text).map_err(io)?;
        staged.keep().map_err(io)?;
        let file = File::options().append(true).open(path).map_err(io)?;
        Ok(Self {
            path: path.into(),
            out: BufWriter::new(file),
        })
    }

    fn add(&mut self, t: &Tick, seconds: f64) -> Result<(), TrainError> {
        let Tick {
            steps,
            tokens,
            loss,
            norm,
            rate,
            ..
        } = t;
        writeln!(
            self.out,
            "{steps},{tokens},{seconds:.2},{loss:.6},{norm:.4},{rate:.3e}"
        )
        .map_err(|source| TrainError::Io {
            path: self.path.clone(),
            source,
        })
    }

    fn flush(&mut self) -> Result<(), TrainError> {
        self.out.flush().map_err(|source| TrainError::Io {
            path: self.path.clone(),
            source,
        })
    }
}
