//! AdamW, small enough to read: its state is saved with every checkpoint.

use burn::tensor::Tensor;
use rayon::prelude::*;

/// Decay of the running mean of gradients.
const BETA_1: f64 = 0.9;
/// Decay of the running mean of squared gradients.
const BETA_2: f64 = 0.95;
/// Keeps a step finite where gradients have been zero.
const EPSILON: f64 = 1e-8;

/// Running means of one parameter's gradients and squared gradients.
pub struct Moments {
    /// Of gradients.
    pub first: Tensor<2>,
    /// Of squared gradients.
    pub second: Tensor<2>,
}

/// What one step of AdamW does to every parameter.
#[derive(Clone, Copy)]
pub struct Step {
    /// Steps taken, this one included.
    pub number: u64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// What gradients are multiplied with first (clipping).
    pub scale: f64,
}

/// One parameter, its gradient and its moments.
pub struct Slot<'a> {
    /// Whether weight decay applies.
    pub decays: bool,
    /// What the learning rate is multiplied by; 0 for a parameter that learns nothing.
    pub rate: f64,
    /// The parameter.
    pub parameter: &'a mut Tensor<2>,
    /// Its moments.
    pub moments: &'a mut Moments,
    /// Its gradient.
    pub gradient: Tensor<2>,
}

impl Step {
    /// Moves all parameters, side by side if `parallel`.
    pub fn apply(self, slots: Vec<Slot<'_>>, parallel: bool) {
        if parallel {
            slots.into_par_iter().for_each(|slot| self.one(slot));
        } else {
            slots.into_iter().for_each(|slot| self.one(slot));
        }
    }

    fn one(self, slot: Slot<'_>) {
        if slot.rate == 0.0 {
            return;
        }
        let rate = self.learning_rate * slot.rate;
        let gradient = slot.gradient * self.scale;
        let Moments { first, second } = slot.moments;
        first.inplace(|m| m * BETA_1 + gradient.clone() * (1.0 - BETA_1));
        second.inplace(|v| v * BETA_2 + gradient.square() * (1.0 - BETA_2));
        let n = self.number as f64;
        let root = (second.clone() / (1.0 - BETA_2.powf(n))).sqrt() + EPSILON;
        let update = first.clone() / root * (rate / (1.0 - BETA_1.powf(n)));
        let decay = if slot.decays {
            rate * self.weight_decay
        } else {
            0.0
        };
        slot.parameter.inplace(|p| p * (1.0 - decay) - update);
    }
}
