//! The parts of the network as nodes of a graph.

use super::graph::{Graph, Name, Size, int, ints};
use super::kind::Kind;
use super::proto::tensor_proto::DataType;
use crate::model::attention::Rotary;
use crate::model::{EPSILON, Model, numbers};

/// What is added to the scores of tokens out of sight.
const MASKED: f32 = -1e30;

/// Cosines and sines of the tokens' angles, `[T, 1, head_dim / 2]`; in a graph with ONNX
/// Runtime's own operators `[T, head_dim / 2]`, and which row is whose.
pub(super) struct Rotation {
    pub(super) cos: Name,
    pub(super) sin: Name,
    pub(super) rows: Option<Name>,
}

/// How layers get at the tokens before.
#[derive(Clone, Debug)]
pub(super) enum Window {
    /// Caches are concatenated with what is new; this is added to the scores, `[T, P + T]`.
    Mask(Name),
    /// Caches are changed in place; `seqlens_k` and `total_sequence_length`.
    InPlace([Name; 2]),
}

/// Writes parts of a model into a graph.
pub(super) struct Writer<'a> {
    pub(super) graph: Graph,
    pub(super) model: &'a Model,
    pub(super) kind: Kind,
    epsilon: Name,
    pub(super) last: Name,
    table: Option<Name>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(model: &'a Model, kind: Kind) -> Self {
        let mut graph = Graph::default();
        let epsilon = graph.float(EPSILON as f32);
        let last = graph.integers(&[-1]);
        Self {
            graph,
            model,
            kind,
            epsilon,
            last,
            table: None,
        }
    }

    /// The rows of all tokens, `[vocabulary, width]`.
    pub(super) fn table(&mut self) -> Name {
        if let Some(table) = &self.table {
            return table.clone();
        }
        let tensor = self.model.token_table();
        let table = self.floats("embedding.pitched", &tensor.dims(), &numbers(&tensor));
        self.table.insert(table).clone()
    }

    /// A parameter's sizes and numbers.
    pub(super) fn numbers(&self, name: &str) -> ([usize; 2], Vec<f32>) {
        let parameters = self.model.parameters();
        // Names are those of `Model::build`; the parity test runs every one of them.
        let (_, tensor) = parameters
            .iter()
            .find(|(n, _)| n == name)
            .expect("a parameter of the model");
        (tensor.dims(), numbers(tensor))
    }

    /// A parameter as a constant of the graph.
    pub(super) fn parameter(&mut self, name: &str) -> Name {
        let (shape, data) = self.numbers(name);
        self.floats(name, &shape, &data)
    }

    /// A constant of the graph's floats.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], data: &[f32]) -> Name {
        match self.kind.float() {
            DataType::Float16 => self.graph.halves(name, shape, data),
            _ => self.graph.floats(name, shape, data),
        }
    }

    /// `x`, of the graph's floats, as f32.
    pub(super) fn wide(&mut self, x: &str) -> Name {
        self.cast(x, DataType::Float)
    }

    /// `x`, f32, as the graph's floats.
    pub(super) fn narrow(&mut self, x: &str) -> Name {
        self.cast(x, self.kind.float())
    }

    fn cast(&mut self, x: &str, kind: DataType) -> Name {
        if self.kind.float() == DataType::Float {
            return x.to_owned();
        }
        let to = int("to", kind as i64);
        self.graph.op_with("Cast", &[x], vec![to])
    }

    /// The inputs `past_key.L` and `past_value.L`.
    pub(super) fn past(&mut self, l: usize) -> [Name; 2] {
        let length = if self.kind.in_place() { "C" } else { "P" };
        let shape = self.cache(l, length);
        let kind = self.kind.float();
        ["key", "value"].map(|side| {
            let name = format!("past_{side}.{l}");
            self.graph.input(&name, kind, &shape)
        })
    }

    /// Makes `key` and `value` the outputs `key.L` and `value.L`: f32 in the kNN layer, which
    /// the search reads, and the graph's floats in others.
    pub(super) fn present(&mut self, l: usize, key: &str, value: &str) {
        let shape = self.cache(l, "T");
        let searched = self.model.shape.knn.is_some_and(|knn| knn.layer == l);
        for (side, value) in [("key", key), ("value", value)] {
            let name = format!("{side}.{l}");
            if searched {
                let value = self.wide(value);
                self.graph.output(&name, &value, DataType::Float, &shape);
            } else {
                self.graph.output(&name, value, self.kind.float(), &shape);
            }
        }
    }

    /// Keys or values of `tokens` tokens in layer `l`.
    pub(super) fn cache(&self, l: usize, tokens: &'static str) -> [Size; 4] {
        let shape = self.model.shape;
        [
            Size::Fixed(1),
            Size::Fixed(shape.memory_heads(l)),
            Size::Any(tokens),
            Size::Fixed(shape.sizes.head_dim),
        ]
    }

    /// `x` times a parameter.
    pub(super) fn product(&mut self, x: &str, matrix: &str) -> Name {
        if self.kind.bits() <= 8 {
            let ([rows, columns], data) = self.numbers(matrix);
            return self.quantised_product(x, matrix, &data, [rows, columns]);
        }
        let matrix = self.parameter(matrix);
        self.graph.op("MatMul", &[x, &matrix])
    }

    /// `x / sqrt(mean(x²) + EPSILON) * gain`.
    pub(super) fn norm(&mut self, x: &str, gain: &str) -> Name {
        if self.kind != Kind::Plain {
            let (_, gain_numbers) = self.numbers(gain);
            return self.fused_norm(x, gain, &gain_numbers, EPSILON as f32);
        }
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

    /// How far the tokens turn, from the inputs `position` and, where the model is told how far
    /// apart tokens are in time and pitch, `step` and `pitch`. In f64 up to the sine: a position
    /// of hours is a large number, and its angle needs every digit.
    pub(super) fn rotation(&mut self) -> Rotation {
        let shape = self.model.shape;
        let rotary = Rotary::new(&shape, shape.sizes.head_dim);
        let mut turned = vec![("position", rotary.token)];
        if shape.relative.is_some() {
            turned.extend([("step", rotary.step), ("pitch", rotary.semitone)]);
        }
        let own = self.kind != Kind::Plain;
        let float = self.kind.float();
        let g = &mut self.graph;
        let axes = g.integers(if own { &[1] } else { &[1, 2] });
        let mut angle: Option<Name> = None;
        for (name, by) in turned {
            let input = g.input(name, DataType::Int64, &[Size::Any("T")]);
            let by = g.doubles(&format!("rotary.{name}"), &[by.len()], &by);
            let to = int("to", DataType::Double as i64);
            let wide = g.op_with("Cast", &[&input], vec![to]);
            let wide = g.op("Unsqueeze", &[&wide, &axes]);
            let turned = g.op("Mul", &[&wide, &by]);
            angle = Some(match angle {
                Some(angle) => g.op("Add", &[&angle, &turned]),
                None => turned,
            });
        }
        // The position turns them in any case.
        let angle = angle.unwrap_or_default();
        // cos x = sin(x + π/2): ONNX Runtime has no cosine of f64 on every device.
        let quarter = g.doubles("quarter_turn", &[], &[std::f64::consts::FRAC_PI_2]);
        let ahead = g.op("Add", &[&angle, &quarter]);
        let [cos, sin] = [&ahead, &angle].map(|angle| {
            let sine = g.op("Sin", &[angle]);
            g.op_with("Cast", &[&sine], vec![int("to", float as i64)])
        });
        let rows = own.then(|| {
            let shape = g.op("Shape", &["position"]);
            let [zero, one] = [0, 1].map(|n| g.integer(n));
            let length = g.op("Gather", &[&shape, &zero]);
            let rows = g.op("Range", &[&zero, &length, &one]);
            let axes = g.integers(&[0]);
            g.op("Unsqueeze", &[&rows, &axes])
        });
        Rotation { cos, sin, rows }
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
        rotation: &Rotation,
        window: &Window,
    ) -> Name {
        let sizes = self.model.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let x = self.norm(h, &format!("layers.{l}.attention.norm"));
        let qkv = self.product(&x, &format!("layers.{l}.attention.qkv"));
        let mixed = match window {
            Window::InPlace(lengths) => {
                let inner = heads * dim;
                let [turned, value] = self.graph.split(&qkv, 2, [2 * inner, inner]);
                let turned = self.rotate(&turned, 2 * heads, rotation);
                let [query, key] = self.graph.split(&turned, 2, [inner, inner]);
                self.attend_in_place(l, [query, key, value], past, lengths)
            }
            Window::Mask(mask) => {
                let qkv = self.by_head(&qkv, 3 * heads);
                let g = &mut self.graph;
                let [turned, value] = g.split(&qkv, 2, [2 * heads, heads]);
                let [a, b] = g.split(&turned, 3, [dim / 2, dim / 2]);
                let Rotation { cos, sin, .. } = rotation;
                let [ac, bs, bc, as_] = [(&a, cos), (&b, sin), (&b, cos), (&a, sin)]
                    .map(|(half, table)| g.op("Mul", &[half, table]));
                let a = g.op("Sub", &[&ac, &bs]);
                let b = g.op("Add", &[&bc, &as_]);
                let turned = g.op_with("Concat", &[&a, &b], vec![int("axis", 3)]);
                let [query, key] = g.split(&turned, 2, [heads, heads]);
                let scale = g.float(1.0 / (dim as f32).sqrt());
                let query = g.op("Mul", &[&query, &scale]);
                self.attend(l, [query, key, value], past, mask)
            }
        };
        self.add_out(l, h, &mixed)
    }

    /// `[1, T, count * head_dim]` as `[1, T, count, head_dim]`.
    pub(super) fn by_head(&mut self, x: &str, count: usize) -> Name {
        let dim = self.model.shape.sizes.head_dim;
        let by_head = self.graph.integers(&[0, 0, count as i64, dim as i64]);
        self.graph.op("Reshape", &[x, &by_head])
    }

    /// `[1, T, count, head_dim]` as `[1, T, count * head_dim]`.
    pub(super) fn flat(&mut self, x: &str, count: usize) -> Name {
        let dim = self.model.shape.sizes.head_dim;
        let flat = self.graph.integers(&[0, 0, (count * dim) as i64]);
        self.graph.op("Reshape", &[x, &flat])
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
        self.flat(&mixed, sizes.heads)
    }

    /// `h` and what attention adds to it.
    pub(super) fn add_out(&mut self, l: usize, h: &str, mixed: &str) -> Name {
        let added = self.product(mixed, &format!("layers.{l}.attention.out"));
        self.graph.op("Add", &[h, &added])
    }

    /// The residual stream after the feed-forward part of layer `l`.
    pub(super) fn feed_forward(&mut self, l: usize, h: &str) -> Name {
        let inner = self.model.shape.sizes.feed_forward;
        let x = self.norm(h, &format!("layers.{l}.feed_forward.norm"));
        let both = self.product(&x, &format!("layers.{l}.feed_forward.gate_up"));
        let g = &mut self.graph;
        let [gate, up] = g.split(&both, 2, [inner, inner]);
        let sigmoid = g.op("Sigmoid", &[&gate]);
        let gate = g.op("Mul", &[&gate, &sigmoid]);
        let gated = g.op("Mul", &[&gate, &up]);
        let added = self.product(&gated, &format!("layers.{l}.feed_forward.down"));
        self.graph.op("Add", &[h, &added])
    }
}
