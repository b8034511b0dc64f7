//! State of a training, and one step of it.

use burn::tensor::{Device, GradientCheckpointingStrategy, Tensor};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::data::micro_batch::MicroBatch;
use crate::model::dropout::Dropout;
use crate::model::{Input, Memory, Model, cross_entropy};
use crate::train::config::{Optimizer, TrainConfig};
use crate::train::optimiser::{self, ParamState};

/// A model in training. The training thread owns it; during a step each worker has its own thread.
pub struct Trainer {
    /// Parameters, outside of autodiff.
    pub model: Model,
    /// Optimiser state of each parameter, in the order of [`Model::specs`].
    pub states: Vec<ParamState>,
    /// Memory of each micro-batch.
    pub memories: Vec<Memory>,
    /// Steps taken.
    pub steps: u64,
    workers: Vec<Worker>,
}

/// Differentiates some of the micro-batches, on its own device and thread.
struct Worker {
    pool: ThreadPool,
    device: Device,
}

/// Result of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Mean loss before the step, nats per token.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Tokens predicted.
    pub tokens: usize,
}

impl Trainer {
    /// A trainer with given parameters and optimiser states, and `micro_batches` empty memories.
    ///
    /// Each device gets a worker. Without devices, everything runs on the caller's thread and the
    /// parameters' device, which suits a single GPU. Parameters and optimiser states stay on their device:
    /// in each step, parameters are copied to the workers, and gradients come back.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(
        model: Model,
        states: Vec<ParamState>,
        micro_batches: usize,
        devices: Vec<Device>,
    ) -> Result<Self, ThreadPoolBuildError> {
        // A pool of one thread per worker: most operations of the CPU backend run on one thread,
        // so micro-batches side by side use all cores where one cannot, and the backend's own
        // parallel loops stay within the worker.
        let worker = |device| {
            let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
            Ok(Worker { pool, device })
        };
        let workers = devices.into_iter().take(micro_batches).map(worker);
        let workers = workers.collect::<Result<_, _>>()?;
        let memories = (0..micro_batches).map(|_| Memory::default()).collect();
        Ok(Self {
            model,
            states,
            memories,
            steps: 0,
            workers,
        })
    }

    /// Micro-batches per worker.
    fn share(&self) -> usize {
        self.memories
            .len()
            .div_ceil(self.workers.len().max(1))
            .max(1)
    }

    /// Device that holds the memory of a micro-batch.
    pub fn device_of(&self, micro_batch: usize) -> Device {
        match self.workers.get(micro_batch / self.share()) {
            Some(worker) => worker.device.clone(),
            None => self.main_device(),
        }
    }

    /// Device of parameters and optimiser states.
    fn main_device(&self) -> Device {
        self.model.device()
    }

    /// Optimiser states of a model before its first step.
    pub fn initial_states(model: &Model, optimizer: Optimizer) -> Vec<ParamState> {
        let parameters = model.specs().iter().zip(model.parameters());
        parameters
            .map(|(spec, parameter)| ParamState::new(spec, &parameter, optimizer))
            .collect()
    }

    /// One step at learning rate `rate`. Its gradient is the sum over all `accumulation` steps,
    /// each of which holds one segment of every micro-batch.
    pub fn step(
        &mut self,
        accumulation: &[Vec<MicroBatch>],
        rate: f64,
        config: &TrainConfig,
    ) -> StepReport {
        let tokens: usize = accumulation.iter().flatten().map(MicroBatch::counted).sum();
        let strategy = if config.recompute {
            GradientCheckpointingStrategy::Balanced
        } else {
            GradientCheckpointingStrategy::Disabled
        };
        let main_device = self.main_device();
        let share = self.share();
        let job = StepJob {
            model: &self.model,
            main_device: &main_device,
            strategy,
            accumulation,
            scale: 1.0 / tokens.max(1) as f64,
            dropout: config.dropout,
            step: self.steps,
        };
        let mut partial = Vec::new();
        if self.workers.is_empty() {
            partial.push(Some(job.run(0, &mut self.memories, &main_device)));
        } else {
            partial.resize_with(self.workers.len(), || None);
            std::thread::scope(|scope| {
                let work = self.memories.chunks_mut(share).enumerate();
                for ((worker, out), (i, memories)) in
                    self.workers.iter().zip(&mut partial).zip(work)
                {
                    let job = &job;
                    scope.spawn(move || {
                        let work = || job.run(i * share, memories, &worker.device);
                        *out = Some(worker.pool.install(work));
                    });
                }
            });
        }
        // Summed in the order of the workers: a run can be repeated bit by bit.
        let sums = partial
            .into_iter()
            .flatten()
            .reduce(|(loss, sum), (more, gradient)| {
                let sum = sum.into_iter().zip(gradient).map(|(a, b)| a + b).collect();
                (loss + more, sum)
            });
        let (loss, mut gradients) = sums.unwrap_or_default();
        let gradient_norm = optimiser::clip(&mut gradients, config.gradient_clip);
        self.steps += 1;
        optimiser::step(
            &mut self.model,
            &mut self.states,
            gradients,
            rate,
            config,
            !self.workers.is_empty(),
        );
        StepReport {
            loss,
            gradient_norm,
            tokens,
        }
    }
}

