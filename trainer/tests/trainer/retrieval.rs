//! Retrieval: the tokens from before the window that the kNN layer finds for each token.

use burn::tensor::Tensor;
use continuo_score::manifest::Knn;
use continuo_trainer::model::{Memory, MemoryMode, values};

use crate::memory_fixtures::{knn, largest_difference, part, stream, who_sees, with};

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
