//! The memory of one listener: the KV cache of every layer, and the kNN memory if the model has one.

use crate::error::EngineError;
use crate::knn::KnnMemory;
use crate::kv_cache::KvCache;
use crate::model::io_buffers::IoBuffers;

/// The memory of one listener, apart from the weights. [`crate::Model::memory`] makes it; it is owned
/// by the thread of its composer.
pub struct Memory {
    pub(crate) cache: KvCache,
    pub(crate) knn: Option<KnnMemory>,
    /// Buffers of graphs that update their caches in place; allocated when first needed.
    pub(crate) io_buffers: Option<IoBuffers>,
}

impl Memory {
    /// Number of tokens since the stream began, which is the next position.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether no token was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kNN memory, if the model has one.
    pub fn knn(&self) -> Option<&KnnMemory> {
        self.knn.as_ref()
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        let buffers = self.io_buffers.as_ref().map_or(0, IoBuffers::bytes);
        self.cache.bytes() + self.knn.as_ref().map_or(0, KnnMemory::bytes) + buffers
    }

    /// Removes every token from position `to` on. Returns the new position: `to`, or less if the cache has
    /// too few earlier tokens. Then the tokens from there to `to` must be read again; after that the
    /// memory is as if nothing after `to` had been read.
    ///
    /// # Errors
    /// Fails if the index of the kNN memory fails.
    pub fn rewind(&mut self, to: usize) -> Result<usize, EngineError> {
        if to >= self.len() {
            return Ok(self.len());
        }
        if let Some(knn) = &mut self.knn {
            knn.truncate(to)?;
        }
        if self.holds(to) && self.cache.rewind(to) {
            return Ok(to);
        }
        Ok(self.restart(to))
    }

    /// Empties the KV cache. Returns the position from which the tokens up to `to` must be read again.
    pub(crate) fn restart(&mut self, to: usize) -> usize {
        let from = self.cache.restart_for(to);
        if !self.holds(from) {
            self.clear();
            return 0;
        }
        self.cache.restart(from);
        from
    }

    /// Continues at position `at` as if the stream began there; learned keys stay.
    pub(crate) fn begin_at(&mut self, at: usize) {
        self.cache.begin_at(at);
        if let Some(knn) = &mut self.knn {
            knn.restart(at);
        }
    }

    /// Whether the kNN memory has every key that tokens from position `from` on see.
    fn holds(&self, from: usize) -> bool {
        self.knn.as_ref().is_none_or(|knn| knn.holds(from))
    }

    /// Empties the KV cache, so that the next token sees only the kNN memory. Measurements use it.
    pub fn clear_window(&mut self) {
        self.cache.restart(self.len());
    }

    /// Removes the stream; learned keys stay.
    pub fn clear(&mut self) {
        self.cache.clear();
        if let Some(knn) = &mut self.knn {
            knn.clear();
        }
    }
}
