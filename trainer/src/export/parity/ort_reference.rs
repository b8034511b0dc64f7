//! Reference implementation of the engine with ONNX Runtime: concatenated windows, and a search
//! that compares all keys.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use continuo_score::NoteState;
use continuo_score::manifest::NetworkShape;
use half::f16;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::Session;
use ort::value::{DynTensor, DynValue, Tensor};

use crate::export::onnx::GraphFile;
use crate::export::onnx::variant::Variant;
use crate::export::parity::error::ParityError;
use crate::export::parity::runtime::open;
use crate::model::{Input, ModelConfig, RetrievedPositions};

/// Cosine similarities that differ by no more are equal.
pub const TIE: f32 = 1e-5;

/// Similarity of an empty slot.
const EMPTY_SLOT: f32 = -1e30;

/// Graphs of a variant, with the memories of one song. One thread owns it.
pub(super) struct OrtReference {
    /// Tokens that the trainer retrieved in this song, head by head, then query by query. If
    /// present, they are proved to be the nearest and used.
    pub(super) retrieved: Option<RetrievedPositions>,
    /// Time of ONNX Runtime for the song.
    pub(super) elapsed: Duration,
    sessions: Vec<Session>,
    variant: Variant,
    config: ModelConfig,
    /// `key.L` and `value.L` of the last tokens.
    past: BTreeMap<String, Past>,
    /// Caches that the graph changes in place.
    buffers: BTreeMap<String, DynTensor>,
    /// Keys and values of the kNN layer since the song began, `[tokens, head_dim]`.
    keys: Vec<f32>,
    values: Vec<f32>,
    position: usize,
}

impl OrtReference {
    pub(super) fn new(
        runtime: &Path,
        graphs: &[GraphFile],
        variant: Variant,
        config: ModelConfig,
    ) -> Result<Self, ParityError> {
        let sessions = graphs.iter().map(|file| open(runtime, &file.bytes));
        Ok(Self {
            retrieved: None,
            elapsed: Duration::ZERO,
            sessions: sessions.collect::<Result<_, _>>()?,
            variant,
            config,
            past: BTreeMap::new(),
            buffers: BTreeMap::new(),
            keys: Vec::new(),
            values: Vec::new(),
            position: 0,
        })
    }

    /// Logits `[tokens, vocabulary]` of a song from its beginning, in chunks of `size` tokens.
    ///
    /// # Errors
    /// ONNX Runtime fails, or the retrieval is not exact.
    pub(super) fn logits(
        &mut self,
        input: &Input,
        size: usize,
        recall: f32,
    ) -> Result<Vec<f32>, ParityError> {
        self.clear()?;
        let mut logits = Vec::new();
        for from in (0..input.length).step_by(size) {
            let to = (from + size).min(input.length);
            logits.extend(self.run(input, from, to, recall)?);
            self.position = to;
        }
        Ok(logits)
    }

    /// Empties the memories.
    fn clear(&mut self) -> Result<(), ParityError> {
        let NetworkShape { sizes, window, .. } = self.config.shape;
        for l in 0..sizes.layers {
            for side in ["key", "value"] {
                let name = format!("{side}.{l}");
                let heads = self.config.shape.memory_heads(l);
                if self.variant.in_place() {
                    let shape = [1, heads, 2 * window, sizes.head_dim];
                    let allocator = Allocator::default();
                    let buffer = match self.variant {
                        Variant::Gpu => Tensor::<f16>::new(&allocator, shape)?.upcast(),
                        _ => Tensor::<f32>::new(&allocator, shape)?.upcast(),
                    };
                    self.buffers.insert(name, buffer);
                } else {
                    self.past.insert(name, Past::new(heads, sizes.head_dim));
                }
            }
        }
        self.keys.clear();
        self.values.clear();
        self.position = 0;
        self.elapsed = Duration::ZERO;
        Ok(())
    }

    /// Tokens in the kNN memory.
    pub(super) fn memories(&self) -> usize {
        match self.config.shape.knn {
            Some(knn) => self
                .position
                .saturating_sub(self.config.shape.window)
                .min(knn.capacity),
            None => 0,
        }
    }

