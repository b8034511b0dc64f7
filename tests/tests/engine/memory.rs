//! The memory after reading a score depends on the score alone, however it was read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use continuo_engine::{Composer, EngineError, Sampling};
use continuo_score::{Note, NoteState, Score, TimeSignature, tune};
use continuo_tests::artifacts;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fixtures::{VARIANTS, assert_same, feed_in, load, long_score, model, models, tokens};

/// With both memories, beyond the capacity of the kNN memory, and with the XL memory alone.
#[test]
fn logits_are_equal_for_every_chunk_size() {
    let xl_models = VARIANTS.map(|variant| load(&artifacts::xl_model().unwrap(), variant));
    for model in models().chain(xl_models) {
        let name = if model.manifest().shape.knn.is_some() {
            "kNN"
        } else {
            "XL"
        };
        let tokens = tokens(&model, &long_score(2));
        assert!(model.manifest().shape.knn.is_none_or(|knn| knn.k == 32));
        let reach = model.manifest().shape.window + 64;
        assert!(tokens.len() > 2 * reach, "{} tokens", tokens.len());
        let whole = feed_in(&model, &tokens, tokens.len());
        for size in [1, 7, 64] {
            let chunked = feed_in(&model, &tokens, size);
            let what = format!("{name}, chunks of {size}");
            assert_same(&model, &whole, &chunked, &what);
        }
    }
}

/// Rounding differences between variants are below 5 % of the mean logit.
#[test]
fn variants_agree_to_rounding() {
    let tokens = tokens(&model(), &long_score(2));
    let logits: Vec<Vec<f32>> = models().map(|m| feed_in(&m, &tokens, 64)).collect();
    let mean = |a: &[f32], b: &[f32]| {
        let apart = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs()));
        apart.sum::<f64>() / a.len() as f64
    };
    let size = mean(&logits[0], &vec![0.0; logits[0].len()]);
    for (variant, other) in VARIANTS.iter().zip(&logits).skip(1) {
        let apart = mean(&logits[0], other);
        assert!(apart < size * 0.05, "{variant}: {apart} of {size}");
        assert_ne!(&logits[0], other, "{variant} has the graphs of plain");
    }
}

/// With recall 0, tokens beyond the window do not change the logits at all; with recall 1 they do.
#[test]
fn recall_0_uses_the_window_alone() {
    for model in models() {
        let score = long_score(1);
        let logits = |learn: bool, recall: f32| {
            let mut composer = Composer::new(model.clone());
            composer.set_recall(recall);
            if learn {
                composer.learn(&[long_score(2)]).unwrap();
            }
            composer.listen(&score).unwrap();
            composer.logits().unwrap().to_vec()
        };
        assert_eq!(logits(false, 0.0), logits(true, 0.0));
        assert_ne!(logits(false, 1.0), logits(true, 1.0));
        assert_ne!(logits(false, 1.0), logits(false, 0.0));
    }
}

/// After any sequence of listening, answering, learning and forgetting, the memory equals that of a new
/// composer that has read only the last score.
#[test]
fn rewound_memory_equals_fresh_memory() {
    for model in models() {
        // The variants share this code; two seeds each are enough for the others.
        let seeds = if model.variant() == "cpu" { 0..5 } else { 5..7 };
        for seed in seeds {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut composer = Composer::new(model.clone());
            let mut score = Score::new(12);
            let mut learned: Vec<Score> = Vec::new();
            for turn in 0..25 {
                match rng.random_range(0..6) {
                    4 => {
                        let piece = long_score(1).until(rng.random_range(50..400));
                        composer.learn(std::slice::from_ref(&piece)).unwrap();
                        learned.push(piece);
                    }
                    5 if rng.random_bool(0.3) => {
                        composer.forget_learned().unwrap();
                        learned.clear();
                    }
                    0 => score = score.until(rng.random_range(0..=score.length)),
                    1 => {
                        let step = 12 * rng.random_range(0..=score.length / 12);
                        score.time_signatures.change(
                            step,
                            TimeSignature {
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
                            ..Note::default()
                        };
                        score.notes.extend((0..10u8).map(&mut note));
                        score.normalise();
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
                fresh.learn(&learned).unwrap();
                fresh.listen(&score).unwrap();
                assert_eq!(
                    fresh.tokens(),
                    composer.tokens(),
                    "seed {seed}, turn {turn}"
                );
                let expected = fresh.logits().unwrap().to_vec();
                let what = format!("seed {seed}, turn {turn}");
                assert_same(&model, &expected, composer.logits().unwrap(), &what);
                if turn % 5 == 0 {
                    let play = |composer: &mut Composer| {
                        let end = score.length;
                        composer.answer(end, &Sampling::default(), seed).unwrap();
                        composer.play_until(end + 48).unwrap()
                    };
                    assert_eq!(play(&mut fresh), play(&mut composer), "{what}");
                }
            }
        }
    }
}

/// A stop at any moment leaves the memory of a prefix; reading resumes after it.
#[test]
fn stopped_reading_resumes_where_it_stopped() {
    let model = model();
    let score = long_score(20);
    let mut fresh = Composer::new(model.clone());
    fresh.listen(&score).unwrap();
    let stop = Arc::new(AtomicBool::new(true));
    let mut composer = Composer::new(model.clone());
    composer.set_stop(stop.clone());
    let refused = composer.listen(&score).unwrap_err();
    assert!(matches!(refused, EngineError::Stopped), "{refused}");
    assert_eq!(composer.tokens(), 0);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..5 {
        stop.store(false, Ordering::Relaxed);
        let wait = Duration::from_millis(rng.random_range(0..60));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(wait);
                stop.store(true, Ordering::Relaxed);
            });
            match composer.listen(&score) {
                Ok(()) | Err(EngineError::Stopped) => {}
                Err(other) => panic!("{other}"),
            }
        });
        assert!(composer.tokens() <= fresh.tokens(), "{wait:?}");
    }
    stop.store(false, Ordering::Relaxed);
    composer.listen(&score).unwrap();
    assert_eq!(fresh.tokens(), composer.tokens());
    let expected = fresh.logits().unwrap().to_vec();
    assert_same(&model, &expected, composer.logits().unwrap(), "resumed");
}

