//! What one listener remembers: the XL memory of every layer, and the kNN memory where the
//! model has one.

use crate::error::EngineError;
use crate::knn::KnnMemory;
use crate::kv_cache::KvCache;
use crate::model::io_buffers::IoBuffers;

/// The memories of one listener, apart from the weights. Made by [`crate::Model::memory`].
pub struct Memory {
    pub(crate) xl: KvCache,
    pub(crate) knn: Option<KnnMemory>,
    /// Buffers of graphs that change their caches in place; made when first needed.
    pub(crate) io_buffers: Option<IoBuffers>,
}

impl Memory {
    /// Tokens read since the stream began: the next token's position.
    pub fn len(&self) -> usize {
        self.xl.len()
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kNN memory, where the model has one.
    pub fn knn(&self) -> Option<&KnnMemory> {
        self.knn.as_ref()
    }

    /// Bytes held by both.
    pub fn bytes(&self) -> usize {
        let io_buffers = self.io_buffers.as_ref().map_or(0, IoBuffers::bytes);
        self.xl.bytes() + self.knn.as_ref().map_or(0, KnnMemory::bytes) + io_buffers
    }

    /// Forgets every token from position `to` on. Gives the position it then stands at: `to`,
    /// or less where too little of the past is held. Then the tokens from there to `to` are to
    /// be read again, and all is as if nothing after `to` had ever been read.
    pub fn rewind(&mut self, to: usize) -> Result<usize, EngineError> {
        if to >= self.len() {
            return Ok(self.len());
        }
        if let Some(knn) = &mut self.knn {
            knn.truncate(to)?;
        }
        if self.holds(to) && self.xl.rewind(to) {
            return Ok(to);
        }
        Ok(self.restart(to))
    }

    /// Lets go of the XL memory, to stand at `to` once the tokens from the position given to
    /// `to` have been read again.
    pub(crate) fn restart(&mut self, to: usize) -> usize {
        let from = self.xl.restart_for(to);
        if !self.holds(from) {
            self.clear();
            return 0;
        }
        self.xl.restart(from);
        from
    }

    /// Stands at position `at` as if nothing before it had been played; what was learned stays.
    pub(crate) fn stand_at(&mut self, at: usize) {
        self.xl.stand_at(at);
        if let Some(knn) = &mut self.knn {
            knn.restart(at);
        }
    }

    fn holds(&self, from: usize) -> bool {
        self.knn.as_ref().is_none_or(|knn| knn.holds(from))
    }

    /// Lets go of the XL memory: the next token looks back on nothing but what it recalls. To
    /// measure what the window is worth.
    pub fn forget_window(&mut self) {
        self.xl.restart(self.len());
    }

    /// Forgets the stream; what was learned stays.
    pub fn clear(&mut self) {
        self.xl.clear();
        if let Some(knn) = &mut self.knn {
            knn.clear();
        }
    }
}
