//! The memories: each token sees exactly the last `window` tokens of its own song, and those
//! the kNN layer recalls of what stood before.

use burn::tensor::{Device, Tensor};
use continuo_score::manifest::Knn;
use continuo_score::{NoteContext, NoteState, Vocabulary};
use continuo_trainer::config::{LikeMidigen, preset};
use continuo_trainer::learner::initial;
use continuo_trainer::model::{Input, Memory, Model, Use, numbers};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A model with a kNN memory in its last layer.
fn tiny() -> Model {
    with(2, preset("tiny", &Vocabulary::continuo()).unwrap().0.knn)
}

fn with(layers: usize, knn: Option<Knn>) -> Model {
    like(layers, knn, LikeMidigen::default())
}

fn like(layers: usize, knn: Option<Knn>, like_midigen: LikeMidigen) -> Model {
    let vocabulary = Vocabulary::continuo();
    let (mut shape, _) = preset("tiny", &vocabulary).unwrap();
    shape.sizes.layers = layers;
    shape.knn = knn;
    shape.like_midigen = like_midigen;
    initial(shape, &vocabulary, &Device::flex(), 7)
}

fn knn(layer: usize, k: usize, capacity: usize) -> Knn {
    Knn {
        layer,
        k,
        capacity,
        following: false,
    }
}

/// One lane of random tokens, all of one song.
fn stream(length: usize, seed: u64) -> Input {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |below: u16| -> Vec<u16> {
        let drawn = (0..length).map(|_| random.random_range(0..below));
        drawn.collect()
    };
    let rows = draw(NoteState::ROWS as u16);
    let pitches = draw(128);
    // Time goes on, and now and then stands still.
    let steps = draw(7).into_iter().scan(0, |step, by| {
        *step += u32::from(by);
        Some(*step)
    });
    let steps: Vec<u32> = steps.collect();
    let told = |i: usize| NoteContext {
        rows: std::array::from_fn(|slot| (rows[i] + 29 * slot as u16).min(NoteState::NOTHING)),
        step: steps[i],
        pitch: pitches[i] as u8,
    };
    Input {
        lanes: 1,
        length,
        tokens: draw(340),
        bar_step: draw(48),
        bar: draw(16),
        metre: draw(49),
        told: (0..length).map(told).collect(),
        song: vec![0; length],
        resident: None,
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
        told: input.told[from..to].to_vec(),
        song: input.song[from..to].to_vec(),
        resident: None,
    }
}

/// Logits of a stream fed in chunks of `size`, row after row.
fn logits(model: &Model, input: &Input, size: usize) -> Vec<f32> {
    using(model, input, size, Use::BOTH)
}

