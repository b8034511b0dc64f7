//! Exported models equal trained ones.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use continuo_files::{WriteError, onnx_runtime};
use continuo_score::Vocabulary;
use continuo_score::manifest::{Knn, Manifest};
use continuo_trainer::data::corpus::Corpus;
use continuo_trainer::export::calibration::calibrate;
use continuo_trainer::export::onnx;
use continuo_trainer::export::onnx::variant::Variant;
use continuo_trainer::export::parity::variant_loss::measure;
use continuo_trainer::export::parity::{ParityError, compare};
use continuo_trainer::export::{
    ExportError, ExportOptions, Exported, MOST_LOST_BY_FOUR_BITS, export,
};
use continuo_trainer::model::random_model;
use continuo_trainer::train::checkpoint::Checkpoint;
use continuo_trainer::train::train;

use crate::fixtures;

/// A corpus in `folder`, and a network trained on it for a moment.
fn trained(folder: &Path) -> (Corpus, Checkpoint) {
    let corpus = fixtures::corpus(folder, 12, 60);
    let trained = folder.join("trained");
    let stop = AtomicBool::new(false);
    let begin = fixtures::begin(&corpus, 40);
    train(&fixtures::options(&corpus, &trained, begin, &stop), |_| {}).unwrap();
    (corpus, Checkpoint::open(&trained).unwrap())
}