    /// Logits of the tokens `from..to`. Advances the memories.
    fn run(
        &mut self,
        input: &Input,
        from: usize,
        to: usize,
        recall: f32,
    ) -> Result<Vec<f32>, ParityError> {
        let count = to - from;
        let mut tensors: BTreeMap<String, DynValue> = BTreeMap::new();
        for (name, rows) in [
            ("token", &input.tokens),
            ("bar_step", &input.bar_step),
            ("bar", &input.bar),
            ("metre", &input.metre),
        ] {
            let rows: Vec<i64> = rows[from..to].iter().map(|&r| i64::from(r)).collect();
            tensors.insert(
                name.into(),
                Tensor::from_array(([1, count], rows))?.into_dyn(),
            );
        }
        let contexts = input.contexts[from..to]
            .iter()
            .flat_map(|context| context.rows);
        let contexts: Vec<i64> = contexts.map(i64::from).collect();
        let contexts = Tensor::from_array(([1, count, NoteState::SLOTS], contexts))?;
        tensors.insert("sounding".into(), contexts.into_dyn());
        let position: Vec<i64> = (from..to).map(|p| p as i64).collect();
        let position = Tensor::from_array(([count], position))?;
        tensors.insert("position".into(), position.into_dyn());
        let contexts = &input.contexts[from..to];
        for (name, rows) in [
            ("step", contexts.iter().map(|t| i64::from(t.step)).collect()),
            (
                "pitch",
                contexts.iter().map(|t| i64::from(t.pitch)).collect(),
            ),
        ] {
            let rows: Vec<i64> = rows;
            let rows = Tensor::from_array(([count], rows))?;
            tensors.insert(name.into(), rows.into_dyn());
        }
        for (name, length) in [("seqlens_k", to - 1), ("total_sequence_length", to)] {
            let length = Tensor::from_array(([1], vec![length as i32]))?;
            tensors.insert(name.into(), length.into_dyn());
        }
        let recall = Tensor::from_array(([1], vec![recall]))?;
        tensors.insert("recall".into(), recall.into_dyn());

        for session in &mut self.sessions {
            let mut binding = session.create_binding()?;
            for input in session.inputs() {
                let name = input.name();
                let side = name.strip_prefix("past_").unwrap_or_default();
                if let Some(buffer) = self.buffers.get(side) {
                    binding.bind_input(name, buffer)?;
                } else if let Some(past) = self.past.get(side) {
                    let shape = [1, past.heads, past.length, past.dim];
                    let past = Tensor::from_array((shape, past.values.clone()))?;
                    binding.bind_input(name, &past)?;
                } else if let Some(tensor) = tensors.get(name) {
                    binding.bind_input(name, tensor)?;
                } else {
                    return Err(ParityError::Input(name.to_owned()));
                }
            }
            let names: Vec<String> = session.outputs().iter().map(|o| o.name().into()).collect();
            for name in &names {
                let side = name.strip_prefix("present_").unwrap_or_default();
                match self.buffers.get_mut(side) {
                    Some(buffer) => binding.bind_output(name, buffer)?,
                    None => binding.bind_output_to_device(name, &MemoryInfo::default())?,
                }
            }
            let started = Instant::now();
            let mut outputs = session.run_binding(&binding)?;
            self.elapsed += started.elapsed();
            for name in names.iter().filter(|name| !name.starts_with("present_")) {
                if let Some(value) = outputs.remove(name) {
                    tensors.insert(name.clone(), value);
                }
            }
            drop(outputs);
            for (name, past) in &mut self.past {
                if let Some(new) = tensors.get(name) {
                    let (_, new) = new.try_extract_tensor::<f32>()?;
                    past.append(new, count, self.config.shape.window - 1);
                }
            }
            let (Some(knn), Some(query)) = (self.config.shape.knn, tensors.remove("query")) else {
                continue;
            };
            // The kNN layer has one head: its rows are consecutive tokens.
            for (side, all) in [("key", &mut self.keys), ("value", &mut self.values)] {
                if let Some(new) = tensors.get(&format!("{side}.{}", knn.layer)) {
                    all.extend(new.try_extract_tensor::<f32>()?.1);
                }
            }
            // The next graph has outputs of the same names.
            tensors.retain(|name, _| !name.starts_with("key.") && !name.starts_with("value."));
            let (_, query) = query.try_extract_tensor::<f32>()?;
            let [score, memory] = search(
                self.config,
                query,
                [&self.keys, &self.values],
                from,
                self.retrieved
                    .as_deref()
                    .map(|retrieved| (retrieved, input.length)),
            )?;
            tensors.insert("score".into(), score);
            tensors.insert("memory".into(), memory);
        }
        match tensors.get("logits") {
            Some(logits) => Ok(logits.try_extract_tensor::<f32>()?.1.to_vec()),
            None => Err(ParityError::Output("logits")),
        }
    }
}

