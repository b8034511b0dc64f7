//! Attention within the window.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::heads::Heads;
use super::matmul::{View, matmul, product_values};
use super::simd::{dot, softmax, vectorised};
use super::{CpuOp, Matrix, apply};

/// Keys and values of the XL memory and the input, without gradients, and which of them each token
/// sees.
#[derive(Clone, Debug)]
pub(in crate::model) struct Window {
    /// `[batch * key heads * tokens, head_dim]`.
    pub(in crate::model) keys: Matrix,
    /// As `keys`.
    pub(in crate::model) values: Matrix,
    /// Tokens of the memory.
    pub(in crate::model) past: usize,
    /// Index of the first token that each token of the input sees; the last is itself.
    pub(in crate::model) first_seen: Arc<Vec<usize>>,
}

/// `softmax(query · keyᵀ) · value` over the tokens that each token sees, `[batch * length, heads *
/// head_dim]`. `packed` holds queries, keys and values of the input as [`super::heads`] makes them;
/// the gradients of its keys and values are those of the last tokens of the window.
pub(in crate::model) fn attend(packed: Tensor<2>, heads: Heads, window: Window) -> Tensor<2> {
    apply([packed], Attend { heads, window })
}

#[derive(Debug)]
struct Attend {
    heads: Heads,
    window: Window,
}

/// The part of the attention that one head of keys and values serves.
struct Block {
    row: usize,
    key_head: usize,
    /// Tokens of the window that any token of the batch row sees.
    seen: Range<usize>,
}

impl Attend {
    /// Heads of queries for each head of keys.
    fn shared_by(&self) -> usize {
        self.heads.queries / self.heads.keys
    }

    fn blocks(&self) -> impl Iterator<Item = Block> {
        let Heads { batch, length, .. } = self.heads;
        let all = self.window.past + length;
        (0..batch * self.heads.keys).map(move |i| {
            let (row, key_head) = (i / self.heads.keys, i % self.heads.keys);
            let first = &self.window.first_seen[row * length..][..length];
            let first = first.iter().copied().min().unwrap_or(0);
            Block {
                row,
                key_head,
                seen: first..all,
            }
        })
    }

    /// Those of the keys, or of the values, that a block needs.
    fn seen<'a>(&self, of: &'a Matrix, block: &Block) -> View<'a> {
        let Heads { length, dim, .. } = self.heads;
        let first = (block.row * self.heads.keys + block.key_head) * (self.window.past + length);
        let values = &of.values()[(first + block.seen.start) * dim..];
        View::new(values, block.seen.len(), dim, dim)
    }

    /// Scores that each row of a block counts; rows are ordered by head and token.
    fn visible(&self, block: &Block, row: usize) -> Range<usize> {
        let i = row % self.heads.length;
        let first = self.window.first_seen[block.row * self.heads.length + i];
        first - block.seen.start..self.window.past + i + 1 - block.seen.start
    }
}

impl CpuOp<1> for Attend {
    /// Input, and the weights of each block, `[heads * length, seen]`.
    type Saved = (Matrix, Vec<Vec<f32>>);

    fn forward(&self, [packed]: [Matrix; 1]) -> (Matrix, Self::Saved) {
        let Heads { length, dim, .. } = self.heads;
        let columns = self.heads.queries * dim;
        let mut output = vec![0.0; self.heads.batch * length * columns];
        let mut saved = Vec::new();
        for block in self.blocks() {
            let (shared, seen) = (self.shared_by(), block.seen.len());
            let first = block.key_head * shared;
            let queries = &packed.values()[self.heads.packed(block.row, first, shared)];
            let queries = View::new(queries, shared * length, dim, dim);
            let keys = self.seen(&self.window.keys, &block);
            let mut weights = product_values(queries, keys.transposed());
            vectorised(
                #[inline(always)]
                || {
                    for (i, row) in weights.chunks_exact_mut(seen).enumerate() {
                        let visible = self.visible(&block, i);
                        row[..visible.start].fill(0.0);
                        row[visible.end..].fill(0.0);
                        softmax(&mut row[visible]);
                    }
                },
            );
            let values = self.seen(&self.window.values, &block);
            for (head, weights) in (first..).zip(weights.chunks_exact(length * seen)) {
                let output = &mut output[block.row * length * columns + head * dim..];
                let weights = View::new(weights, length, seen, seen);
                matmul(output, columns, false, weights, values);
            }
            saved.push(weights);
        }
        (Matrix::new(output, columns), (packed, saved))
    }

    fn backward(&self, (packed, saved): Self::Saved, gradient: &Matrix) -> [Matrix; 1] {
        let Heads { length, dim, .. } = self.heads;
        let Heads { queries, keys, .. } = self.heads;
        let columns = queries * dim;
        let mut of_packed = vec![0.0; packed.values().len()];
        let mut of_scores = Vec::new();
        for (block, weights) in self.blocks().zip(saved) {
            let (shared, seen) = (self.shared_by(), block.seen.len());
            let first = block.key_head * shared;
            let values = self.seen(&self.window.values, &block);
            let gradient_of = |head: usize| {
                let values = &gradient.values()[block.row * length * columns + head * dim..];
                View::new(values, length, dim, columns)
            };
            of_scores.clear();
            of_scores.resize(shared * length * seen, 0.0);
            let heads = of_scores.chunks_exact_mut(length * seen);
            for (head, of_weights) in (first..).zip(heads) {
                matmul(
                    of_weights,
                    seen,
                    false,
                    gradient_of(head),
                    values.transposed(),
                );
            }
            vectorised(
                #[inline(always)]
                || {
                    let rows = of_scores.chunks_exact_mut(seen);
                    for (i, (row, weights)) in rows.zip(weights.chunks_exact(seen)).enumerate() {
                        let visible = self.visible(&block, i);
                        row[..visible.start].fill(0.0);
                        row[visible.end..].fill(0.0);
                        let (row, weights) = (&mut row[visible.clone()], &weights[visible]);
                        let mean = dot(row, weights);
                        for (score, weight) in row.iter_mut().zip(weights) {
                            *score = weight * (*score - mean);
                        }
                    }
                },
            );
            let scores = View::new(&of_scores, shared * length, seen, seen);
            let to = self.heads.packed(block.row, first, shared);
            let keys_seen = self.seen(&self.window.keys, &block);
            matmul(&mut of_packed[to.clone()], dim, false, scores, keys_seen);
            // Only the input's own keys and values have gradients.
            let own = seen - length;
            let scores = View::new(&of_scores[own..], shared * length, length, seen);
            let queries_of = View::new(&packed.values()[to], shared * length, dim, dim);
            let to = self.heads.packed(block.row, queries + block.key_head, 1);
            matmul(
                &mut of_packed[to],
                dim,
                false,
                scores.transposed(),
                queries_of,
            );
            let to = self
                .heads
                .packed(block.row, queries + keys + block.key_head, 1);
            for (i, weights) in weights.chunks_exact(length * seen).enumerate() {
                let weights = View::new(&weights[own..], length, length, seen).transposed();
                let gradient = gradient_of(first + i);
                matmul(&mut of_packed[to.clone()], dim, i > 0, weights, gradient);
            }
        }
        [Matrix::new(of_packed, dim)]
    }
}
