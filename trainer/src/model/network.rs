//! The whole network: embedding, layers, norm and output.

use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::{Device, GradientCheckpointingStrategy, Gradients, Tensor, TensorData};
use continuo_score::Vocabulary;
use half::f16;

use super::attention::Attention;
use super::attention_context::AttentionContext;
use super::config::ModelConfig;
use super::cpu;
use super::dropout::Dropout;
use super::embedding::{self, InputEmbedding};
use super::feed_forward::FeedForward;
use super::input::Input;
use super::memory::{Memory, MemoryMode};
use super::parameters::{self, Builder, ParamInit, ParamSpec};
use super::precision::Precision;
use super::tensors::values;

/// A network with its parameters.
pub struct Model {
    /// Shape.
    pub config: ModelConfig,
    /// Number format of the matrix products.
    pub precision: Precision,
    /// Whether the CPU's own operations are used on a CPU; otherwise `burn`'s, which give the same
    /// values more slowly.
    pub fused: bool,
    /// Only in training.
    pub dropout: Option<Dropout>,
    /// Parameters, in the order in which [`Module::visit`] meets them.
    specs: Vec<ParamSpec>,
    /// The constant matrix of the token table.
    features: Tensor<2>,
    layers: Layers,
}

/// Modules with parameters.
#[derive(Module, Debug)]
struct Layers {
    embedding: InputEmbedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

#[derive(Module, Debug)]
struct Layer {
    attention: Attention,
    feed_forward: FeedForward,
}

impl Model {
    /// A model with the parameters that `init` returns for each name and shape.
    ///
    /// # Errors
    /// The first error of `init`.
    pub fn build<E>(
        config: ModelConfig,
        vocabulary: &Vocabulary,
        device: &Device,
        mut init: impl ParamInit<E>,
    ) -> Result<Self, E> {
        let mut specs = Vec::new();
        let mut builder = Builder {
            init: &mut init,
            specs: &mut specs,
            prefix: String::new(),
        };
        let embedding = InputEmbedding::build(&config, vocabulary, builder.below("embedding"))?;
        let mut layers = Vec::with_capacity(config.shape.sizes.layers);
        for l in 0..config.shape.sizes.layers {
            let attention = builder.below(&format!("layers.{l}.attention"));
            let attention = Attention::build(&config, l, attention)?;
            let feed_forward = builder.below(&format!("layers.{l}.feed_forward"));
            layers.push(Layer {
                attention,
                feed_forward: FeedForward::build(&config, feed_forward)?,
            });
        }
        let norm = builder.norm("norm", config.shape.sizes.width)?;
        Ok(Self {
            config,
            precision: Precision::F32,
            fused: true,
            dropout: None,
            specs,
            features: embedding::features(vocabulary, device),
            layers: Layers {
                embedding,
                layers,
                norm,
            },
        })
    }

    /// Names, roles and shapes of the parameters, in the order in which [`Self::build`] asks for
    /// them.
    pub fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    /// Values of the parameters, in the order of [`Self::specs`].
    pub fn parameters(&self) -> Vec<Tensor<2>> {
        parameters::collect(&self.layers)
    }

    /// The parameter of a name; `None` if the network has none of this name.
    pub fn parameter(&self, name: &str) -> Option<Tensor<2>> {
        let index = self.specs.iter().position(|spec| spec.name == name)?;
        self.parameters().into_iter().nth(index)
    }

    /// Replaces all parameters, in the order of [`Self::specs`].
    pub fn set_parameters(&mut self, values: Vec<Tensor<2>>) {
        self.layers = parameters::replace(self.layers.clone(), values);
    }

    /// Rounds all parameters to 16 bits (IEEE 754 binary16, 11 significant bits).
    pub fn round_to_f16(&mut self) {
        let device = self.device();
        let round = |parameter: Tensor<2>| {
            let halves = values(&parameter).into_iter().map(f16::from_f32);
            let rounded: Vec<f32> = halves.map(f16::to_f32).collect();
            Tensor::from_data(TensorData::new(rounded, parameter.dims()), &device)
        };
        let rounded = self.parameters().into_iter().map(round).collect();
        self.set_parameters(rounded);
    }

    /// Device of the parameters, outside of autodiff.
    pub fn device(&self) -> Device {
        self.features.device()
    }

    /// Number of learnt values.
    pub fn size(&self) -> usize {
        self.layers.num_params()
    }

    /// A copy on `device` whose parameters are leaves of an autodiff graph of its own: two threads
    /// can each differentiate one. `strategy` says whether the backward pass keeps activations or
    /// computes them again.
    pub fn replica(&self, device: &Device, strategy: GradientCheckpointingStrategy) -> Self {
        Self {
            config: self.config,
            precision: self.precision,
            fused: self.fused,
            dropout: None,
            specs: self.specs.clone(),
            features: self.features.clone().to_device(device),
            layers: parameters::as_leaves(self.layers.clone(), device, strategy),
        }
    }

    /// Gradients of the parameters, in the order of [`Self::specs`]; `None` for a parameter that
    /// took no part.
    pub fn gradients(&self, gradients: Gradients) -> Vec<Option<Tensor<2>>> {
        parameters::take_gradients(&self.layers, gradients)
    }

    /// Logits `[batch * length, vocabulary]` of the token after each token. Advances `memory`.
    pub fn forward(&self, input: &Input, memory: &mut Memory) -> Tensor<2> {
        self.forward_with(input, memory, MemoryMode::BOTH)
    }

    /// As [`Self::forward`], with the memories that `mode` selects.
    pub fn forward_with(&self, input: &Input, memory: &mut Memory, mode: MemoryMode) -> Tensor<2> {
        let device = self.features.device();
        let mut context = AttentionContext::new(&self.config, input, memory, mode, self.precision);
        if !self.fused || !cpu::is_cpu(&device) || self.config.like_midigen.positions {
            context.compose(&device);
        }
        let table = self.token_table();
        let drop = |x| match &self.dropout {
            Some(dropout) => dropout.apply(x),
            None => x,
        };
        let Layers {
            embedding,
            layers,
            norm,
        } = &self.layers;
        let mut h = drop(embedding.embed(input, table.clone(), &device));
        for (l, layer) in layers.iter().enumerate() {
            h = h.clone() + drop(layer.attention.forward(h, &context, memory, l));
            h = h.clone() + drop(layer.feed_forward.forward(h, &context));
        }
        memory.position += input.length as u64;
        context.logits(context.norm(h, norm), table)
    }

    /// Divides all logits by `temperature` from now on: above 1 the model becomes less certain,
    /// below 1 more.
    pub fn divide_logits(&mut self, temperature: f32) {
        let gain = &mut self.layers.norm.gamma;
        *gain = gain.clone().map(|gain| gain / temperature);
    }

    /// The token table, `[vocabulary, width]`.
    pub fn token_table(&self) -> Tensor<2> {
        self.layers.embedding.table(&self.features)
    }
}
