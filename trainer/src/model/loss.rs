//! Cross-entropy of the network's predictions.

use burn::tensor::{Int, Tensor, TensorData};

use super::cpu;

/// Target of a padding token: it is no token id, and its loss is 0.
pub const IGNORED: u16 = u16::MAX;

/// Cross-entropy in nats of each target, `[rows, 1]`, from logits `[rows, vocabulary]`; 0 where
/// the target is [`IGNORED`].
///
/// `burn`'s `CrossEntropyLoss` returns the mean over one batch; a training step sums over several
/// micro-batches, and an evaluation reports each token.
pub fn cross_entropy(logits: Tensor<2>, targets: &[u16]) -> Tensor<2> {
    match cpu::is_cpu(&logits.device().inner()) {
        true => cpu::cross_entropy::cross_entropy(logits, targets),
        false => composed_cross_entropy(logits, targets),
    }
}

/// As [`cross_entropy`], by `burn`'s operations.
pub(super) fn composed_cross_entropy(logits: Tensor<2>, targets: &[u16]) -> Tensor<2> {
    let device = logits.device();
    let rows = targets.len();
    let id = |t: &u16| if *t == IGNORED { 0 } else { i64::from(*t) };
    let ids: Vec<i64> = targets.iter().map(id).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, 1]), &device);
    let highest = logits.clone().inner().max_dim(1);
    let logits = logits - highest;
    let losses = logits.clone().exp().sum_dim(1).log() - logits.gather(1, ids);
    if !targets.contains(&IGNORED) {
        return losses;
    }
    let weight = |t: &u16| if *t == IGNORED { 0.0f32 } else { 1.0 };
    let weights: Vec<f32> = targets.iter().map(weight).collect();
    losses * Tensor::from_data(TensorData::new(weights, [rows, 1]), &device)
}
