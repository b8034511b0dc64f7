//! Writing of ONNX files: [`write()`] turns a trained network into graphs.
//!
//! `blocks`, `ort_ops` and `retrieval` write the parts of a layer, [`graph`] builds a graph node by
//! node, and [`proto`] has the messages of the format, which `build.rs` generates.
//!
//! The inputs and outputs of each variant, with their types and shapes, are in
//! `docs/model-format.md`. Caches of variants `cpu` and `gpu` are changed in place:
//!
//! - `past_key.L`, `past_value.L` are buffers `[1, heads, rows, head_dim]`, and so are the outputs
//!   `present_key.L`, `present_value.L`, which should be bound to the same memory. `rows` is any
//!   number from `window` up (on CUDA, `window`).
//! - `seqlens_k` is `n + T - 1` and `total_sequence_length` is `n + T`, where `n` counts the tokens
//!   in the buffers since they were empty. The newest stand in rows from 0 on, in order: `n` of
//!   them while they fit (see `GroupQueryAttention` in ONNX Runtime for the rest). To rewind, copy
//!   the last `window - 1` tokens' keys and values to the beginning, and set `n` to their number.
//!
//! [`Variant::Gpu`] has f16 caches, `hidden`, `local`, and `key.L`, `value.L` of all layers but
//! that of the kNN memory; all other inputs and outputs of floats are f32 in every variant.

mod blocks;
pub mod graph;
mod ort_ops;
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
mod retrieval;
pub mod variant;

use continuo_score::NoteState;

use self::blocks::{CacheMode, GraphWriter, Rotation};
use self::graph::{Dim, ValueName, int, ints};
use self::proto::tensor_proto::DataType;
use self::variant::Variant;
use crate::model::embedding::SOUNDING;
use crate::model::{Model, values};

/// Name of a graph in its variant (`model`, or `lower` and `upper`) and contents of its file.
#[derive(Debug)]
pub struct GraphFile {
    /// File name without `.onnx`.
    pub stem: &'static str,
    /// Contents of the ONNX file.
    pub bytes: Vec<u8>,
}

const ROW: [Dim; 2] = [Dim::Fixed(1), Dim::Any("T")];

/// The network's ONNX files, in the order they run.
pub fn write(model: &Model, variant: Variant, name: &str) -> Vec<GraphFile> {
    let layers = model.config.shape.sizes.layers;
    let Some(knn) = model.config.shape.knn else {
        let mut graph = GraphWriter::new(model, variant);
        let token = tokens(&mut graph);
        let mut context = LayerContext::new(&mut graph, 0..layers, &token[0]);
        let mut h = embed(&mut graph, &token);
        for l in 0..layers {
            h = context.layer(&mut graph, l, &h);
        }
        logits(&mut graph, &h);
        return vec![file("model", graph, name)];
    };

    let m = knn.layer;
    let mut lower = GraphWriter::new(model, variant);
    let token = tokens(&mut lower);
    let mut context = LayerContext::new(&mut lower, 0..m + 1, &token[0]);
    let mut h = embed(&mut lower, &token);
    for l in 0..m {
        h = context.layer(&mut lower, l, &h);
    }
    let past = context.past(m);
    lower.local(m, &h, &past, &context.window);

    let mut upper = GraphWriter::new(model, variant);
    let (hidden, mixed) = upper.mix(m, knn.k);
    let mut context = LayerContext::new(&mut upper, m + 1..layers, &hidden);
    let mut h = upper.feed_forward(m, &mixed);
    for l in m + 1..layers {
        h = context.layer(&mut upper, l, &h);
    }
    logits(&mut upper, &h);
    vec![file("lower", lower, name), file("upper", upper, name)]
}

fn file(stem: &'static str, writer: GraphWriter<'_>, name: &str) -> GraphFile {
    let shape = writer.model.config.shape;
    let mut about = vec![
        ("name", name.to_owned()),
        (
            "format",
            continuo_score::manifest::Manifest::FORMAT.to_string(),
        ),
        ("variant", writer.variant.name().to_owned()),
        ("window", shape.window.to_string()),
    ];
    if let Some(knn) = shape.knn {
        about.push(("knn_layer", knn.layer.to_string()));
        about.push(("knn_k", knn.k.to_string()));
    }
    let bytes = writer.graph.finish(&format!("continuo_{stem}"), &about);
    GraphFile { stem, bytes }
}

