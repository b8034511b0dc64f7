//! Plays songs to exported graphs as the engine does, in the plainest way: windows that are
//! concatenated, and a search that compares everything.

use std::collections::BTreeMap;
use std::path::Path;

use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::runtime::open;
use super::{ParityError, TIE};
use crate::config::Shape;
use crate::model::Input;
use crate::model::recall::Choice;
use crate::onnx::network::File;

/// What an empty slot scores.
const NOTHING: f32 = -1e30;

/// The graphs of a variant, and what they remember of one song.
pub(super) struct Player {
    /// What the trainer recalled in the song that is played: one query after the other, head
    /// by head.
    pub(super) chosen: Choice,
    sessions: Vec<Session>,
    shape: Shape,
    /// `key.L` and `value.L`.
    past: BTreeMap<String, Past>,
    /// Keys and values of the kNN layer since the song began, `[tokens, head_dim]`.
    keys: Vec<f32>,
    values: Vec<f32>,
    position: usize,
}

/// A tensor on its way from one graph to the next.
struct Floats {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Player {
    pub(super) fn new(runtime: &Path, graphs: &[File], shape: Shape) -> Result<Self, ParityError> {
        let sessions = graphs.iter().map(|file| open(runtime, &file.bytes));
        Ok(Self {
            chosen: Choice::new(),
            sessions: sessions.collect::<Result<_, _>>()?,
            shape,
            past: BTreeMap::new(),
            keys: Vec::new(),
            values: Vec::new(),
            position: 0,
        })
    }

    /// Logits of a song from its beginning, fed in chunks of `size`.
    pub(super) fn play(
        &mut self,
        input: &Input,
        size: usize,
        recall: f32,
    ) -> Result<Vec<f32>, ParityError> {
        let sizes = self.shape.sizes;
        self.past.clear();
        for l in 0..sizes.layers {
            for side in ["key", "value"] {
                let past = Past::new(self.shape.memory_heads(l), sizes.head_dim);
                self.past.insert(format!("{side}.{l}"), past);
            }
        }
        self.keys.clear();
        self.values.clear();
        self.position = 0;
        let mut logits = Vec::new();
        for from in (0..input.length).step_by(size) {
            let to = (from + size).min(input.length);
            logits.extend(self.feed(input, from, to, recall)?);
            self.position = to;
        }
        Ok(logits)
    }

    /// Tokens that the kNN memory has.
    pub(super) fn memories(&self) -> usize {
        match self.shape.knn {
            Some(knn) => self
                .position
                .saturating_sub(self.shape.window)
                .min(knn.capacity),
            None => 0,
        }
    }

