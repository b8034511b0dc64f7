//! Memories: each token sees exactly the last `window` tokens of its own song.

use continuo_score::manifest::Knn;
use continuo_trainer::model::{Input, LikeMidigen, Memory, MemoryMode, Model, values};

use crate::memory_fixtures::{
    knn, largest_difference, like, logits, part, stream, tiny, using, who_sees, with,
};

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
