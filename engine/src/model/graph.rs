//! One ONNX graph: what it asks for and gives, by name, checked on load and on every run.

use std::ops::Range;
use std::path::Path;

use continuo_score::manifest::Manifest;
use ort::session::{Session, SessionInputValue};

use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::Fed;
use crate::denormals;
use crate::error::EngineError;
use crate::knn::Recalled;
use crate::xl::XlMemory;

/// A tensor that goes into a graph or comes out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tensor {
    Token,
    BarStep,
    Bar,
    Metre,
    Position,
    /// Keys or values of the window, or the new ones; slot of the XL memory.
    Slot(usize),
    Hidden,
    Local,
    Query,
    Score,
    Memory,
    Recall,
    Logits,
}

/// A graph, ready to run.
pub(super) struct Graph {
    session: Session,
    inputs: Vec<(String, Tensor)>,
    outputs: Vec<(String, Tensor)>,
}

/// What goes through the graphs for some new tokens.
#[derive(Default)]
pub(super) struct Pass {
    steps: usize,
    token: Vec<i64>,
    bar_step: Vec<i64>,
    bar: Vec<i64>,
    metre: Vec<i64>,
    position: Vec<i64>,
    recall: [f32; 1],
    hidden: Vec<f32>,
    local: Vec<f32>,
    /// `[T, heads, head_dim]`.
    pub(super) query: Vec<f32>,
    pub(super) recalled: Recalled,
    /// `[T, vocabulary]`.
    pub(super) logits: Vec<f32>,
    /// New keys and values by slot, `[heads, T, head_dim]`.
    pub(super) new: Vec<Vec<f32>>,
}

impl Pass {
    pub(super) fn new(tokens: &[Fed], position: usize, recall: f32, layers: usize) -> Self {
        let column = |f: fn(&Fed) -> usize| tokens.iter().map(|t| f(t) as i64).collect();
        let steps = tokens.len();
        Self {
            steps,
            token: column(|t| usize::from(t.id)),
            bar_step: column(|t| t.rows.bar_step),
            bar: column(|t| t.rows.bar),
            metre: column(|t| t.rows.metre),
            position: (position..position + steps).map(|p| p as i64).collect(),
            recall: [recall],
            new: vec![Vec::new(); layers * 2],
            ..Self::default()
        }
    }
}

impl Graph {
    /// Of the graph in `file`: checks that it takes and gives what a graph of its role
    /// must, in the sizes of `manifest`.
    pub(super) fn new(
        session: Session,
        file: &Path,
        manifest: &Manifest,
        role: Role,
    ) -> Result<Self, EngineError> {
        let bad = |reason: String| super::bad(file, reason);
        let layers = role.layers(manifest);
        let mut inputs = Vec::new();
        for outlet in session.inputs() {
            let name = outlet.name();
            let tensor = parse(name.strip_prefix("past_").unwrap_or(name))
                .filter(|&t| (name.starts_with("past_")) == matches!(t, Tensor::Slot(_)))
                .filter(|t| !matches!(t, Tensor::Query | Tensor::Logits))
                .ok_or_else(|| {
                    bad(format!(
                        "the graph has an input {name:?} this build cannot give"
                    ))
                })?;
            check(outlet, tensor, manifest).map_err(bad)?;
            inputs.push((name.to_owned(), tensor));
        }
        let mut outputs = Vec::new();
        for outlet in session.outputs() {
            // What nobody asked for is left where it is.
            if let Some(tensor) = parse(outlet.name()) {
                check(outlet, tensor, manifest).map_err(bad)?;
                outputs.push((outlet.name().to_owned(), tensor));
            }
        }
        let slots = layers.start * 2..layers.end * 2;
        let has = |list: &[(String, Tensor)], t: Tensor| list.iter().any(|(_, has)| *has == t);
        let needed = slots.clone().map(Tensor::Slot);
        for tensor in role.takes().iter().copied().chain(needed.clone()) {
            if !has(&inputs, tensor) {
                return Err(bad(format!(
                    "the graph has no input {:?}",
                    name(tensor, "past_")
                )));
            }
        }
        for tensor in role.gives().iter().copied().chain(needed) {
            if !has(&outputs, tensor) {
                return Err(bad(format!(
                    "the graph has no output {:?}",
                    name(tensor, "")
                )));
            }
        }
        let foreign = |t: &Tensor| matches!(t, Tensor::Slot(slot) if !slots.contains(slot));
        if let Some((name, _)) = inputs.iter().chain(&outputs).find(|(_, t)| foreign(t)) {
            return Err(bad(format!(
                "{name:?} belongs to a layer that is not in this graph"
            )));
        }
        Ok(Self {
            session,
            inputs,
            outputs,
        })
    }

