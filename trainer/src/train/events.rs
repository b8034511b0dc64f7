//! Reports of a running training to its caller.

use std::path::Path;

use continuo_score::manifest::HeldOut;

/// Metrics after a step.
#[derive(Clone, Copy, Debug)]
pub struct StepMetrics {
    /// Steps taken.
    pub steps: u64,
    /// Tokens predicted so far.
    pub tokens: u64,
    /// Loss of this step, nats per token.
    pub loss: f64,
    /// Loss averaged over about the last hundred steps, nats per token.
    pub smooth_loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Mean speed since the training began or was resumed, tokens per second.
    pub tokens_per_second: f64,
    /// Share of the budget spent, 0 to 1.
    pub spent: f64,
    /// Expected seconds to the end.
    pub seconds_left: f64,
}

/// Event of a running training, reported on the training thread.
pub enum TrainEvent<'a> {
    /// The first step follows.
    Begin {
        /// Learnt values of the network.
        parameters: usize,
        /// Share of the budget spent, 0 to 1.
        spent: f64,
        /// Tokens per step, padding included.
        tokens: usize,
    },
    /// A step was taken.
    Step(StepMetrics),
    /// A checkpoint was written.
    Saved(&'a Path),
    /// The held-out songs were measured.
    Measured(HeldOut),
    /// A sample was written.
    Sampled(&'a Path),
}

/// Reason why a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The budget is spent.
    Done,
    /// The budget was spent before: nothing was done.
    NothingLeft,
    /// The caller asked for it; a checkpoint was saved.
    Stopped,
}
