//! Initial parameters of a new network.

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

/// A model to train from nothing; the same seed gives the same model on every machine.
///
/// Its projections onto the residual stream are 0, so that each layer begins as the identity (Zhang et
/// al. 2019, "Fixup initialization"), and so is the gate of the kNN memory. All other matrices are random.
pub fn initial(config: ModelConfig, vocabulary: &Vocabulary, device: &Device, seed: u64) -> Model {
    draw_model(config, vocabulary, device, seed, 0.0)
}

/// As [`initial`], with random projections onto the residual stream as well, for tests alone: the
/// logits depend on every matrix.
pub fn random_model(
    config: ModelConfig,
    vocabulary: &Vocabulary,
    device: &Device,
    seed: u64,
) -> Model {
    let depth = (2.0 * config.shape.sizes.layers as f64).sqrt();
    draw_model(config, vocabulary, device, seed, 1.0 / depth)
}

/// Draws the parameters. `residual` is a factor of the deviation of projections onto the residual
/// stream.
///
/// `burn`'s initialisers draw from the backend's generator, which is shared by all threads; here
/// the seed alone decides.
fn draw_model(
    config: ModelConfig,
    vocabulary: &Vocabulary,
    device: &Device,
    seed: u64,
    residual: f64,
) -> Model {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
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
            ParamRole::ResidualProjection => residual / (rows as f64).sqrt(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::values;
    use crate::train::config::preset;

    /// Standard deviations of the parameters of a role, each times the root of its rows.
    fn deviations(model: &Model, role: ParamRole) -> Vec<f64> {
        let parameters = model.parameters();
        let pairs = model.specs().iter().zip(&parameters);
        let of_role = pairs.filter(|(spec, _)| spec.role == role);
        of_role
            .map(|(spec, parameter)| {
                let values = values(parameter);
                let squares = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
                (squares / values.len() as f64 * spec.shape[0] as f64).sqrt()
            })
            .collect()
    }

    #[test]
    fn layers_begin_as_the_identity() {
        let vocabulary = Vocabulary::continuo();
        let (config, _) = preset("tiny", &vocabulary).unwrap();
        let depth = (2.0 * config.shape.sizes.layers as f64).sqrt();
        let near = |found: Vec<f64>, expected: f64| {
            assert!(found.len() >= config.shape.sizes.layers);
            for one in found {
                assert!((one - expected).abs() <= 0.05 * expected, "{one}");
            }
        };
        for (model, residual) in [
            (initial(config, &vocabulary, &Device::flex(), 3), 0.0),
            (
                random_model(config, &vocabulary, &Device::flex(), 3),
                1.0 / depth,
            ),
        ] {
            near(deviations(&model, ParamRole::ResidualProjection), residual);
            near(deviations(&model, ParamRole::Projection), 1.0);
        }
    }
}
