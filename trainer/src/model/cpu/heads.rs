//! Queries, keys and values of the heads, made from the product `qkv`.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::simd::{dot, vectorised};
use super::{CpuOp, Matrix, apply};
use crate::model::retrieval::UNIT_EPSILON;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Heads {
    /// Batch rows.
    pub(in crate::model) batch: usize,
    /// Tokens of a batch row.
    pub(in crate::model) length: usize,
    /// Heads of queries.
    pub(in crate::model) queries: usize,
    /// Heads of keys, and of values.
    pub(in crate::model) keys: usize,
    /// Numbers of a head.
    pub(in crate::model) dim: usize,
}

impl Heads {
    /// Heads of queries, keys and values.
    pub(super) fn all(&self) -> usize {
        self.queries + 2 * self.keys
    }

    /// Values of one head of one batch row, in the packed order.
    pub(super) fn block(&self) -> usize {
        self.length * self.dim
    }

    /// Range of `count` heads from `head` on in the packed values of a batch row.
    pub(super) fn packed(&self, row: usize, head: usize, count: usize) -> std::ops::Range<usize> {
        let start = (row * self.all() + head) * self.block();
        start..start + count * self.block()
    }

    /// Calls `each` with every head of every token: batch row, head, token, and the position of
    /// its numbers in the packed order.
    #[inline(always)]
    fn for_each(&self, mut each: impl FnMut(usize, usize, usize, usize)) {
        for row in 0..self.batch {
            for head in 0..self.all() {
                for i in 0..self.length {
                    let packed = ((row * self.all() + head) * self.length + i) * self.dim;
                    each(row, head, i, packed);
                }
            }
        }
    }

    /// Position of a head's numbers in the rows of `qkv`.
    #[inline(always)]
    fn in_product(&self, row: usize, head: usize, i: usize) -> usize {
        ((row * self.length + i) * self.all() + head) * self.dim
    }
}

/// Cosines and sines of the rotary angles.
#[derive(Debug)]
pub(in crate::model) struct Angles {
    /// `[rows, length, head_dim / 2]`, where `rows` is 1 if all batch rows are alike.
    pub(in crate::model) cos: Vec<f32>,
    /// As `cos`.
    pub(in crate::model) sin: Vec<f32>,
    /// Factor of the queries.
    pub(in crate::model) scale: f32,
}

impl Angles {
    /// Cosines and sines of a token.
    #[inline(always)]
    fn of(&self, heads: &Heads, row: usize, i: usize) -> (&[f32], &[f32]) {
        let half = heads.dim / 2;
        let start = (row * heads.length + i) * half;
        // With one row for all, the index wraps around.
        let start = start % self.cos.len();
        (
            &self.cos[start..start + half],
            &self.sin[start..start + half],
        )
    }
}

/// Rotated and scaled queries, rotated keys, and values: from `[batch * length, heads * head_dim]`
/// to `[batch * heads * length, head_dim]`, where heads are first queries, then keys, then values.
pub(in crate::model) fn rotated(qkv: Tensor<2>, heads: Heads, angles: Arc<Angles>) -> Tensor<2> {
    apply([qkv], Rotated { heads, angles })
}

#[derive(Debug)]
struct Rotated {
    heads: Heads,
    angles: Arc<Angles>,
}

impl Rotated {
    /// Factor of the numbers of a head; `None` if it is not rotated.
    #[inline(always)]
    fn scale(&self, head: usize) -> Option<f32> {
        let Heads { queries, keys, .. } = self.heads;
        match head {
            head if head < queries => Some(self.angles.scale),
            head if head < queries + keys => Some(1.0),
            _ => None,
        }
    }
}

impl CpuOp<1> for Rotated {
    type Saved = ();

    fn forward(&self, [qkv]: [Matrix; 1]) -> (Matrix, ()) {
        let Heads { dim, .. } = self.heads;
        let from_all = qkv.values();
        let mut packed = vec![0.0; from_all.len()];
        vectorised(
            #[inline(always)]
            || {
                self.heads.for_each(|row, head, i, at| {
                    let from = self.heads.in_product(row, head, i);
                    let (from, to) = (&from_all[from..][..dim], &mut packed[at..][..dim]);
                    let Some(scale) = self.scale(head) else {
                        return to.copy_from_slice(from);
                    };
                    let (cos, sin) = self.angles.of(&self.heads, row, i);
                    let ((a, b), (to_a, to_b)) = (from.split_at(dim / 2), to.split_at_mut(dim / 2));
                    let outputs = to_a.iter_mut().zip(to_b);
                    let inputs = a.iter().zip(b).zip(cos.iter().zip(sin));
                    for ((to_a, to_b), ((a, b), (cos, sin))) in outputs.zip(inputs) {
                        *to_a = (a * cos - b * sin) * scale;
                        *to_b = (b * cos + a * sin) * scale;
                    }
                });
            },
        );
        (Matrix::new(packed, dim), ())
    }

