//! The engine on a real model through ONNX Runtime: one memory, however it is read.

use std::sync::Arc;

use continuo_engine::memory::XlMemory;
use continuo_engine::model::Fed;
use continuo_engine::{Composer, Model, ModelOptions, Runtime, Sampling};
use continuo_score::{Metre, MetreMap, Note, PositionScore, Score, tune};
use continuo_tests::lab;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn model() -> Arc<Model> {
    let runtime = Runtime::load(&lab::library().unwrap()).unwrap();
    Model::load(runtime, &lab::model().unwrap(), &ModelOptions::default()).unwrap()
}

/// The minuet over and over: several windows long.
fn long_score(times: u32) -> Score {
    let minuet = tune::minuet();
    let mut score = minuet.clone();
    for round in 1..times {
        let shifted = |n: &Note| Note {
            start: n.start + round * minuet.length,
            ..*n
        };
        score.notes.extend(minuet.notes.iter().map(shifted));
    }
    score.tidy();
    score
}

fn tokens(model: &Model, score: &Score) -> Vec<Fed> {
    let encoded = PositionScore::encode_open(score, model.vocabulary());
    let fed = |t: &continuo_score::Placed| Fed {
        id: model.vocabulary().id(t.token).unwrap(),
        rows: model.sizes().rows(score.metres.place(t.step)),
    };
    encoded.tokens.iter().map(fed).collect()
}

fn feed_in(model: &Model, tokens: &[Fed], size: usize) -> Vec<f32> {
    let mut memory: XlMemory = model.memory();
    tokens
        .chunks(size)
        .flat_map(|c| model.feed(&mut memory, c).unwrap())
        .collect()
}

fn assert_close(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let worst = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 1e-4, "{what}: logits differ by {worst}");
}

#[test]
fn whole_is_chunks_is_token_by_token() {
    let model = model();
    let tokens = tokens(&model, &long_score(2));
    assert!(
        tokens.len() > 4 * model.manifest().window,
        "{} tokens",
        tokens.len()
    );
    let whole = feed_in(&model, &tokens, tokens.len());
    for size in [1, 7, 64] {
        assert_close(
            &whole,
            &feed_in(&model, &tokens, size),
            &format!("chunks of {size}"),
        );
    }
}

/// Memory after any history of listening, answering and forgetting is the memory of one who
/// only ever heard the last score.
#[test]
fn a_rewind_leaves_no_trace() {
    let model = model();
    for seed in 0..6 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut composer = Composer::new(model.clone());
        let mut score = Score::new(12);
        for turn in 0..25 {
            match rng.random_range(0..4) {
                0 => score = score.until(rng.random_range(0..=score.length)),
                1 => {
                    let step = 12 * rng.random_range(0..=score.length / 12);
                    score.metres.change(
                        step,
                        Metre {
                            numerator: 3,
                            denominator: 4,
                        },
                    );
                }
                2 => score = long_score(rng.random_range(1..6)),
                _ => {
                    let at = score.length + rng.random_range(0..30);
                    let mut note = |i| Note {
                        start: at + rng.random_range(0..100),
                        length: rng.random_range(1..48),
                        pitch: 40 + i * 3,
                        velocity: 64,
                    };
                    score.notes.extend((0..10u8).map(&mut note));
                    score.tidy();
                }
            }
            composer.listen(&score).unwrap();
            if rng.random_bool(0.5) {
                let end = score.length;
                composer.answer(end, &Sampling::default(), seed).unwrap();
                composer.play_until(end + 48).unwrap();
                composer.listen(&score).unwrap();
            }
            let mut fresh = Composer::new(model.clone());
            fresh.listen(&score).unwrap();
            assert_eq!(
                fresh.tokens(),
                composer.tokens(),
                "seed {seed}, turn {turn}"
            );
            let expected = fresh.logits().unwrap().to_vec();
            let what = format!("seed {seed}, turn {turn}");
            assert_close(&expected, composer.logits().unwrap(), &what);
        }
    }
}

#[test]
fn an_answer_is_music_from_its_seed_alone() {
    let model = model();
    let score = tune::minuet();
    let end = score.length + 36 * 8;
    let play = |seed: u64, cut: u32| {
        let mut composer = Composer::new(model.clone());
        composer.listen(&score).unwrap();
        composer
            .answer(score.length, &Sampling::default(), seed)
            .unwrap();
        let mut notes = Vec::new();
        let mut until = score.length;
        while until < end {
            until = (until + cut).min(end);
            notes.extend(composer.play_until(until).unwrap());
        }
        notes
    };
    let notes = play(1, 1000);
    assert_eq!(notes, play(1, 5), "however the calls are cut");
    assert_ne!(notes, play(2, 1000), "another seed");
    assert_eq!(
        notes[0].start, score.length,
        "an answer begins where it should"
    );
    assert!(notes.is_sorted_by_key(|n| n.start));
    assert!(
        notes
            .iter()
            .all(|n| n.start < end && n.length >= 1 && n.velocity >= 1)
    );
}

#[test]
fn what_cannot_be_listened_to_is_said() {
    let model = model();
    let mut composer = Composer::new(model);
    assert!(composer.logits().is_err(), "nothing was heard");
    let mut other = Score::new(8);
    other.metres = MetreMap::constant(Metre::COMMON, 8);
    assert!(
        composer
            .listen(&other)
            .unwrap_err()
            .to_string()
            .contains("8 steps")
    );
    // An answer to nothing is an opening.
    composer.answer(0, &Sampling::default(), 1).unwrap();
    assert!(!composer.play_until(48).unwrap().is_empty());
}
