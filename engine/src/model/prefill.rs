//! Prefill: reads tokens for their keys and values in the kNN layer.

use super::forward::store;
use super::graph::{ForwardPass, Role};
use super::io_buffers::IoBuffers;
use super::{InputToken, Model, input_token};
use crate::error::EngineError;
use crate::kv_cache::KvCache;

/// A stream of tokens that is read for its keys and values in the kNN layer, without predictions.
/// Owned by the thread of its composer.
pub struct Prefill {
    pub(super) cache: KvCache,
    pub(super) io_buffers: Option<IoBuffers>,
}

impl Prefill {
    /// Position of the next token.
    pub(crate) fn position(&self) -> usize {
        self.cache.len()
    }

    /// Removes every token from position `to` on. Returns `false` and changes nothing if the cache has
    /// too few of the tokens before `to`.
    pub(crate) fn rewind(&mut self, to: usize) -> bool {
        self.cache.rewind(to)
    }
}

impl Model {
    /// An empty prefill at position 0.
    pub fn prefill(&self) -> Prefill {
        Prefill {
            cache: self.new_cache(Role::Lower.layers(&self.manifest)),
            io_buffers: None,
        }
    }

    /// A prefill at or before `position`. From `position` on, its keys and values equal those of a prefill
    /// from the beginning.
    pub(crate) fn prefill_before(&self, position: usize) -> Prefill {
        let mut prefill = self.prefill();
        prefill.cache.restart(prefill.cache.restart_for(position));
        prefill
    }

    /// Reads more tokens of a prefill. Returns their keys and values in the kNN layer, each
    /// `[tokens, head_dim]`; both are empty for a model without a kNN memory. It costs less than
    /// [`Model::forward`], since the layers above are not run.
    ///
    /// # Errors
    /// Fails if a token has no embedding, or the network fails.
    pub fn prefill_keys(
        &self,
        prefill: &mut Prefill,
        tokens: &[InputToken],
    ) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        if self.manifest.shape.knn.is_none() || tokens.is_empty() {
            return Ok((keys, values));
        }
        input_token::check(tokens, &self.manifest.shape.sizes)?;
        let mut pass = ForwardPass::new(self.manifest.shape.sizes.layers, 0.0);
        let Prefill { cache, io_buffers } = prefill;
        for tokens in tokens.chunks(self.run_length(tokens)) {
            pass.load(tokens, cache.len());
            let mut graphs = self.lock();
            if self.layout.is_some() {
                self.io_buffers(io_buffers, &graphs[..1])?.fill(cache)?;
            }
            self.run_graph(&mut graphs, 0, io_buffers, &mut pass, cache)?;
            store(cache, &pass);
            let (new_keys, new_values) = self.knn_rows(&pass);
            keys.extend_from_slice(new_keys);
            values.extend_from_slice(new_values);
        }
        cache.trim();
        Ok((keys, values))
    }
}
