//! The network as an ONNX graph of standard operators, f32.
//!
//! | input | type and shape | |
//! |---|---|---|
//! | `token`, `bar_step`, `bar`, `metre` | int64 `[1, T]` | ids and embedding rows |
//! | `position` | int64 `[T]` | tokens since the stream began, before each |
//! | `past_key.L`, `past_value.L` | f32 `[1, H, P, D]` | what layer L remembers, oldest first |
//!
//! | output | type and shape | |
//! |---|---|---|
//! | `logits` | f32 `[1, T, V]` | of what follows each token |
//! | `key.L`, `value.L` | f32 `[1, H, T, D]` | to be remembered; keys are rotated already |
//!
//! `P` may be anything from 0 up; only the last `window - 1` matter.

use super::graph::{Graph, Name, Size, int, ints};
use super::proto::tensor_proto::DataType;
use crate::model::{EPSILON, Model, numbers, rotary_frequencies};

/// What ONNX adds to the scores of tokens out of sight.
const MASKED: f32 = -1e30;

/// The bytes of the network's ONNX file.
pub fn write(model: &Model, name: &str) -> Vec<u8> {
    let mut writer = Writer::new(model);
    let sizes = model.shape.sizes;
    let row = [Size::Fixed(1), Size::Any("T")];
    let [token, bar_step, bar, metre] = ["token", "bar_step", "bar", "metre"]
        .map(|name| writer.graph.input(name, DataType::Int64, &row));
    let position = writer
        .graph
        .input("position", DataType::Int64, &[Size::Any("T")]);
    let past = [
        Size::Fixed(1),
        Size::Fixed(sizes.heads),
        Size::Any("P"),
        Size::Fixed(sizes.head_dim),
    ];
    let past: Vec<[Name; 2]> = (0..sizes.layers)
        .map(|l| {
            ["key", "value"].map(|side| {
                writer
                    .graph
                    .input(&format!("past_{side}.{l}"), DataType::Float, &past)
            })
        })
        .collect();

    let table = writer.table(&numbers(&model.token_table()), sizes.vocabulary);
    let mut h = writer.graph.op("Gather", &[&table, &token]);
    for (name, rows) in [
        ("embedding.bar_step", &bar_step),
        ("embedding.bar", &bar),
        ("embedding.metre", &metre),
    ] {
        let table = writer.parameter(name);
        let embedded = writer.graph.op("Gather", &[&table, rows]);
        h = writer.graph.op("Add", &[&h, &embedded]);
    }
    let rotation = writer.rotation(&position);
    let mask = writer.mask(&token, &past[0][0]);
    for (l, past) in past.iter().enumerate() {
        let added = writer.attention(l, &h, past, &rotation, &mask);
        h = writer.graph.op("Add", &[&h, &added]);
        let added = writer.feed_forward(l, &h);
        h = writer.graph.op("Add", &[&h, &added]);
    }
    let h = writer.norm(&h, "norm");
    let head = writer
        .graph
        .op_with("Transpose", &[&table], vec![ints("perm", &[1, 0])]);
    let logits = writer.graph.op("MatMul", &[&h, &head]);
    let [one, t] = row;
    writer
        .graph
        .output("logits", &logits, &[one, t, Size::Fixed(sizes.vocabulary)]);
    writer.graph.finish(
        "continuo",
        &[
            ("name", name.to_owned()),
            (
                "format",
                continuo_score::manifest::Manifest::FORMAT.to_string(),
            ),
            ("window", model.shape.window.to_string()),
        ],
    )
}

struct Writer<'a> {
    graph: Graph,
    model: &'a Model,
    epsilon: Name,
    last: Name,
}

impl<'a> Writer<'a> {
    fn new(model: &'a Model) -> Self {
        let mut graph = Graph::default();
        let epsilon = graph.float(EPSILON as f32);
        let last = graph.integers(&[-1]);
        Self {
            graph,
            model,
            epsilon,
            last,
        }
    }

    fn table(&mut self, data: &[f32], rows: usize) -> Name {
        self.graph
            .floats("embedding.pitched", &[rows, data.len() / rows], data)
    }

