//! Random parameters of a new network.

use std::convert::Infallible;

use burn::tensor::{Device, Tensor, TensorData};
use continuo_score::Vocabulary;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::config::ModelConfig;
use super::network::Model;
use super::parameters::{ParamRole, ParamSpec};
use super::retrieval::INITIAL_SCALE;

/// Standard deviation of new embedding rows.
const TABLE_DEVIATION: f64 = 0.05;

/// A model with random parameters; the same seed gives the same model on every machine.
///
/// `burn`'s initialisers draw from the backend's generator, which is shared by all threads; here
/// the seed alone decides.
pub fn initial(config: ModelConfig, vocabulary: &Vocabulary, device: &Device, seed: u64) -> Model {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let depth = (2.0 * config.shape.sizes.layers as f64).sqrt();
    let draw = |spec: &ParamSpec| {
        let [rows, columns] = spec.shape;
        let deviation = match spec.role {
            ParamRole::Gain => return Ok(Tensor::ones(spec.shape, device)),
            ParamRole::LogScale => {
                return Ok(Tensor::full(spec.shape, INITIAL_SCALE.ln(), device));
            }
            // The gate is half open until training has learnt when to recall.
            ParamRole::GateProjection | ParamRole::GateTerm => {
                return Ok(Tensor::zeros(spec.shape, device));
            }
            ParamRole::ResidualProjection => 1.0 / (rows as f64).sqrt() / depth,
            ParamRole::Projection => 1.0 / (rows as f64).sqrt(),
            ParamRole::Table(_) => TABLE_DEVIATION,
        };
        let data: Vec<f32> = (0..rows * columns)
            .map(|_| (standard_normal(&mut random) * deviation) as f32)
            .collect();
        let data = TensorData::new(data, spec.shape);
        Ok::<_, Infallible>(Tensor::from_data(data, device))
    };
    match Model::build(config, vocabulary, device, draw) {
        Ok(model) => model,
        Err(never) => match never {},
    }
}

/// A sample of the standard normal distribution (Box and Muller).
fn standard_normal(random: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}
