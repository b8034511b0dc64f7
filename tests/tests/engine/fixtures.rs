//! Models, scores and comparisons for the engine's tests.

use std::path::Path;
use std::sync::Arc;

use continuo_engine::model::InputToken;
use continuo_engine::{Model, ModelOptions, Runtime};
use continuo_score::gate::{FEATURES, Gate, GateWeights};
use continuo_score::piece_memory::PREDICTORS;
use continuo_score::{Note, NoteState, Score, TokenSequence, tune};
use continuo_tests::artifacts;

/// Every variant. `gpu` also runs on the CPU.
pub(crate) const VARIANTS: [&str; 3] = ["plain", "cpu", "gpu"];

/// Loads one variant with a kNN memory of 64 entries.
pub(crate) fn load(directory: &Path, variant: &str) -> Arc<Model> {
    let runtime = Runtime::load(&artifacts::runtime_library().unwrap()).unwrap();
    // The tests' scores exceed the capacity, which is twice the number of neighbours (k = 32).
    let options = ModelOptions {
        knn_capacity: Some(64),
        variants: vec![variant.into()],
        ..ModelOptions::default()
    };
    let model = Model::load(runtime, directory, &options).unwrap();
    assert_eq!(model.variant(), variant);
    model
}

/// The test model with both memories, in every variant.
pub(crate) fn models() -> impl Iterator<Item = Arc<Model>> {
    let directory = artifacts::model().unwrap();
    VARIANTS
        .into_iter()
        .map(move |variant| load(&directory, variant))
}

/// The test model with both memories, in the variant `cpu`.
pub(crate) fn model() -> Arc<Model> {
    load(&artifacts::model().unwrap(), "cpu")
}

/// The minuet `times` times: several windows long.
pub(crate) fn long_score(times: u32) -> Score {
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

/// A score's tokens as the engine's input.
pub(crate) fn tokens(model: &Model, score: &Score) -> Vec<InputToken> {
    let encoded = TokenSequence::encode_open(score, model.vocabulary());
    let ids = encoded.positioned_ids(model.vocabulary());
    model.input_tokens(&ids, &score.time_signatures, &mut NoteState::default())
}

/// Logits of all tokens, read in chunks of `size`: `[tokens * vocabulary]`.
pub(crate) fn feed_in(model: &Model, tokens: &[InputToken], size: usize) -> Vec<f32> {
    let mut memory = model.memory();
    tokens
        .chunks(size)
        .flat_map(|c| model.forward(&mut memory, c, 1.0).unwrap())
        .collect()
}

/// Compares logits: to rounding in the variant `plain`, bit by bit in those that read token by token.
pub(crate) fn assert_same(model: &Model, a: &[f32], b: &[f32], case: &str) {
    assert_eq!(a.len(), b.len(), "{case}");
    let most = if model.variant() == "plain" {
        1e-4
    } else {
        0.0
    };
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    let worst = apart.fold(0.0, f32::max);
    let variant = model.variant();
    assert!(worst <= most, "{variant}, {case}: logits differ by {worst}");
}

/// A copy of a model with other weights of its n-gram memory, for exact and transposed matches, and
/// without a gate, as models were before they had one.
pub(crate) fn with_ngram_weights(
    of: &Path,
    same: serde_json::Value,
    transposed: serde_json::Value,
) -> Arc<Model> {
    with_manifest(of, |json| {
        json["suffix"] = same;
        json["suffix_transposed"] = transposed;
        json["gate"] = serde_json::Value::Null;
    })
}

/// A copy of a model that takes what aligned passages say wherever they say anything.
pub(crate) fn trusting_alignments(of: &Path) -> Arc<Model> {
    with_manifest(of, |json| {
        let mut gate = [[0.0f32; FEATURES + 1]; PREDICTORS];
        for (weights, constant) in gate.iter_mut().zip([-50.0, -50.0, 50.0]) {
            weights[FEATURES] = constant;
        }
        json["suffix"] = vec![0.0; 9].into();
        json["suffix_transposed"] = vec![0.0; 9].into();
        json["gate"] = serde_json::to_value(Gate::same(GateWeights(gate))).unwrap();
    })
}

/// A copy of a model with a changed `model.json`.
fn with_manifest(of: &Path, change: impl FnOnce(&mut serde_json::Value)) -> Arc<Model> {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("model");
    artifacts::copy_folder(of, &directory).unwrap();
    let manifest = directory.join("model.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    change(&mut json);
    std::fs::write(&manifest, json.to_string()).unwrap();
    load(&directory, "cpu")
}

/// Start in steps after `from`, length in steps and pitch of each note, sorted.
pub(crate) fn start_length_pitch(notes: &[Note], from: u32) -> Vec<(u32, u32, u8)> {
    let mut sorted: Vec<_> = notes
        .iter()
        .map(|n| (n.start - from, n.length, n.pitch))
        .collect();
    sorted.sort();
    sorted
}