    /// A parameter as a constant of the graph.
    fn parameter(&mut self, name: &str) -> Name {
        let parameters = self.model.parameters();
        // Names are those of `Model::build`; the parity test runs every one of them.
        let (_, tensor) = parameters
            .iter()
            .find(|(n, _)| n == name)
            .expect("a parameter of the model");
        self.graph.floats(name, &tensor.dims(), &numbers(tensor))
    }

    /// `x / sqrt(mean(x²) + EPSILON) * gain`.
    fn norm(&mut self, x: &str, gain: &str) -> Name {
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

    /// Cosines and sines of the tokens' angles, `[T, 1, head_dim / 2]`. In f64 up to the
    /// sine: a position of hours is a large number, and its angle needs every digit.
    fn rotation(&mut self, position: &str) -> [Name; 2] {
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
        [&ahead, &angle].map(|angle| {
            let sine = g.op("Sin", &[angle]);
            g.op_with("Cast", &[&sine], vec![int("to", DataType::Float as i64)])
        })
    }

    /// What is added to scores, `[T, P + T]`: nothing for the last `window` tokens up to the
    /// query's own, which stands at `P + i`.
    fn mask(&mut self, token: &str, past: &str) -> Name {
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

    fn attention(
        &mut self,
        l: usize,
        h: &str,
        past: &[Name; 2],
        [cos, sin]: &[Name; 2],
        mask: &str,
    ) -> Name {
        let sizes = self.model.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let x = self.norm(h, &format!("layers.{l}.attention.norm"));
        let qkv = self.parameter(&format!("layers.{l}.attention.qkv"));
        let out = self.parameter(&format!("layers.{l}.attention.out"));
        let g = &mut self.graph;
        let qkv = g.op("MatMul", &[&x, &qkv]);
        let by_head = g.integers(&[0, 0, 3 * heads as i64, dim as i64]);
        let qkv = g.op("Reshape", &[&qkv, &by_head]);
        let [turned, value] = g.split(&qkv, 2, [2 * heads, heads]);
        let [a, b] = g.split(&turned, 3, [dim / 2, dim / 2]);
        let [ac, bs, bc, as_] = [(&a, cos), (&b, sin), (&b, cos), (&a, sin)]
            .map(|(half, table)| g.op("Mul", &[half, table]));
        let a = g.op("Sub", &[&ac, &bs]);
        let b = g.op("Add", &[&bc, &as_]);
        let turned = g.op_with("Concat", &[&a, &b], vec![int("axis", 3)]);
        let [query, key] = g.split(&turned, 2, [heads, heads]);
        let [query, key, value] = [query, key, value]
            .map(|x| g.op_with("Transpose", &[&x], vec![ints("perm", &[0, 2, 1, 3])]));
        let new = [
            Size::Fixed(1),
            Size::Fixed(heads),
            Size::Any("T"),
            Size::Fixed(dim),
        ];
        g.output(&format!("key.{l}"), &key, &new);
        g.output(&format!("value.{l}"), &value, &new);
        let keys = g.op_with("Concat", &[&past[0], &key], vec![int("axis", 2)]);
        let values = g.op_with("Concat", &[&past[1], &value], vec![int("axis", 2)]);
        let scale = g.float(1.0 / (dim as f32).sqrt());
        let query = g.op("Mul", &[&query, &scale]);
        let keys = g.op_with("Transpose", &[&keys], vec![ints("perm", &[0, 1, 3, 2])]);
        let scores = g.op("MatMul", &[&query, &keys]);
        let scores = g.op("Add", &[&scores, mask]);
        let weights = g.op_with("Softmax", &[&scores], vec![int("axis", -1)]);
        let mixed = g.op("MatMul", &[&weights, &values]);
        let mixed = g.op_with("Transpose", &[&mixed], vec![ints("perm", &[0, 2, 1, 3])]);
        let flat = g.integers(&[0, 0, (heads * dim) as i64]);
        let mixed = g.op("Reshape", &[&mixed, &flat]);
        g.op("MatMul", &[&mixed, &out])
    }

    fn feed_forward(&mut self, l: usize, h: &str) -> Name {
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
        g.op("MatMul", &[&gated, &down])
    }
}