    fn feed(
        &mut self,
        input: &Input,
        from: usize,
        to: usize,
        recall: f32,
    ) -> Result<Vec<f32>, ParityError> {
        let columns: BTreeMap<&str, Vec<i64>> = [
            ("token", &input.tokens),
            ("bar_step", &input.bar_step),
            ("bar", &input.bar),
            ("metre", &input.metre),
        ]
        .into_iter()
        .map(|(name, rows)| (name, rows[from..to].iter().map(|&r| i64::from(r)).collect()))
        .collect();
        let position: Vec<i64> = (from..to).map(|p| p as i64).collect();
        let mut floats = BTreeMap::new();
        let scale = Floats {
            shape: vec![1],
            data: vec![recall],
        };
        floats.insert("recall".to_owned(), scale);
        for session in &mut self.sessions {
            let mut inputs: Vec<(String, SessionInputValue<'_>)> = Vec::new();
            for input in session.inputs() {
                let name = input.name();
                let value = if let Some(rows) = columns.get(name) {
                    TensorRef::from_array_view(([1, to - from], rows.as_slice()))?.into()
                } else if name == "position" {
                    TensorRef::from_array_view(([to - from], position.as_slice()))?.into()
                } else if let Some(past) = name.strip_prefix("past_").and_then(|n| self.past.get(n))
                {
                    let shape = [1, past.heads, past.length, past.dim];
                    TensorRef::from_array_view((shape, past.numbers.as_slice()))?.into()
                } else if let Some(tensor) = floats.get(name) {
                    let data = tensor.data.as_slice();
                    TensorRef::from_array_view((tensor.shape.clone(), data))?.into()
                } else {
                    return Err(ParityError::Input(name.to_owned()));
                };
                inputs.push((name.to_owned(), value));
            }
            let outputs = session.run(inputs)?;
            let mut produced = BTreeMap::new();
            for (name, value) in &outputs {
                let (shape, data) = value.try_extract_tensor::<f32>()?;
                let shape = shape.iter().map(|&d| d as usize).collect();
                let data = data.to_vec();
                produced.insert(name.to_owned(), Floats { shape, data });
            }
            drop(outputs);
            for (name, past) in &mut self.past {
                if let Some(new) = produced.get(name) {
                    past.append(&new.data, to - from, self.shape.window - 1);
                }
            }
            if let (Some(knn), Some(query)) = (self.shape.knn, produced.get("query")) {
                // One head: rows of consecutive tokens.
                let new = |side| produced.get(&format!("{side}.{}", knn.layer));
                self.keys.extend(new("key").iter().flat_map(|t| &t.data));
                self.values
                    .extend(new("value").iter().flat_map(|t| &t.data));
                let chosen = |token: usize, head: usize| &self.chosen[head * input.length + token];
                let [score, memory] = search(
                    self.shape,
                    &query.data,
                    [&self.keys, &self.values],
                    from,
                    chosen,
                )?;
                floats.insert("score".into(), score);
                floats.insert("memory".into(), memory);
            }
            floats.extend(produced);
        }
        match floats.remove("logits") {
            Some(logits) => Ok(logits.data),
            None => Err(ParityError::Output("logits")),
        }
    }
}

/// `score` and `memory` for queries `[T, heads, head_dim]` of tokens from position `first` on:
/// what was `chosen`, once it is proved to be the nearest.
fn search<'a>(
    shape: Shape,
    queries: &[f32],
    [keys, values]: [&[f32]; 2],
    first: usize,
    chosen: impl Fn(usize, usize) -> &'a Vec<u64>,
) -> Result<[Floats; 2], ParityError> {
    let (heads, dim) = (shape.sizes.heads, shape.sizes.head_dim);
    let (k, capacity) = shape.knn.map_or((0, 0), |knn| (knn.k, knn.capacity));
    let rows = queries.len() / dim;
    let mut scores = vec![NOTHING; rows * k];
    let mut memory = vec![0.0; rows * k * dim];
    for (row, query) in queries.chunks_exact(dim).enumerate() {
        let position = first + row / heads;
        // Those at positions up to `position - window`, and the newest of them.
        let end = (position + 1).saturating_sub(shape.window);
        let start = end.saturating_sub(capacity);
        let dot = |key: &[f32]| key.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
        let all: Vec<f32> = keys[start * dim..end * dim]
            .chunks_exact(dim)
            .map(dot)
            .collect();
        let chosen = chosen(position, row % heads);
        let mut best = all.clone();
        best.sort_unstable_by(|a, b| b.total_cmp(a));
        best.truncate(k);
        let least = best.last().map_or(0.0, |worst| worst - TIE);
        let mut taken = std::collections::BTreeSet::new();
        for &at in chosen {
            let slot = row * k + taken.len();
            let at = at as usize;
            let near = (start..end).contains(&at) && all[at - start] >= least;
            if !near || taken.len() == best.len() || !taken.insert(at) {
                return Err(ParityError::Search { position });
            }
            scores[slot] = all[at - start];
            memory[slot * dim..][..dim].copy_from_slice(&values[at * dim..][..dim]);
        }
        if taken.len() != best.len() {
            return Err(ParityError::Search { position });
        }
    }
    let tokens = rows / heads;
    Ok([
        Floats {
            shape: vec![1, tokens, heads, k],
            data: scores,
        },
        Floats {
            shape: vec![1, tokens, heads, k, dim],
            data: memory,
        },
    ])
}

/// Keys or values of one layer, `[heads, length, dim]`.
struct Past {
    heads: usize,
    dim: usize,
    length: usize,
    numbers: Vec<f32>,
}

impl Past {
    fn new(heads: usize, dim: usize) -> Self {
        Self {
            heads,
            dim,
            length: 0,
            numbers: Vec::new(),
        }
    }

    /// Adds `count` tokens and keeps the last `most`.
    fn append(&mut self, new: &[f32], count: usize, most: usize) {
        let all = self.length + count;
        let drop = all.saturating_sub(most);
        let mut numbers = Vec::with_capacity(self.heads * (all - drop) * self.dim);
        for head in 0..self.heads {
            let old = &self.numbers[head * self.length * self.dim..][..self.length * self.dim];
            let new = &new[head * count * self.dim..][..count * self.dim];
            numbers.extend(old.iter().chain(new).skip(drop * self.dim));
        }
        self.length = all - drop;
        self.numbers = numbers;
    }
}
