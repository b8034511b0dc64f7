//! State of an optimiser, as a step uses it and as a checkpoint holds it.

use std::convert::Infallible;

use burn::optim::momentum::MomentumState;
use burn::optim::{AdamWState, AdaptiveMomentumState, MuonState, RecordState, StateSink};
use burn::tensor::{Device, Tensor};

use crate::model::ParamSpec;
use crate::train::config::Optimizer;

/// Names of the tensors of a state.
const FIRST: &str = "first";
const SECOND: &str = "second";
const MOMENTUM: &str = "momentum";

/// State of the optimiser for one parameter. The training thread owns it between two steps.
pub enum ParamState {
    /// Running means of the gradients and squared gradients.
    AdamW(AdamWState<2>),
    /// Momentum of each of the matrices that lie side by side in the parameter.
    Muon(Vec<MuonState<2>>),
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
            let parts = spec.split(load(MOMENTUM)?).into_iter();
            let states = parts.map(|part| MuonState::new(MomentumState::new(part)));
            return Ok(Self::Muon(states.collect()));
        }
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let moments = AdaptiveMomentumState::new(steps, load(FIRST)?, load(SECOND)?);
        Ok(Self::AdamW(AdamWState::new(moments)))
    }

    /// The tensors of the state, each with its name and in the shape of the parameter.
    pub fn tensors(&self, spec: &ParamSpec) -> Vec<(&'static str, Tensor<2>)> {
        match self {
            Self::AdamW(AdamWState { momentum }) => vec![
                (FIRST, momentum.moment_1.clone()),
                (SECOND, momentum.moment_2.clone()),
            ],
            Self::Muon(parts) => {
                let parts = parts.iter().flat_map(velocity).collect();
                vec![(MOMENTUM, spec.join(parts))]
            }
        }
    }
}

/// Copy of a momentum on the CPU; `None` if the state holds none. The field is private, and only
/// `burn`'s records show it.
fn velocity(state: &MuonState<2>) -> Option<Tensor<2>> {
    let mut sink = StateSink::default();
    state.state_flatten("", &mut sink);
    let (_, data) = sink.tensors.pop()?;
    Some(Tensor::from_data(data, &Device::flex()))
}
