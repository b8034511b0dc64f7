//! The engine on a real model through ONNX Runtime: one memory, however it is read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use continuo_engine::model::Fed;
use continuo_engine::{
    Composer, EngineError, Model, ModelOptions, Recollection, Runtime, Sampling,
};
use continuo_score::{
    Note, NoteState, Score, TimeSignature, TimeSignatureMap, TokenSequence, tune,
};
use continuo_tests::lab;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Every variant; `gpu` on the processor too.
const VARIANTS: [&str; 3] = ["plain", "cpu", "gpu"];

fn load(directory: &Path, variant: &str) -> Arc<Model> {
    let runtime = Runtime::load(&lab::library().unwrap()).unwrap();
    // Few enough that the tests' scores go beyond them, and twice what is retrieved (k 32).
    let options = ModelOptions {
        memories: Some(64),
        variants: vec![variant.into()],
        ..ModelOptions::default()
    };
    let model = Model::load(runtime, directory, &options).unwrap();
    assert_eq!(model.variant(), variant);
    model
}

/// With both memories: every variant.
fn models() -> impl Iterator<Item = Arc<Model>> {
    let directory = lab::model().unwrap();
    VARIANTS
        .into_iter()
        .map(move |variant| load(&directory, variant))
}

fn model() -> Arc<Model> {
    load(&lab::model().unwrap(), "cpu")
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
    score.normalise();
    score
}

fn tokens(model: &Model, score: &Score) -> Vec<Fed> {
    let encoded = TokenSequence::encode_open(score, model.vocabulary());
    let ids = encoded.positioned_ids(model.vocabulary());
    model.fed_all(&ids, &score.time_signatures, &mut NoteState::default())
}

fn feed_in(model: &Model, tokens: &[Fed], size: usize) -> Vec<f32> {
    let mut memory = model.memory();
    tokens
        .chunks(size)
        .flat_map(|c| model.feed(&mut memory, c, 1.0).unwrap())
        .collect()
}

/// To rounding in the variant `plain`; to the last bit in those that read token by token.
fn assert_same(model: &Model, a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let most = if model.variant() == "plain" {
        1e-4
    } else {
        0.0
    };
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    let worst = apart.fold(0.0, f32::max);
    let variant = model.variant();
    assert!(worst <= most, "{variant}, {what}: logits differ by {worst}");
}

/// With both memories, beyond the capacity of the second; and with the XL memory alone.
#[test]
fn whole_is_chunks_is_token_by_token() {
    let without = VARIANTS.map(|variant| load(&lab::xl_model().unwrap(), variant));
    for model in models().chain(without) {
        let name = if model.manifest().knn.is_some() {
            "kNN"
        } else {
            "XL"
        };
        let tokens = tokens(&model, &long_score(2));
        assert!(model.manifest().knn.is_none_or(|knn| knn.k == 32));
        let reach = model.manifest().window + 64;
        assert!(tokens.len() > 2 * reach, "{} tokens", tokens.len());
        let whole = feed_in(&model, &tokens, tokens.len());
        for size in [1, 7, 64] {
            let chunked = feed_in(&model, &tokens, size);
            let what = format!("{name}, chunks of {size}");
            assert_same(&model, &whole, &chunked, &what);
        }
    }
}

/// What the variants round differently is small beside what they say.
#[test]
fn variants_say_nearly_the_same() {
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
        assert_ne!(&logits[0], other, "{variant} is plain under another name");
    }
}

