//! The operations of the CPU against `burn`'s: same losses, same gradients.

use burn::tensor::{Device, GradientCheckpointingStrategy};
use continuo_score::{NoteContext, NoteState, Vocabulary};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::super::loss::composed_cross_entropy;
use crate::model::{IGNORED, Input, Memory, Model, cross_entropy, random_model, values};
use crate::train::config::preset;

const ROWS: usize = 3;
const LENGTH: usize = 16;

/// The `segment`-th segment of some rows, and its targets; in the last row, a second song begins
/// within the fifth.
fn segment(segment: usize) -> (Input, Vec<u16>) {
    let mut random = ChaCha8Rng::seed_from_u64(segment as u64);
    let mut draw = |below: u16| -> Vec<u16> {
        let drawn = (0..ROWS * LENGTH).map(|_| random.random_range(0..below));
        drawn.collect()
    };
    let mut targets = draw(340);
    targets[5] = IGNORED;
    let (steps, pitches) = (draw(500), draw(128));
    let context = |i: usize| NoteContext {
        rows: [NoteState::NOTHING; _],
        step: u32::from(steps[i]),
        pitch: pitches[i] as u8,
    };
    let contexts = (0..ROWS * LENGTH).map(context).collect();
    let start = |i: usize| {
        let position = segment * LENGTH + i % LENGTH;
        let begins = 4 * LENGTH + 3;
        match i >= (ROWS - 1) * LENGTH && position >= begins {
            true => begins as u64,
            false => 0,
        }
    };
    let input = Input {
        batch_rows: ROWS,
        length: LENGTH,
        // Few tokens, so that keys repeat.
        tokens: draw(12),
        bar_step: draw(48),
        bar: draw(16),
        metre: draw(48),
        contexts,
        song_start: (0..ROWS * LENGTH).map(start).collect(),
        device_rows: None,
    };
    (input, targets)
}

/// Losses of eight segments, and the gradients of the last.
fn losses_and_gradients(
    model: &Model,
    fused: bool,
    strategy: GradientCheckpointingStrategy,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut memory = Memory::default();
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for i in 0..8 {
        let (input, targets) = segment(i);
        let mut replica = model.replica(&Device::flex(), strategy);
        replica.fused = fused;
        let logits = replica.forward(&input, &mut memory);
        let loss = match fused {
            true => cross_entropy(logits, &targets),
            false => composed_cross_entropy(logits, &targets),
        };
        losses.extend(values(&loss));
        let all = replica.gradients(loss.sum().backward()).into_iter();
        gradients = all.map(|g| g.map_or(Vec::new(), |g| values(&g))).collect();
    }
    (losses, gradients)
}

fn assert_near(ours: &[f32], theirs: &[f32], name: &str) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let size = theirs.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() < 2e-4 * size, "{name}, {i}: {a}, burn's {b}");
    }
}

#[test]
fn losses_and_gradients_are_those_of_burns_operations() {
    let vocabulary = Vocabulary::continuo();
    let (tiny, _) = preset("tiny", &vocabulary).expect("a preset");
    let mut config = tiny;
    config.shape.knn = config
        .shape
        .knn
        .map(|knn| continuo_score::manifest::Knn { k: 5, ..knn });
    for relative in [tiny.relative, None] {
        config.relative = relative;
        let model = random_model(config, &vocabulary, &Device::flex(), 3);
        for strategy in [
            GradientCheckpointingStrategy::Disabled,
            GradientCheckpointingStrategy::Balanced,
        ] {
            let ours = losses_and_gradients(&model, true, strategy);
            let theirs = losses_and_gradients(&model, false, strategy);
            assert_near(&ours.0, &theirs.0, "loss");
            for ((spec, ours), theirs) in model.specs().iter().zip(&ours.1).zip(&theirs.1) {
                assert!(!theirs.is_empty(), "{}", spec.name);
                assert_near(ours, theirs, &spec.name);
            }
        }
    }
}
