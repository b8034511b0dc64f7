//! A score that becomes shorter while the composer reads it: a jump back during a restore.

use std::sync::Arc;

use continuo_engine::composer::PendingWork;
use continuo_engine::{Composer, Model, ModelOptions, Runtime};
use continuo_score::{Note, Score, tune};
use continuo_tests::artifacts;

fn model(variant: &str) -> Arc<Model> {
    let runtime = Runtime::load(&artifacts::runtime_library().unwrap()).unwrap();
    let options = ModelOptions {
        knn_capacity: Some(1_024),
        variants: vec![variant.into()],
        ..ModelOptions::default()
    };
    Model::load(runtime, &artifacts::model().unwrap(), &options).unwrap()
}

/// Returns the minuet twelve times.
fn score() -> Score {
    let minuet = tune::minuet();
    let mut score = minuet.clone();
    for round in 1..12 {
        let notes = minuet.notes.iter().map(|note| Note {
            start: note.start + round * minuet.length,
            ..*note
        });
        score.notes.extend(notes);
    }
    score.normalise();
    score
}

#[test]
fn jump_back_during_reading_is_exact_in_the_end() {
    let whole = score();
    for (variant, times) in [("plain", 10), ("cpu", 5)] {
        let model = model(variant);
        let mut midst = 0;
        for back in (0..times).map(|n| 1 + n * whole.length / (2 * times)) {
            let mut composer = Composer::new(model.clone());
            composer.begin_listening(&whole).unwrap();
            while composer.pending_work() == Some(PendingWork::Input) {
                composer.poll().unwrap();
            }
            for _ in 0..back % 3 {
                composer.poll().unwrap();
            }
            midst += u32::from(composer.pending_work() == Some(PendingWork::CatchUp));
            let shorter = whole.until(whole.length - back);
            composer.begin_listening(&shorter).unwrap();
            while composer.poll().unwrap().is_some() {}
            assert!(composer.is_exact());
            let mut fresh = Composer::new(model.clone());
            fresh.listen(&shorter).unwrap();
            assert_eq!(composer.tokens(), fresh.tokens());
            let pairs = fresh
                .logits()
                .unwrap()
                .iter()
                .zip(composer.logits().unwrap());
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let most = if variant == "plain" { 1e-4 } else { 0.0 };
            assert!(worst <= most, "{variant}, back by {back}: {worst}");
        }
        assert!(midst > 0, "{variant}: {midst} times in the midst of it");
    }
}