    /// Runs on what `pass` holds and `xl` remembers; what comes out goes into `pass`.
    pub(super) fn run(
        &mut self,
        pass: &mut Pass,
        xl: &XlMemory,
        manifest: &Manifest,
    ) -> Result<(), EngineError> {
        let mut windows = vec![Vec::new(); pass.new.len()];
        for (_, tensor) in &self.inputs {
            if let Tensor::Slot(slot) = *tensor {
                xl.window(slot, &mut windows[slot]);
            }
        }
        let mut inputs: Vec<(&str, SessionInputValue)> = Vec::with_capacity(self.inputs.len());
        for (name, tensor) in &self.inputs {
            let shape = match *tensor {
                Tensor::Slot(slot) => xl.window_shape(slot).to_vec(),
                tensor => shape(tensor, manifest, pass.steps),
            };
            let value = match (pass.ids(*tensor), *tensor) {
                (Some(ids), _) => TensorRef::from_array_view((shape, ids))?.into(),
                (None, Tensor::Slot(slot)) => {
                    TensorRef::from_array_view((shape, &windows[slot][..]))?.into()
                }
                (None, tensor) => TensorRef::from_array_view((shape, pass.numbers(tensor)))?.into(),
            };
            inputs.push((name, value));
        }
        let outputs = {
            let _flushed = denormals::flush();
            self.session.run(inputs)?
        };
        let mut out = Vec::with_capacity(self.outputs.len());
        for (name, tensor) in &self.outputs {
            let (_, numbers) = outputs[name.as_str()].try_extract_tensor::<f32>()?;
            let expected: usize = shape(*tensor, manifest, pass.steps).iter().product();
            if numbers.len() != expected {
                let had = numbers.len();
                return Err(EngineError::Run(format!(
                    "{name} has {had} numbers and should have {expected}; export the model again"
                )));
            }
            out.push((*tensor, numbers.to_vec()));
        }
        drop(outputs);
        for (tensor, numbers) in out {
            match tensor {
                Tensor::Slot(slot) => pass.new[slot] = numbers,
                Tensor::Hidden => pass.hidden = numbers,
                Tensor::Local => pass.local = numbers,
                Tensor::Query => pass.query = numbers,
                Tensor::Logits => pass.logits = numbers,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Pass {
    fn ids(&self, tensor: Tensor) -> Option<&[i64]> {
        match tensor {
            Tensor::Token => Some(&self.token),
            Tensor::BarStep => Some(&self.bar_step),
            Tensor::Bar => Some(&self.bar),
            Tensor::Metre => Some(&self.metre),
            Tensor::Position => Some(&self.position),
            _ => None,
        }
    }

    fn numbers(&self, tensor: Tensor) -> &[f32] {
        match tensor {
            Tensor::Hidden => &self.hidden,
            Tensor::Local => &self.local,
            Tensor::Score => &self.recalled.scores,
            Tensor::Memory => &self.recalled.values,
            Tensor::Recall => &self.recall,
            _ => &[],
        }
    }
}

/// Which part of the network a graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// All of it.
    Whole,
    /// Up to the search in the kNN memory.
    Lower,
    /// From there on.
    Upper,
}

impl Role {
    /// The layers whose keys and values it makes.
    pub(super) fn layers(self, manifest: &Manifest) -> Range<usize> {
        let cut = manifest.knn.map_or(0, |knn| knn.layer + 1);
        match self {
            Role::Whole => 0..manifest.sizes.layers,
            Role::Lower => 0..cut,
            Role::Upper => cut..manifest.sizes.layers,
        }
    }

    fn takes(self) -> &'static [Tensor] {
        use Tensor::*;
        match self {
            Role::Whole | Role::Lower => &[Token, BarStep, Bar, Metre],
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

/// Names of the tensors that are the same in every model.
const NAMES: [(&str, Tensor); 12] = [
    ("token", Tensor::Token),
    ("bar_step", Tensor::BarStep),
    ("bar", Tensor::Bar),
    ("metre", Tensor::Metre),
    ("position", Tensor::Position),
    ("hidden", Tensor::Hidden),
    ("local", Tensor::Local),
    ("query", Tensor::Query),
    ("score", Tensor::Score),
    ("memory", Tensor::Memory),
    ("recall", Tensor::Recall),
    ("logits", Tensor::Logits),
];

fn parse(name: &str) -> Option<Tensor> {
    if let Some((_, tensor)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*tensor);
    }
    let (side, layer) = name.split_once('.')?;
    let layer: usize = layer
        .parse()
        .ok()
        .filter(|&layer| layer < super::MOST_LAYERS)?;
    match side {
        "key" => Some(Tensor::Slot(layer * 2)),
        "value" => Some(Tensor::Slot(layer * 2 + 1)),
        _ => None,
    }
}

fn name(tensor: Tensor, past: &str) -> String {
    match tensor {
        Tensor::Slot(slot) => {
            let side = if slot % 2 == 0 { "key" } else { "value" };
            format!("{past}{side}.{}", slot / 2)
        }
        tensor => {
            let known = NAMES.iter().find(|(_, known)| *known == tensor);
            known.map_or("", |(name, _)| name).to_owned()
        }
    }
}

/// Shape of a tensor for so many new tokens; of what is new in a slot.
fn shape(tensor: Tensor, manifest: &Manifest, steps: usize) -> Vec<usize> {
    let sizes = &manifest.sizes;
    let (heads, dim) = (sizes.heads, sizes.head_dim);
    let k = manifest.knn.map_or(0, |knn| knn.k);
    match tensor {
        Tensor::Token | Tensor::BarStep | Tensor::Bar | Tensor::Metre => vec![1, steps],
        Tensor::Position => vec![steps],
        Tensor::Slot(slot) => vec![1, super::memory_heads(manifest, slot / 2), steps, dim],
        Tensor::Hidden => vec![1, steps, sizes.width],
        Tensor::Local => vec![1, steps, heads * dim],
        Tensor::Query => vec![1, steps, heads, dim],
        Tensor::Score => vec![1, steps, heads, k],
        Tensor::Memory => vec![1, steps, heads, k, dim],
        Tensor::Recall => vec![1],
        Tensor::Logits => vec![1, steps, sizes.vocabulary],
    }
}

/// Whether what a graph says of a tensor fits what `model.json` says.
fn check(outlet: &Outlet, tensor: Tensor, manifest: &Manifest) -> Result<(), String> {
    let ValueType::Tensor { ty, shape: has, .. } = outlet.dtype() else {
        return Err(format!("{:?} is no tensor", outlet.name()));
    };
    let expected = match tensor {
        Tensor::Token | Tensor::BarStep | Tensor::Bar | Tensor::Metre | Tensor::Position => {
            TensorElementType::Int64
        }
        _ => TensorElementType::Float32,
    };
    // What differs from run to run must not be fixed.
    const FREE: usize = usize::MAX;
    let should = shape(tensor, manifest, FREE);
    let fits = |(&has, &should): (&i64, &usize)| match should {
        FREE => has == -1,
        should => has == -1 || usize::try_from(has) == Ok(should),
    };
    if *ty != expected || has.len() != should.len() || !has.iter().zip(&should).all(fits) {
        return Err(format!(
            "{:?} is {ty} {has:?}, which does not fit model.json",
            outlet.name()
        ));
    }
    Ok(())
}
