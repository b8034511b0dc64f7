//! The kNN layer as nodes of two graphs: what stands before the search, and what after.

use super::blocks::Writer;
use super::graph::{Name, Size, int};
use super::proto::tensor_proto::DataType;
use crate::model::recall::{EPSILON, LARGEST_SCALE};

/// Similarities below this are those of empty slots.
const NOTHING: f32 = -2.0;

impl Writer<'_> {
    /// `lower` ends: `h` enters layer `m`, and becomes the outputs `hidden`, `local`, `query`,
    /// `key.m` and `value.m`.
    pub(super) fn local(&mut self, m: usize, h: &str, past: &[Name; 2], mask: &str) {
        let sizes = self.model.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let x = self.norm(h, &format!("layers.{m}.attention.norm"));
        let qkv = self.heads(&x, &format!("layers.{m}.attention.qkv"), heads + 2);
        let [both, value] = self.graph.split(&qkv, 2, [heads + 1, 1]);
        let both = self.unit(&both);
        let [query, key] = self.graph.split(&both, 2, [heads, 1]);
        let scale = self.scale(m);
        let scaled = self.graph.op("Mul", &[&query, &scale]);
        let local = self.attend(m, [scaled, key, value], past, mask);
        let [one, t] = [Size::Fixed(1), Size::Any("T")];
        let [width, inner] = [sizes.width, heads * dim].map(Size::Fixed);
        let g = &mut self.graph;
        g.output("hidden", h, &[one, t, width]);
        g.output("local", &local, &[one, t, inner]);
        g.output(
            "query",
            &query,
            &[one, t, Size::Fixed(heads), Size::Fixed(dim)],
        );
    }

    /// `upper` begins: the input `hidden`, and the residual stream after attention in layer
    /// `m`, with `k` memories.
    pub(super) fn mix(&mut self, m: usize, k: usize) -> (Name, Name) {
        let sizes = self.model.shape.sizes;
        let [one, t] = [Size::Fixed(1), Size::Any("T")];
        let [width, inner] = [sizes.width, sizes.heads * sizes.head_dim].map(Size::Fixed);
        let [heads, dim, k] = [sizes.heads, sizes.head_dim, k].map(Size::Fixed);
        let g = &mut self.graph;
        let hidden = g.input("hidden", DataType::Float, &[one, t, width]);
        let local = g.input("local", DataType::Float, &[one, t, inner]);
        let score = g.input("score", DataType::Float, &[one, t, heads, k]);
        let memory = g.input("memory", DataType::Float, &[one, t, heads, k, dim]);
        let recall = g.input("recall", DataType::Float, &[one]);

        // Recalled: `[1, T, heads, head_dim]`.
        let scale = self.scale(m);
        let g = &mut self.graph;
        let scores = g.op("Mul", &[&score, &scale]);
        let weights = g.op_with("Softmax", &[&scores], vec![int("axis", -1)]);
        let row = g.integers(&[3]);
        let weights = g.op("Unsqueeze", &[&weights, &row]);
        let recalled = g.op("MatMul", &[&weights, &memory]);
        let recalled = g.op("Squeeze", &[&recalled, &row]);

        // The gate: `[1, T, heads, 1]`.
        let best = g.op_with("ReduceMax", &[&score, &self.last], vec![int("keepdims", 1)]);
        let nothing = g.float(NOTHING);
        let found = g.op("Greater", &[&best, &nothing]);
        let [least, most] = [-1.0, 1.0].map(|x| g.float(x));
        let similarity = g.op("Clip", &[&best, &least, &most]);
        let normed = self.norm(&hidden, &format!("layers.{m}.attention.norm"));
        let [matrix, bias, by_best] = ["gate", "bias", "best"]
            .map(|part| self.parameter(&format!("layers.{m}.attention.recall_{part}")));
        let g = &mut self.graph;
        let gate = g.op("MatMul", &[&normed, &matrix]);
        let gate = g.op("Add", &[&gate, &bias]);
        let gate = g.op("Unsqueeze", &[&gate, &self.last]);
        let column = g.integers(&[sizes.heads as i64, 1]);
        let by_best = g.op("Reshape", &[&by_best, &column]);
        let by_best = g.op("Mul", &[&similarity, &by_best]);
        let gate = g.op("Add", &[&gate, &by_best]);
        let gate = g.op("Sigmoid", &[&gate]);
        let gate = g.op("Mul", &[&gate, &recall]);
        let closed = g.float(0.0);
        let gate = g.op("Where", &[&found, &gate, &closed]);

        let by_head = g.integers(&[0, 0, sizes.heads as i64, sizes.head_dim as i64]);
        let local = g.op("Reshape", &[&local, &by_head]);
        let apart = g.op("Sub", &[&recalled, &local]);
        let moved = g.op("Mul", &[&gate, &apart]);
        let mixed = g.op("Add", &[&local, &moved]);
        let flat = g.integers(&[0, 0, (sizes.heads * sizes.head_dim) as i64]);
        let mixed = g.op("Reshape", &[&mixed, &flat]);
        let h = self.add_out(m, &hidden, &mixed);
        (hidden, h)
    }

    /// `[heads, 1]`: what cosine similarities are multiplied by.
    fn scale(&mut self, m: usize) -> Name {
        let heads = self.model.shape.sizes.heads as i64;
        let scale = self.parameter(&format!("layers.{m}.attention.recall_scale"));
        let g = &mut self.graph;
        let column = g.integers(&[heads, 1]);
        let scale = g.op("Reshape", &[&scale, &column]);
        let scale = g.op("Exp", &[&scale]);
        let most = g.float(LARGEST_SCALE as f32);
        g.op("Min", &[&scale, &most])
    }

    /// Vectors of length one.
    fn unit(&mut self, x: &str) -> Name {
        let g = &mut self.graph;
        let square = g.op("Mul", &[x, x]);
        let sum = g.op_with(
            "ReduceSum",
            &[&square, &self.last],
            vec![int("keepdims", 1)],
        );
        let epsilon = g.float(EPSILON as f32);
        let sum = g.op("Add", &[&sum, &epsilon]);
        let length = g.op("Sqrt", &[&sum]);
        g.op("Div", &[x, &length])
    }
}
