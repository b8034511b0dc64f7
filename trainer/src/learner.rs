//! A model in training: parameters, their moments, the memories of its lanes, one step.

use burn::tensor::{Device, GradientCheckpointingStrategy, Int, Tensor, TensorData};
use continuo_score::Vocabulary;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::config::{Recipe, Shape};
use crate::model::dropout::Dropout;
use crate::model::recall::INITIAL_SCALE;
use crate::model::{Input, Memory, Model};
use crate::optimiser::{Moments, Slot, Step};
use crate::resident::Piece;

/// The target of a pad: it is no id, and never counts.
pub const NOTHING: u16 = u16::MAX;

/// One group of lanes, and what is to be predicted for each of its tokens.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// What the network reads.
    pub input: Input,
    /// The token that follows each of them, or [`NOTHING`].
    pub targets: Vec<u16>,
    /// Where the tokens come from, in their order.
    pub pieces: Vec<Piece>,
}

impl Group {
    /// Tokens that count.
    pub fn counted(&self) -> usize {
        self.targets.iter().filter(|&&t| t != NOTHING).count()
    }
}

/// A model in training.
pub struct Learner {
    /// The parameters, without autodiff.
    pub model: Model,
    /// Moments, in the order of [`Model::parameters`].
    pub moments: Vec<Moments>,
    /// Memory of each group of lanes.
    pub memories: Vec<Memory>,
    /// Steps taken.
    pub steps: u64,
    workers: Vec<Worker>,
}

/// Passes some of the groups through the network, on its own device from its own thread.
struct Worker {
    pool: ThreadPool,
    device: Device,
}

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Mean loss, nats a token, before the step.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub norm: f64,
    /// Tokens predicted.
    pub tokens: usize,
}

impl Learner {
    /// A learner with given parameters and moments; `groups` empty memories. Each of the
    /// `devices` gets a worker; without any everything happens on the caller's thread and the
    /// parameters' device, as one GPU likes it. Parameters and moments stay where they are:
    /// each step, parameters go to the workers' devices, and gradients come back.
    pub fn new(
        model: Model,
        moments: Vec<Moments>,
        groups: usize,
        devices: Vec<Device>,
    ) -> Result<Self, ThreadPoolBuildError> {
        // Each worker has its own pool of one thread: most operations of the CPU backend run
        // on one thread, so groups side by side use all cores where one group cannot, and
        // the backend's own parallel loops stay within the worker.
        let worker = |device| {
            let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
            Ok(Worker { pool, device })
        };
        let workers = devices.into_iter().take(groups).map(worker);
        let workers = workers.collect::<Result<_, _>>()?;
        let memories = (0..groups).map(|_| Memory::default()).collect();
        Ok(Self {
            model,
            moments,
            memories,
            steps: 0,
            workers,
        })
    }

    /// Groups that each worker has.
    fn share(&self) -> usize {
        self.memories
            .len()
            .div_ceil(self.workers.len().max(1))
            .max(1)
    }

    /// Where the memory of a group of lanes is.
    pub fn device_of(&self, group: usize) -> Device {
        match self.workers.get(group / self.share()) {
            Some(worker) => worker.device.clone(),
            None => self.home(),
        }
    }

    /// The device of parameters and moments.
    fn home(&self) -> Device {
        self.model.token_table().device()
    }

    /// Moments of a model that has taken no step.
    pub fn no_moments(model: &Model) -> Vec<Moments> {
        let zero = |p: &Tensor<2>| p.zeros_like();
        let moments = |p| Moments {
            first: zero(p),
            second: zero(p),
        };
        model
            .parameters()
            .into_iter()
            .map(|(_, p)| moments(p))
            .collect()
    }

