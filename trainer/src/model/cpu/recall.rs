//! Search in the kNN memory, and the sum over what it finds.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::heads::Heads;
use super::matmul::{View, matmul};
use super::simd::{LANES, add_scaled, dot, exp, largest, vectorised};
use super::{CpuOp, Matrix, apply};

/// Keys and values that the kNN layer holds: one head of each.
#[derive(Clone, Debug)]
pub(in crate::model) struct Store {
    /// `[batch * tokens, head_dim]`.
    pub(in crate::model) keys: Matrix,
    /// As `keys`.
    pub(in crate::model) values: Matrix,
    /// Offset from a key to its value.
    pub(in crate::model) value_offset: usize,
}

/// The nearest keys of each query; queries are ordered by batch row, head and token.
#[derive(Debug)]
pub(in crate::model) struct Nearest {
    /// Where the keys of each query begin in `found`; one more than there are queries.
    starts: Vec<usize>,
    /// Index of a key within its batch row, and its weight, which is the share of its `exp(score)`.
    found: Vec<(u32, f32)>,
    /// Best score of each query, 0 if it found nothing.
    pub(in crate::model) best: Vec<f32>,
}

impl Nearest {
    /// The keys of a query and their weights, in the order of the tokens.
    pub(in crate::model) fn of(&self, query: usize) -> &[(u32, f32)] {
        &self.found[self.starts[query]..self.starts[query + 1]]
    }
}

/// Finds the `k` keys of the highest scores for each query in `packed`, as [`super::heads`] makes
/// it, among the `visible` tokens of each token.
pub(in crate::model) fn search(
    packed: &Matrix,
    heads: Heads,
    store: &Store,
    visible: &[Range<usize>],
    k: usize,
) -> Nearest {
    let Heads { batch, dim, .. } = heads;
    let Heads {
        length, queries, ..
    } = heads;
    let tokens = store.keys.rows() / batch;
    let mut nearest = Nearest {
        starts: vec![0],
        found: Vec::new(),
        best: Vec::with_capacity(batch * queries * length),
    };
    let (mut scores, mut scratch) = (Vec::new(), Vec::new());
    for (row, visible) in visible.chunks_exact(length).enumerate() {
        let seeing = || visible.iter().filter(|v| !v.is_empty());
        let start = seeing().map(|v| v.start).min().unwrap_or(0);
        let end = seeing().map(|v| v.end).max().unwrap_or(start);
        let count = end - start;
        scores.resize(queries * length * count, 0.0);
        if count > 0 {
            let keys = &store.keys.values()[(row * tokens + start) * dim..];
            let keys = View::new(keys, count, dim, dim).transposed();
            let query = &packed.values()[heads.packed(row, 0, queries)];
            let query = View::new(query, queries * length, dim, dim);
            matmul(&mut scores, count, false, query, keys);
        }
        for query in 0..queries * length {
            let visible = visible[query % length].clone();
            if visible.is_empty() {
                nearest.best.push(0.0);
            } else {
                let scores = &scores[query * count..][..count];
                let visible_scores = &scores[visible.start - start..visible.end - start];
                let first = visible.start as u32;
                nearest.push(visible_scores, first, k, &mut scratch);
            }
            nearest.starts.push(nearest.found.len());
        }
    }
    nearest
}

impl Nearest {
    /// Appends the `k` best of `scores`, the first of which belongs to the key `first`.
    fn push(&mut self, scores: &[f32], first: u32, k: usize, scratch: &mut Vec<f32>) {
        vectorised(
            #[inline(always)]
            || {
                let best = largest(scores);
                let threshold = threshold(scores, k, scratch);
                let start = self.found.len();
                let above = scores.iter().filter(|&&s| s > threshold).count();
                // Scores equal to the k-th best fill the remaining places.
                let mut ties = k.saturating_sub(above);
                let mut sum = 0.0;
                for_each_from(scores, threshold, |index, score| {
                    if score == threshold {
                        if ties == 0 {
                            return;
                        }
                        ties -= 1;
                    }
                    let weight = exp(score - best);
                    sum += weight;
                    self.found.push((first + index, weight));
                });
                for (_, weight) in &mut self.found[start..] {
                    *weight /= sum;
                }
                self.best.push(best);
            },
        );
    }
}

