//! `train`: a corpus becomes a checkpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use continuo_files::{WriteError, check_folder};
use continuo_score::manifest::{HeldOut, Knn};

use crate::checkpoint::{self, Checkpoint, CheckpointError, Config, Progress};
use crate::config::{Recipe, Shape};
use crate::corpus::{Corpus, Location};
use crate::device::Place;
use crate::lanes::{Batches, Lanes, Plan};
use crate::learner::{Learner, initial};
use crate::log::{Log, io_at};
use crate::resident::Resident;
use crate::schedule::Budget;
use crate::watch::Watch;

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
    /// Time between measurements on held-out songs; there is always one at the end. `None`
    /// for none at all.
    pub measure_every: Option<Duration>,
    /// The same, for samples.
    pub sample_every: Option<Duration>,
    /// Where the network runs.
    pub place: &'a Place,
    /// Set from outside to save and stop.
    pub stop: &'a AtomicBool,
}

/// Where a training begins.
#[expect(clippy::large_enum_variant, reason = "there is one, made once")]
pub enum Start {
    /// At its first step.
    New {
        /// Sizes.
        config: Config,
        /// How to train.
        recipe: Recipe,
        /// How long.
        budget: Budget,
        /// Threads.
        threads: usize,
        /// How songs are played; its seed is that of the parameters, too.
        plan: Plan,
        /// The parameters to begin with; random ones if there are none.
        from: Option<Checkpoint>,
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
    /// Training begins.
    Begin {
        /// Numbers to learn.
        parameters: usize,
        /// Share of the budget spent.
        spent: f64,
        /// Tokens a step, before pads.
        tokens: usize,
    },
    /// A step was taken.
    Step(Tick),
    /// A checkpoint was written.
    Saved(&'a Path),
    /// Held-out songs were measured.
    Measured(HeldOut),
    /// A sample was written.
    Sampled(&'a Path),
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
    /// Songs would be in several lanes at once.
    #[error("{}: {songs} songs to train on, and {lanes} lanes to play them in; take --batch {songs} or less", path.display())]
    FewSongs {
        /// The corpus.
        path: PathBuf,
        /// Its training songs.
        songs: usize,
        /// The lanes.
        lanes: usize,
    },
    /// The model to begin with has other sizes.
    #[error("{}: its sizes or its vocabulary are not those of the training", .0.display())]
    Other(PathBuf),
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file beside the checkpoints could not be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// A file beside the checkpoints cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Learning went astray.
    #[error(
        "step {step}: the loss is {loss}, so nothing more is saved; the last checkpoint is from \
         before: begin anew with a lower --lr, or with --from it"
    )]
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
    let (config, mut progress, mut learner) = begin(options)?;
    let mut lanes =
        Lanes::restore(corpus, progress.lanes.clone()).ok_or_else(|| no_songs(corpus))?;
    let recipe = progress.recipe;
    learner.model.precision = recipe.precision;
    let mut resident =
        (corpus.location() == Location::Gpu).then(|| Resident::new(corpus, &options.place.device));
    let mut log = Log::open(output, progress.steps)?;
    let mut watch = Watch::new(options);
    let mut last: Option<Tick> = None;
    let mut saved = Instant::now();
    tell(Event::Begin {
        parameters: learner.model.size(),
        spent: progress.budget.spent(progress.steps, progress.seconds),
        tokens: recipe.lanes * recipe.segment * recipe.accumulate,
    });
    let ending = loop {
        let spent = progress.budget.spent(progress.steps, progress.seconds);
        let stopped = stop.load(Ordering::Relaxed);
        let over = spent >= 1.0 || stopped;
        if over || saved.elapsed() >= options.checkpoint_every {
            progress.lanes = lanes.state.clone();
            log.flush()?;
            let path = checkpoint::save(output, &config, &corpus.vocabulary, &progress, &learner)?;
            tell(Event::Saved(&path));
            saved = Instant::now();
        }
        if let Some(tick) = last
            && !stopped
        {
            if let Some(measured) = watch.measure(&learner.model, over) {
                log.held_out(&tick, progress.seconds, &measured)?;
                tell(Event::Measured(measured));
            }
            if let Some(path) = watch.sample(&learner.model, tick.steps, over)? {
                tell(Event::Sampled(&path));
            }
        }
        if over {
            break if spent >= 1.0 {
                Ending::Done
            } else {
                Ending::Stopped
            };
        }
        let now = Instant::now();
        let mut rounds: Vec<_> = (0..recipe.accumulate)
            .map(|_| lanes.next(recipe.group, recipe.segment))
            .collect();
        if let Some(resident) = &mut resident {
            let groups = rounds.iter_mut().flatten();
            groups.for_each(|group| resident.attach(group));
        }
        let rate = recipe.rate(spent);
        let report = learner.step(&rounds, rate, &recipe);
        if !report.loss.is_finite() || !report.norm.is_finite() {
            log.flush()?;
            return Err(TrainError::Diverged {
                step: learner.steps,
                loss: report.loss,
            });
        }
        progress.steps = learner.steps;
        progress.tokens += report.tokens as u64;
        progress.seconds += now.elapsed().as_secs_f64();
        let smooth = last.map_or(report.loss, |t| t.smooth + (report.loss - t.smooth) * 0.02);
        let spent = progress.budget.spent(progress.steps, progress.seconds);
        let tick = Tick {
            steps: progress.steps,
            tokens: progress.tokens,
            loss: report.loss,
            smooth,
            norm: report.norm,
            rate,
            speed: progress.tokens as f64 / progress.seconds,
            spent,
            left: progress.seconds * (1.0 - spent) / spent.max(1e-9),
        };
        last = Some(tick);
        log.step(&tick, progress.seconds)?;
        tell(Event::Step(tick));
    };
    log.flush()?;
    Ok(ending)
}

fn no_songs(corpus: &Corpus) -> TrainError {
    TrainError::NoSongs {
        path: corpus.path().into(),
        songs: corpus.songs.len(),
    }
}

fn begin(options: &Options<'_>) -> Result<(Config, Progress, Learner), TrainError> {
    let Options {
        corpus,
        output,
        place,
        ..
    } = *options;
    check_folder(output)?;
    match &options.start {
        Start::New {
            config,
            recipe,
            budget,
            threads,
            plan,
            from,
        } => {
            if !checkpoint::steps(output).is_empty() {
                return Err(TrainError::Taken(output.into()));
            }
            let vocabulary = from.as_ref().map_or(&corpus.vocabulary, |c| &c.vocabulary);
            corpus
                .fits(vocabulary, &config.shape.sizes)
                .map_err(TrainError::Corpus)?;
            let songs = corpus.songs.iter().filter(|s| !s.held_out).count();
            if songs > 0 && songs < plan.lanes && plan.batches != Batches::Random {
                return Err(TrainError::FewSongs {
                    path: corpus.path().into(),
                    songs,
                    lanes: plan.lanes,
                });
            }
            let lanes = Lanes::new(corpus, *plan).ok_or_else(|| no_songs(corpus))?;
            let model = match from {
                None => initial(config.shape, &corpus.vocabulary, &place.device, plan.seed),
                Some(checkpoint) if alike(checkpoint.config.shape, config.shape) => {
                    checkpoint.model_as(config.shape, &place.device)?
                }
                Some(checkpoint) if grows(checkpoint.config.shape, config.shape) => {
                    checkpoint.model_with_more(config.shape, &place.device, plan.seed)?
                }
                Some(checkpoint) => return Err(TrainError::Other(checkpoint.path.clone())),
            };
            let mut model = model;
            for (name, parameter) in model.parameters_mut() {
                if recipe.without.leaves_out(&name) {
                    *parameter = parameter.zeros_like();
                }
            }
            fs::create_dir_all(output).map_err(io_at(output))?;
            let progress = Progress {
                recipe: *recipe,
                budget: *budget,
                threads: *threads,
                steps: 0,
                tokens: 0,
                seconds: 0.0,
                corpus: corpus.fingerprint(),
                lanes: lanes.state,
            };
            let moments = Learner::no_moments(&model);
            let groups = recipe.lanes.div_ceil(recipe.group.max(1));
            let learner = Learner::new(model, moments, groups, place.workers(*threads))
                .map_err(|e| io_at(output)(std::io::Error::other(e)))?;
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
            let learner = checkpoint.learner(&progress, place)?;
            Ok((checkpoint.config, progress, learner))
        }
    }
}

/// Whether the parameters of one shape fit the other, whatever they mean.
fn alike(a: Shape, b: Shape) -> bool {
    let parameters = |shape: Shape| Shape {
        knn: shape.knn.map(|knn| Knn {
            following: false,
            ..knn
        }),
        relative: None,
        ..shape
    };
    parameters(a) == parameters(b)
}

/// Whether a network of one shape becomes one of the other by what it has more.
fn grows(from: Shape, to: Shape) -> bool {
    let before = Shape {
        knn: to.knn.filter(|_| from.knn.is_some()),
        sounding: to.sounding && from.sounding,
        ..to
    };
    alike(from, before)
}
