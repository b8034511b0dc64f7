//! One ONNX graph, with its inputs and outputs by name, checked on load and on every run.

use std::ops::Range;
use std::path::Path;

use continuo_score::manifest::Manifest;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef};

use super::directory;
use super::input_token::InputToken;
use super::tensors::Tensor;
use crate::denormals;
use crate::error::EngineError;
use crate::knn::Neighbours;
use crate::kv_cache::KvCache;

/// An input or output.
pub(super) struct TensorPort {
    pub(super) name: String,
    pub(super) tensor: Tensor,
    pub(super) ty: TensorElementType,
}

/// A graph, ready to run.
pub(super) struct Graph {
    pub(super) session: Session,
    pub(super) inputs: Vec<TensorPort>,
    pub(super) outputs: Vec<TensorPort>,
    /// Whether it updates its caches in place.
    in_place: bool,
    /// Windows of the last run, by slot; their memory is reused.
    windows: Vec<Vec<f32>>,
}

/// Inputs and outputs of the graphs for some new tokens.
#[derive(Default)]
pub(super) struct ForwardPass {
    pub(super) steps: usize,
    token: Vec<i64>,
    bar_step: Vec<i64>,
    bar: Vec<i64>,
    metre: Vec<i64>,
    sounding: Vec<i64>,
    position: Vec<i64>,
    step: Vec<i64>,
    pitch: Vec<i64>,
    recall: [f32; 1],
    hidden: Vec<f32>,
    local: Vec<f32>,
    /// `[T, heads, head_dim]`.
    pub(super) query: Vec<f32>,
    pub(super) recalled: Neighbours,
    /// `[T, vocabulary]`.
    pub(super) logits: Vec<f32>,
    /// New keys and values by slot, `[heads, T, head_dim]`.
    pub(super) new: Vec<Vec<f32>>,
}

impl ForwardPass {
    pub(super) fn new(layers: usize, recall: f32) -> Self {
        Self {
            recall: [recall],
            new: vec![Vec::new(); layers * 2],
            ..Self::default()
        }
    }

    /// Sets the inputs to `tokens`, the first at `position`.
    pub(super) fn load(&mut self, tokens: &[InputToken], position: usize) {
        let fill = |column: &mut Vec<i64>, f: fn(&InputToken) -> u32| {
            column.clear();
            column.extend(tokens.iter().map(|t| i64::from(f(t))));
        };
        fill(&mut self.token, |t| t.id.into());
        fill(&mut self.bar_step, |t| t.rows.bar_step.into());
        fill(&mut self.bar, |t| t.rows.bar.into());
        fill(&mut self.metre, |t| t.rows.metre.into());
        fill(&mut self.step, |t| t.note_context.step);
        fill(&mut self.pitch, |t| t.note_context.pitch.into());
        self.sounding.clear();
        let told = tokens.iter().flat_map(|t| t.note_context.rows);
        self.sounding.extend(told.map(i64::from));
        self.steps = tokens.len();
        self.position.clear();
        self.position
            .extend((position..position + tokens.len()).map(|p| p as i64));
    }

    /// The integers of an input; `None` if it has none.
    pub(super) fn ids(&self, tensor: Tensor) -> Option<&[i64]> {
        match tensor {
            Tensor::Token => Some(&self.token),
            Tensor::BarStep => Some(&self.bar_step),
            Tensor::Bar => Some(&self.bar),
            Tensor::TimeSignature => Some(&self.metre),
            Tensor::Sounding => Some(&self.sounding),
            Tensor::Position => Some(&self.position),
            Tensor::Step => Some(&self.step),
            Tensor::Pitch => Some(&self.pitch),
            _ => None,
        }
    }

    /// The numbers of an input; empty if it has none.
    pub(super) fn numbers(&self, tensor: Tensor) -> &[f32] {
        match tensor {
            Tensor::Hidden => &self.hidden,
            Tensor::Local => &self.local,
            Tensor::Score => &self.recalled.scores,
            Tensor::Memory => &self.recalled.values,
            Tensor::Recall => &self.recall,
            _ => &[],
        }
    }

    /// The buffer of an output; `None` if it is not needed.
    pub(super) fn output(&mut self, tensor: Tensor) -> Option<&mut Vec<f32>> {
        match tensor {
            Tensor::New(slot) => self.new.get_mut(slot),
            Tensor::Hidden => Some(&mut self.hidden),
            Tensor::Local => Some(&mut self.local),
            Tensor::Query => Some(&mut self.query),
            Tensor::Logits => Some(&mut self.logits),
            _ => None,
        }
    }
}

