//! Memories: each token sees exactly the last `window` tokens of its own song, and the tokens that
//! the kNN layer recalls from before them.

use burn::tensor::{Device, Tensor};
use continuo_score::manifest::Knn;
use continuo_score::{NoteContext, NoteState, Vocabulary};
use continuo_trainer::model::{Input, LikeMidigen, Memory, MemoryMode, Model, initial, values};
use continuo_trainer::train::config::preset;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A model with a kNN memory in its last layer.
fn tiny() -> Model {
    with(
        2,
        preset("tiny", &Vocabulary::continuo()).unwrap().0.shape.knn,
    )
}

fn with(layers: usize, knn: Option<Knn>) -> Model {
    like(layers, knn, LikeMidigen::default())
}

fn like(layers: usize, knn: Option<Knn>, like_midigen: LikeMidigen) -> Model {
    let vocabulary = Vocabulary::continuo();
    let (mut config, _) = preset("tiny", &vocabulary).unwrap();
    config.shape.sizes.layers = layers;
    config.shape.knn = knn;
    config.like_midigen = like_midigen;
    initial(config, &vocabulary, &Device::flex(), 7)
}

fn knn(layer: usize, k: usize, capacity: usize) -> Knn {
    Knn {
        layer,
        k,
        capacity,
        following: false,
    }
}