    /// One step: its gradient is that of all `rounds` together, each one segment of every
    /// group.
    pub fn step(&mut self, rounds: &[Vec<Group>], rate: f64, recipe: &Recipe) -> Report {
        let tokens: usize = rounds.iter().flatten().map(Group::counted).sum();
        let strategy = if recipe.recompute {
            GradientCheckpointingStrategy::Balanced
        } else {
            GradientCheckpointingStrategy::Disabled
        };
        let home = self.home();
        let share = self.share();
        let job = Job {
            model: &self.model,
            home: &home,
            strategy,
            rounds,
            scale: 1.0 / tokens.max(1) as f64,
            dropout: recipe.dropout,
            step: self.steps,
        };
        let mut partial = Vec::new();
        if self.workers.is_empty() {
            partial.push(Some(job.gradients(0, &mut self.memories, &home)));
        } else {
            partial.resize_with(self.workers.len(), || None);
            std::thread::scope(|scope| {
                let work = self.memories.chunks_mut(share).enumerate();
                for ((worker, out), (i, memories)) in
                    self.workers.iter().zip(&mut partial).zip(work)
                {
                    let job = &job;
                    scope.spawn(move || {
                        let work = || job.gradients(i * share, memories, &worker.device);
                        *out = Some(worker.pool.install(work));
                    });
                }
            });
        }
        // Summed in the order of the workers, so that a run can be repeated.
        let sums = partial
            .into_iter()
            .flatten()
            .reduce(|(loss, sum), (more, gradient)| {
                let sum = sum.into_iter().zip(gradient).map(|(a, b)| a + b).collect();
                (loss + more, sum)
            });
        let (loss, sum) = sums.unwrap_or_default();
        let norm = norm(&sum);
        self.steps += 1;
        let step = Step {
            number: self.steps,
            learning_rate: rate,
            weight_decay: recipe.weight_decay,
            scale: if norm > recipe.clip {
                recipe.clip / norm
            } else {
                1.0
            },
        };
        let parameters = self.model.parameters_mut();
        let slots = parameters
            .into_iter()
            .zip(&mut self.moments)
            .zip(sum)
            .map(|(((name, parameter), moments), gradient)| Slot {
                decays: decays(&name),
                rate: rate_of(&name, recipe),
                parameter,
                moments,
                gradient,
            })
            .collect();
        step.apply(slots, !self.workers.is_empty());
        Report { loss, norm, tokens }
    }
}

/// The norm of all gradients together.
fn norm(gradients: &[Tensor<2>]) -> f64 {
    let squares: Vec<Tensor<1>> = gradients.iter().map(|g| g.clone().square().sum()).collect();
    if squares.is_empty() {
        return 0.0;
    }
    // Read at once: each reading waits for the device.
    let squares = Tensor::cat(squares, 0).into_data();
    squares.iter::<f32>().map(f64::from).sum::<f64>().sqrt()
}

/// Of the kNN layer's parameters those that are one number a head.
const RECALL_ROWS: [&str; 3] = ["recall_scale", "recall_bias", "recall_best"];

/// Only the matrices inside layers decay: gains and embeddings of rare tokens would be
/// pulled to zero by every step that does not show them.
fn decays(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    name.starts_with("layers.")
        && !["norm", "distance"].contains(&last)
        && !RECALL_ROWS.contains(&last)
}

/// What the learning rate of a parameter is multiplied by.
fn rate_of(name: &str, recipe: &Recipe) -> f64 {
    let last = name.rsplit('.').next().unwrap_or(name);
    if recipe.without.leaves_out(name) {
        0.0
    } else if RECALL_ROWS.contains(&last) {
        recipe.recall_rate
    } else {
        1.0
    }
}

/// What the workers of one step do.
struct Job<'a> {
    model: &'a Model,
    /// Where gradients are gathered.
    home: &'a Device,
    strategy: GradientCheckpointingStrategy,
    rounds: &'a [Vec<Group>],
    /// What sums over tokens are multiplied by.
    scale: f64,
    dropout: f64,
    /// Steps taken before this one.
    step: u64,
}

