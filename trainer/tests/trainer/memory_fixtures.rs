//! Models and random streams for the tests of memories.

use burn::tensor::Device;
use continuo_score::manifest::Knn;
use continuo_score::{NoteContext, NoteState, Vocabulary};
use continuo_trainer::model::{
    Input, LikeMidigen, Memory, MemoryMode, Model, random_model, values,
};
use continuo_trainer::train::config::preset;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A model with a kNN memory in its last layer.
pub(crate) fn tiny() -> Model {
    with(
        2,
        preset("tiny", &Vocabulary::continuo()).unwrap().0.shape.knn,
    )
}

pub(crate) fn with(layers: usize, knn: Option<Knn>) -> Model {
    like(layers, knn, LikeMidigen::default())
}

pub(crate) fn like(layers: usize, knn: Option<Knn>, like_midigen: LikeMidigen) -> Model {
    let vocabulary = Vocabulary::continuo();
    let (mut config, _) = preset("tiny", &vocabulary).unwrap();
    config.shape.sizes.layers = layers;
    config.shape.knn = knn;
    config.like_midigen = like_midigen;
    random_model(config, &vocabulary, &Device::flex(), 7)
}

pub(crate) fn knn(layer: usize, k: usize, capacity: usize) -> Knn {
    Knn {
        layer,
        k,
        capacity,
        following: false,
    }
}

/// One row of random tokens, all of one song.
pub(crate) fn stream(length: usize, seed: u64) -> Input {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |below: u16| -> Vec<u16> {
        let drawn = (0..length).map(|_| random.random_range(0..below));
        drawn.collect()
    };
    let rows = draw(NoteState::ROWS as u16);
    let pitches = draw(128);
    // Time advances by 0 to 6 steps.
    let steps = draw(7).into_iter().scan(0, |step, by| {
        *step += u32::from(by);
        Some(*step)
    });
    let steps: Vec<u32> = steps.collect();
    let contexts = |i: usize| NoteContext {
        rows: std::array::from_fn(|slot| (rows[i] + 29 * slot as u16).min(NoteState::NOTHING)),
        step: steps[i],
        pitch: pitches[i] as u8,
    };
    Input {
        batch_rows: 1,
        length,
        tokens: draw(340),
        bar_step: draw(48),
        bar: draw(16),
        metre: draw(49),
        contexts: (0..length).map(contexts).collect(),
        song_start: vec![0; length],
        device_rows: None,
    }
}

pub(crate) fn part(input: &Input, from: usize, to: usize) -> Input {
    Input {
        batch_rows: 1,
        length: to - from,
        tokens: input.tokens[from..to].to_vec(),
        bar_step: input.bar_step[from..to].to_vec(),
        bar: input.bar[from..to].to_vec(),
        metre: input.metre[from..to].to_vec(),
        contexts: input.contexts[from..to].to_vec(),
        song_start: input.song_start[from..to].to_vec(),
        device_rows: None,
    }
}

/// Logits of a stream fed in chunks of `size`, row after row.
pub(crate) fn logits(model: &Model, input: &Input, size: usize) -> Vec<f32> {
    using(model, input, size, MemoryMode::BOTH)
}

pub(crate) fn using(model: &Model, input: &Input, size: usize, memories: MemoryMode) -> Vec<f32> {
    let mut memory = Memory::default();
    let mut all = Vec::new();
    for from in (0..input.length).step_by(size) {
        let chunk = part(input, from, (from + size).min(input.length));
        all.extend(values(&model.forward_with(&chunk, &mut memory, memories)));
        assert_eq!(memory.position, (from + chunk.length) as u64);
        assert!(memory.length() < model.config.shape.window);
    }
    all
}

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Returns, for every token of a stream, whether its output changes when token `at` is another.
pub(crate) fn who_sees(
    model: &Model,
    at: usize,
    length: usize,
    chunk: usize,
    memories: MemoryMode,
) -> Vec<bool> {
    let size = model.config.shape.sizes.vocabulary;
    let input = stream(length, 2);
    let mut other = input.clone();
    other.tokens[at] = (other.tokens[at] + 1) % 340;
    let [a, b] = [&input, &other].map(|input| using(model, input, chunk, memories));
    let rows = a.chunks_exact(size).zip(b.chunks_exact(size));
    rows.map(|(a, b)| a != b).collect()
}
