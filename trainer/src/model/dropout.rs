//! Dropout: random values are set to zero in training (Srivastava et al. 2014).
//!
//! `burn`'s `Dropout` draws from the backend's generator, which is shared by all threads and can
//! neither be repeated nor resumed; here the position in the training alone decides.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Dropout of one forward pass. One thread uses it at a time.
pub struct Dropout {
    rate: f64,
    position: [u64; 3],
    /// Calls of [`Self::apply`].
    calls: AtomicU64,
}

impl Dropout {
    /// Dropout of a share `rate` (0 to 1, exclusive) of all values; `None` for a share of 0.
    /// `position` is the step, the accumulation step and the micro-batch.
    pub fn new(rate: f64, position: [u64; 3]) -> Option<Self> {
        (rate > 0.0).then_some(Self {
            rate,
            position,
            calls: AtomicU64::new(0),
        })
    }

    /// Sets values of `x` to zero and scales the others up, so that the mean stays.
    pub(super) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let shape = x.dims();
        let [step, accumulation_step, micro_batch] = self.position;
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0; 32];
        for (bytes, number) in
            seed.chunks_exact_mut(8)
                .zip([step, accumulation_step, micro_batch, call])
        {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        let mut random = ChaCha8Rng::from_seed(seed);
        // One byte per value: the rate is rounded to a 256th.
        let dropped = (self.rate * 256.0).round() as u16;
        let kept = 256.0 / f32::from(256 - dropped.min(255));
        let mut bytes = vec![0u8; shape[0] * shape[1]];
        random.fill_bytes(&mut bytes);
        let mask: Vec<f32> = bytes
            .into_iter()
            .map(|byte| if u16::from(byte) < dropped { 0.0 } else { kept })
            .collect();
        let device = x.device();
        x * Tensor::from_data(TensorData::new(mask, shape), &device)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::values;

    #[test]
    fn dropout_keeps_the_mean_and_is_reproducible() {
        assert!(Dropout::new(0.0, [1, 0, 0]).is_none());
        let device = Device::flex();
        let drop = |position| {
            let dropout = Dropout::new(0.25, position).expect("a rate above 0");
            values(&dropout.apply(Tensor::ones([64, 256], &device)))
        };
        let once = drop([3, 0, 1]);
        let zeros = once.iter().filter(|&&x| x == 0.0).count() as f64 / once.len() as f64;
        assert!((zeros - 0.25).abs() < 0.02, "{zeros}");
        let mean = once.iter().sum::<f32>() / once.len() as f32;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert_eq!(once, drop([3, 0, 1]));
        assert_ne!(once, drop([4, 0, 1]));
    }
}