impl Job<'_> {
    /// The loss of the groups `first..first + memories.len()` of every round, and its gradients
    /// in the order of [`Model::parameters`]; both are sums over tokens times `scale`. They are
    /// computed on `device`.
    fn gradients(
        &self,
        first: usize,
        memories: &mut [Memory],
        device: &Device,
    ) -> (f64, Vec<Tensor<2>>) {
        let mut loss = 0.0;
        let mut sum: Vec<Option<Tensor<2>>> = Vec::new();
        let groups = 0..memories.len();
        for (r, i) in (0..self.rounds.len()).flat_map(|r| groups.clone().map(move |i| (r, i))) {
            let (group, memory) = (&self.rounds[r][first + i], &mut memories[i]);
            let mut replica = self.model.replica(device, self.strategy);
            replica.dropout = Dropout::new(self.dropout, [self.step, r as u64, (first + i) as u64]);
            let logits = match &group.input.resident {
                // The corpus is at home.
                Some(rows) if device != self.home => {
                    let rows = rows.clone().map(|rows| rows.to_device(device));
                    let input = Input {
                        resident: Some(rows),
                        ..group.input.clone()
                    };
                    replica.forward(&input, memory)
                }
                _ => replica.forward(&group.input, memory),
            };
            let nll = nats(logits, &group.targets).sum();
            let nll = nll * self.scale;
            let mut gradients = nll.backward();
            loss += f64::from(nll.into_scalar::<f32>());
            let parameters = replica.parameters();
            sum.resize_with(parameters.len(), || None);
            for (sum, (_, parameter)) in sum.iter_mut().zip(parameters) {
                let Some(gradient) = parameter.grad_remove(&mut gradients) else {
                    continue;
                };
                *sum = Some(match sum.take() {
                    Some(sum) => sum + gradient,
                    None => gradient,
                });
            }
        }
        let zeros = self.model.parameters();
        let filled = sum
            .into_iter()
            .zip(zeros)
            .map(|(g, (_, p))| g.map_or_else(|| p.zeros_like(), |g| g.to_device(self.home)));
        (loss, filled.collect())
    }
}

/// Nats of each target, `[rows, 1]`, from logits `[rows, vocabulary]`; 0 where the target is
/// [`NOTHING`].
pub fn nats(logits: Tensor<2>, targets: &[u16]) -> Tensor<2> {
    let device = logits.device();
    let rows = targets.len();
    let id = |t: &u16| if *t == NOTHING { 0 } else { i64::from(*t) };
    let ids: Vec<i64> = targets.iter().map(id).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, 1]), &device);
    let highest = logits.clone().inner().max_dim(1);
    let logits = logits - highest;
    let nats = logits.clone().exp().sum_dim(1).log() - logits.gather(1, ids);
    if !targets.contains(&NOTHING) {
        return nats;
    }
    let counts = |t: &u16| if *t == NOTHING { 0.0f32 } else { 1.0 };
    let counts: Vec<f32> = targets.iter().map(counts).collect();
    nats * Tensor::from_data(TensorData::new(counts, [rows, 1]), &device)
}

/// A model with random parameters.
pub fn initial(shape: Shape, vocabulary: &Vocabulary, device: &Device, seed: u64) -> Model {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let depth = (2.0 * shape.sizes.layers as f64).sqrt();
    let made = Model::build::<std::convert::Infallible>(
        shape,
        vocabulary,
        device,
        |name, [rows, columns]| {
            let deviation = match name.rsplit('.').next() {
                Some("norm") => return Ok(Tensor::ones([rows, columns], device)),
                Some("recall_scale") => {
                    return Ok(Tensor::full([rows, columns], INITIAL_SCALE.ln(), device));
                }
                // The gate is half open until something is learnt about when to recall.
                Some("recall_gate" | "recall_bias" | "recall_best") => {
                    return Ok(Tensor::zeros([rows, columns], device));
                }
                // What a layer adds is small at first, the smaller the more layers there are.
                Some("out" | "down") => 1.0 / (rows as f64).sqrt() / depth,
                Some("qkv" | "gate_up") => 1.0 / (rows as f64).sqrt(),
                _ => 0.05,
            };
            let data: Vec<f32> = (0..rows * columns)
                .map(|_| (normal(&mut random) * deviation) as f32)
                .collect();
            Ok(Tensor::from_data(
                TensorData::new(data, [rows, columns]),
                device,
            ))
        },
    );
    match made {
        Ok(model) => model,
        Err(never) => match never {},
    }
}

/// A sample of the standard normal distribution (Box and Muller).
fn normal(random: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}
