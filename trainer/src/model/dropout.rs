//! Dropout: in training, some numbers are left out at random, so that no part of the network
//! leans on any one of them (Srivastava et al. 2014).

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Sets numbers to zero at random and makes up for it in the others. The numbers drawn hang on
/// the place in the training alone: the backend's own generator is one for all threads, and
/// could neither be repeated nor resumed.
pub struct Dropout {
    rate: f64,
    place: [u64; 3],
    /// How often numbers have been left out.
    times: AtomicU64,
}

impl Dropout {
    /// Leaves out a share `rate` (below 1) of all numbers; `None` for a share of 0. `place` is
    /// the step, the round and the group of lanes.
    pub fn new(rate: f64, place: [u64; 3]) -> Option<Self> {
        (rate > 0.0).then_some(Self {
            rate,
            place,
            times: AtomicU64::new(0),
        })
    }

    pub(super) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let shape = x.dims();
        let [step, round, group] = self.place;
        let times = self.times.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0; 32];
        for (bytes, number) in seed.chunks_exact_mut(8).zip([step, round, group, times]) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        let mut random = ChaCha8Rng::from_seed(seed);
        // One byte decides for one number: a rate is as good as its nearest 256th.
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
    use crate::model::numbers;

    #[test]
    fn keeps_the_mean_and_can_be_repeated() {
        assert!(Dropout::new(0.0, [1, 0, 0]).is_none());
        let device = Device::flex();
        let drop = |place| {
            let dropout = Dropout::new(0.25, place).expect("a rate above 0");
            numbers(&dropout.apply(Tensor::ones([64, 256], &device)))
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
