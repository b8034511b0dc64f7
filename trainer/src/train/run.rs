//! Loop of a training.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::data::corpus::Location;
use crate::data::device_corpus::DeviceCorpus;
use crate::data::stream_batcher::StreamBatcher;
use crate::train::checkpoint;
use crate::train::error::TrainError;
use crate::train::events::{Ending, StepMetrics, TrainEvent};
use crate::train::log::TrainLog;
use crate::train::options::TrainOptions;
use crate::train::start::begin;
use crate::train::validation::Validation;

/// Weight of a new loss in the smoothed one.
const SMOOTHING: f64 = 0.02;

/// Trains until the budget is spent or `options.stop` is set, and reports each event to `report`
/// on the calling thread.
///
/// # Errors
/// The training cannot start ([`TrainError`]), a file cannot be written, or the loss is not
/// finite.
pub fn train(
    options: &TrainOptions<'_>,
    mut report: impl FnMut(TrainEvent<'_>),
) -> Result<Ending, TrainError> {
    let TrainOptions {
        corpus,
        output,
        stop,
        ..
    } = *options;
    let (shape, mut state, mut trainer) = begin(options)?;
    if state.steps > 0 && state.budget.spent(state.steps, state.seconds) >= 1.0 {
        return Ok(Ending::NothingLeft);
    }
    let mut batcher = StreamBatcher::restore(corpus, state.batcher.clone())
        .ok_or_else(|| TrainError::other_corpus(corpus))?;
    let config = state.config;
    trainer.model.precision = config.precision;
    let mut device_corpus = (corpus.location() == Location::Gpu)
        .then(|| DeviceCorpus::new(corpus, &options.devices.device));
    let mut log = TrainLog::open(output, state.steps)?;
    let mut validation = Validation::new(options);
    let mut last: Option<StepMetrics> = None;
    let mut saved = Instant::now();
    let begun = state.clone();
    report(TrainEvent::Begin {
        parameters: trainer.model.size(),
        spent: state.budget.spent(state.steps, state.seconds),
        tokens: config.batch_rows * config.segment * config.accumulation_steps,
    });
    let ending = loop {
        let spent = state.budget.spent(state.steps, state.seconds);
        let stopped = stop.load(Ordering::Relaxed);
        let over = spent >= 1.0 || stopped;
        if over || saved.elapsed() >= options.checkpoint_every {
            state.batcher = batcher.state.clone();
            log.flush()?;
            let path = checkpoint::save(output, &shape, &corpus.vocabulary, &state, &trainer)?;
            report(TrainEvent::Saved(&path));
            saved = Instant::now();
        }
        if let Some(metrics) = last
            && !stopped
        {
            if let Some(measured) = validation.measure(&trainer.model, over) {
                log.held_out(&metrics, state.seconds, &measured)?;
                report(TrainEvent::Measured(measured));
            }
            if let Some(path) = validation.sample(&trainer.model, metrics.steps, over)? {
                report(TrainEvent::Sampled(&path));
            }
        }
        if over {
            break if spent >= 1.0 {
                Ending::Done
            } else {
                Ending::Stopped
            };
        }
        let started = Instant::now();
        let mut accumulation: Vec<_> = (0..config.accumulation_steps)
            .map(|_| batcher.next(config.micro_batch, config.segment))
            .collect();
        if let Some(device_corpus) = &mut device_corpus {
            let batches = accumulation.iter_mut().flatten();
            batches.for_each(|batch| device_corpus.attach(batch));
        }
        let learning_rate = config.rate(spent);
        let step = trainer.step(&accumulation, learning_rate, &config);
        if !step.loss.is_finite() || !step.gradient_norm.is_finite() {
            log.flush()?;
            return Err(TrainError::Diverged {
                step: trainer.steps,
                loss: step.loss,
            });
        }
        state.steps = trainer.steps;
        state.tokens += step.tokens as u64;
        state.seconds += started.elapsed().as_secs_f64();
        let smooth_loss = last.map_or(step.loss, |before| {
            before.smooth_loss + (step.loss - before.smooth_loss) * SMOOTHING
        });
        let spent = state.budget.spent(state.steps, state.seconds);
        let spent_before = state.budget.spent(begun.steps, begun.seconds);
        let seconds = state.seconds - begun.seconds;
        let metrics = StepMetrics {
            steps: state.steps,
            tokens: state.tokens,
            loss: step.loss,
            smooth_loss,
            gradient_norm: step.gradient_norm,
            learning_rate,
            tokens_per_second: (state.tokens - begun.tokens) as f64 / seconds,
            spent,
            seconds_left: seconds * (1.0 - spent) / (spent - spent_before).max(1e-9),
        };
        last = Some(metrics);
        log.step(&metrics, state.seconds)?;
        report(TrainEvent::Step(metrics));
    };
    log.flush()?;
    Ok(ending)
}
