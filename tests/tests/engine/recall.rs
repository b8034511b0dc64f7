//! Recall: the effect of the n-gram memory, the kNN memory and learned pieces.

use std::sync::Arc;

use continuo_engine::{Attribution, Composer, Model, Sampling};
use continuo_score::{Score, TimeSignature, TimeSignatureMap, tune};
use continuo_tests::artifacts;

use crate::fixtures::{
    assert_same, long_score, model, models, start_length_pitch, trusting_alignments,
    with_ngram_weights,
};

/// A model with weight 1 for its n-gram memory continues a repeated tune exactly, if its reach includes
/// the repetition. With recall 0 it plays like a model without that memory.
#[test]
fn ngram_memory_alone_replays_the_tune() {
    let sure = with_ngram_weights(
        &artifacts::model().unwrap(),
        vec![1.0; 9].into(),
        vec![0.0; 9].into(),
    );
    let none = with_ngram_weights(
        &artifacts::model().unwrap(),
        serde_json::Value::Null,
        serde_json::Value::Null,
    );
    let (twice, all) = (long_score(2), long_score(3));
    let minuet = tune::minuet().length;
    let play = |model: &Arc<Model>, recall: f32, reach: Option<u32>| {
        // Five bars into the third repetition.
        let from = 2 * minuet + 5 * 36;
        let mut composer = Composer::new(model.clone());
        composer.set_recall(recall);
        composer.set_reach(reach);
        composer.listen(&all.until(from)).unwrap();
        let sampling = Sampling {
            loop_temperature: 1.0,
            ..Sampling::default()
        };
        composer.answer(from, &sampling, 1).unwrap();
        let notes = composer.play_until(from + 4 * 36).unwrap();
        if model.manifest().suffix.is_some() && recall > 0.0 && reach.is_none() {
            // It recalls the second repetition, from the sixth bar on.
            let bars = minuet / 36;
            let looks_to = composer.attributions().map(|r| r.bars[0].0);
            assert!(looks_to.eq(composer.attributions().map(|r| r.step / 36 - bars)));
        }
        start_length_pitch(&notes, 2 * minuet)
    };
    let mut tune = twice.notes;
    tune.retain(|n| (5 * 36..9 * 36).contains(&n.start));
    let tune = start_length_pitch(&tune, 0);
    assert!(tune.len() > 12);
    assert_eq!(play(&sure, 1.0, None), tune);
    assert_ne!(play(&none, 1.0, None), tune);
    assert_eq!(play(&sure, 0.0, None), play(&none, 0.0, None));
    assert_ne!(play(&sure, 1.0, Some(2)), tune);
}

/// Where the minuet returns with every third note of the top voice changed, a model that trusts aligned
/// passages goes on with the minuet. Long n-grams find nothing there.
#[test]
fn theme_that_returned_varied_is_continued() {
    let model = trusting_alignments(&artifacts::model().unwrap());
    let tune = tune::minuet();
    let from = tune.length + 5 * 36;
    let mut input = long_score(2).until(from);
    for (i, note) in input.notes.iter_mut().enumerate() {
        if note.start >= tune.length && i % 3 == 0 {
            note.pitch += 1;
        }
    }
    let play = |recall: f32| {
        let mut composer = Composer::new(model.clone());
        composer.set_recall(recall);
        composer.listen(&input).unwrap();
        let sampling = Sampling {
            pitch_temperature: 0.0,
            rhythm_temperature: 0.0,
            loop_temperature: 1.0,
            ..Sampling::default()
        };
        composer.answer(from, &sampling, 1).unwrap();
        let notes = composer.play_until(from + 3 * 36).unwrap();
        start_length_pitch(&notes, tune.length)
    };
    let mut expected = tune.notes.clone();
    expected.retain(|n| (5 * 36..8 * 36).contains(&n.start));
    let expected = start_length_pitch(&expected, 0);
    assert_eq!(play(1.0), expected);
    assert_ne!(play(0.0), expected);
}

/// With no input, an answer can recall only itself: at least one bar back.
#[test]
fn answer_to_silence_recalls_itself_from_one_bar_back() {
    // A model without kNN memory, so that the n-gram memory alone recalls.
    let of = artifacts::xl_model().unwrap();
    let sure = with_ngram_weights(&of, vec![1.0; 9].into(), vec![1.0; 9].into());
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
            for Attribution { step, bars, .. } in composer.attributions() {
                let (now, to) = (step / bar, bars[0].0);
                assert!(to < now, "seed {seed}: bar {now} goes back to {to}");
                bars_back.push(now - to);
            }
        }
        assert!(bars_back.contains(&1), "{bars_back:?}");
        assert!(bars_back.iter().any(|&back| back > 1), "{bars_back:?}");
    }
}

/// A model with weight 1 for transposed n-grams continues a learned tune in the key of the input, until
/// the tune is forgotten.
#[test]
fn learned_piece_is_played_in_any_key_until_forgotten() {
    // Only n-grams so long that the tune has no repeated ones.
    let long = [[0.0; 5].as_slice(), &[1.0; 4]].concat();
    let model = with_ngram_weights(
        &artifacts::model().unwrap(),
        vec![0.0; 9].into(),
        long.into(),
    );
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
        let notes = start_length_pitch(&composer.play_until(to).unwrap(), 0);
        let learned = composer.attributions().map(|r| r.learned).collect();
        composer.forget_learned().unwrap();
        (notes, learned)
    };
    let mut tune = higher.notes.clone();
    tune.retain(|n| (from..to).contains(&n.start));
    let tune = start_length_pitch(&tune, 0);
    assert!(tune.len() > 12);
    let (notes, learned): (_, Vec<f32>) = play(1.0);
    assert_eq!(notes, tune);
    assert!(learned.iter().all(|&share| share > 0.99), "{learned:?}");
    assert_ne!(play(1.0).0, tune, "forgotten");
}

/// Bars beyond the reach do not change the logits, in whatever portions the score is read. Learned pieces
/// do.
#[test]
fn reach_limits_recall_to_the_last_bars() {
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
        // One bar fits into the window, so that reach 0 equals recall 0.
        assert_same(
            &model,
            &near,
            forgetful.logits().unwrap(),
            "nothing to recall",
        );
    }
}

/// Attribution lists earlier bars within reach and the share of learned pieces, and nothing with
/// recall 0.
#[test]
fn attribution_names_bars_within_reach() {
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
        let recalled: Vec<_> = composer.attributions().cloned().collect();
        for token in &recalled {
            let bar = score.time_signatures.position(token.step).bar;
            let first = reach.map_or(0, |reach| bar.saturating_sub(reach));
            assert!(token.step >= at, "attribution of an input token");
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

/// Learned pieces do not enter the window, and stay when another session is read.
#[test]
fn learned_pieces_outlast_the_session() {
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
        // Learning after the session gives the same memory.
        fresh.learn(&[long_score(1)]).unwrap();
        assert_same(&model, &stayed, fresh.logits().unwrap(), "learned later");
        fresh.forget_learned().unwrap();
        assert_same(&model, &never, fresh.logits().unwrap(), "forgotten");
    }
}
