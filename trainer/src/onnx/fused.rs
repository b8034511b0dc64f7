//! ONNX Runtime's own operators, for the variants made for it: attention with a cache that is
//! changed in place, products with matrices of 8 bits, fused norms and rotary positions.

use super::blocks::{Rotation, Writer};
use super::graph::{Name, float, int, ints};
use super::proto::tensor_proto::DataType;

/// Weights of a column that share a scale. Smaller blocks lose less and take more room.
const BLOCK: usize = 32;
/// Activations are rounded to 8 bits, too: the products are of integers.
const ACCURACY_INT8: i64 = 4;

impl Writer<'_> {
    /// The inputs `seqlens_k` and `total_sequence_length`.
    pub(super) fn lengths(&mut self) -> [Name; 2] {
        let one = [super::graph::Size::Fixed(1)];
        ["seqlens_k", "total_sequence_length"]
            .map(|name| self.graph.input(name, DataType::Int32, &one))
    }

    /// `x / sqrt(mean(x²) + epsilon) * gain`; the mean is f32.
    pub(super) fn fused_norm(&mut self, x: &str, name: &str, gain: &[f32], epsilon: f32) -> Name {
        let gain = self.floats(name, &[gain.len()], gain);
        let attributes = vec![
            int("axis", -1),
            float("epsilon", epsilon),
            int("stash_type", DataType::Float as i64),
        ];
        let operator = "SimplifiedLayerNormalization";
        self.graph.op_with(operator, &[x, &gain], attributes)
    }

    /// `x` times a matrix (`[rows, columns]`) whose numbers are rounded to 8 bits.
    pub(super) fn quantised_product(
        &mut self,
        x: &str,
        name: &str,
        matrix: &[f32],
        [rows, columns]: [usize; 2],
    ) -> Name {
        let (blocks, scales) = quantise(matrix, [rows, columns]);
        let count = rows.div_ceil(BLOCK);
        let g = &mut self.graph;
        let blocks = g.bytes(&format!("{name}.q8"), &[columns, count, BLOCK], blocks);
        let scales = g.floats(&format!("{name}.scale"), &[columns, count], &scales);
        let attributes = vec![
            int("K", rows as i64),
            int("N", columns as i64),
            int("bits", 8),
            int("block_size", BLOCK as i64),
            int("accuracy_level", ACCURACY_INT8),
        ];
        g.own_op("MatMulNBits", &[x, &blocks, &scales], attributes, &[])
    }

    /// Queries and keys (`[1, T, heads * head_dim]`), rotated.
    pub(super) fn rotate(&mut self, x: &str, heads: usize, rotation: &Rotation) -> Name {
        let Rotation { cos, sin, rows } = rotation;
        // `rotation` gives rows to every graph that comes here.
        let rows = rows.as_deref().unwrap_or_default();
        let attributes = vec![int("num_heads", heads as i64), int("interleaved", 0)];
        self.graph
            .own_op("RotaryEmbedding", &[x, rows, cos, sin], attributes, &[])
    }

    /// Attention within the window, `[1, T, heads * head_dim]`, of queries, keys and values
    /// `[1, T, .. * head_dim]`, whose scale is `1 / sqrt(head_dim)`, or 1 in the kNN layer. The
    /// caches become the outputs `present_*`, what is new `key.L` and `value.L`.
    pub(super) fn attend_in_place(
        &mut self,
        l: usize,
        [query, key, value]: [Name; 3],
        past: &[Name; 2],
        [before, total]: &[Name; 2],
    ) -> Name {
        let shape = self.model.shape;
        let memory_heads = shape.memory_heads(l);
        for_each_side(self, l, [&key, &value], memory_heads);
        let scale = match shape.knn {
            Some(knn) if knn.layer == l => 1.0,
            _ => 1.0 / (shape.sizes.head_dim as f32).sqrt(),
        };
        let attributes = vec![
            int("num_heads", shape.sizes.heads as i64),
            int("kv_num_heads", memory_heads as i64),
            int("local_window_size", shape.window as i64),
            int("sliding_window_cache", 1),
            float("scale", scale),
        ];
        let inputs = [&query, &key, &value, &past[0], &past[1], before, total];
        let present = ["key", "value"].map(|side| format!("present_{side}.{l}"));
        let mixed = self.graph.own_op(
            "GroupQueryAttention",
            &inputs.map(String::as_str),
            attributes,
            &present,
        );
        let (kind, shape) = (self.kind.float(), self.cache(l, "C"));
        for name in &present {
            self.graph.export(name, kind, &shape);
        }
        mixed
    }
}

/// Makes new keys and values, `[1, T, heads * head_dim]`, outputs `[1, heads, T, head_dim]`.
fn for_each_side(writer: &mut Writer<'_>, l: usize, sides: [&Name; 2], heads: usize) {
    let [key, value] = sides.map(|side| {
        let side = writer.by_head(side, heads);
        let perm = ints("perm", &[0, 2, 1, 3]);
        writer.graph.op_with("Transpose", &[&side], vec![perm])
    });
    writer.present(l, &key, &value);
}

/// Blocks of a matrix (`[rows, columns]`) along its rows, `[columns, blocks, BLOCK]`, where 128
/// stands for 0, and their scales `[columns, blocks]`.
fn quantise(matrix: &[f32], [rows, columns]: [usize; 2]) -> (Vec<u8>, Vec<f32>) {
    let blocks = rows.div_ceil(BLOCK);
    let mut bytes = Vec::with_capacity(columns * blocks * BLOCK);
    let mut scales = Vec::with_capacity(columns * blocks);
    for column in 0..columns {
        for block in 0..blocks {
            // Rows beyond the last are 0.
            let numbers: [f32; BLOCK] = std::array::from_fn(|i| {
                let row = block * BLOCK + i;
                if row < rows {
                    matrix[row * columns + column]
                } else {
                    0.0
                }
            });
            let most = numbers.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            let scale = most / 127.0;
            scales.push(scale);
            let step = if scale > 0.0 { scale } else { 1.0 };
            // Within 1 ..= 255: no number is larger than 127 steps.
            bytes.extend(numbers.map(|x| ((x / step).round() + 128.0) as u8));
        }
    }
    (bytes, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_are_off_by_half_a_step_at_most() {
        let (rows, columns) = (50, 3);
        let matrix: Vec<f32> = (0..rows * columns)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) * if i < 20 { 0.0 } else { 0.013 })
            .collect();
        let (bytes, scales) = quantise(&matrix, [rows, columns]);
        let blocks = rows.div_ceil(BLOCK);
        assert_eq!(
            (bytes.len(), scales.len()),
            (columns * blocks * BLOCK, columns * blocks)
        );
        for (i, &byte) in bytes.iter().enumerate() {
            let (column, row) = (i / (blocks * BLOCK), i % (blocks * BLOCK));
            let scale = scales[i / BLOCK];
            let x = if row < rows {
                matrix[row * columns + column]
            } else {
                0.0
            };
            let back = (f32::from(byte) - 128.0) * scale;
            assert!(
                (x - back).abs() <= scale * 0.501,
                "{row} {column}: {x} {back}"
            );
        }
    }
}
