//! ONNX Runtime's own operators, for the variants `cpu` and `gpu`: attention with a cache that is
//! changed in place, products with matrices of 8 or 4 bits, fused norms and rotary positions.

use super::blocks::{GraphWriter, Rotation};
use super::graph::{ValueName, float, int, ints};
use super::proto::tensor_proto::DataType;

/// Weights of a column that share a scale. Smaller blocks lose less and need more memory.
const BLOCK: usize = 32;
/// Activations are rounded to 8 bits as well, so that the products are of integers.
const ACCURACY_INT8: i64 = 4;

impl GraphWriter<'_> {
    /// The inputs `seqlens_k` and `total_sequence_length`.
    pub(super) fn lengths(&mut self) -> [ValueName; 2] {
        let one = [super::graph::Dim::Fixed(1)];
        ["seqlens_k", "total_sequence_length"]
            .map(|name| self.graph.input(name, DataType::Int32, &one))
    }

    /// `x / sqrt(mean(x²) + epsilon) * gain`; the mean is f32.
    pub(super) fn fused_norm(
        &mut self,
        x: &str,
        name: &str,
        gain: &[f32],
        epsilon: f32,
    ) -> ValueName {
        let gain = self.floats(name, &[gain.len()], gain);
        let attributes = vec![
            int("axis", -1),
            float("epsilon", epsilon),
            int("stash_type", DataType::Float as i64),
        ];
        let operator = "SimplifiedLayerNormalization";
        self.graph.op_with(operator, &[x, &gain], attributes)
    }

    /// The matrix product of `x` and a matrix (`[rows, columns]`) rounded to 8 or 4 bits.
    pub(super) fn quantised_matmul(
        &mut self,
        x: &str,
        name: &str,
        matrix: &[f32],
        [rows, columns]: [usize; 2],
    ) -> ValueName {
        let bits = self.variant.bits();
        let (blocks, scales) = quantise(matrix, [rows, columns], bits);
        let count = rows.div_ceil(BLOCK);
        let g = &mut self.graph;
        let size = [columns, count, BLOCK * bits / 8];
        let blocks = g.bytes(&format!("{name}.q{bits}"), &size, blocks);
        let scales = g.floats(&format!("{name}.scale"), &[columns, count], &scales);
        let attributes = vec![
            int("K", rows as i64),
            int("N", columns as i64),
            int("bits", bits as i64),
            int("block_size", BLOCK as i64),
            int("accuracy_level", ACCURACY_INT8),
        ];
        g.own_op("MatMulNBits", &[x, &blocks, &scales], attributes, &[])
    }

    /// Rotates queries or keys, `[1, T, heads * head_dim]`.
    pub(super) fn rotate(&mut self, x: &str, heads: usize, rotation: &Rotation) -> ValueName {
        let Rotation { cos, sin, rows } = rotation;
        // Graphs with this operator always have rows.
        let rows = rows.as_deref().unwrap_or_default();
        let attributes = vec![int("num_heads", heads as i64), int("interleaved", 0)];
        self.graph
            .own_op("RotaryEmbedding", &[x, rows, cos, sin], attributes, &[])
    }

    /// Attention within the window, `[1, T, heads * head_dim]`, of queries, keys and values
    /// `[1, T, .. * head_dim]`, whose scale is `1 / sqrt(head_dim)`, or 1 in the kNN layer. The
    /// caches become the outputs `present_*`, the new keys and values `key.L` and `value.L`.
    pub(super) fn attend_in_place(
        &mut self,
        l: usize,
        [query, key, value]: [ValueName; 3],
        past: &[ValueName; 2],
        [before, total]: &[ValueName; 2],
    ) -> ValueName {
        let shape = self.model.config.shape;
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
        let (kind, shape) = (self.variant.float(), self.cache(l, "C"));
        for name in &present {
            self.graph.export(name, kind, &shape);
        }
        mixed
    }
}

/// Makes new keys and values, `[1, T, heads * head_dim]`, outputs `[1, heads, T, head_dim]`.
fn for_each_side(writer: &mut GraphWriter<'_>, l: usize, sides: [&ValueName; 2], heads: usize) {
    let [key, value] = sides.map(|side| {
        let side = writer.by_head(side, heads);
        let perm = ints("perm", &[0, 2, 1, 3]);
        writer.graph.op_with("Transpose", &[&side], vec![perm])
    });
    writer.present(l, &key, &value);
}

/// Blocks of a matrix (`[rows, columns]`) along its rows, `[columns, blocks, bytes]`, and their
/// scales `[columns, blocks]`. Zero is 128 in 8 bits and 8 in 4 bits; of two 4-bit values, the
/// first is in the byte's lower half.
fn quantise(matrix: &[f32], [rows, columns]: [usize; 2], bits: usize) -> (Vec<u8>, Vec<f32>) {
    let blocks = rows.div_ceil(BLOCK);
    let mut bytes = Vec::with_capacity(columns * blocks * BLOCK * bits / 8);
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
            let largest = |m: f32, x: f32| if x.abs() > m.abs() { x } else { m };
            let most = numbers.into_iter().fold(0.0f32, largest);
            // All 16 levels are used: the value of largest magnitude gets the lowest one.
            let (scale, zero) = match bits {
                4 => (most / -8.0, 8.0),
                _ => (most.abs() / 127.0, 128.0),
            };
            scales.push(scale);
            let step = if scale == 0.0 { 1.0 } else { scale };
            let most = (1u32 << bits) as f32 - 1.0;
            let level = |x: f32| ((x / step).round() + zero).clamp(0.0, most) as u8;
            match bits {
                4 => bytes.extend(
                    numbers
                        .as_chunks::<2>()
                        .0
                        .iter()
                        .map(|&[low, high]| level(low) | level(high) << 4),
                ),
                _ => bytes.extend(numbers.map(level)),
            }
        }
    }
    (bytes, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantisation_error_is_at_most_half_a_step() {
        let (rows, columns) = (50usize, 3usize);
        let matrix: Vec<f32> = (0..rows * columns)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) * if i < 20 { 0.0 } else { 0.013 })
            .collect();
        let blocks = rows.div_ceil(BLOCK);
        for (bits, zero, most) in [(8, 128.0, 0.501), (4, 8.0, 1.001)] {
            let (bytes, scales) = quantise(&matrix, [rows, columns], bits);
            let numbers = columns * blocks * BLOCK;
            assert_eq!(
                (bytes.len(), scales.len()),
                (numbers * bits / 8, columns * blocks)
            );
            let levels = bytes.iter().flat_map(|&byte| match bits {
                4 => vec![byte & 15, byte >> 4],
                _ => vec![byte],
            });
            let mut half = 0;
            for (i, level) in levels.enumerate() {
                let (column, row) = (i / (blocks * BLOCK), i % (blocks * BLOCK));
                let scale = scales[i / BLOCK];
                let x = if row < rows {
                    matrix[row * columns + column]
                } else {
                    0.0
                };
                let off = (x - (f32::from(level) - zero) * scale).abs() / scale.abs().max(1e-9);
                assert!(
                    off <= most,
                    "{bits} bits, {row} {column}: {x}, {off} steps off"
                );
                half += usize::from(off <= 0.501);
            }
            // Only values opposite the largest one may be off by a whole step.
            assert!(half * 10 >= numbers * 9, "{bits} bits: {half} of {numbers}");
        }
    }
}
