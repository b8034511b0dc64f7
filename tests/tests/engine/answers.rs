//! Answers: the same notes for the same seed, however the calls are divided.

use continuo_engine::{Composer, Sampling};
use continuo_score::{Score, TimeSignature, TimeSignatureMap, tune};

use crate::fixtures::{long_score, model, models};

#[test]
fn sliced_answer_equals_the_whole_answer() {
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
                // The next score arrives before this one is read.
                continue;
            }
            let sampling = Sampling::default();
            whole.answer(until + 12, &sampling, 3).unwrap();
            sliced.begin_answer(until + 12, &sampling, 3, &[]).unwrap();
            let mut notes = Vec::new();
            for step in [until + 15, until + 30, until + 60] {
                loop {
                    if let Some(some) = sliced.poll_notes(step).unwrap() {
                        notes.extend(some);
                        break;
                    }
                }
            }
            assert_eq!(notes, whole.play_until(until + 60).unwrap(), "turn {turn}");
        }
    }
}

/// An answer becomes input, and is read again as such before the next answer begins.
#[test]
fn next_answer_does_not_depend_on_who_wrote_the_input() {
    let model = model();
    for seed in 1..=6 {
        let opening = tune::minuet().until(144);
        let mut playing = Composer::new(model.clone());
        playing.listen(&opening).unwrap();
        let sampling = Sampling::default();
        playing.answer(144, &sampling, seed).unwrap();
        let own = playing.play_until(600).unwrap();
        let mut heard = opening;
        heard.notes.extend(own);
        heard.length = 600;
        heard.normalise();
        let mut fresh = Composer::new(model.clone());
        let answers = [&mut playing, &mut fresh].map(|composer| {
            composer.begin_listening(&heard).unwrap();
            while composer.poll().unwrap().is_some() {}
            composer.begin_answer(612, &sampling, seed, &[]).unwrap();
            loop {
                if let Some(notes) = composer.poll_notes(720).unwrap() {
                    break notes;
                }
            }
        });
        assert_eq!(answers[0], answers[1], "seed {seed}");
    }
}

#[test]
fn answer_depends_on_the_seed_and_not_on_call_sizes() {
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
fn score_of_another_resolution_is_refused() {
    let model = model();
    let mut composer = Composer::new(model.clone());
    assert!(composer.logits().is_err(), "no score has been read");
    let mut other = Score::new(8);
    other.time_signatures = TimeSignatureMap::constant(TimeSignature::COMMON, 8);
    assert!(
        composer
            .listen(&other)
            .unwrap_err()
            .to_string()
            .contains("8 steps")
    );
    // An answer to an empty score is an opening.
    composer.answer(0, &Sampling::default(), 1).unwrap();
    assert!(!composer.play_until(48).unwrap().is_empty());
}
