//! Parameters by name: how modules ask for them, and how they are read, replaced and moved.
//!
//! Every parameter is a matrix outside of the modules; a gain of `width` numbers is `[1, width]`.
//! These are the names and shapes of `weights.safetensors` and of the ONNX graphs' constants.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::nn::{Embedding, Linear, RmsNorm};
use burn::optim::GradientsParams;
use burn::tensor::{Device, GradientCheckpointingStrategy, Gradients, Tensor};

/// Added to the mean square in RMSNorm.
pub const NORM_EPSILON: f64 = 1e-5;

/// Purpose of a parameter; it decides the initial values, the weight decay and the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamRole {
    /// Embedding rows: no weight decay, because a step that does not show a row would shrink it.
    Table(TableRole),
    /// Gain of a norm: begins at 1, no weight decay.
    Gain,
    /// Projection of a layer's normalised input: decays.
    Projection,
    /// Projection onto the residual stream: begins at 0, decays.
    ResidualProjection,
    /// Projection that opens the kNN gate: begins at 0, decays.
    GateProjection,
    /// One number per head that the kNN gate adds: begins at 0, no weight decay.
    GateTerm,
    /// Logarithm of the scale of the kNN layer's similarities, per head: no weight decay.
    LogScale,
}

/// Embedding tables, as far as ablations distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableRole {
    /// One row per token id.
    Token,
    /// Rows of pitch classes and octaves.
    Pitch,
    /// Rows of the time grid: step in bar, bar number, bar length.
    Grid,
    /// Rows of the notes that sound.
    NoteState,
    /// Attention biases by distance.
    Distance,
}

impl ParamRole {
    /// Whether weight decay applies: to matrices inside the layers.
    pub fn decays(self) -> bool {
        matches!(
            self,
            Self::Projection | Self::ResidualProjection | Self::GateProjection
        )
    }

    /// Whether Muon can train the parameter: a matrix of attention or of a feed-forward layer.
    pub fn is_layer_matrix(self) -> bool {
        matches!(self, Self::Projection | Self::ResidualProjection)
    }

    /// Whether the parameter is one number per head of the kNN layer.
    pub fn is_knn_scalar(self) -> bool {
        matches!(self, Self::GateTerm | Self::LogScale)
    }

    /// Whether the parameter belongs to the kNN layer's gate.
    pub fn is_gate(self) -> bool {
        matches!(self, Self::GateProjection | Self::GateTerm)
    }
}

/// Name, purpose and shape of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    /// Name in files, such as `layers.0.attention.qkv`.
    pub name: String,
    /// Purpose.
    pub role: ParamRole,
    /// Rows and columns; a projection is `[in, out]`.
    pub shape: [usize; 2],
    /// Columns of each of the matrices that lie side by side in this one, such as query, key and
    /// value; a single number for a single matrix.
    pub parts: Vec<usize>,
}

impl ParamSpec {
    /// The matrices that lie side by side in a tensor of this shape.
    pub fn split(&self, tensor: Tensor<2>) -> Vec<Tensor<2>> {
        match self.parts.len() {
            1 => vec![tensor],
            _ => tensor.split_with_sizes(self.parts.clone(), 1),
        }
    }

    /// The tensor in which `parts` lie side by side.
    pub fn join(&self, mut parts: Vec<Tensor<2>>) -> Tensor<2> {
        match parts.len() {
            1 => parts.remove(0),
            _ => Tensor::cat(parts, 1),
        }
    }
}

/// Source of a new network's parameters, asked once for each in a fixed order.
pub trait ParamInit<E>: FnMut(&ParamSpec) -> Result<Tensor<2>, E> {}
impl<E, F: FnMut(&ParamSpec) -> Result<Tensor<2>, E>> ParamInit<E> for F {}

/// Builds modules with the parameters of a [`ParamInit`], below a prefix, and lists them.
pub(super) struct Builder<'a, I> {
    pub(super) init: &'a mut I,
    pub(super) specs: &'a mut Vec<ParamSpec>,
    pub(super) prefix: String,
}

