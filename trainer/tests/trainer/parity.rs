//! What is exported is what was trained.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use continuo_score::Vocabulary;
use continuo_score::manifest::Manifest;
use continuo_trainer::checkpoint::Checkpoint;
use continuo_trainer::export::{ExportError, Options, export};
use continuo_trainer::learner::initial;
use continuo_trainer::onnx::network;
use continuo_trainer::parity::{ParityError, compare, find_runtime};
use continuo_trainer::train::train;

use crate::songs;

#[test]
fn onnx_runtime_computes_what_the_trainer_does() {
    let runtime = match find_runtime(None) {
        Ok(runtime) => runtime,
        Err(e) => panic!("this test needs ONNX Runtime: {e}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let corpus = songs::corpus(folder.path(), 6, 60);
    let trained = folder.path().join("trained");
    let stop = AtomicBool::new(false);
    train(
        &songs::options(&corpus, &trained, songs::begin(&corpus, 20), &stop),
        |_| {},
    )
    .unwrap();
    let checkpoint = Checkpoint::open(&trained).unwrap();
    let output = folder.path().join("model");
    let options = Options {
        checkpoint: &checkpoint,
        output: &output,
        corpus: &corpus,
        runtime: &runtime,
        name: "test".into(),
        licence: "MIT".into(),
        training_data: "tunes made up".into(),
        held_out: None,
    };
    let parity = export(&options).unwrap();
    println!("{parity:?}");
    assert_eq!(parity.songs, 3);
    assert!(
        parity.tokens > 3 * 4 * checkpoint.config.shape.window,
        "the memory was full"
    );
    assert!(parity.scale > 1.0, "logits say something");
    parity.check().unwrap();

    // The directory is what the engine reads.
    let read = |name: &str| std::fs::read_to_string(output.join(name)).unwrap();
    let manifest: Manifest = serde_json::from_str(&read("model.json")).unwrap();
    assert_eq!(manifest.window, checkpoint.config.shape.window);
    assert_eq!(manifest.sizes, checkpoint.config.shape.sizes);
    assert!(output.join(&manifest.variants["plain"].graphs[0]).is_file());
    assert_eq!(
        Vocabulary::from_json(&read("vocabulary.json")).unwrap(),
        corpus.vocabulary
    );

    // Exported again it replaces the old one, but for what people wrote beside it.
    std::fs::write(output.join("README.md"), "mine").unwrap();
    std::fs::write(output.join("plain/stale"), "").unwrap();
    export(&options).unwrap();
    assert_eq!(read("README.md"), "mine");
    assert!(!output.join("plain/stale").exists());

    // Another model's graph is told apart.
    let device = Device::flex();
    let other = initial(checkpoint.config.shape, &corpus.vocabulary, &device, 99);
    let model = checkpoint.model(&device).unwrap();
    let wrong = compare(&model, &network::write(&other, "other"), &corpus, &runtime).unwrap();
    assert!(matches!(wrong.check(), Err(ParityError::Differs { .. })));

    // What cannot be proved leaves nothing behind, and what is no model stays.
    let nowhere = folder.path().join("no-runtime.so");
    std::fs::write(&nowhere, "").unwrap();
    let taken = folder.path().join("midi");
    let error = export(&Options {
        output: &taken,
        ..options
    })
    .unwrap_err();
    assert!(matches!(error, ExportError::Taken(_)), "{error}");
    assert!(find_runtime(Some(&folder.path().join("missing"))).is_err());
}
