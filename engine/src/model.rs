//! The model directory, checked and loaded: weights shared by every [`crate::Composer`].

use std::path::{Component, Path};
use std::sync::{Arc, Mutex};

use continuo_score::Vocabulary;
use continuo_score::manifest::{GridRows, Manifest, Sizes};
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use crate::denormals;
use crate::device::{self, Device, Opened, Refusal};
use crate::error::EngineError;
use crate::memory::XlMemory;
use crate::runtime::Runtime;

/// How to load a model.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// Threads inside one run of the network, 1 or more. They wait without spinning.
    pub threads: usize,
    /// Variants in order of preference; the first the directory has is loaded.
    pub variants: Vec<String>,
    /// Devices in order of preference; the first that takes the model is used, and
    /// [`Model::refusals`] says what the others answered.
    pub devices: Vec<Device>,
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            variants: vec!["cpu".into(), "plain".into()],
            devices: vec![Device::Cpu],
        }
    }
}

/// One token as the network reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Id in the vocabulary.
    pub id: u16,
    /// Its place in time.
    pub rows: GridRows,
}

/// A loaded model. Shared: one set of weights a process, one memory a composer.
pub struct Model {
    manifest: Manifest,
    vocabulary: Vocabulary,
    variant: String,
    device: Device,
    refusals: Vec<Refusal>,
    /// A session runs one thing at a time. Composers share one thread, so this is never
    /// contended there; it is no lock an audio thread could meet.
    session: Mutex<Session>,
    /// Names of `past_key`, `past_value` inputs and `key`, `value` outputs, by slot.
    slots: Vec<(String, String)>,
}

impl Model {
    /// Loads the model in `directory`.
    pub fn load(
        runtime: &'static Runtime,
        directory: &Path,
        options: &ModelOptions,
    ) -> Result<Arc<Model>, EngineError> {
        let manifest: Manifest = {
            let path = directory.join("model.json");
            let text = read(&path)?;
            serde_json::from_str(&text).map_err(|e| bad(&path, e))?
        };
        check_manifest(&manifest).map_err(|reason| bad(&directory.join("model.json"), reason))?;
        let vocabulary = {
            let path = directory.join("vocabulary.json");
            Vocabulary::from_json(&read(&path)?).map_err(|e| bad(&path, e))?
        };
        if vocabulary.size() != manifest.sizes.vocabulary {
            let (had, needed) = (vocabulary.size(), manifest.sizes.vocabulary);
            let reason = format!("{had} ids, and model.json says {needed}");
            return Err(bad(&directory.join("vocabulary.json"), reason));
        }

        let has = |name: &&String| manifest.variants.contains_key(name.as_str());
        let variant = options.variants.iter().find(has).cloned().ok_or_else(|| {
            let there: Vec<_> = manifest.variants.keys().collect();
            bad(
                directory,
                format!("has variants {there:?}, none of {:?}", options.variants),
            )
        })?;
        let graph = match manifest.variants[&variant].graphs.as_slice() {
            [one] => directory.join(one),
            more => {
                let reason = format!(
                    "variant {variant} has {} graphs, this build runs 1",
                    more.len()
                );
                return Err(bad(directory, reason));
            }
        };
        let Opened {
            session,
            device,
            refusals,
        } = device::open(runtime, &graph, options.threads, &options.devices)
            .map_err(|e| bad(&graph, e))?;
        let slots = slot_names(manifest.sizes.layers);
        check_graph(&session, &slots).map_err(|reason| bad(&graph, reason))?;
        let model = Model {
            manifest,
            vocabulary,
            variant,
            device,
            refusals,
            session: Mutex::new(session),
            slots,
        };
        model.warm_up().map_err(|e| bad(&graph, e))?;
        Ok(Arc::new(model))
    }

    /// What `model.json` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sizes of the network.
    pub fn sizes(&self) -> &Sizes {
        &self.manifest.sizes
    }

    /// Its vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The device it really runs on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Devices that were asked for before that one, and why they could not be had.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// The variant loaded.
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// An empty memory for this model.
    pub fn memory(&self) -> XlMemory {
        XlMemory::new(&self.manifest.sizes, self.manifest.window)
    }

