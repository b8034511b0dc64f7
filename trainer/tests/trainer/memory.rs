//! The XL memory: each token sees exactly the last `window` tokens of its own song.

use burn::tensor::Device;
use continuo_score::Vocabulary;
use continuo_trainer::config::preset;
use continuo_trainer::learner::initial;
use continuo_trainer::model::{Input, Memory, Model, numbers};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn tiny() -> Model {
    let vocabulary = Vocabulary::continuo();
    let (shape, _) = preset("tiny", &vocabulary).unwrap();
    initial(shape, &vocabulary, &Device::flex(), 7)
}

/// One lane of random tokens, all of one song.
fn stream(length: usize, seed: u64) -> Input {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |below: u16| (0..length).map(|_| random.random_range(0..below)).collect();
    Input {
        lanes: 1,
        length,
        tokens: draw(340),
        bar_step: draw(48),
        bar: draw(16),
        metre: draw(49),
        song: vec![0; length],
    }
}

fn part(input: &Input, from: usize, to: usize) -> Input {
    Input {
        lanes: 1,
        length: to - from,
        tokens: input.tokens[from..to].to_vec(),
        bar_step: input.bar_step[from..to].to_vec(),
        bar: input.bar[from..to].to_vec(),
        metre: input.metre[from..to].to_vec(),
        song: input.song[from..to].to_vec(),
    }
}

/// Logits of a stream fed in chunks of `size`, row after row.
fn logits(model: &Model, input: &Input, size: usize) -> Vec<f32> {
    let mut memory = Memory::default();
    let mut all = Vec::new();
    for from in (0..input.length).step_by(size) {
        let chunk = part(input, from, (from + size).min(input.length));
        all.extend(numbers(&model.forward(&chunk, &mut memory)));
        assert_eq!(memory.position, (from + chunk.length) as u64);
        assert!(memory.length() < model.shape.window);
    }
    all
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn chunked_is_whole_is_streamed() {
    let model = tiny();
    let input = stream(75, 1);
    let whole = logits(&model, &input, 75);
    let spread = whole.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    assert!(spread > 0.1, "logits say something");
    for size in [1, 7, 16, 33] {
        let difference = largest_difference(&whole, &logits(&model, &input, size));
        assert!(difference < 1e-5, "chunks of {size}: {difference}");
    }
}

#[test]
fn sees_as_far_as_the_windows_reach_and_no_further() {
    let model = tiny();
    let size = model.shape.sizes.vocabulary;
    // Layer by layer a token reaches `window - 1` tokens further back.
    let reach = model.shape.sizes.layers * (model.shape.window - 1);
    let input = stream(reach + 20, 2);
    let mut other = input.clone();
    other.tokens[5] = (other.tokens[5] + 1) % 340;
    for chunk in [input.length, 8] {
        let (a, b) = (logits(&model, &input, chunk), logits(&model, &other, chunk));
        let row = |l: &[f32], i: usize| l[i * size..(i + 1) * size].to_vec();
        for i in 0..input.length {
            let same = row(&a, i) == row(&b, i);
            let sees = (5..=5 + reach).contains(&i);
            // At the very end of its reach a change may be too faint for f32.
            if i < 5 + reach - 3 || !sees {
                assert_eq!(same, !sees, "token {i}, chunks of {chunk}");
            }
        }
    }
}

#[test]
fn a_secret_of_one_song_is_invisible_to_the_next() {
    let model = tiny();
    let size = model.shape.sizes.vocabulary;
    let mut input = stream(60, 3);
    // The second song begins inside a segment, its memory full of the first.
    let begins = 21;
    input.song[begins..].fill(begins as u64);
    let mut secret = input.clone();
    for i in 0..begins {
        secret.tokens[i] = (secret.tokens[i] + 100) % 340;
        secret.bar[i] = (secret.bar[i] + 5) % 16;
    }
    for chunk in [60, 16, 1] {
        let (a, b) = (
            logits(&model, &input, chunk),
            logits(&model, &secret, chunk),
        );
        assert_ne!(a[..begins * size], b[..begins * size]);
        assert_eq!(a[begins * size..], b[begins * size..], "chunks of {chunk}");
    }
    // And it plays as it would alone, wherever in the stream it begins.
    let alone = part(&input, begins, 60);
    let alone = logits(
        &model,
        &Input {
            song: vec![0; 60 - begins],
            ..alone
        },
        39,
    );
    let difference = largest_difference(&alone, &logits(&model, &input, 60)[begins * size..]);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn lanes_do_not_hear_each_other() {
    let model = tiny();
    let (a, b) = (stream(20, 4), stream(20, 5));
    let mut both = a.clone();
    both.lanes = 2;
    both.tokens.extend(&b.tokens);
    both.bar_step.extend(&b.bar_step);
    both.bar.extend(&b.bar);
    both.metre.extend(&b.metre);
    both.song.extend(&b.song);
    let mut memory = Memory::default();
    let together = numbers(&model.forward(&both, &mut memory));
    let apart = [logits(&model, &a, 20), logits(&model, &b, 20)].concat();
    assert!(largest_difference(&together, &apart) < 1e-5);
}