    fn backward(&self, (): (), gradient: &Matrix) -> [Matrix; 1] {
        let Heads { dim, .. } = self.heads;
        let gradient = gradient.values();
        let mut of_qkv = vec![0.0; gradient.len()];
        vectorised(
            #[inline(always)]
            || {
                self.heads.for_each(|row, head, i, at| {
                    let to = self.heads.in_product(row, head, i);
                    let (from, to) = (&gradient[at..][..dim], &mut of_qkv[to..][..dim]);
                    let Some(scale) = self.scale(head) else {
                        return to.copy_from_slice(from);
                    };
                    let (cos, sin) = self.angles.of(&self.heads, row, i);
                    let ((a, b), (to_a, to_b)) = (from.split_at(dim / 2), to.split_at_mut(dim / 2));
                    let outputs = to_a.iter_mut().zip(to_b);
                    let inputs = a.iter().zip(b).zip(cos.iter().zip(sin));
                    for ((to_a, to_b), ((a, b), (cos, sin))) in outputs.zip(inputs) {
                        *to_a = (a * cos + b * sin) * scale;
                        *to_b = (b * cos - a * sin) * scale;
                    }
                });
            },
        );
        [Matrix::new(of_qkv, self.heads.all() * dim)]
    }
}

/// As [`rotated`], for the kNN layer: queries of length `scale` (`[1, heads]`), keys of length 1.
pub(in crate::model) fn of_unit_length(
    qkv: Tensor<2>,
    scale: Tensor<2>,
    heads: Heads,
) -> Tensor<2> {
    apply([qkv, scale], OfUnitLength { heads })
}

#[derive(Debug)]
struct OfUnitLength {
    heads: Heads,
}

impl OfUnitLength {
    /// Length of the vectors of a head; `None` if they keep theirs.
    #[inline(always)]
    fn length(&self, head: usize, scale: &[f32]) -> Option<f32> {
        let Heads { queries, keys, .. } = self.heads;
        match head {
            head if head < queries => Some(scale[head]),
            head if head < queries + keys => Some(1.0),
            _ => None,
        }
    }
}

impl CpuOp<2> for OfUnitLength {
    type Saved = [Matrix; 2];

    fn forward(&self, inputs: [Matrix; 2]) -> (Matrix, [Matrix; 2]) {
        let [from_all, scale] = inputs.each_ref().map(Matrix::values);
        let Heads { dim, .. } = self.heads;
        let mut packed = vec![0.0; from_all.len()];
        vectorised(
            #[inline(always)]
            || {
                self.heads.for_each(|row, head, i, at| {
                    let from = self.heads.in_product(row, head, i);
                    let (from, to) = (&from_all[from..][..dim], &mut packed[at..][..dim]);
                    let Some(length) = self.length(head, scale) else {
                        return to.copy_from_slice(from);
                    };
                    let factor = length / (dot(from, from) + UNIT_EPSILON as f32).sqrt();
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = from * factor;
                    }
                });
            },
        );
        (Matrix::new(packed, dim), inputs)
    }

    fn backward(&self, [qkv, scale]: [Matrix; 2], gradient: &Matrix) -> [Matrix; 2] {
        let Heads { dim, queries, .. } = self.heads;
        let (qkv, scale) = (qkv.values(), scale.values());
        let gradients = gradient.values();
        let mut of_qkv = vec![0.0; qkv.len()];
        let mut of_scale = vec![0.0; queries];
        vectorised(
            #[inline(always)]
            || {
                self.heads.for_each(|row, head, i, at| {
                    let place = self.heads.in_product(row, head, i);
                    let (x, to) = (&qkv[place..][..dim], &mut of_qkv[place..][..dim]);
                    let gradient = &gradients[at..][..dim];
                    let Some(length) = self.length(head, scale) else {
                        return to.copy_from_slice(gradient);
                    };
                    let inverse = 1.0 / (dot(x, x) + UNIT_EPSILON as f32).sqrt();
                    // Gradient of the vector's length, which is that of `scale`.
                    let along = dot(gradient, x) * inverse;
                    if let Some(of_scale) = of_scale.get_mut(head) {
                        *of_scale += along;
                    }
                    let (factor, along) = (length * inverse, along * inverse);
                    for ((to, gradient), x) in to.iter_mut().zip(gradient).zip(x) {
                        *to = factor * (gradient - x * along);
                    }
                });
            },
        );
        [
            Matrix::new(of_qkv, self.heads.all() * dim),
            Matrix::new(of_scale, queries),
        ]
    }
}