/// Forward and backward passes of one step, shared by its workers.
struct StepJob<'a> {
    model: &'a Model,
    /// Device that gathers the gradients.
    main_device: &'a Device,
    strategy: GradientCheckpointingStrategy,
    accumulation: &'a [Vec<MicroBatch>],
    /// Factor of sums over tokens.
    scale: f64,
    dropout: f64,
    /// Steps taken before this one.
    step: u64,
}

impl StepJob<'_> {
    /// Loss and gradients of the micro-batches `first..first + memories.len()` of every
    /// accumulation step, computed on `device`: sums over tokens times `scale`. The gradients are
    /// in the order of [`Model::specs`], on the main device.
    fn run(&self, first: usize, memories: &mut [Memory], device: &Device) -> (f64, Vec<Tensor<2>>) {
        let mut loss = 0.0;
        let mut sum: Vec<Option<Tensor<2>>> = Vec::new();
        sum.resize_with(self.model.specs().len(), || None);
        for (a, batches) in self.accumulation.iter().enumerate() {
            for (i, memory) in memories.iter_mut().enumerate() {
                let batch = &batches[first + i];
                let mut replica = self.model.replica(device, self.strategy);
                let position = [self.step, a as u64, (first + i) as u64];
                replica.dropout = Dropout::new(self.dropout, position);
                let logits = match &batch.input.device_rows {
                    // The corpus is on the main device.
                    Some(rows) if device != self.main_device => {
                        let rows = rows.clone().map(|rows| rows.to_device(device));
                        let input = Input {
                            device_rows: Some(rows),
                            ..batch.input.clone()
                        };
                        replica.forward(&input, memory)
                    }
                    _ => replica.forward(&batch.input, memory),
                };
                let total = cross_entropy(logits, &batch.targets).sum() * self.scale;
                let gradients = replica.gradients(total.backward());
                loss += f64::from(total.into_scalar::<f32>());
                for (sum, gradient) in sum.iter_mut().zip(gradients) {
                    *sum = match (sum.take(), gradient) {
                        (Some(sum), Some(gradient)) => Some(sum + gradient),
                        (sum, gradient) => sum.or(gradient),
                    };
                }
            }
        }
        let parameters = self.model.parameters();
        let filled = sum
            .into_iter()
            .zip(parameters)
            .map(|(gradient, parameter)| {
                let zeros = || parameter.zeros_like();
                gradient.map_or_else(zeros, |g| g.to_device(self.main_device))
            });
        (loss, filled.collect())
    }
}
