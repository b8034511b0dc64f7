//! Reading tokens for their keys and values alone.

use super::io_buffers::IoBuffers;
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

    /// Removes every token from position `to` on. Gives `false` and changes nothing if the cache has
    /// too few of the tokens before `to`.
    pub(crate) fn rewind(&mut self, to: usize) -> bool {
        self.cache.rewind(to)
    }
}