/// One row of random tokens, all of one song.
fn stream(length: usize, seed: u64) -> Input {
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

fn part(input: &Input, from: usize, to: usize) -> Input {
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
fn logits(model: &Model, input: &Input, size: usize) -> Vec<f32> {
    using(model, input, size, MemoryMode::BOTH)
}

fn using(model: &Model, input: &Input, size: usize, memories: MemoryMode) -> Vec<f32> {
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

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn chunk_size_does_not_change_the_logits() {
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

/// With either kind of positions, swapping two tokens changes the output of one layer.
#[test]
fn token_order_changes_the_logits() {
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

/// Time and pitch rotate queries and keys alike, so that only distances count: moving all tokens
/// changes nothing, moving one token does. Without relative positions nothing changes.
#[test]
fn only_distances_in_time_and_pitch_count() {
    let relative = with(3, None);
    let mut absolute = with(3, None);
    absolute.config.relative = None;
    let input = stream(40, 9);
    let moved = |tokens: std::ops::Range<usize>, steps: u32, semitones: u8| {
        let mut input = input.clone();
        for context in &mut input.contexts[tokens] {
            context.step += steps;
            context.pitch += semitones;
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
        let off = off(&relative, &all);
        assert!(off.iter().all(|&off| off < 1e-4), "{off:?}");
    }
    for one in [moved(20..21, 6, 0), moved(20..21, 0, 7)] {
        let off = off(&relative, &one);
        assert!(off[..20].iter().all(|&off| off == 0.0), "{off:?}");
        assert!(off[20..].iter().any(|&off| off > 1e-3), "{off:?}");
    }
    let off = off(&absolute, &moved(20..21, 6, 7));
    assert!(off.iter().all(|&off| off == 0.0), "{off:?}");
}

#[test]
fn retrieval_does_not_depend_on_the_chunks() {
    // Of memories equally near, to rounding, any may be chosen, and then all is different; up
    // to there everything is the same.
    let input = stream(150, 1);
    let (k, capacity) = (8, 64);
    let model = with(3, Some(knn(1, k, capacity)));
    let (heads, size) = (
        model.config.shape.sizes.heads,
        model.config.shape.sizes.vocabulary,
    );
    let chosen = |chunk: usize| {
        let mut memory = Memory::default();
        let mut logits = Vec::new();
        let mut choices = Vec::new();
        for from in (0..input.length).step_by(chunk) {
            let part = part(&input, from, (from + chunk).min(input.length));
            memory.retrieved = Some(Vec::new());
            logits.extend(values(&model.forward(&part, &mut memory)));
            let by_head = memory.retrieved.take().unwrap();
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
            .saturating_sub(model.config.shape.window)
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
fn tokens_see_exactly_their_windows() {
    let model = with(2, None);
    // Layer by layer a token reaches `window - 1` tokens further back.
    let reach = model.config.shape.sizes.layers * (model.config.shape.window - 1);
    for chunk in [reach + 20, 8] {
        let seeing = who_sees(&model, 5, reach + 20, chunk, MemoryMode::BOTH);
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
fn who_sees(
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

#[test]
fn retrieval_covers_exactly_the_memory_capacity() {
    // One layer, and all memories are among the nearest: nothing else can carry a change.
    let capacity = 40;
    let model = with(1, Some(knn(0, capacity, capacity)));
    let window = model.config.shape.window;
    for chunk in [100, 30, 7, 1] {
        let sees = |memories| who_sees(&model, 5, 100, chunk, memories);
        let range = |end: usize| (0..100).map(|i| (5..end).contains(&i)).collect::<Vec<_>>();
        assert_eq!(
            sees(MemoryMode::BOTH),
            range(5 + window + capacity),
            "chunks of {chunk}"
        );
        assert_eq!(
            sees(MemoryMode::XL),
            range(5 + window),
            "chunks of {chunk}, recall 0"
        );
    }
}

/// A memory with `following` equals one whose values are shifted by one token.
#[test]
fn following_memories_return_the_next_value() {
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
    let (keys, recalled) = memory.recalled.clone().unwrap();
    let [batch, heads, count, dim] = recalled.dims();
    let (_, window) = &memory.layers[0];
    let first = window.clone().slice([0..batch, 0..heads, 0..1, 0..dim]);
    let later = recalled.slice([0..batch, 0..heads, 1..count, 0..dim]);
    shifted.recalled = Some((keys, Tensor::cat(vec![later, first], 2)));
    let last = part(&input, 59, 60);
    let found = values(&following.forward(&last, &mut memory));
    let expected = values(&plain.forward(&last, &mut shifted));
    assert!(largest_difference(&found, &expected) < 1e-6);
    let other = values(&plain.forward(&last, &mut as_it_was));
    assert!(largest_difference(&found, &other) > 1e-4);
}

#[test]
fn without_xl_memory_a_token_sees_only_its_segment() {
    let model = with(2, None);
    let window = model.config.shape.window;
    let memories = MemoryMode {
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
fn only_the_nearest_are_retrieved() {
    let capacity = 80;
    let model = |k| with(1, Some(knn(0, k, capacity)));
    let notice = |k| {
        let sees = who_sees(&model(k), 5, 100, 100, MemoryMode::BOTH);
        let far = &sees[5 + model(k).config.shape.window..];
        (far.iter().filter(|sees| **sees).count(), far.len())
    };
    // Outside the window a change reaches all tokens if all memories are retrieved; with k = 1 only
    // those for which the token is the nearest.
    let (all, of) = notice(capacity);
    assert_eq!(all, of);
    let (few, of) = notice(1);
    assert!(few < of / 2, "{few} of {of}");
}

#[test]
fn a_song_does_not_see_the_one_before() {
    let model = tiny();
    let size = model.config.shape.sizes.vocabulary;
    let length = 120;
    let mut input = stream(length, 3);
    // The second song begins inside a segment, both memories full of the first.
    let begins = 53;
    input.song_start[begins..].fill(begins as u64);
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
        let forgetful = using(&model, &input, chunk, MemoryMode::XL);
        assert_ne!(a[begins * size..], forgetful[begins * size..]);
    }
    // Its logits are those of the song alone, at any position of the stream.
    let alone = Input {
        song_start: vec![0; length - begins],
        ..part(&input, begins, length)
    };
    let alone = logits(&model, &alone, 39);
    let difference = largest_difference(&alone, &logits(&model, &input, length)[begins * size..]);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn memory_drops_songs_that_all_rows_have_left() {
    let model = tiny();
    let mut memory = Memory::default();
    let mut input = stream(60, 6);
    model.forward(&part(&input, 0, 40), &mut memory);
    assert_eq!(memory.recallable(), 40 - (model.config.shape.window - 1));
    input.song_start[40..].fill(40);
    model.forward(&part(&input, 40, 60), &mut memory);
    assert_eq!(
        memory.recallable(),
        60 - 40 - (model.config.shape.window - 1)
    );
}

#[test]
fn batch_rows_are_independent() {
    let model = tiny();
    let (a, b) = (stream(20, 4), stream(20, 5));
    let mut both = a.clone();
    both.batch_rows = 2;
    both.tokens.extend(&b.tokens);
    both.bar_step.extend(&b.bar_step);
    both.bar.extend(&b.bar);
    both.metre.extend(&b.metre);
    both.contexts.extend(&b.contexts);
    both.song_start.extend(&b.song_start);
    let mut memory = Memory::default();
    let together = values(&model.forward(&both, &mut memory));
    let apart = [logits(&model, &a, 20), logits(&model, &b, 20)].concat();
    assert!(largest_difference(&together, &apart) < 1e-5);
}