fn using(model: &Model, input: &Input, size: usize, memories: Use) -> Vec<f32> {
    let mut memory = Memory::default();
    let mut all = Vec::new();
    for from in (0..input.length).step_by(size) {
        let chunk = part(input, from, (from + size).min(input.length));
        all.extend(numbers(&model.forward_with(&chunk, &mut memory, memories)));
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
    // Long enough for the kNN memory to overflow.
    let input = stream(150, 1);
    let knn = knn(1, 64, 64);
    let at = |layer| Some(Knn { layer, ..knn });
    let followed = Knn {
        following: true,
        ..knn
    };
    let ours = [None, at(0), at(1), at(2), Some(followed)].map(|knn| (knn, with(3, knn)));
    let theirs = LikeMidigen {
        norm: true,
        feed_forward: true,
        positions: true,
    };
    let others = [None, at(1)].map(|knn| (knn, like(3, knn, theirs)));
    for (knn, model) in ours.into_iter().chain(others) {
        let whole = logits(&model, &input, 150);
        let spread = whole.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(spread > 0.1, "logits say something");
        for size in [1, 7, 16, 33, 90] {
            let difference = largest_difference(&whole, &logits(&model, &input, size));
            assert!(difference < 1e-5, "{knn:?}, chunks of {size}: {difference}");
        }
    }
}

/// However positions are told: two tokens that change places are another past, to one layer.
#[test]
fn the_order_of_tokens_matters() {
    for positions in [false, true] {
        let theirs = LikeMidigen {
            positions,
            ..LikeMidigen::default()
        };
        let model = like(1, None, theirs);
        let mut input = stream(14, 2);
        for rows in [&mut input.bar_step, &mut input.bar, &mut input.metre] {
            rows.fill(0);
        }
        let before = logits(&model, &input, 14);
        input.tokens.swap(3, 10);
        let after = logits(&model, &input, 14);
        let last = |logits: &[f32]| logits[logits.len() - 340..].to_vec();
        let difference = largest_difference(&last(&before), &last(&after));
        assert!(difference > 1e-4, "{positions}: {difference}");
    }
}

/// Time and pitch turn queries and keys alike, so that distances count: all of it later and higher
/// is the same, and one token later or higher is not. To a model that is not told it is all one.
#[test]
fn time_and_pitch_count_by_their_distance() {
    let told = with(3, None);
    let mut untold = with(3, None);
    untold.shape.relative = None;
    let input = stream(40, 9);
    let moved = |tokens: std::ops::Range<usize>, steps: u32, semitones: u8| {
        let mut input = input.clone();
        for told in &mut input.told[tokens] {
            told.step += steps;
            told.pitch += semitones;
        }
        input
    };
    let off = |model: &Model, moved: &Input| {
        let [a, b] = [&input, moved].map(|input| logits(model, input, 7));
        let token = a.len() / input.length;
        let rows = a.chunks(token).zip(b.chunks(token));
        rows.map(|(a, b)| largest_difference(a, b))
            .collect::<Vec<_>>()
    };
    // An hour at 120 beats a minute and 12 steps a beat.
    for all in [
        moved(0..40, 86_400, 0),
        moved(0..40, 7, 0),
        moved(0..40, 0, 5),
    ] {
        let off = off(&told, &all);
        assert!(off.iter().all(|&off| off < 1e-4), "{off:?}");
    }
    for one in [moved(20..21, 6, 0), moved(20..21, 0, 7)] {
        let off = off(&told, &one);
        assert!(off[..20].iter().all(|&off| off == 0.0), "{off:?}");
        assert!(off[20..].iter().any(|&off| off > 1e-3), "{off:?}");
    }
    let off = off(&untold, &moved(20..21, 6, 7));
    assert!(off.iter().all(|&off| off == 0.0), "{off:?}");
}

#[test]
fn what_is_recalled_does_not_depend_on_the_chunks() {
    // Of memories equally near, to rounding, any may be chosen, and then all is different; up
    // to there everything is the same.
    let input = stream(150, 1);
    let (k, capacity) = (8, 64);
    let model = with(3, Some(knn(1, k, capacity)));
    let (heads, size) = (model.shape.sizes.heads, model.shape.sizes.vocabulary);
    let chosen = |chunk: usize| {
        let mut memory = Memory::default();
        let mut logits = Vec::new();
        let mut choices = Vec::new();
        for from in (0..input.length).step_by(chunk) {
            let part = part(&input, from, (from + chunk).min(input.length));
            memory.chosen = Some(Vec::new());
            logits.extend(numbers(&model.forward(&part, &mut memory)));
            let by_head = memory.chosen.take().unwrap();
            assert_eq!(by_head.len(), heads * part.length);
            choices.extend((0..part.length).map(|i| {
                let heads = (0..heads).map(|h| by_head[h * part.length + i].clone());
                heads.collect::<Vec<_>>()
            }));
        }
        (logits, choices)
    };
    let (whole, choices) = chosen(150);
    for (position, heads) in choices.iter().enumerate() {
        let seen = (position + 1)
            .saturating_sub(model.shape.window)
            .min(capacity);
        assert!(heads.iter().all(|chosen| chosen.len() == seen.min(k)));
    }
    for chunk in [1, 7, 16, 33] {
        let (logits, other) = chosen(chunk);
        let same = (0..150).take_while(|&i| choices[i] == other[i]).count();
        assert!(
            same > 60,
            "chunks of {chunk}: other memories at token {same}"
        );
        let difference = largest_difference(&whole[..same * size], &logits[..same * size]);
        assert!(difference < 1e-5, "chunks of {chunk}: {difference}");
    }
}

#[test]
fn sees_as_far_as_the_windows_reach_and_no_further() {
    let model = with(2, None);
    // Layer by layer a token reaches `window - 1` tokens further back.
    let reach = model.shape.sizes.layers * (model.shape.window - 1);
    for chunk in [reach + 20, 8] {
        let seeing = who_sees(&model, 5, reach + 20, chunk, Use::BOTH);
        for (i, sees) in seeing.into_iter().enumerate() {
            let reached = (5..=5 + reach).contains(&i);
            // At the very end of its reach a change may be too faint for f32.
            if i < 5 + reach - 3 || !reached {
                assert_eq!(sees, reached, "token {i}, chunks of {chunk}");
            }
        }
    }
}

/// Which of the tokens of a stream notice that token `at` is another.
fn who_sees(model: &Model, at: usize, length: usize, chunk: usize, memories: Use) -> Vec<bool> {
    let size = model.shape.sizes.vocabulary;
    let input = stream(length, 2);
    let mut other = input.clone();
    other.tokens[at] = (other.tokens[at] + 1) % 340;
    let [a, b] = [&input, &other].map(|input| using(model, input, chunk, memories));
    let rows = a.chunks_exact(size).zip(b.chunks_exact(size));
    rows.map(|(a, b)| a != b).collect()
}

#[test]
fn recalls_exactly_what_has_left_the_window_and_fits() {
    // One layer, and all memories are among the nearest: nothing else can carry a change.
    let capacity = 40;
    let model = with(1, Some(knn(0, capacity, capacity)));
    let window = model.shape.window;
    for chunk in [100, 30, 7, 1] {
        let sees = |memories| who_sees(&model, 5, 100, chunk, memories);
        let range = |end: usize| (0..100).map(|i| (5..end).contains(&i)).collect::<Vec<_>>();
        assert_eq!(
            sees(Use::BOTH),
            range(5 + window + capacity),
            "chunks of {chunk}"
        );
        assert_eq!(
            sees(Use::XL),
            range(5 + window),
            "chunks of {chunk}, recall 0"
        );
    }
}

/// A memory that `follows` is one whose values all stand one token earlier.
#[test]
fn what_followed_is_recalled() {
    let input = stream(60, 8);
    let plain = knn(0, 5, 80);
    let following = Knn {
        following: true,
        ..plain
    };
    let [plain, following] = [plain, following].map(|knn| with(1, Some(knn)));
    let mut memory = Memory::default();
    following.forward(&part(&input, 0, 59), &mut memory);
    let [mut as_it_was, mut shifted] = [memory.clone(), memory.clone()];
    let (keys, values) = memory.recalled.clone().unwrap();
    let [lanes, heads, count, dim] = values.dims();
    let (_, window) = &memory.layers[0];
    let first = window.clone().slice([0..lanes, 0..heads, 0..1, 0..dim]);
    let later = values.slice([0..lanes, 0..heads, 1..count, 0..dim]);
    shifted.recalled = Some((keys, Tensor::cat(vec![later, first], 2)));
    let last = part(&input, 59, 60);
    let found = numbers(&following.forward(&last, &mut memory));
    let expected = numbers(&plain.forward(&last, &mut shifted));
    assert!(largest_difference(&found, &expected) < 1e-6);
    let other = numbers(&plain.forward(&last, &mut as_it_was));
    assert!(largest_difference(&found, &other) > 1e-4);
}

#[test]
fn without_xl_memory_a_token_sees_its_own_segment() {
    let model = with(2, None);
    let window = model.shape.window;
    let memories = Use {
        xl: false,
        recall: 1.0,
    };
    for chunk in [60, window, 7, 1] {
        let seeing = who_sees(&model, window + 3, 60, chunk, memories);
        let segment: Vec<_> = (0..60)
            .map(|i| (window + 3..2 * window).contains(&i))
            .collect();
        assert_eq!(seeing, segment, "chunks of {chunk}");
    }
}

#[test]
fn recalls_the_nearest_only() {
    let capacity = 80;
    let model = |k| with(1, Some(knn(0, k, capacity)));
    let notice = |k| {
        let sees = who_sees(&model(k), 5, 100, 100, Use::BOTH);
        let far = &sees[5 + model(k).shape.window..];
        (far.iter().filter(|sees| **sees).count(), far.len())
    };
    // Once it is out of the window, all notice another memory if all are recalled; if one is,
    // those few to which it is, or was, the nearest.
    let (all, of) = notice(capacity);
    assert_eq!(all, of);
    let (few, of) = notice(1);
    assert!(few < of / 2, "{few} of {of}");
}

#[test]
fn a_secret_of_one_song_is_invisible_to_the_next() {
    let model = tiny();
    let size = model.shape.sizes.vocabulary;
    let length = 120;
    let mut input = stream(length, 3);
    // The second song begins inside a segment, both memories full of the first.
    let begins = 53;
    input.song[begins..].fill(begins as u64);
    let mut secret = input.clone();
    for i in 0..begins {
        secret.tokens[i] = (secret.tokens[i] + 100) % 340;
        secret.bar[i] = (secret.bar[i] + 5) % 16;
    }
    for chunk in [120, 53, 16, 1] {
        let (a, b) = (
            logits(&model, &input, chunk),
            logits(&model, &secret, chunk),
        );
        assert_ne!(a[..begins * size], b[..begins * size]);
        assert_eq!(a[begins * size..], b[begins * size..], "chunks of {chunk}");
        let forgetful = using(&model, &input, chunk, Use::XL);
        assert_ne!(a[begins * size..], forgetful[begins * size..]);
    }
    // And it plays as it would alone, wherever in the stream it begins.
    let alone = Input {
        song: vec![0; length - begins],
        ..part(&input, begins, length)
    };
    let alone = logits(&model, &alone, 39);
    let difference = largest_difference(&alone, &logits(&model, &input, length)[begins * size..]);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn what_all_lanes_have_left_behind_is_dropped() {
    let model = tiny();
    let mut memory = Memory::default();
    let mut input = stream(60, 6);
    model.forward(&part(&input, 0, 40), &mut memory);
    assert_eq!(memory.recallable(), 40 - (model.shape.window - 1));
    input.song[40..].fill(40);
    model.forward(&part(&input, 40, 60), &mut memory);
    assert_eq!(memory.recallable(), 60 - 40 - (model.shape.window - 1));
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
    both.told.extend(&b.told);
    both.song.extend(&b.song);
    let mut memory = Memory::default();
    let together = numbers(&model.forward(&both, &mut memory));
    let apart = [logits(&model, &a, 20), logits(&model, &b, 20)].concat();
    assert!(largest_difference(&together, &apart) < 1e-5);
}