/// The inputs `score` and `memory` for queries `[T, heads, head_dim]` of tokens from position
/// `first` on: the nearest keys. `retrieved` is the trainer's choice and the number of the song's
/// tokens; it is used once it is proved to be the nearest.
///
/// # Errors
/// The trainer's choice is not the nearest.
fn search(
    config: ModelConfig,
    queries: &[f32],
    [keys, values]: [&[f32]; 2],
    first: usize,
    retrieved: Option<(&[Vec<u64>], usize)>,
) -> Result<[DynValue; 2], ParityError> {
    let (heads, dim) = (config.shape.sizes.heads, config.shape.sizes.head_dim);
    let (k, capacity) = config.shape.knn.map_or((0, 0), |knn| (knn.k, knn.capacity));
    let value_offset = config.shape.knn.map_or(0, |knn| usize::from(knn.following));
    let rows = queries.len() / dim;
    let mut scores = vec![EMPTY_SLOT; rows * k];
    let mut memory = vec![0.0; rows * k * dim];
    for (row, query) in queries.chunks_exact(dim).enumerate() {
        let position = first + row / heads;
        // The newest positions up to `position - window`.
        let end = (position + 1).saturating_sub(config.shape.window);
        let start = end.saturating_sub(capacity);
        let dot = |key: &[f32]| key.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
        let keys = keys[start * dim..end * dim].chunks_exact(dim);
        let all: Vec<f32> = keys.map(dot).collect();
        let mut nearest: Vec<usize> = (start..end).collect();
        nearest.sort_unstable_by(|&a, &b| all[b - start].total_cmp(&all[a - start]));
        nearest.truncate(k);
        if let Some((retrieved, length)) = retrieved {
            let least = nearest
                .last()
                .map_or(0.0, |&worst| all[worst - start] - TIE);
            let chosen = &retrieved[row % heads * length + position];
            let near = |at: &&u64| {
                let at = **at as usize;
                (start..end).contains(&at) && all[at - start] >= least
            };
            let count = nearest.len();
            nearest = chosen.iter().filter(near).map(|&at| at as usize).collect();
            nearest.sort_unstable();
            nearest.dedup();
            if nearest.len() != count || chosen.len() != count {
                return Err(ParityError::Search { position });
            }
        }
        for (slot, at) in nearest.into_iter().enumerate() {
            let slot = row * k + slot;
            scores[slot] = all[at - start];
            memory[slot * dim..][..dim]
                .copy_from_slice(&values[(at + value_offset) * dim..][..dim]);
        }
    }
    let tokens = rows / heads;
    Ok([
        Tensor::from_array(([1, tokens, heads, k], scores))?.into_dyn(),
        Tensor::from_array(([1, tokens, heads, k, dim], memory))?.into_dyn(),
    ])
}

/// Keys or values of one layer, `[heads, length, dim]`.
struct Past {
    heads: usize,
    dim: usize,
    length: usize,
    values: Vec<f32>,
}

impl Past {
    fn new(heads: usize, dim: usize) -> Self {
        Self {
            heads,
            dim,
            length: 0,
            values: Vec::new(),
        }
    }

    /// Appends `count` tokens and keeps the last `most`.
    fn append(&mut self, new: &[f32], count: usize, most: usize) {
        let all = self.length + count;
        let drop = all.saturating_sub(most);
        let mut values = Vec::with_capacity(self.heads * (all - drop) * self.dim);
        for head in 0..self.heads {
            let old = &self.values[head * self.length * self.dim..][..self.length * self.dim];
            let new = &new[head * count * self.dim..][..count * self.dim];
            values.extend(old.iter().chain(new).skip(drop * self.dim));
        }
        self.length = all - drop;
        self.values = values;
    }
}
