//! State of an optimiser, as a step uses it and as a checkpoint holds it.

use std::convert::Infallible;

use burn::optim::{AdamWState, AdaptiveMomentumState};
use burn::tensor::Tensor;

use crate::model::ParamSpec;
use crate::train::config::Optimizer;

/// Names of the tensors of a state.
const FIRST: &str = "first";
const SECOND: &str = "second";
const MOMENTUM: &str = "momentum";

/// State of the optimiser for one parameter. The training thread owns it between two steps.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each parameter, and most are the larger"
)]
pub enum ParamState {
    /// Running means of the gradients and squared gradients.
    AdamW(AdamWState<2>),
    /// Running sum of the gradients.
    Muon(Tensor<2>),
}

impl ParamState {
    /// State before the first step.
    pub fn new(spec: &ParamSpec, parameter: &Tensor<2>, optimizer: Optimizer) -> Self {
        let zeros = |_: &str| Ok::<_, Infallible>(parameter.zeros_like());
        match Self::load(spec, optimizer, 0, zeros) {
            Ok(state) => state,
            Err(never) => match never {},
        }
    }

    /// State after `steps` steps; `load` returns the tensor of each name in [`Self::tensors`].
    ///
    /// # Errors
    /// The first error of `load`.
    pub fn load<E>(
        spec: &ParamSpec,
        optimizer: Optimizer,
        steps: u64,
        load: impl Fn(&str) -> Result<Tensor<2>, E>,
    ) -> Result<Self, E> {
        if optimizer == Optimizer::Muon && spec.role.is_layer_matrix() {
            return Ok(Self::Muon(load(MOMENTUM)?));
        }
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let moments = AdaptiveMomentumState::new(steps, load(FIRST)?, load(SECOND)?);
        Ok(Self::AdamW(AdamWState::new(moments)))
    }

    /// The tensors of the state, each with its name and in the shape of the parameter.
    pub fn tensors(&self) -> Vec<(&'static str, Tensor<2>)> {
        match self {
            Self::AdamW(AdamWState { momentum }) => vec![
                (FIRST, momentum.moment_1.clone()),
                (SECOND, momentum.moment_2.clone()),
            ],
            Self::Muon(momentum) => vec![(MOMENTUM, momentum.clone())],
        }
    }
}
