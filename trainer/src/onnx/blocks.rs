//! The parts of the network as nodes of a graph.

use super::graph::{Graph, Name, Size, int, ints};
use super::proto::tensor_proto::DataType;
use crate::model::attention::rotary_frequencies;
use crate::model::{EPSILON, Model, numbers};

/// What is added to the scores of tokens out of sight.
const MASKED: f32 = -1e30;

/// Cosines and sines of the tokens' angles, `[T, 1, head_dim / 2]`.
pub(super) struct Rotation {
    cos: Name,
    sin: Name,
}

/// Writes parts of a model into a graph.
pub(super) struct Writer<'a> {
    pub(super) graph: Graph,
    pub(super) model: &'a Model,
    epsilon: Name,
    pub(super) last: Name,
    table: Option<Name>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        let mut graph = Graph::default();
        let epsilon = graph.float(EPSILON as f32);
        let last = graph.integers(&[-1]);
        Self {
            graph,
            model,
            epsilon,
            last,
            table: None,
        }
    }

    /// The rows of all tokens, `[vocabulary, width]`.
    pub(super) fn table(&mut self) -> Name {
        let tensor = self.model.token_table();
        let graph = &mut self.graph;
        let make = || graph.floats("embedding.pitched", &tensor.dims(), &numbers(&tensor));
        self.table.get_or_insert_with(make).clone()
    }

    /// A parameter as a constant of the graph.
    pub(super) fn parameter(&mut self, name: &str) -> Name {
        let parameters = self.model.parameters();
        // Names are those of `Model::build`; the parity test runs every one of them.
        let (_, tensor) = parameters
            .iter()
            .find(|(n, _)| n == name)
            .expect("a parameter of the model");
        self.graph.floats(name, &tensor.dims(), &numbers(tensor))
    }

    /// The inputs `past_key.L` and `past_value.L`.
    pub(super) fn past(&mut self, l: usize) -> [Name; 2] {
        let shape = self.cache(l, "P");
        ["key", "value"].map(|side| {
            let name = format!("past_{side}.{l}");
            self.graph.input(&name, DataType::Float, &shape)
        })
    }

    /// Makes `key` and `value` the outputs `key.L` and `value.L`.
    pub(super) fn present(&mut self, l: usize, key: &str, value: &str) {
        let shape = self.cache(l, "T");
        self.graph.output(&format!("key.{l}"), key, &shape);
        self.graph.output(&format!("value.{l}"), value, &shape);
    }

    /// Keys or values of `tokens` tokens in layer `l`.
    fn cache(&self, l: usize, tokens: &'static str) -> [Size; 4] {
        let shape = self.model.shape;
        [
            Size::Fixed(1),
            Size::Fixed(shape.memory_heads(l)),
            Size::Any(tokens),
            Size::Fixed(shape.sizes.head_dim),
        ]
    }

    /// `x / sqrt(mean(x²) + EPSILON) * gain`.
    pub(super) fn norm(&mut self, x: &str, gain: &str) -> Name {
        let gain = self.parameter(gain);
        let g = &mut self.graph;
        let square = g.op("Mul", &[x, x]);
        let mean = g.op_with(
            "ReduceMean",
            &[&square, &self.last],
            vec![int("keepdims", 1)],
        );
        let mean = g.op("Add", &[&mean, &self.epsilon]);
        let root = g.op("Sqrt", &[&mean]);
        let unit = g.op("Div", &[x, &root]);
        g.op("Mul", &[&unit, &gain])
    }

    /// In f64 up to the sine: a position of hours is a large number, and its angle needs
    /// every digit.
    pub(super) fn rotation(&mut self, position: &str) -> Rotation {
        let frequencies: Vec<f64> = rotary_frequencies(self.model.shape.sizes.head_dim).collect();
        let g = &mut self.graph;
        let frequencies = g.doubles("rotary", &[1, 1, frequencies.len()], &frequencies);
        let position = g.op_with(
            "Cast",
            &[position],
            vec![int("to", DataType::Double as i64)],
        );
        let axes = g.integers(&[1, 2]);
        let position = g.op("Unsqueeze", &[&position, &axes]);
        let angle = g.op("Mul", &[&position, &frequencies]);
        // cos x = sin(x + π/2): ONNX Runtime has no cosine of f64 on every device.
        let quarter = g.doubles("quarter_turn", &[], &[std::f64::consts::FRAC_PI_2]);
        let ahead = g.op("Add", &[&angle, &quarter]);
        let [cos, sin] = [&ahead, &angle].map(|angle| {
            let sine = g.op("Sin", &[angle]);
            g.op_with("Cast", &[&sine], vec![int("to", DataType::Float as i64)])
        });
        Rotation { cos, sin }
    }

    /// What is added to scores, `[T, P + T]`: nothing for the last `window` tokens up to the
    /// query's own, which stands at `P + i`.
    pub(super) fn mask(&mut self, token: &str, past: &str) -> Name {
        let window = self.model.shape.window as i64;
        let g = &mut self.graph;
        let [zero, one, axis] = [0, 1, 2].map(|n| g.integer(n));
        let shape = g.op("Shape", &[token]);
        let length = g.op("Gather", &[&shape, &one]);
        let shape = g.op("Shape", &[past]);
        let past = g.op("Gather", &[&shape, &axis]);
        let all = g.op("Add", &[&past, &length]);
        let own = g.op("Range", &[&past, &all, &one]);
        let axes = g.integers(&[1]);
        let own = g.op("Unsqueeze", &[&own, &axes]);
        let keys = g.op("Range", &[&zero, &all, &one]);
        let back = g.op("Sub", &[&own, &keys]);
        let heard = g.op("GreaterOrEqual", &[&back, &zero]);
        let window = g.integer(window);
        let near = g.op("Less", &[&back, &window]);
        let seen = g.op("And", &[&heard, &near]);
        let [nothing, masked] = [0.0, MASKED].map(|x| g.float(x));
        g.op("Where", &[&seen, &nothing, &masked])
    }

    /// The residual stream after the attention of layer `l`, one without kNN memory.
    pub(super) fn attention(
        &mut self,
        l: usize,
        h: &str,
        past: &[Name; 2],
        Rotation { cos, sin }: &Rotation,
        mask: &str,
    ) -> Name {
        let sizes = self.model.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let x = self.norm(h, &format!("layers.{l}.attention.norm"));
        let qkv = self.heads(&x, &format!("layers.{l}.attention.qkv"), 3 * heads);
        let g = &mut self.graph;
        let [turned, value] = g.split(&qkv, 2, [2 * heads, heads]);
        let [a, b] = g.split(&turned, 3, [dim / 2, dim / 2]);
        let [ac, bs, bc, as_] = [(&a, cos), (&b, sin), (&b, cos), (&a, sin)]
            .map(|(half, table)| g.op("Mul", &[half, table]));
        let a = g.op("Sub", &[&ac, &bs]);
        let b = g.op("Add", &[&bc, &as_]);
        let turned = g.op_with("Concat", &[&a, &b], vec![int("axis", 3)]);
        let [query, key] = g.split(&turned, 2, [heads, heads]);
        let scale = g.float(1.0 / (dim as f32).sqrt());
        let query = g.op("Mul", &[&query, &scale]);
        let mixed = self.attend(l, [query, key, value], past, mask);
        self.add_out(l, h, &mixed)
    }

    /// `x` times a matrix, `[1, T, count, head_dim]`.
    pub(super) fn heads(&mut self, x: &str, matrix: &str, count: usize) -> Name {
        let dim = self.model.shape.sizes.head_dim;
        let matrix = self.parameter(matrix);
        let g = &mut self.graph;
        let product = g.op("MatMul", &[x, &matrix]);
        let by_head = g.integers(&[0, 0, count as i64, dim as i64]);
        g.op("Reshape", &[&product, &by_head])
    }

    /// Attention within the window, `[1, T, heads * head_dim]`, of queries, keys and values
    /// `[1, T, heads, head_dim]`; their keys and values become outputs.
    pub(super) fn attend(
        &mut self,
        l: usize,
        query_key_value: [Name; 3],
        past: &[Name; 2],
        mask: &str,
    ) -> Name {
        let sizes = self.model.shape.sizes;
        let [query, key, value] = query_key_value.map(|x| {
            let perm = ints("perm", &[0, 2, 1, 3]);
            self.graph.op_with("Transpose", &[&x], vec![perm])
        });
        self.present(l, &key, &value);
        let g = &mut self.graph;
        let keys = g.op_with("Concat", &[&past[0], &key], vec![int("axis", 2)]);
        let values = g.op_with("Concat", &[&past[1], &value], vec![int("axis", 2)]);
        let keys = g.op_with("Transpose", &[&keys], vec![ints("perm", &[0, 1, 3, 2])]);
        let scores = g.op("MatMul", &[&query, &keys]);
        let scores = g.op("Add", &[&scores, mask]);
        let weights = g.op_with("Softmax", &[&scores], vec![int("axis", -1)]);
        let mixed = g.op("MatMul", &[&weights, &values]);
        let mixed = g.op_with("Transpose", &[&mixed], vec![ints("perm", &[0, 2, 1, 3])]);
        let flat = g.integers(&[0, 0, (sizes.heads * sizes.head_dim) as i64]);
        g.op("Reshape", &[&mixed, &flat])
    }

    /// `h` and what attention adds to it.
    pub(super) fn add_out(&mut self, l: usize, h: &str, mixed: &str) -> Name {
        let out = self.parameter(&format!("layers.{l}.attention.out"));
        let added = self.graph.op("MatMul", &[mixed, &out]);
        self.graph.op("Add", &[h, &added])
    }

    /// The residual stream after the feed-forward part of layer `l`.
    pub(super) fn feed_forward(&mut self, l: usize, h: &str) -> Name {
        let inner = self.model.shape.sizes.feed_forward;
        let x = self.norm(h, &format!("layers.{l}.feed_forward.norm"));
        let gate_up = self.parameter(&format!("layers.{l}.feed_forward.gate_up"));
        let down = self.parameter(&format!("layers.{l}.feed_forward.down"));
        let g = &mut self.graph;
        let both = g.op("MatMul", &[&x, &gate_up]);
        let [gate, up] = g.split(&both, 2, [inner, inner]);
        let sigmoid = g.op("Sigmoid", &[&gate]);
        let gate = g.op("Mul", &[&gate, &sigmoid]);
        let gated = g.op("Mul", &[&gate, &up]);
        let added = g.op("MatMul", &[&gated, &down]);
        g.op("Add", &[h, &added])
    }
}
