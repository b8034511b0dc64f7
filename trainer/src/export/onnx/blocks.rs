//! Parts of the network as nodes of a graph.

use super::graph::{Dim, Graph, ValueName, int, ints};
use super::proto::tensor_proto::DataType;
use super::variant::Variant;
use crate::model::parameters::NORM_EPSILON;
use crate::model::rotary::Rotary;
use crate::model::{Model, values};

/// Additive mask of tokens outside the window.
const MASKED: f32 = -1e30;

/// Cosines and sines of the tokens' angles, `[T, 1, head_dim / 2]`. In a graph with ONNX Runtime's
/// own operators they are `[T, head_dim / 2]`, and `rows` has the row of each token.
pub(super) struct Rotation {
    pub(super) cos: ValueName,
    pub(super) sin: ValueName,
    pub(super) rows: Option<ValueName>,
}

/// Access of layers to the keys and values of earlier tokens.
#[derive(Clone, Debug)]
pub(super) enum CacheMode {
    /// Caches are concatenated with the new keys and values; the additive mask is `[T, P + T]`.
    Mask(ValueName),
    /// Caches are changed in place; the inputs `seqlens_k` and `total_sequence_length`.
    InPlace([ValueName; 2]),
}

/// Writes parts of a model into a graph.
pub(super) struct GraphWriter<'a> {
    pub(super) graph: Graph,
    pub(super) model: &'a Model,
    pub(super) variant: Variant,
    epsilon: ValueName,
    pub(super) last: ValueName,
    table: Option<ValueName>,
}

impl<'a> GraphWriter<'a> {
    pub(super) fn new(model: &'a Model, variant: Variant) -> Self {
        let mut graph = Graph::default();
        let epsilon = graph.float(NORM_EPSILON as f32);
        let last = graph.integers(&[-1]);
        Self {
            graph,
            model,
            variant,
            epsilon,
            last,
            table: None,
        }
    }

    /// The token table, `[vocabulary, width]`.
    pub(super) fn table(&mut self) -> ValueName {
        if let Some(table) = &self.table {
            return table.clone();
        }
        let tensor = self.model.token_table();
        let table = self.floats("embedding.pitched", &tensor.dims(), &values(&tensor));
        self.table.insert(table).clone()
    }

    /// Shape and values of a parameter.
    pub(super) fn values(&self, name: &str) -> ([usize; 2], Vec<f32>) {
        // The names are those of `Model::build`; the parity test writes every one of them.
        let tensor = self.model.parameter(name);
        let tensor = tensor.expect("a parameter of the model");
        (tensor.dims(), values(&tensor))
    }

    /// A parameter as a constant of the graph.
    pub(super) fn parameter(&mut self, name: &str) -> ValueName {
        let (shape, data) = self.values(name);
        self.floats(name, &shape, &data)
    }