/// With recall 0 what lies beyond the window plays no part, to the bit; with 1 it does.
#[test]
fn recall_0_is_the_window_alone() {
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

/// The model in a directory with these weights of its suffix memory.
fn weighed(of: &Path, same: serde_json::Value, transposed: serde_json::Value) -> Arc<Model> {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("weighed");
    lab::copy(of, &directory).unwrap();
    let manifest = directory.join("model.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["suffix"] = same;
    json["suffix_transposed"] = transposed;
    std::fs::write(&manifest, json.to_string()).unwrap();
    load(&directory, "cpu")
}

/// Start, length and pitch of notes, in order.
fn bare(notes: &[Note], from: u32) -> Vec<(u32, u32, u8)> {
    let mut bare: Vec<_> = notes
        .iter()
        .map(|n| (n.start - from, n.length, n.pitch))
        .collect();
    bare.sort();
    bare
}

/// A model that trusts its suffix memory wholly plays a tune on as it was, from wherever it has come
/// to, if it reaches so far back; with recall 0 as if it had none.
#[test]
fn what_followed_before_is_played_again() {
    let sure = weighed(
        &lab::model().unwrap(),
        vec![1.0; 9].into(),
        vec![0.0; 9].into(),
    );
    let none = weighed(
        &lab::model().unwrap(),
        serde_json::Value::Null,
        serde_json::Value::Null,
    );
    let (twice, all) = (long_score(2), long_score(3));
    let minuet = tune::minuet().length;
    let play = |model: &Arc<Model>, recall: f32, reach: Option<u32>| {
        // Five bars into the third time.
        let from = 2 * minuet + 5 * 36;
        let mut composer = Composer::new(model.clone());
        composer.set_recall(recall);
        composer.set_reach(reach);
        composer.listen(&all.until(from)).unwrap();
        let sampling = Sampling {
            warmest: 1.0,
            ..Sampling::default()
        };
        composer.answer(from, &sampling, 1).unwrap();
        let notes = composer.play_until(from + 4 * 36).unwrap();
        if model.manifest().suffix.is_some() && recall > 0.0 && reach.is_none() {
            // The second time, from its sixth bar on.
            let bars = minuet / 36;
            let looks_to = composer.recollections().map(|r| r.bars[0].0);
            assert!(looks_to.eq(composer.recollections().map(|r| r.step / 36 - bars)));
        }
        bare(&notes, 2 * minuet)
    };
    let mut tune = twice.notes;
    tune.retain(|n| (5 * 36..9 * 36).contains(&n.start));
    let tune = bare(&tune, 0);
    assert!(tune.len() > 12);
    assert_eq!(play(&sure, 1.0, None), tune);
    assert_ne!(play(&none, 1.0, None), tune);
    assert_eq!(play(&sure, 0.0, None), play(&none, 0.0, None));
    assert_ne!(play(&sure, 1.0, Some(2)), tune);
}

/// An answer to nothing has itself alone to go back to: it does, never by less than a bar.
#[test]
fn an_answer_goes_back_to_itself_from_a_bar_on() {
    // One that has no other memory to look back with.
    let of = lab::xl_model().unwrap();
    let sure = weighed(&of, vec![1.0; 9].into(), vec![1.0; 9].into());
    for (metre, bar) in [((4, 4), 48), ((3, 4), 36)] {
        let mut bars_back = Vec::new();
        for seed in 0..12 {
            let mut nothing = Score::new(12);
            let (numerator, denominator) = metre;
            let metre = TimeSignature {
                numerator,
                denominator,
            };
            nothing.time_signatures = TimeSignatureMap::constant(metre, 12);
            let mut composer = Composer::new(sure.clone());
            composer.listen(&nothing).unwrap();
            composer.answer(0, &Sampling::default(), seed).unwrap();
            composer.play_until(16 * bar).unwrap();
            for Recollection { step, bars, .. } in composer.recollections() {
                let (now, to) = (step / bar, bars[0].0);
                assert!(to < now, "seed {seed}: bar {now} goes back to {to}");
                bars_back.push(now - to);
            }
        }
        assert!(bars_back.contains(&1), "{bars_back:?}");
        assert!(bars_back.iter().any(|&back| back > 1), "{bars_back:?}");
    }
}

/// A model that trusts it wholly plays on a tune that it has only learned, in the key in which it
/// hears it now; until it is forgotten.
#[test]
fn what_was_learned_is_played_in_any_key() {
    // Of passages long enough that the tune itself has none that are alike.
    let long = [[0.0; 5].as_slice(), &[1.0; 4]].concat();
    let model = weighed(&lab::model().unwrap(), vec![0.0; 9].into(), long.into());
    let minuet = tune::minuet();
    let higher = minuet.transposed(2).unwrap();
    let (from, to) = (5 * 36, 9 * 36);
    let mut composer = Composer::new(model.clone());
    composer.learn(std::slice::from_ref(&minuet)).unwrap();
    let mut play = |recall: f32| {
        composer.set_recall(recall);
        composer.listen(&higher.until(from)).unwrap();
        let sampling = Sampling::default().with_temperature(0.0);
        composer.answer(from, &sampling, 1).unwrap();
        let notes = bare(&composer.play_until(to).unwrap(), 0);
        let learned = composer.recollections().map(|r| r.learned).collect();
        composer.forget_learned().unwrap();
        (notes, learned)
    };
    let mut tune = higher.notes.clone();
    tune.retain(|n| (from..to).contains(&n.start));
    let tune = bare(&tune, 0);
    assert!(tune.len() > 12);
    let (notes, learned): (_, Vec<f32>) = play(1.0);
    assert_eq!(notes, tune);
    assert!(learned.iter().all(|&share| share > 0.99), "{learned:?}");
    assert_ne!(play(1.0).0, tune, "forgotten");
}

/// What lies more bars back than memory reaches plays no part, in whatever portions it is heard;
/// what was learned does.
#[test]
fn memory_reaches_so_many_bars_back() {
    for model in models() {
        let score = long_score(2);
        let logits = |reach: Option<u32>, learn: bool, portions: u32| {
            let mut composer = Composer::new(model.clone());
            composer.set_reach(reach);
            for portion in 1..portions {
                let heard = score.until(score.length * portion / portions);
                composer.listen(&heard).unwrap();
            }
            composer.listen(&score).unwrap();
            if learn {
                composer.learn(&[tune::minuet()]).unwrap();
            }
            composer.logits().unwrap().to_vec()
        };
        let near = logits(Some(0), false, 1);
        assert_ne!(near, logits(None, false, 1));
        assert_ne!(near, logits(Some(0), true, 1));
        assert_same(&model, &near, &logits(Some(0), false, 7), "in portions");
        assert_eq!(logits(Some(1000), false, 1), logits(None, false, 1));
        let mut forgetful = Composer::new(model.clone());
        forgetful.set_recall(0.0);
        forgetful.listen(&score).unwrap();
        // A bar is within the window here.
        assert_same(
            &model,
            &near,
            forgetful.logits().unwrap(),
            "nothing to recall",
        );
    }
}

/// Where the long memory looks back to is told: bars before, no further than it reaches, and what
/// was learned; and nothing where nothing is recalled.
#[test]
fn where_it_looks_back_to_is_told() {
    let model = model();
    let score = long_score(2);
    let at = score.notes.last().unwrap().end();
    let recalled = |recall: f32, reach: Option<u32>, learn: bool| {
        let mut composer = Composer::new(model.clone());
        composer.set_recall(recall);
        composer.set_reach(reach);
        if learn {
            composer.learn(&[long_score(1)]).unwrap();
        }
        composer.listen(&score).unwrap();
        composer.answer(at, &Sampling::default(), 1).unwrap();
        composer.play_until(at + 96).unwrap();
        let recalled: Vec<_> = composer.recollections().cloned().collect();
        for token in &recalled {
            let bar = score.time_signatures.position(token.step).bar;
            let first = reach.map_or(0, |reach| bar.saturating_sub(reach));
            assert!(token.step >= at, "of what was played");
            assert!(
                token.bars.iter().all(|(b, _)| (first..=bar).contains(b)),
                "{token:?}"
            );
            assert!(token.bars.is_sorted_by(|a, b| a.1 >= b.1), "{token:?}");
            let all = token.bars.iter().map(|b| b.1).sum::<f32>() + token.learned;
            assert!(all > 0.0 && all < 1.0 + 1e-4, "{token:?}: {all}");
            assert!(token.learned == 0.0 || learn, "{token:?}");
        }
        recalled
    };
    assert_eq!(recalled(0.0, None, true), []);
    let far = recalled(1.0, None, false);
    assert!(far.len() > 10 && far.iter().any(|token| !token.bars.is_empty()));
    assert!(!recalled(1.0, Some(40), false).is_empty());
    assert!(
        recalled(1.0, None, true)
            .iter()
            .any(|token| token.learned > 0.1)
    );
}

/// Pieces learned do not enter the window, and stay when the session is forgotten.
#[test]
fn what_was_learned_stays() {
    for model in models() {
        let mut composer = Composer::new(model.clone());
        composer.learn(&[long_score(1)]).unwrap();
        assert_eq!(composer.tokens(), 0);
        composer.listen(&long_score(3)).unwrap();
        composer.listen(&Score::new(12)).unwrap();
        composer.listen(&tune::minuet()).unwrap();
        let stayed = composer.logits().unwrap().to_vec();
        let mut fresh = Composer::new(model.clone());
        fresh.listen(&tune::minuet()).unwrap();
        let never = fresh.logits().unwrap().to_vec();
        assert_ne!(never, stayed);
        // Whether it was learned before or after makes no difference.
        fresh.learn(&[long_score(1)]).unwrap();
        assert_same(&model, &stayed, fresh.logits().unwrap(), "learned later");
        fresh.forget_learned().unwrap();
        assert_same(&model, &never, fresh.logits().unwrap(), "forgotten");
    }
}

/// A score that is read in slices can be answered long before all of it is read, and once all is
/// read the memory is the one that reading everything at once would have given.
#[test]
fn a_long_past_is_read_beside() {
    for model in models() {
        let mut near = 0;
        for seed in 0..4 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut score = long_score(rng.random_range(1..9));
            let learned = rng.random_bool(0.5);
            let mut composer = Composer::new(model.clone());
            composer.listen(&long_score(1)).unwrap();
            if learned {
                composer.begin_learning(&[tune::minuet()]).unwrap();
            }
            composer.begin_listening(&score).unwrap();
            let mut turns = 0;
            while let Some(owed) = composer.read_on().unwrap() {
                turns += 1;
                assert!(turns < 100_000, "seed {seed}: {owed:?}");
                if rng.random_range(0..20) > 0 {
                    continue;
                }
                // Playing goes on meanwhile, and jumps.
                near += usize::from(!composer.is_exact());
                let end = score.length;
                match rng.random_range(0..4) {
                    0 => score = score.until(end - rng.random_range(0..end / 2)),
                    1 => score = long_score(rng.random_range(1..9)),
                    _ => {
                        let sampling = Sampling::default();
                        composer.begin_answer(end, &sampling, seed, &[]).unwrap();
                        let notes = loop {
                            if let Some(notes) = composer.play_on(end + 24).unwrap() {
                                break notes;
                            }
                        };
                        score.notes.extend(notes);
                        score.normalise();
                    }
                }
                composer.begin_listening(&score).unwrap();
                if turns > 400 {
                    break;
                }
            }
            while composer.read_on().unwrap().is_some() {}
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
            // And it stays so.
            let play = |composer: &mut Composer| {
                let end = score.length + 12;
                composer.answer(end, &Sampling::default(), seed).unwrap();
                composer.play_until(end + 48).unwrap()
            };
            if model.variant() == "cpu" {
                assert_eq!(play(&mut fresh), play(&mut composer), "{what}");
            }
        }
        assert!(near > 0, "nothing was played on a part of the past");
    }
}

/// Slices change nothing of what is played: an answer in slices is the answer at once.
#[test]
fn an_answer_in_slices_is_the_same() {
    for model in models() {
        let (mut sliced, mut whole) = (Composer::new(model.clone()), Composer::new(model.clone()));
        let mut score = Score::new(12);
        let source = long_score(2);
        for (turn, &until) in [40, 90, 200, 230, 231, 300].iter().enumerate() {
            score.notes = source.until(until).notes;
            score.normalise();
            sliced.set_recall(turn as f32 / 6.0);
            whole.set_recall(turn as f32 / 6.0);
            sliced.begin_listening(&score).unwrap();
            whole.listen(&score).unwrap();
            if turn % 2 == 0 {
                // Another score comes before this one was read.
                continue;
            }
            let sampling = Sampling::default();
            whole.answer(until + 12, &sampling, 3).unwrap();
            sliced.begin_answer(until + 12, &sampling, 3, &[]).unwrap();
            let mut notes = Vec::new();
            for step in [until + 15, until + 30, until + 60] {
                loop {
                    if let Some(some) = sliced.play_on(step).unwrap() {
                        notes.extend(some);
                        break;
                    }
                }
            }
            assert_eq!(notes, whole.play_until(until + 60).unwrap(), "turn {turn}");
        }
    }
}

#[test]
fn tokens_outside_the_vocabulary_are_refused() {
    for model in models() {
        let mut memory = model.memory();
        assert!(model.feed(&mut memory, &[], 1.0).unwrap().is_empty());
        let good = tokens(&model, &tune::minuet());
        let sizes = model.sizes();
        let mut wrong = vec![good[0]; 5];
        wrong[0].id = sizes.vocabulary as u16;
        wrong[1].rows.bar_step = sizes.bar_steps as u16;
        wrong[2].rows.bar = sizes.bars as u16;
        wrong[3].rows.metre = sizes.bar_steps as u16;
        wrong[4].told.rows[7] = NoteState::NOTHING + 1;
        for wrong in wrong {
            assert!(model.feed(&mut memory, &[good[0], wrong], 1.0).is_err());
            assert_eq!(memory.len(), 0, "nothing was remembered");
        }
        model.feed(&mut memory, &good[..1], 1.0).unwrap();
    }
}

/// Memory after any history of listening, answering and forgetting is the memory of one who
/// only ever heard the last score.
#[test]
fn a_rewind_leaves_no_trace() {
    for model in models() {
        // They all go the same way; the numbers are other ones.
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

/// Wherever reading is stopped, what was read is a memory of its beginning, and goes on.
#[test]
fn reading_stops_when_told_and_goes_on_from_there() {
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
    assert_same(&model, &expected, composer.logits().unwrap(), "went on");
}

#[test]
fn an_answer_is_music_from_its_seed_alone() {
    for model in models() {
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
}

#[test]
fn what_cannot_be_listened_to_is_said() {
    let model = model();
    let mut composer = Composer::new(model.clone());
    assert!(composer.logits().is_err(), "nothing was heard");
    let mut other = Score::new(8);
    other.time_signatures = TimeSignatureMap::constant(TimeSignature::COMMON, 8);
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