impl Graph {
    /// Wraps the session of the graph in `file`.
    ///
    /// # Errors
    /// Fails if inputs or outputs are not those of its role, in the sizes of `manifest`.
    pub(super) fn new(
        session: Session,
        file: &Path,
        manifest: &Manifest,
        role: Role,
    ) -> Result<Self, EngineError> {
        let bad = |reason: String| directory::bad(file, reason);
        let layers = role.layers(manifest);
        let named = session.inputs().iter().map(|outlet| outlet.name());
        let known: Vec<Tensor> = named.filter_map(Tensor::parse).collect();
        let in_place = known.contains(&Tensor::LastCounted);
        // A graph without caches works with either kind.
        let halves = in_place || known.iter().all(|tensor| tensor.slot().is_none());
        let mut inputs = Vec::new();
        for outlet in session.inputs() {
            let name = outlet.name().to_owned();
            let known = Tensor::parse(&name).filter(|tensor| tensor.is_input());
            let tensor = known.ok_or_else(|| {
                bad(format!(
                    "the graph has an input {name:?} this build cannot give"
                ))
            })?;
            let ty = tensor.check(outlet, manifest, halves).map_err(bad)?;
            inputs.push(TensorPort { name, tensor, ty });
        }
        let mut outputs = Vec::new();
        for outlet in session.outputs() {
            // Unknown outputs are ignored.
            let Some(tensor) = Tensor::parse(outlet.name()) else {
                continue;
            };
            let name = outlet.name().to_owned();
            let ty = tensor.check(outlet, manifest, halves).map_err(bad)?;
            outputs.push(TensorPort { name, tensor, ty });
        }
        let slots = layers.start * 2..layers.end * 2;
        let has = |list: &[TensorPort], t: Tensor| list.iter().any(|port| port.tensor == t);
        let mut taken = role.takes().to_vec();
        if manifest.shape.sounding && role != Role::Upper {
            taken.push(Tensor::Sounding);
        }
        taken.extend(slots.clone().map(Tensor::Past));
        let mut given = role.gives().to_vec();
        given.extend(slots.clone().map(Tensor::New));
        if in_place {
            taken.push(Tensor::Counted);
            given.extend(slots.clone().map(Tensor::Present));
        }
        if let Some(tensor) = taken.into_iter().find(|&t| !has(&inputs, t)) {
            return Err(bad(format!("the graph has no input {:?}", tensor.name())));
        }
        if let Some(tensor) = given.into_iter().find(|&t| !has(&outputs, t)) {
            return Err(bad(format!("the graph has no output {:?}", tensor.name())));
        }
        let foreign = |t: Tensor| t.slot().is_some_and(|slot| !slots.contains(&slot));
        let mut ports = inputs.iter().chain(&outputs);
        if let Some(port) = ports.find(|port| foreign(port.tensor)) {
            let name = &port.name;
            return Err(bad(format!(
                "{name:?} belongs to a layer that is not in this graph"
            )));
        }
        Ok(Self {
            session,
            inputs,
            outputs,
            in_place,
            windows: vec![Vec::new(); manifest.shape.sizes.layers * 2],
        })
    }

    /// Whether it updates its caches in place.
    pub(super) fn in_place(&self) -> bool {
        self.in_place
    }

    /// Whether it has caches.
    pub(super) fn has_caches(&self) -> bool {
        self.inputs.iter().any(|port| port.tensor.slot().is_some())
    }

    /// Runs on the inputs in `pass` and the windows of `cache`, which are copied; the outputs go
    /// into `pass`. For a graph that does not update its caches in place.
    ///
    /// # Errors
    /// Fails if ONNX Runtime fails, or an output has another size than `model.json` says.
    pub(super) fn run(
        &mut self,
        pass: &mut ForwardPass,
        cache: &KvCache,
        manifest: &Manifest,
    ) -> Result<(), EngineError> {
        let slots = self.inputs.iter().filter_map(|port| port.tensor.slot());
        slots.for_each(|slot| cache.window(slot, &mut self.windows[slot]));
        let mut inputs: Vec<(&str, SessionInputValue)> = Vec::with_capacity(self.inputs.len());
        for TensorPort { name, tensor, .. } in &self.inputs {
            let shape = tensor.shape(manifest, pass.steps, cache.past());
            let value = match (pass.ids(*tensor), *tensor) {
                (Some(ids), _) => TensorRef::from_array_view((shape, ids))?.into(),
                (None, Tensor::Past(slot)) => {
                    TensorRef::from_array_view((shape, &self.windows[slot][..]))?.into()
                }
                (None, tensor) => TensorRef::from_array_view((shape, pass.numbers(tensor)))?.into(),
            };
            inputs.push((name, value));
        }
        let outputs = {
            let _flushed = denormals::flush();
            self.session.run(inputs)?
        };
        for TensorPort { name, tensor, .. } in &self.outputs {
            let (_, numbers) = outputs[name.as_str()].try_extract_tensor::<f32>()?;
            let expected: usize = tensor.shape(manifest, pass.steps, 0).iter().product();
            if numbers.len() != expected {
                let had = numbers.len();
                return Err(EngineError::Run(format!(
                    "{name} has {had} numbers and should have {expected}; export the model again"
                )));
            }
            if let Some(place) = pass.output(*tensor) {
                place.clear();
                place.extend_from_slice(numbers);
            }
        }
        Ok(())
    }
}

/// The part of the network in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// All of it.
    Whole,
    /// The layers up to the search in the kNN memory.
    Lower,
    /// The layers from there on.
    Upper,
}

impl Role {
    /// The layers whose keys and values it computes.
    pub(super) fn layers(self, manifest: &Manifest) -> Range<usize> {
        let cut = manifest.shape.knn.map_or(0, |knn| knn.layer + 1);
        match self {
            Role::Whole => 0..manifest.shape.sizes.layers,
            Role::Lower => 0..cut,
            Role::Upper => cut..manifest.shape.sizes.layers,
        }
    }

    fn takes(self) -> &'static [Tensor] {
        use Tensor::*;
        match self {
            Role::Whole | Role::Lower => &[Token, BarStep, Bar, TimeSignature],
            Role::Upper => &[Hidden, Local, Score, Memory, Recall],
        }
    }

    fn gives(self) -> &'static [Tensor] {
        use Tensor::*;
        match self {
            Role::Lower => &[Hidden, Local, Query],
            Role::Whole | Role::Upper => &[Logits],
        }
    }
}
