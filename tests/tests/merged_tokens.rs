//! A model with merged tokens (byte-pair encoding), from learning the merges to an answer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use continuo_engine::{Composer, Model, ModelOptions, Runtime, Sampling};
use continuo_score::{Drums, Note, Score, TokenSequence, Vocabulary, midi, tune};
use continuo_tests::artifacts;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const IDS: usize = 380;

/// Makes the model once per process, with the trainer's commands.
fn directory() -> &'static Path {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let options = ["--ids", &IDS.to_string()];
        let model = artifacts::make_model(folder.path(), &options).unwrap();
        (folder, model)
    });
    &made.1
}

fn model() -> Arc<Model> {
    let runtime = Runtime::load(&artifacts::runtime_library().unwrap()).unwrap();
    Model::load(runtime, directory(), &ModelOptions::default()).unwrap()
}

/// After any sequence of input, corrections and answers, the memory equals that of a new composer that
/// has read only the last score, in the segmentation of its encoding.
#[test]
fn corrected_notes_give_the_memory_of_a_fresh_segmentation() {
    let model = model();
    let vocabulary = model.vocabulary();
    assert_eq!(vocabulary.size(), IDS);
    let minuet = tune::minuet();
    for seed in 0..4 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut composer = Composer::new(model.clone());
        for turn in 0..20 {
            // A prefix of the tune, sometimes with a wrong note.
            let mut score = minuet.until(rng.random_range(0..=minuet.length));
            if rng.random_bool(0.5) && !score.notes.is_empty() {
                let wrong = rng.random_range(0..score.notes.len());
                score.notes[wrong].pitch = rng.random_range(30..90);
                score.normalise();
            }
            if rng.random_bool(0.4) {
                let at = score.length + rng.random_range(0..400);
                composer.listen(&score).unwrap();
                composer.answer(at, &Sampling::default(), seed).unwrap();
                let played = composer.play_until(at + 72).unwrap();
                assert!(played.iter().all(|n| n.start >= at && n.start < at + 72));
                // The answer becomes part of the score.
                score.notes.extend(played);
                score.normalise();
            }
            composer.listen(&score).unwrap();
            let what = format!("seed {seed}, turn {turn}");
            let spelled = TokenSequence::encode_open(&score, vocabulary);
            assert_eq!(composer.tokens(), spelled.ids(vocabulary).len(), "{what}");
            let mut fresh = Composer::new(model.clone());
            fresh.listen(&score).unwrap();
            let expected = fresh.logits().unwrap().to_vec();
            let got = composer.logits().unwrap();
            let differ = expected.iter().zip(got).map(|(a, b)| (a - b).abs());
            let worst = differ.fold(0.0, f32::max);
            assert!(worst < 1e-4, "{what}: logits differ by {worst}");
        }
    }
}

/// The answer also starts where it is asked to.
#[test]
fn answer_uses_merged_tokens_and_depends_on_the_seed_alone() {
    let model = model();
    let score = tune::minuet();
    let play = |seed: u64, from: u32, cut: u32| {
        let mut composer = Composer::new(model.clone());
        composer.listen(&score).unwrap();
        composer.answer(from, &Sampling::default(), seed).unwrap();
        let (mut notes, mut until) = (Vec::new(), from);
        let heard = composer.tokens();
        while until < from + 36 * 12 {
            until = (until + cut).min(from + 36 * 12);
            notes.extend(composer.play_until(until).unwrap());
        }
        (notes, composer.tokens() - heard)
    };
    for from in [score.length, score.length + 1, score.length + 500] {
        let (notes, tokens) = play(1, from, 1000);
        assert_eq!((&notes, tokens), (&play(1, from, 7).0, play(1, from, 7).1));
        assert_ne!(notes, play(2, from, 1000).0);
        assert!(notes.is_sorted_by_key(|n| n.start) && notes[0].start >= from);
        let base = |score: &Score| {
            let spelled = TokenSequence::encode_open(score, model.vocabulary());
            spelled.base_ids(model.vocabulary()).len()
        };
        let mut both = score.clone();
        both.notes.extend(&notes);
        both.normalise();
        let base = base(&both) - base(&score);
        assert!(tokens < base, "{tokens} tokens for {base}: none is merged");
    }
}

#[test]
fn continue_command_plays_merged_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let minuet = tune::minuet();
    minuet.to_midi().write_file(&path("in.mid")).unwrap();
    let run = |words: &[&str]| {
        let done = artifacts::command("continuo")
            .unwrap()
            .args(words)
            .current_dir(folder.path())
            .env("CONTINUO_MODEL", directory())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words:?}: {said}");
        String::from_utf8(done.stdout).unwrap()
    };
    run(&["continue", "in.mid", "-o", "out.mid", "--bars", "4"]);
    let file = midi::read_file(&path("out.mid")).unwrap();
    let both = Score::from_midi(&file, 12, Drums::Drop);
    let heard: Vec<&Note> = both
        .notes
        .iter()
        .filter(|n| n.start < minuet.length)
        .collect();
    assert!(heard.into_iter().eq(&minuet.notes) && both.notes.len() > minuet.notes.len());

    // As text, the base tokens of one merged token are joined by `+`.
    let json = directory().join("vocabulary.json").display().to_string();
    let vocabulary = Vocabulary::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let merged = run(&["tokens", "in.mid", "--vocabulary", &json]);
    let words = merged.split_whitespace().filter(|w| !w.contains('.'));
    let plain = run(&["tokens", "in.mid"]);
    assert_eq!(merged.lines().count(), plain.lines().count());
    let ids = TokenSequence::encode(&minuet, &vocabulary).ids(&vocabulary);
    let joins = merged.matches('+').count();
    assert_eq!(
        words
            .flat_map(|w| w.split('+'))
            .filter(|w| !w.is_empty())
            .count(),
        ids.len() + joins
    );
    assert_eq!(
        merged
            .replace('+', " ")
            .split_whitespace()
            .collect::<Vec<_>>(),
        plain.split_whitespace().collect::<Vec<_>>()
    );
    let numbers = run(&["tokens", "in.mid", "--ids", "--vocabulary", &json]);
    let numbers: Vec<u16> = numbers
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(numbers, ids);
}
