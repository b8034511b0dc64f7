use burn::tensor::{Device, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::model::{ParamRole, values};
use crate::train::config::{Optimizer, preset};
use continuo_score::Vocabulary;

const ROWS: usize = 24;

fn random(columns: usize, scale: f32, seed: u64) -> Tensor<2> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let data: Vec<f32> = (0..ROWS * columns)
        .map(|_| scale * random.random_range(-1.0..1.0))
        .collect();
    Tensor::from_data(TensorData::new(data, [ROWS, columns]), &Device::flex())
}

fn spec(parts: &[usize]) -> ParamSpec {
    ParamSpec {
        name: "matrix".into(),
        role: ParamRole::Projection,
        shape: [ROWS, parts.iter().sum()],
        parts: parts.to_vec(),
    }
}

fn optimisers(weight_decay: f64) -> Optimisers {
    let vocabulary = Vocabulary::preset("continuo").expect("a preset");
    let (_, tiny) = preset("tiny", &vocabulary).expect("a preset");
    let config = TrainConfig {
        weight_decay,
        ..tiny
    };
    Optimisers::new(&config)
}

/// Update of a parameter of zeros by Muon at learning rate 1.
fn update(parts: &[usize], gradient: Tensor<2>) -> Tensor<2> {
    let spec = spec(parts);
    let zeros = gradient.zeros_like();
    let state = ParamState::new(&spec, &zeros, Optimizer::Muon);
    let (parameter, _) = optimisers(0.0).step(&spec, zeros, gradient, state, 1.0);
    parameter
}

#[test]
fn matrices_side_by_side_are_orthogonalised_apart() {
    // The second matrix has much the larger gradient.
    let gradients = [random(16, 1e-3, 1), random(40, 1.0, 2), random(8, 0.1, 3)];
    let together = update(&[16, 40, 8], Tensor::cat(gradients.to_vec(), 1));
    let apart = gradients.clone().map(|gradient| {
        let [_, columns] = gradient.dims();
        update(&[columns], gradient)
    });
    assert_eq!(
        values(&together),
        values(&Tensor::cat(apart.to_vec(), 1)),
        "to the bit"
    );
    let as_one = update(&[64], Tensor::cat(gradients.to_vec(), 1));
    assert_ne!(values(&together), values(&as_one));
}

#[test]
fn muon_updates_are_orthogonal_and_as_large_as_adamws() {
    for columns in [8, ROWS, 40] {
        let update = update(&[columns], random(columns, 1e-3, 4));
        let rms = update.clone().square().mean().into_scalar::<f32>().sqrt();
        // Five iterations bring the singular values to between 0.7 and 1.2.
        assert!((0.13..0.25).contains(&rms), "{columns}: {rms}");
        let wide = match columns > ROWS {
            true => update,
            false => update.transpose(),
        };
        let [rows, columns] = wide.dims();
        let product = values(&wide.clone().matmul(wide.transpose()));
        let unit = 0.04 * rows.max(columns) as f32;
        for (i, value) in product.iter().enumerate() {
            let expected = if i % (rows + 1) == 0 { unit } else { 0.0 };
            assert!((value - expected).abs() < 0.6 * unit, "{i}: {value}");
        }
    }
}

#[test]
fn muon_and_adamw_decay_alike() {
    let spec = spec(&[16]);
    let decayed = [Optimizer::AdamW, Optimizer::Muon].map(|optimizer| {
        let before = random(16, 1.0, 5);
        let zeros = before.zeros_like();
        let state = ParamState::new(&spec, &before, optimizer);
        values(&optimisers(0.5).step(&spec, before, zeros, state, 0.1).0)
    });
    let before = values(&random(16, 1.0, 5));
    for (muon, before) in decayed[1].iter().zip(&before) {
        assert!((muon - 0.95 * before).abs() < 1e-6, "{muon} from {before}");
    }
    for (adam_w, muon) in decayed[0].iter().zip(&decayed[1]) {
        assert!((adam_w - muon).abs() < 1e-6, "{adam_w} {muon}");
    }
}

#[test]
fn only_matrices_inside_layers_have_momentum() {
    let zeros = Tensor::zeros([ROWS, 16], &Device::flex());
    let names = |role, optimizer| -> Vec<&str> {
        let spec = ParamSpec {
            role,
            ..spec(&[8, 8])
        };
        let state = ParamState::new(&spec, &zeros, optimizer);
        let tensors = state.tensors();
        assert!(tensors.iter().all(|(_, t)| t.dims() == spec.shape));
        tensors.into_iter().map(|(name, _)| name).collect()
    };
    for role in [ParamRole::Projection, ParamRole::ResidualProjection] {
        assert_eq!(names(role, Optimizer::Muon), ["momentum"]);
        assert_eq!(names(role, Optimizer::AdamW), ["first", "second"]);
    }
    for role in [ParamRole::Gain, ParamRole::GateProjection] {
        assert_eq!(names(role, Optimizer::Muon), ["first", "second"]);
    }
}
