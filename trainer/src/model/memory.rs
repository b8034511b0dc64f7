//! State that the network carries along a stream, and which part of it is in use.

use burn::tensor::Tensor;

/// Stream positions of the tokens that each query retrieves; queries are ordered by row, head,
/// token.
pub type RetrievedPositions = Vec<Vec<u64>>;

/// Keys and values of consecutive tokens, each `[batch, heads, length, head_dim]`.
pub type KeysValues = (Tensor<4>, Tensor<4>);

/// Memories of a stream.
#[derive(Clone, Default)]
pub struct Memory {
    /// XL memory: keys (rotated, or normalised in the kNN layer) and values of the latest tokens
    /// in each layer; empty before the first token.
    pub layers: Vec<KeysValues>,
    /// kNN memory: keys and values of the tokens that have left the kNN layer's window, oldest
    /// first, up to the token right before the window. `None` while it is empty.
    pub recalled: Option<KeysValues>,
    /// If present, the kNN layer appends the positions that it retrieves.
    pub retrieved: Option<RetrievedPositions>,
    /// Tokens read since the stream began.
    pub position: u64,
}

impl Memory {
    /// Tokens in the XL memory.
    pub fn length(&self) -> usize {
        self.layers.first().map_or(0, |(keys, _)| keys.dims()[2])
    }

    /// Tokens in the kNN memory.
    pub fn recallable(&self) -> usize {
        self.recalled.as_ref().map_or(0, |(keys, _)| keys.dims()[2])
    }
}

/// Memories in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryMode {
    /// Whether tokens see the XL memory. Without it a song is cut into segments of `window`
    /// tokens, and a token sees only its own segment.
    pub xl: bool,
    /// Factor of the kNN memory's gate, from 0 (as if the memory were empty) to 1. The XL memory
    /// does not change which tokens can be retrieved.
    pub recall: f32,
}

impl MemoryMode {
    /// Both memories, as in training.
    pub const BOTH: Self = Self {
        xl: true,
        recall: 1.0,
    };
    /// The XL memory alone.
    pub const XL: Self = Self {
        xl: true,
        recall: 0.0,
    };
}
