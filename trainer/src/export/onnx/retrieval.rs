//! The kNN layer as nodes of two graphs: the part before the search, and the part after.

use super::blocks::{CacheMode, GraphWriter};
use super::graph::{Dim, ValueName, int};
use super::proto::tensor_proto::DataType;
use super::variant::Variant;
use crate::model::retrieval::{LARGEST_SCALE, UNIT_EPSILON};

/// Similarities below this belong to empty slots.
const EMPTY_SLOT: f32 = -2.0;

impl GraphWriter<'_> {
    /// End of `lower`: from `h`, the input of layer `m`, to the outputs `hidden`, `local`, `query`,
    /// `key.m` and `value.m`.
    pub(super) fn local(&mut self, m: usize, h: &str, past: &[ValueName; 2], window: &CacheMode) {
        let sizes = self.model.config.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let x = self.norm(h, &format!("layers.{m}.attention.norm"));
        let qkv = self.matmul(&x, &format!("layers.{m}.attention.qkv"));
        let qkv = self.by_head(&qkv, heads + 2);
        let [both, value] = self.graph.split(&qkv, 2, [heads + 1, 1]);
        let both = self.unit(&both);
        let [query, key] = self.graph.split(&both, 2, [heads, 1]);
        let scale = self.scale(m);
        let narrow = self.narrow(&scale);
        let scaled = self.graph.op("Mul", &[&query, &narrow]);
        let local = match window {
            CacheMode::Mask(mask) => self.attend(m, [scaled, key, value], past, mask),
            CacheMode::InPlace(lengths) => {
                let flat = [(&scaled, heads), (&key, 1), (&value, 1)];
                let flat = flat.map(|(x, count)| self.flat(x, count));
                self.attend_in_place(m, flat, past, lengths)
            }
        };
        let query = self.wide(&query);
        let float = self.variant.float();
        let [one, t] = [Dim::Fixed(1), Dim::Any("T")];
        let [width, inner] = [sizes.width, heads * dim].map(Dim::Fixed);
        let g = &mut self.graph;
        g.output("hidden", h, float, &[one, t, width]);
        g.output("local", &local, float, &[one, t, inner]);
        let each = [one, t, Dim::Fixed(heads), Dim::Fixed(dim)];
        g.output("query", &query, DataType::Float, &each);
    }

    /// Beginning of `upper`: the input `hidden`, and the residual stream after the attention of layer
    /// `m` with `k` retrieved tokens.
    pub(super) fn mix(&mut self, m: usize, k: usize) -> (ValueName, ValueName) {
        let sizes = self.model.config.shape.sizes;
        let [one, t] = [Dim::Fixed(1), Dim::Any("T")];
        let [width, inner] = [sizes.width, sizes.heads * sizes.head_dim].map(Dim::Fixed);
        let [heads, dim, k] = [sizes.heads, sizes.head_dim, k].map(Dim::Fixed);
        let float = self.variant.float();
        let g = &mut self.graph;
        let hidden = g.input("hidden", float, &[one, t, width]);
        let local = g.input("local", float, &[one, t, inner]);
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
        let nothing = g.float(EMPTY_SLOT);
        let found = g.op("Greater", &[&best, &nothing]);
        let [least, most] = [-1.0, 1.0].map(|x| g.float(x));
        let similarity = g.op("Clip", &[&best, &least, &most]);
        let normed = self.norm(&hidden, &format!("layers.{m}.attention.norm"));
        let normed = self.wide(&normed);
        let local = self.wide(&local);
        // The gate is small and sensitive: f32 in every variant.
        let [matrix, bias, by_best] = ["gate", "bias", "best"].map(|part| {
            let name = format!("layers.{m}.attention.recall_{part}");
            let (shape, data) = self.values(&name);
            self.graph.floats(&name, &shape, &data)
        });
        let g = &mut self.graph;
        let gate = g.op("MatMul", &[&normed, &matrix]);
        let gate = g.op("Add", &[&gate, &bias]);
        let gate = g.op("Unsqueeze", &[&gate, &self.last]);
        // All four dimensions: ONNX Runtime's WebGPU provider (1.27) fails on a shape that lacks some.
        let column = g.integers(&[1, 1, sizes.heads as i64, 1]);
        let by_best = g.op("Reshape", &[&by_best, &column]);
        let by_best = g.op("Mul", &[&similarity, &by_best]);
        let gate = g.op("Add", &[&gate, &by_best]);
        let gate = g.op("Sigmoid", &[&gate]);
        let gate = g.op("Mul", &[&gate, &recall]);
        let shut = g.float(0.0);
        let gate = g.op("Where", &[&found, &gate, &shut]);

        let local = self.by_head(&local, sizes.heads);
        let g = &mut self.graph;
        let apart = g.op("Sub", &[&recalled, &local]);
        let moved = g.op("Mul", &[&gate, &apart]);
        let mixed = g.op("Add", &[&local, &moved]);
        let mixed = self.flat(&mixed, sizes.heads);
        let mixed = self.narrow(&mixed);
        let h = self.add_out(m, &hidden, &mixed);
        (hidden, h)
    }

    /// Factor of the cosine similarities, `[heads, 1]`, f32.
    fn scale(&mut self, m: usize) -> ValueName {
        let name = format!("layers.{m}.attention.recall_scale");
        let ([_, heads], logarithms) = self.values(&name);
        let scale = |x: &f32| x.exp().min(LARGEST_SCALE as f32);
        let scales: Vec<f32> = logarithms.iter().map(scale).collect();
        self.graph.floats(&name, &[heads, 1], &scales)
    }

    /// Vectors of length 1 along the last dimension.
    fn unit(&mut self, x: &str) -> ValueName {
        if self.variant != Variant::Plain {
            // |x|² = dim · mean(x²).
            let dim = self.model.config.shape.sizes.head_dim;
            let gain = vec![1.0 / (dim as f32).sqrt(); dim];
            return self.fused_norm(x, "unit", &gain, UNIT_EPSILON as f32 / dim as f32);
        }
        let g = &mut self.graph;
        let square = g.op("Mul", &[x, x]);
        let sum = g.op_with(
            "ReduceSum",
            &[&square, &self.last],
            vec![int("keepdims", 1)],
        );
        let epsilon = g.float(UNIT_EPSILON as f32);
        let sum = g.op("Add", &[&sum, &epsilon]);
        let length = g.op("Sqrt", &[&sum]);
        g.op("Div", &[x, &length])
    }
}