    /// A constant of the graph's float type.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], data: &[f32]) -> ValueName {
        match self.variant.float() {
            DataType::Float16 => self.graph.halves(name, shape, data),
            _ => self.graph.floats(name, shape, data),
        }
    }

    /// `x` converted from the graph's float type to f32.
    pub(super) fn wide(&mut self, x: &str) -> ValueName {
        self.cast(x, DataType::Float)
    }

    /// `x` converted from f32 to the graph's float type.
    pub(super) fn narrow(&mut self, x: &str) -> ValueName {
        self.cast(x, self.variant.float())
    }

    fn cast(&mut self, x: &str, to: DataType) -> ValueName {
        if self.variant.float() == DataType::Float {
            return x.to_owned();
        }
        let to = int("to", to as i64);
        self.graph.op_with("Cast", &[x], vec![to])
    }

    /// The inputs `past_key.L` and `past_value.L`.
    pub(super) fn past(&mut self, l: usize) -> [ValueName; 2] {
        let length = if self.variant.in_place() { "C" } else { "P" };
        let shape = self.cache(l, length);
        let kind = self.variant.float();
        ["key", "value"].map(|side| {
            let name = format!("past_{side}.{l}");
            self.graph.input(&name, kind, &shape)
        })
    }

    /// Makes `key` and `value` the outputs `key.L` and `value.L`: f32 in the kNN layer, because the
    /// search reads them, else of the graph's float type.
    pub(super) fn present(&mut self, l: usize, key: &str, value: &str) {
        let shape = self.cache(l, "T");
        let searched = self
            .model
            .config
            .shape
            .knn
            .is_some_and(|knn| knn.layer == l);
        for (side, value) in [("key", key), ("value", value)] {
            let name = format!("{side}.{l}");
            if searched {
                let value = self.wide(value);
                self.graph.output(&name, &value, DataType::Float, &shape);
            } else {
                self.graph
                    .output(&name, value, self.variant.float(), &shape);
            }
        }
    }

    /// Shape of the keys or values of `tokens` tokens in layer `l`.
    pub(super) fn cache(&self, l: usize, tokens: &'static str) -> [Dim; 4] {
        let shape = self.model.config.shape;
        [
            Dim::Fixed(1),
            Dim::Fixed(shape.memory_heads(l)),
            Dim::Any(tokens),
            Dim::Fixed(shape.sizes.head_dim),
        ]
    }

    /// The matrix product of `x` and a parameter.
    pub(super) fn matmul(&mut self, x: &str, matrix: &str) -> ValueName {
        if self.variant.bits() <= 8 {
            let ([rows, columns], data) = self.values(matrix);
            return self.quantised_matmul(x, matrix, &data, [rows, columns]);
        }
        let matrix = self.parameter(matrix);
        self.graph.op("MatMul", &[x, &matrix])
    }

    /// RMSNorm, `x / sqrt(mean(x²) + NORM_EPSILON) * gain`.
    pub(super) fn norm(&mut self, x: &str, gain: &str) -> ValueName {
        if self.variant != Variant::Plain {
            let (_, gain_values) = self.values(gain);
            return self.fused_norm(x, gain, &gain_values, NORM_EPSILON as f32);
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

    /// Rotations of the tokens, from the inputs `position` and, with relative time and pitch, `step`
    /// and `pitch`. They are f64 up to the sine: after hours the position is a large number, and
    /// its angle needs every digit.
    pub(super) fn rotation(&mut self) -> Rotation {
        let config = self.model.config;
        let rotary = Rotary::new(&config, config.shape.sizes.head_dim);
        let mut rotated = vec![("position", rotary.token)];
        if config.relative.is_some() {
            rotated.extend([("step", rotary.step), ("pitch", rotary.semitone)]);
        }
        let own = self.variant != Variant::Plain;
        let float = self.variant.float();
        let g = &mut self.graph;
        let axes = g.integers(if own { &[1] } else { &[1, 2] });
        let mut angle: Option<ValueName> = None;
        for (name, by) in rotated {
            let input = g.input(name, DataType::Int64, &[Dim::Any("T")]);
            let by = g.doubles(&format!("rotary.{name}"), &[by.len()], &by);
            let to = int("to", DataType::Double as i64);
            let wide = g.op_with("Cast", &[&input], vec![to]);
            let wide = g.op("Unsqueeze", &[&wide, &axes]);
            let rotated = g.op("Mul", &[&wide, &by]);
            angle = Some(match angle {
                Some(angle) => g.op("Add", &[&angle, &rotated]),
                None => rotated,
            });
        }
        // The list is never empty: it begins with the position.
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

    /// Additive mask of the scores, `[T, P + T]`: 0 for the last `window` tokens up to the query's
    /// own, which has index `P + i`.
    pub(super) fn mask(&mut self, token: &str, past: &str) -> ValueName {
        let window = self.model.config.shape.window as i64;
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
        let past_or_own = g.op("GreaterOrEqual", &[&back, &zero]);
        let window = g.integer(window);
        let near = g.op("Less", &[&back, &window]);
        let seen = g.op("And", &[&past_or_own, &near]);
        let [nothing, masked] = [0.0, MASKED].map(|x| g.float(x));
        g.op("Where", &[&seen, &nothing, &masked])
    }

    /// The residual stream after the attention of layer `l`, which is not the kNN layer.
    pub(super) fn attention(
        &mut self,
        l: usize,
        h: &str,
        past: &[ValueName; 2],
        rotation: &Rotation,
        window: &CacheMode,
    ) -> ValueName {
        let sizes = self.model.config.shape.sizes;
        let (heads, dim) = (sizes.heads, sizes.head_dim);
        let x = self.norm(h, &format!("layers.{l}.attention.norm"));
        let qkv = self.matmul(&x, &format!("layers.{l}.attention.qkv"));
        let mixed = match window {
            CacheMode::InPlace(lengths) => {
                let inner = heads * dim;
                let [rotated, value] = self.graph.split(&qkv, 2, [2 * inner, inner]);
                let rotated = self.rotate(&rotated, 2 * heads, rotation);
                let [query, key] = self.graph.split(&rotated, 2, [inner, inner]);
                self.attend_in_place(l, [query, key, value], past, lengths)
            }
            CacheMode::Mask(mask) => {
                let qkv = self.by_head(&qkv, 3 * heads);
                let g = &mut self.graph;
                let [rotated, value] = g.split(&qkv, 2, [2 * heads, heads]);
                let [a, b] = g.split(&rotated, 3, [dim / 2, dim / 2]);
                let Rotation { cos, sin, .. } = rotation;
                let [ac, bs, bc, as_] = [(&a, cos), (&b, sin), (&b, cos), (&a, sin)]
                    .map(|(half, table)| g.op("Mul", &[half, table]));
                let a = g.op("Sub", &[&ac, &bs]);
                let b = g.op("Add", &[&bc, &as_]);
                let rotated = g.op_with("Concat", &[&a, &b], vec![int("axis", 3)]);
                let [query, key] = g.split(&rotated, 2, [heads, heads]);
                let scale = g.float(1.0 / (dim as f32).sqrt());
                let query = g.op("Mul", &[&query, &scale]);
                self.attend(l, [query, key, value], past, mask)
            }
        };
        self.add_out(l, h, &mixed)
    }

    /// `[1, T, count * head_dim]` as `[1, T, count, head_dim]`.
    pub(super) fn by_head(&mut self, x: &str, count: usize) -> ValueName {
        let dim = self.model.config.shape.sizes.head_dim;
        let by_head = self.graph.integers(&[0, 0, count as i64, dim as i64]);
        self.graph.op("Reshape", &[x, &by_head])
    }

    /// `[1, T, count, head_dim]` as `[1, T, count * head_dim]`.
    pub(super) fn flat(&mut self, x: &str, count: usize) -> ValueName {
        let dim = self.model.config.shape.sizes.head_dim;
        let flat = self.graph.integers(&[0, 0, (count * dim) as i64]);
        self.graph.op("Reshape", &[x, &flat])
    }

    /// Attention within the window, `[1, T, heads * head_dim]`, of queries, keys and values
    /// `[1, T, heads, head_dim]`; their keys and values become outputs.
    pub(super) fn attend(
        &mut self,
        l: usize,
        query_key_value: [ValueName; 3],
        past: &[ValueName; 2],
        mask: &str,
    ) -> ValueName {
        let sizes = self.model.config.shape.sizes;
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

    /// The residual stream `h` with the output of attention added.
    pub(super) fn add_out(&mut self, l: usize, h: &str, mixed: &str) -> ValueName {
        let added = self.matmul(mixed, &format!("layers.{l}.attention.out"));
        self.graph.op("Add", &[h, &added])
    }

    /// The residual stream after the feed-forward part of layer `l`.
    pub(super) fn feed_forward(&mut self, l: usize, h: &str) -> ValueName {
        let inner = self.model.config.shape.sizes.feed_forward;
        let x = self.norm(h, &format!("layers.{l}.feed_forward.norm"));
        let both = self.matmul(&x, &format!("layers.{l}.feed_forward.gate_up"));
        let g = &mut self.graph;
        let [gate, up] = g.split(&both, 2, [inner, inner]);
        let sigmoid = g.op("Sigmoid", &[&gate]);
        let gate = g.op("Mul", &[&gate, &sigmoid]);
        let gated = g.op("Mul", &[&gate, &up]);
        let added = self.matmul(&gated, &format!("layers.{l}.feed_forward.down"));
        self.graph.op("Add", &[h, &added])
    }
}