/// The inputs `token`, `bar_step`, `bar` and `metre`.
fn tokens(writer: &mut GraphWriter<'_>) -> [ValueName; 4] {
    ["token", "bar_step", "bar", "metre"]
        .map(|name| writer.graph.input(name, DataType::Int64, &ROW))
}

/// The residual stream that enters the first layer.
fn embed(
    writer: &mut GraphWriter<'_>,
    [token, bar_step, bar, metre]: &[ValueName; 4],
) -> ValueName {
    let table = writer.table();
    let mut h = writer.graph.op("Gather", &[&table, token]);
    for (name, rows) in [
        ("embedding.bar_step", bar_step),
        ("embedding.bar", bar),
        ("embedding.metre", metre),
    ] {
        let table = writer.parameter(name);
        let embedded = writer.graph.op("Gather", &[&table, rows]);
        h = writer.graph.op("Add", &[&h, &embedded]);
    }
    if !writer.model.config.shape.sounding {
        return h;
    }
    let [one, t] = ROW;
    let shape = [one, t, Dim::Fixed(NoteState::SLOTS)];
    let rows = writer.graph.input("sounding", DataType::Int64, &shape);
    let ([count, width], mut table) = writer.values(SOUNDING);
    // The padding row is one past the end, or a row that is never trained.
    let padding = usize::from(NoteState::NOTHING);
    let rows_in_table = count.max(padding + 1);
    table.resize(rows_in_table * width, 0.0);
    table[padding * width..][..width].fill(0.0);
    let table = writer.floats(SOUNDING, &[rows_in_table, width], &table);
    let sounding = writer.graph.op("Gather", &[&table, &rows]);
    let slots = writer.graph.integers(&[2]);
    let sounding =
        writer
            .graph
            .op_with("ReduceSum", &[&sounding, &slots], vec![int("keepdims", 0)]);
    writer.graph.op("Add", &[&h, &sounding])
}

/// The output `logits` from the residual stream that leaves the last layer.
fn logits(writer: &mut GraphWriter<'_>, h: &str) {
    let h = writer.norm(h, "norm");
    let logits = if writer.variant.bits() <= 8 {
        let table = writer.model.token_table();
        let [vocabulary, width] = table.dims();
        let head = values(&table.transpose());
        writer.quantised_matmul(&h, "head", &head, [width, vocabulary])
    } else {
        let table = writer.table();
        let g = &mut writer.graph;
        let head = g.op_with("Transpose", &[&table], vec![ints("perm", &[1, 0])]);
        g.op("MatMul", &[&h, &head])
    };
    let logits = writer.wide(&logits);
    let [one, t] = ROW;
    let shape = [
        one,
        t,
        Dim::Fixed(writer.model.config.shape.sizes.vocabulary),
    ];
    let float = DataType::Float;
    writer.graph.output("logits", &logits, float, &shape);
}

/// Values that the layers of a graph share.
struct LayerContext {
    first: usize,
    rotation: Option<Rotation>,
    window: CacheMode,
    past: Vec<[ValueName; 2]>,
}

impl LayerContext {
    /// For `layers` of the model; `token` is any value of `T` tokens, `[1, T, ..]`.
    fn new(writer: &mut GraphWriter<'_>, layers: std::ops::Range<usize>, token: &str) -> Self {
        let knn = writer.model.config.shape.knn;
        let rotates = layers.clone().any(|l| knn.is_none_or(|knn| knn.layer != l));
        let rotation = rotates.then(|| writer.rotation());
        let past: Vec<[ValueName; 2]> = layers.clone().map(|l| writer.past(l)).collect();
        let window = match past.first() {
            Some(_) if writer.variant.in_place() => CacheMode::InPlace(writer.lengths()),
            Some([key, _]) => CacheMode::Mask(writer.mask(token, key)),
            // The graph has no layers.
            None => CacheMode::Mask(ValueName::new()),
        };
        Self {
            first: layers.start,
            rotation,
            window,
            past,
        }
    }

    fn past(&self, l: usize) -> [ValueName; 2] {
        self.past[l - self.first].clone()
    }

    /// A whole layer without kNN memory.
    fn layer(&mut self, writer: &mut GraphWriter<'_>, l: usize, h: &str) -> ValueName {
        let past = self.past(l);
        // `new` made the rotation, because this layer rotates.
        let rotation = self
            .rotation
            .as_ref()
            .expect("layers that rotate have angles");
        let h = writer.attention(l, h, &past, rotation, &self.window);
        writer.feed_forward(l, &h)
    }
}