/// While a long score is read in slices, the composer can answer from a part of it. Once all is read,
/// the memory equals that of reading everything at once.
#[test]
fn sliced_reading_ends_in_the_same_memory() {
    for model in models() {
        let mut near = 0;
        for seed in 0..4 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            // The first score takes more than one slice on any machine.
            let mut score = long_score(if seed == 0 {
                20
            } else {
                rng.random_range(1..9)
            });
            let learned = rng.random_bool(0.5);
            let mut composer = Composer::new(model.clone());
            composer.listen(&long_score(1)).unwrap();
            if learned {
                composer.begin_learning(&[tune::minuet()]).unwrap();
            }
            composer.begin_listening(&score).unwrap();
            let (mut turns, mut changes) = (0, 0);
            while let Some(owed) = composer.poll().unwrap() {
                turns += 1;
                assert!(turns < 100_000, "seed {seed}: {owed:?}");
                // A fast machine takes few turns: the first one always changes the score.
                if turns > 1 && rng.random_range(0..5) > 0 {
                    continue;
                }
                // The score grows, shrinks or is replaced meanwhile.
                changes += 1;
                let end = score.length;
                match if turns == 1 {
                    2
                } else {
                    rng.random_range(0..4)
                } {
                    0 => score = score.until(end - rng.random_range(0..end / 2)),
                    1 => score = long_score(rng.random_range(1..9)),
                    _ => {
                        near += usize::from(!composer.is_exact());
                        let sampling = Sampling::default();
                        composer.begin_answer(end, &sampling, seed, &[]).unwrap();
                        let notes = loop {
                            if let Some(notes) = composer.poll_notes(end + 24).unwrap() {
                                break notes;
                            }
                        };
                        score.notes.extend(notes);
                        score.normalise();
                    }
                }
                composer.begin_listening(&score).unwrap();
                if changes > 20 {
                    break;
                }
            }
            while composer.poll().unwrap().is_some() {}
            assert!(composer.is_exact(), "seed {seed}");
            let mut fresh = Composer::new(model.clone());
            if learned {
                fresh.learn(&[tune::minuet()]).unwrap();
            }
            fresh.listen(&score).unwrap();
            assert_eq!(composer.tokens(), fresh.tokens(), "seed {seed}");
            let what = format!("seed {seed}");
            let expected = fresh.logits().unwrap().to_vec();
            assert_same(&model, &expected, composer.logits().unwrap(), &what);
            // Answers are equal too.
            let play = |composer: &mut Composer| {
                let end = score.length + 12;
                composer.answer(end, &Sampling::default(), seed).unwrap();
                composer.play_until(end + 48).unwrap()
            };
            if model.variant() == "cpu" {
                assert_eq!(play(&mut fresh), play(&mut composer), "{what}");
            }
        }
        assert!(near > 0, "no answer came from a part of the score");
    }
}

#[test]
fn tokens_outside_the_vocabulary_are_refused() {
    for model in models() {
        let mut memory = model.memory();
        assert!(model.forward(&mut memory, &[], 1.0).unwrap().is_empty());
        let good = tokens(&model, &tune::minuet());
        let sizes = model.sizes();
        let mut wrong = vec![good[0]; 5];
        wrong[0].id = sizes.vocabulary as u16;
        wrong[1].rows.bar_step = sizes.bar_steps as u16;
        wrong[2].rows.bar = sizes.bars as u16;
        wrong[3].rows.metre = sizes.bar_steps as u16;
        wrong[4].note_context.rows[7] = NoteState::NOTHING + 1;
        for wrong in wrong {
            assert!(model.forward(&mut memory, &[good[0], wrong], 1.0).is_err());
            assert_eq!(memory.len(), 0, "a refused token is in memory");
        }
        model.forward(&mut memory, &good[..1], 1.0).unwrap();
    }
}