/// The k-th best score, or the worst if there are fewer; `scratch` is reused between calls.
#[inline(always)]
pub(in crate::model) fn threshold(scores: &[f32], k: usize, scratch: &mut Vec<f32>) -> f32 {
    /// Scores of a group.
    const GROUP: usize = 16;
    if scores.len() <= k {
        return scores.iter().fold(f32::INFINITY, |m, &s| m.min(s));
    }
    let kth = |scores: &mut Vec<f32>| {
        let (_, kth, _) = scores.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        *kth
    };
    scratch.clear();
    if scores.len() < 2 * k * GROUP {
        scratch.extend_from_slice(scores);
        return kth(scratch);
    }
    // The k-th best of the groups' best scores is no higher than that of all scores. A group is a
    // column of a block of `GROUP` chunks.
    let (chunks, rest) = scores.as_chunks::<LANES>();
    for block in chunks.chunks(GROUP) {
        let mut best = [f32::NEG_INFINITY; LANES];
        for chunk in block {
            for (best, &score) in best.iter_mut().zip(chunk) {
                *best = if score > *best { score } else { *best };
            }
        }
        scratch.extend(best);
    }
    scratch.extend(rest);
    let bound = kth(scratch);
    scratch.clear();
    for_each_from(scores, bound, |_, score| scratch.push(score));
    kth(scratch)
}

/// Calls `each` with the index and value of every score of at least `bound`.
#[inline(always)]
fn for_each_from(scores: &[f32], bound: f32, mut each: impl FnMut(u32, f32)) {
    for (first, chunk) in (0..).step_by(LANES).zip(scores.chunks(LANES)) {
        // Few chunks have any.
        if chunk
            .iter()
            .fold(false, |any, &score| any | (score >= bound))
        {
            for (index, &score) in (first..).zip(chunk) {
                if score >= bound {
                    each(index, score);
                }
            }
        }
    }
}

/// The sum of the values of the nearest keys by their weights, `[batch * length, heads *
/// head_dim]`; 0 where nothing was found. Only the queries have a gradient.
pub(in crate::model) fn recall(
    packed: Tensor<2>,
    heads: Heads,
    store: Store,
    nearest: Arc<Nearest>,
) -> Tensor<2> {
    let op = Recall {
        heads,
        store,
        nearest,
    };
    apply([packed], op)
}

#[derive(Debug)]
struct Recall {
    heads: Heads,
    store: Store,
    nearest: Arc<Nearest>,
}

impl Recall {
    /// The key and the value of a token, given its batch row and its index there.
    #[inline(always)]
    fn tokens<'a>(&'a self) -> impl Fn(usize, u32) -> (&'a [f32], &'a [f32]) + 'a {
        let Heads { batch, dim, .. } = self.heads;
        let tokens = self.store.keys.rows() / batch;
        let (keys, values) = (self.store.keys.values(), self.store.values.values());
        let offset = self.store.value_offset;
        move |row, index| {
            let at = row * tokens + index as usize;
            (
                &keys[at * dim..][..dim],
                &values[(at + offset) * dim..][..dim],
            )
        }
    }

    /// Calls `each` with every query: batch row, number of the query, and the position of its
    /// numbers in the rows of the output.
    #[inline(always)]
    fn for_each(&self, mut each: impl FnMut(usize, usize, usize)) {
        let Heads { batch, dim, .. } = self.heads;
        let Heads {
            length, queries, ..
        } = self.heads;
        for row in 0..batch {
            for head in 0..queries {
                for i in 0..length {
                    let query = (row * queries + head) * length + i;
                    each(row, query, ((row * length + i) * queries + head) * dim);
                }
            }
        }
    }
}

impl CpuOp<1> for Recall {
    /// The output, and the number of values in the input.
    type Saved = (Matrix, usize);

    fn forward(&self, [packed]: [Matrix; 1]) -> (Matrix, Self::Saved) {
        let Heads { dim, queries, .. } = self.heads;
        let tokens = self.heads.batch * self.heads.length;
        let mut output = vec![0.0; tokens * queries * dim];
        let token = self.tokens();
        vectorised(
            #[inline(always)]
            || {
                self.for_each(|row, query, at| {
                    let output = &mut output[at..][..dim];
                    for &(index, weight) in self.nearest.of(query) {
                        add_scaled(output, weight, token(row, index).1);
                    }
                });
            },
        );
        let output = Matrix::new(output, queries * dim);
        (output.clone(), (output, packed.values().len()))
    }

    fn backward(&self, (output, size): Self::Saved, gradient: &Matrix) -> [Matrix; 1] {
        let Heads { dim, queries, .. } = self.heads;
        let Heads { length, .. } = self.heads;
        let mut of_packed = vec![0.0; size];
        let (gradients, outputs) = (gradient.values(), output.values());
        let token = self.tokens();
        vectorised(
            #[inline(always)]
            || {
                self.for_each(|row, query, at| {
                    let gradient = &gradients[at..][..dim];
                    let mean = dot(gradient, &outputs[at..][..dim]);
                    let packed = self.heads.packed(row, 0, 1).start;
                    let query_in_row = query - row * queries * length;
                    let of_query = &mut of_packed[packed + query_in_row * dim..][..dim];
                    for &(index, weight) in self.nearest.of(query) {
                        let (key, value) = token(row, index);
                        add_scaled(of_query, weight * (dot(gradient, value) - mean), key);
                    }
                });
            },
        );
        [Matrix::new(of_packed, dim)]
    }
}