impl<I> Builder<'_, I> {
    /// The same source for a module of the network.
    pub(super) fn below(&mut self, prefix: &str) -> Builder<'_, I> {
        Builder {
            init: self.init,
            specs: self.specs,
            prefix: format!("{}{prefix}.", self.prefix),
        }
    }

    fn tensor<E>(
        &mut self,
        name: &str,
        role: ParamRole,
        rows: usize,
        parts: &[usize],
    ) -> Result<Tensor<2>, E>
    where
        I: ParamInit<E>,
    {
        let spec = ParamSpec {
            name: format!("{}{name}", self.prefix),
            role,
            shape: [rows, parts.iter().sum()],
            parts: parts.to_vec(),
        };
        let tensor = (self.init)(&spec)?;
        self.specs.push(spec);
        Ok(tensor)
    }

    pub(super) fn matrix<E>(
        &mut self,
        name: &str,
        role: ParamRole,
        [rows, columns]: [usize; 2],
    ) -> Result<Param<Tensor<2>>, E>
    where
        I: ParamInit<E>,
    {
        let tensor = self.tensor(name, role, rows, &[columns])?;
        Ok(Param::initialized(ParamId::new(), tensor))
    }

    pub(super) fn linear<E>(
        &mut self,
        name: &str,
        role: ParamRole,
        shape: [usize; 2],
    ) -> Result<Linear, E>
    where
        I: ParamInit<E>,
    {
        Ok(Linear {
            weight: self.matrix(name, role, shape)?,
            bias: None,
        })
    }

    /// Linear module whose weight holds matrices of `parts` columns side by side.
    pub(super) fn fused_linear<E>(
        &mut self,
        name: &str,
        role: ParamRole,
        rows: usize,
        parts: &[usize],
    ) -> Result<Linear, E>
    where
        I: ParamInit<E>,
    {
        let tensor = self.tensor(name, role, rows, parts)?;
        Ok(Linear {
            weight: Param::initialized(ParamId::new(), tensor),
            bias: None,
        })
    }

    pub(super) fn embedding<E>(
        &mut self,
        name: &str,
        role: TableRole,
        shape: [usize; 2],
    ) -> Result<Embedding, E>
    where
        I: ParamInit<E>,
    {
        Ok(Embedding {
            weight: self.matrix(name, ParamRole::Table(role), shape)?,
        })
    }

    pub(super) fn norm<E>(&mut self, name: &str, width: usize) -> Result<RmsNorm, E>
    where
        I: ParamInit<E>,
    {
        let gain = self.tensor(name, ParamRole::Gain, 1, &[width])?;
        Ok(RmsNorm {
            gamma: Param::initialized(ParamId::new(), gain.reshape([width])),
            epsilon: NORM_EPSILON,
        })
    }
}

/// Values of all parameters, each as a matrix.
pub(super) fn collect(module: &impl Module) -> Vec<Tensor<2>> {
    struct Collector(Vec<Tensor<2>>);
    impl ModuleVisitor for Collector {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(as_matrix(param.val()));
        }
    }
    let mut collector = Collector(Vec::new());
    module.visit(&mut collector);
    collector.0
}

/// Takes the gradients of all parameters out of `gradients`, in the order of [`collect`]; `None`
/// for a parameter that took no part.
pub(super) fn take_gradients(module: &impl Module, gradients: Gradients) -> Vec<Option<Tensor<2>>> {
    struct Taker(GradientsParams, Vec<Option<Tensor<2>>>);
    impl ModuleVisitor for Taker {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.push(self.0.remove::<D>(param.id).map(as_matrix));
        }
    }
    let mut taker = Taker(GradientsParams::from_grads(gradients, module), Vec::new());
    module.visit(&mut taker);
    taker.1
}

/// Replaces the parameters by `values`, matrices in the order of [`collect`].
pub(super) fn replace<M: Module>(module: M, values: Vec<Tensor<2>>) -> M {
    struct Replacer(std::vec::IntoIter<Tensor<2>>);
    impl ModuleMapper for Replacer {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(value) = self.0.next() else {
                return param;
            };
            let shape: [usize; D] = param.lazy_shape().dims();
            Param::initialized(param.id, value.reshape(shape))
        }
    }
    module.map(&mut Replacer(values.into_iter()))
}

/// The same parameters on `device`, as leaves of a new autodiff graph. They keep their ids.
pub(super) fn as_leaves<M: Module>(
    module: M,
    device: &Device,
    strategy: GradientCheckpointingStrategy,
) -> M {
    struct Leaves<'a>(&'a Device, GradientCheckpointingStrategy);
    impl ModuleMapper for Leaves<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let leaf = param.val().inner().to_device(self.0).autodiff();
            let leaf = leaf.with_gradient_checkpointing_strategy(self.1);
            Param::initialized(param.id, leaf.require_grad())
        }
    }
    module.map(&mut Leaves(device, strategy))
}

/// A gain as one row, a matrix as it is.
fn as_matrix<const D: usize>(tensor: Tensor<D>) -> Tensor<2> {
    let dims = tensor.dims();
    let columns = dims[D - 1];
    let rows = dims.iter().product::<usize>() / columns.max(1);
    tensor.reshape([rows, columns])
}