#[test]
fn onnx_runtime_computes_the_logits_of_the_trainer() {
    let runtime = onnx_runtime::find(None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (corpus, checkpoint) = trained(folder.path());
    let output = folder.path().join("model");
    let options = ExportOptions {
        variants: &Variant::ALL,
        ..fixtures::export_options(&checkpoint, &corpus, &output, &runtime)
    };
    let Exported {
        parity,
        variants,
        left_out,
        calibration: _,
        suffix,
    } = export(&options).unwrap();
    println!("{parity:?} {variants:?} {left_out:?} {suffix:?}");
    let names: Vec<&str> = variants.iter().map(|v| v.variant.name()).collect();
    assert_eq!(names, Variant::ALL.map(Variant::name));
    // Of 8 and 4 bits one was written: 4 where they lose next to nothing.
    let of = |kind| variants.iter().chain(&left_out).find(|v| v.variant == kind);
    let (eight, four) = (of(Variant::Cpu).unwrap(), of(Variant::Cpu4).unwrap());
    assert!(four.bytes < eight.bytes);
    let free = four.per_token <= eight.per_token + MOST_LOST_BY_FOUR_BITS;
    let kept = if free { Variant::Cpu4 } else { Variant::Cpu };
    assert_eq!((variants[1].variant, left_out.len()), (kept, 1));
    assert!(
        variants.iter().all(|v| v.per_token.abs() < 0.01),
        "{variants:?}"
    );
    assert_eq!(parity.songs, 3);
    assert!(
        parity.tokens > 3 * 4 * checkpoint.config.model.shape.window,
        "the memory was full"
    );
    assert!(parity.scale > 1.0, "logits say something");
    parity.check().unwrap();
    let knn = checkpoint.config.model.shape.knn.unwrap();
    assert_eq!(parity.memories, knn.capacity, "the kNN memory was full");
    assert!(parity.recall > 0.1, "the kNN memory matters");

    // The directory is what the engine reads.
    let read = |name: &str| std::fs::read_to_string(output.join(name)).unwrap();
    let manifest: Manifest = serde_json::from_str(&read("model.json")).unwrap();
    assert_eq!(manifest.shape, checkpoint.config.model.shape);
    assert_eq!(manifest.shape.knn, Some(knn));
    assert!(manifest.relative && checkpoint.config.model.relative.is_some());
    let suffix = suffix.unwrap();
    assert_eq!(manifest.suffix, Some(suffix.weights.mixture.same));
    assert_eq!(
        manifest.suffix_transposed,
        Some(suffix.weights.mixture.transposed)
    );
    assert!(
        manifest.memory_weights() == suffix.weights && suffix.with < suffix.without,
        "{suffix:?}"
    );
    for kind in Variant::ALL.map(Variant::name) {
        let graphs = &manifest.variants[kind].graphs;
        let expected = ["lower", "upper"].map(|graph| format!("{kind}/{graph}.onnx"));
        assert_eq!(graphs[..], expected);
        assert!(graphs.iter().all(|graph| output.join(graph).is_file()));
    }
    assert_eq!(
        Vocabulary::from_json(&read("vocabulary.json")).unwrap(),
        corpus.vocabulary
    );

    // A second export replaces the first and keeps other files.
    std::fs::write(output.join("README.md"), "mine").unwrap();
    std::fs::write(output.join("takes.txt"), "mine, too").unwrap();
    std::fs::write(output.join("plain/stale"), "").unwrap();
    export(&options).unwrap();
    assert_eq!(read("README.md"), "mine");
    assert_eq!(read("takes.txt"), "mine, too");
    assert!(!output.join("plain/stale").exists());

    // The graph of another model is rejected.
    let device = Device::flex();
    let mut config = checkpoint.config.model;
    let prove = |config| {
        let [model, other] =
            [98, 99].map(|seed| random_model(config, &corpus.vocabulary, &device, seed));
        let graphs = onnx::write(&other, Variant::Plain, "other");
        compare(&model, &graphs, &corpus, &runtime).and_then(|parity| parity.check())
    };
    let error = prove(config).unwrap_err();
    assert!(matches!(error, ParityError::Search { .. }), "{error}");
    config.shape.knn = None;
    let error = prove(config).unwrap_err();
    assert!(matches!(error, ParityError::Differs { .. }), "{error}");

    // Any position of the kNN layer, and none.
    for (layers, layer) in [(3, Some(0)), (3, Some(1)), (2, None)] {
        // Next and own values; with and without distances in time and pitch.
        let following = layer != Some(1);
        let mut config = checkpoint.config.model;
        config.relative = config.relative.filter(|_| following);
        config.shape.sizes.layers = layers;
        config.shape.knn = layer.map(|layer| Knn {
            layer,
            following,
            ..knn
        });
        let model = random_model(config, &corpus.vocabulary, &device, 3);
        let graphs = onnx::write(&model, Variant::Plain, "test");
        assert_eq!(graphs.len(), if layer.is_some() { 2 } else { 1 });
        let parity = compare(&model, &graphs, &corpus, &runtime).unwrap();
        println!("{layer:?} of {layers}: {parity:?}");
        parity.check().unwrap();
        // Between others the kNN layer has caches in both graphs.
        let kinds = [
            (Variant::Cpu, 0.01),
            (Variant::Cpu4, 0.1),
            (Variant::Gpu, 0.01),
        ];
        for (kind, most) in kinds.into_iter().filter(|_| layer == Some(1)) {
            let graphs = onnx::write(&model, kind, "test");
            let loss = measure(&model, &graphs, kind, &corpus, &runtime).unwrap();
            println!("{layer:?} of {layers}: {loss:?}");
            assert!(loss.per_token.abs() < most, "{loss:?}");
        }
    }

    // A failed export writes nothing, and a folder that is no model stays.
    let nowhere = folder.path().join("no-runtime.so");
    std::fs::write(&nowhere, "").unwrap();
    let taken = folder.path().join("midi");
    let error = export(&ExportOptions {
        output: &taken,
        ..options
    })
    .unwrap_err();
    let other = matches!(error, ExportError::Write(WriteError::OtherFolder { .. }));
    assert!(other, "{error}");
}

/// A calibrated model needs no further calibration.
#[test]
fn calibration_is_idempotent() {
    let runtime = onnx_runtime::find(None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (corpus, checkpoint) = trained(folder.path());
    let output = folder.path().join("model");
    let options = ExportOptions {
        calibrate: Some(&corpus),
        ..fixtures::export_options(&checkpoint, &corpus, &output, &runtime)
    };
    let exported = export(&options).unwrap();
    exported.parity.check().unwrap();
    let first = exported.calibration.unwrap();
    assert!(first.after < first.before, "{first:?}");
    let device = Device::flex();
    let mut model = Checkpoint::open(&output).unwrap().model(&device).unwrap();
    let again = calibrate(&mut model, &corpus).unwrap();
    assert_eq!(again.tokens, first.tokens);
    assert!((again.temperature - 1.0).abs() < 0.01, "{again:?}");
    // The parameters are stored with 16 bits.
    assert!((again.before - first.after).abs() < 1e-3, "{again:?}");

    // Without held-out songs there is nothing to calibrate on.
    let path = folder.path().join("all.corpus");
    fixtures::encode(&[folder.path().join("midi")], &path, 0.0).unwrap();
    let all = Corpus::open(&path).unwrap();
    let refused = export(&ExportOptions {
        calibrate: Some(&all),
        ..options
    });
    assert!(matches!(refused, Err(ExportError::NothingHeldOut)));
}