    /// Reads `tokens` (at least one) after what `memory` holds and remembers them. Gives the
    /// logits `[tokens, vocabulary]` after each.
    pub fn feed(&self, memory: &mut XlMemory, tokens: &[Fed]) -> Result<Vec<f32>, EngineError> {
        let steps = tokens.len();
        let column = |f: fn(&Fed) -> usize| tokens.iter().map(|t| f(t) as i64).collect::<Vec<_>>();
        let token = column(|t| usize::from(t.id));
        let bar_step = column(|t| t.rows.bar_step);
        let bar = column(|t| t.rows.bar);
        let metre = column(|t| t.rows.metre);
        let position: Vec<i64> = (memory.len()..memory.len() + steps)
            .map(|p| p as i64)
            .collect();
        let mut windows = vec![Vec::new(); self.slots.len()];
        for (slot, window) in windows.iter_mut().enumerate() {
            memory.window(slot, window);
        }

        let mut inputs: Vec<(&str, SessionInputValue)> = Vec::with_capacity(5 + windows.len());
        for (name, column) in [
            ("token", &token),
            ("bar_step", &bar_step),
            ("bar", &bar),
            ("metre", &metre),
        ] {
            inputs.push((
                name,
                TensorRef::from_array_view(([1, steps], &column[..]))?.into(),
            ));
        }
        inputs.push((
            "position",
            TensorRef::from_array_view(([steps], &position[..]))?.into(),
        ));
        for ((past, _), window) in self.slots.iter().zip(&windows) {
            let shape = memory.window_shape();
            inputs.push((
                past,
                TensorRef::from_array_view((shape, &window[..]))?.into(),
            ));
        }

        let mut session = self
            .session
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let outputs = {
            let _flushed = denormals::flush();
            session.run(inputs)?
        };
        let sizes = &self.manifest.sizes;
        let size = sizes.heads * steps * sizes.head_dim;
        // Everything is checked before anything is remembered: a failed run changes nothing.
        let mut new = Vec::with_capacity(self.slots.len());
        for (_, name) in &self.slots {
            let (_, values) = outputs[name.as_str()].try_extract_tensor::<f32>()?;
            if values.len() != size {
                return Err(EngineError::Run(format!(
                    "{name} has {} numbers",
                    values.len()
                )));
            }
            new.push(values);
        }
        let (_, logits) = outputs["logits"].try_extract_tensor::<f32>()?;
        if logits.len() != steps * sizes.vocabulary {
            return Err(EngineError::Run(format!(
                "logits has {} numbers",
                logits.len()
            )));
        }
        for (slot, values) in new.into_iter().enumerate() {
            memory.append(slot, values, steps);
        }
        memory.advance(steps);
        Ok(logits.to_vec())
    }

    /// One run before anybody waits for one: shapes are wrong here, not while playing.
    fn warm_up(&self) -> Result<(), EngineError> {
        let rows = GridRows {
            bar_step: 0,
            bar: 0,
            metre: 0,
        };
        let mut memory = self.memory();
        self.feed(&mut memory, &[Fed { id: 0, rows }; 2])?;
        self.feed(&mut memory, &[Fed { id: 0, rows }]).map(drop)
    }
}

fn bad(path: &Path, reason: impl ToString) -> EngineError {
    EngineError::Model {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

fn read(path: &Path) -> Result<String, EngineError> {
    std::fs::read_to_string(path).map_err(|e| bad(path, e))
}

/// Names of the memory's inputs and outputs, by slot: layer 0's keys, its values, layer 1's…
fn slot_names(layers: usize) -> Vec<(String, String)> {
    (0..layers)
        .flat_map(|layer| ["key", "value"].map(|kind| format!("{kind}.{layer}")))
        .map(|name| (format!("past_{name}"), name))
        .collect()
}

/// Sizes that make sense, so that nothing below divides by zero or asks for terabytes.
fn check_manifest(manifest: &Manifest) -> Result<(), String> {
    if manifest.format != Manifest::FORMAT {
        let (has, reads) = (manifest.format, Manifest::FORMAT);
        return Err(format!(
            "format {has}, this build reads {reads}; export the model again"
        ));
    }
    let s = &manifest.sizes;
    for (name, value, most) in [
        ("vocabulary", s.vocabulary, 65_536),
        ("layers", s.layers, 256),
        ("width", s.width, 65_536),
        ("heads", s.heads, 1_024),
        ("head_dim", s.head_dim, 1_024),
        ("feed_forward", s.feed_forward, 1 << 20),
        ("bar_steps", s.bar_steps, 65_536),
        ("bars", s.bars, 65_536),
        ("window", manifest.window.saturating_sub(1), 1 << 20),
    ] {
        if value == 0 || value > most {
            return Err(format!("{name} is out of bounds"));
        }
    }
    if manifest.knn.is_some() {
        return Err("the model has a kNN memory, which this build lacks".into());
    }
    for graph in manifest.variants.values().flat_map(|v| &v.graphs) {
        let plain = Path::new(graph)
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
        if !plain || graph.is_empty() {
            return Err(format!(
                "graph {graph:?} is not a path inside the model directory"
            ));
        }
    }
    Ok(())
}

fn check_graph(session: &Session, slots: &[(String, String)]) -> Result<(), String> {
    let has = |outlets: &[ort::value::Outlet], name: &str| outlets.iter().any(|o| o.name() == name);
    let inputs = ["token", "bar_step", "bar", "metre", "position"];
    for name in inputs.into_iter().chain(slots.iter().map(|s| s.0.as_str())) {
        if !has(session.inputs(), name) {
            return Err(format!("the graph has no input {name:?}"));
        }
    }
    for name in ["logits"]
        .into_iter()
        .chain(slots.iter().map(|s| s.1.as_str()))
    {
        if !has(session.outputs(), name) {
            return Err(format!("the graph has no output {name:?}"));
        }
    }
    Ok(())
}
