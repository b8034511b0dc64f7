//! Runs the graphs of a model on tokens, and stores their keys and values in a memory.

use super::graph::{ForwardPass, Graph};
use super::io_buffers::IoBuffers;
use super::{InputToken, Model, input_token};
use crate::error::EngineError;
use crate::knn::KnnMemory;
use crate::kv_cache::{CacheLayout, KvCache};
use crate::memory::Memory;

impl Model {
    /// Runs the network on `tokens`, which follow the tokens in `memory`, and stores their keys and
    /// values there. `recall`, 0 to 1, scales the output of the kNN memory: 0 gives exactly the logits
    /// of the KV cache alone. Returns the logits, `[tokens, vocabulary]`. After an error the memory is
    /// unchanged.
    ///
    /// With a variant that updates its caches in place, the results do not depend on the division of
    /// tokens among calls, to the last bit; with other variants they do, by rounding.
    ///
    /// # Errors
    /// Fails if a token has no embedding, or the network or the index fails.
    pub fn forward(
        &self,
        memory: &mut Memory,
        tokens: &[InputToken],
        recall: f32,
    ) -> Result<Vec<f32>, EngineError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        input_token::check(tokens, &self.manifest.shape.sizes)?;
        let recall = if recall.is_nan() {
            1.0
        } else {
            recall.clamp(0.0, 1.0)
        };
        let position = memory.len();
        if let Some(knn) = &mut memory.knn {
            knn.trim()?;
        }
        let remembered = memory.knn.as_ref().map(KnnMemory::len);
        let mut pass = ForwardPass::new(self.manifest.shape.sizes.layers, recall);
        let mut logits = Vec::with_capacity(tokens.len() * self.manifest.shape.sizes.vocabulary);
        for tokens in tokens.chunks(self.run_length(tokens)) {
            pass.load(tokens, memory.len());
            if let Err(error) = self.run(&mut pass, memory) {
                memory.cache.truncate(position);
                if let (Some(knn), Some(len)) = (&mut memory.knn, remembered) {
                    knn.truncate(len)?;
                }
                return Err(error);
            }
            store(&mut memory.cache, &pass);
            logits.extend_from_slice(&pass.logits);
        }
        memory.cache.trim();
        Ok(logits)
    }

    /// Number of tokens in one run.
    pub(super) fn run_length(&self, tokens: &[InputToken]) -> usize {
        match self.layout {
            Some(_) => 1,
            None => tokens.len(),
        }
    }

    fn run(&self, pass: &mut ForwardPass, memory: &mut Memory) -> Result<(), EngineError> {
        let position = memory.len();
        let Memory {
            cache,
            knn,
            io_buffers,
        } = memory;
        let mut graphs = self.lock();
        if self.layout.is_some() {
            self.io_buffers(io_buffers, &graphs)?.fill(cache)?;
        }
        self.run_graph(&mut graphs, 0, io_buffers, pass, cache)?;
        if let (2.., Some(knn)) = (graphs.len(), knn) {
            let (keys, values) = self.knn_rows(pass);
            // Tokens that are read again to fill the window are there already.
            let held = knn.len().saturating_sub(position) * self.manifest.shape.sizes.head_dim;
            if held < keys.len() {
                knn.append(&keys[held..], &values[held..])?;
            }
            let heads = self.manifest.shape.sizes.heads;
            knn.search(&pass.query, heads, position, &mut pass.recalled)?;
            self.run_graph(&mut graphs, 1, io_buffers, pass, cache)?;
        }
        Ok(())
    }

    pub(super) fn run_graph(
        &self,
        graphs: &mut [Graph],
        at: usize,
        io_buffers: &mut Option<IoBuffers>,
        pass: &mut ForwardPass,
        cache: &KvCache,
    ) -> Result<(), EngineError> {
        match io_buffers {
            Some(io_buffers) => {
                let ran = io_buffers.run(at, &mut graphs[at], pass, cache);
                // An interrupted run may have changed some of the caches.
                ran.inspect_err(|_| io_buffers.invalidate())
            }
            None => graphs[at].run(pass, cache, &self.manifest),
        }
    }

    /// A listener's buffers for `graphs`, allocated if needed.
    pub(super) fn io_buffers<'a>(
        &self,
        io_buffers: &'a mut Option<IoBuffers>,
        graphs: &[Graph],
    ) -> Result<&'a mut IoBuffers, EngineError> {
        let made = match (io_buffers.take(), self.layout) {
            (Some(made), _) => made,
            (None, layout) => {
                let window = self.manifest.shape.window;
                let layout = layout.unwrap_or(CacheLayout::new(window, window));
                IoBuffers::new(graphs, &self.manifest, layout, self.device)?
            }
        };
        Ok(io_buffers.insert(made))
    }

    /// Keys and values of the kNN layer, each `[tokens, head_dim]`: it has one head.
    pub(super) fn knn_rows<'a>(&self, pass: &'a ForwardPass) -> (&'a [f32], &'a [f32]) {
        let slot = self.manifest.shape.knn.map_or(0, |knn| knn.layer * 2);
        (&pass.new[slot], &pass.new[slot + 1])
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Graph>> {
        self.graphs
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Appends the keys and values of a pass to every layer of `cache`.
pub(super) fn store(cache: &mut KvCache, pass: &ForwardPass) {
    for slot in 0..cache.slots() {
        cache.append(slot, &pass.new[slot], pass.steps);
    }
    cache.advance(pass.steps);
}
