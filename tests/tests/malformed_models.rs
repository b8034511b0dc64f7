//! Model directories that are malformed, inconsistent or refer outside: each gives one precise error
//! before anything is read or allocated by its numbers.

use std::fs;
use std::path::Path;

use continuo_engine::{Model, ModelOptions, Runtime};
use continuo_tests::artifacts;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A copy of the test model.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    artifacts::copy_folder(&artifacts::model().unwrap(), folder.path()).unwrap();
    folder
}

/// Name of the loaded variant, or the error message.
fn load(directory: &Path, variants: &[&str]) -> Result<String, String> {
    let runtime = Runtime::load(&artifacts::runtime_library().unwrap()).unwrap();
    let options = ModelOptions {
        variants: variants.iter().map(|&name| name.to_owned()).collect(),
        ..ModelOptions::default()
    };
    match Model::load(runtime, directory, &options) {
        Ok(model) => Ok(model.variant().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn error(directory: &Path) -> String {
    load(directory, &["plain"]).err().unwrap_or_default()
}

/// The error message of a model whose `model.json` was changed.
fn error_with(change: impl FnOnce(&mut Value)) -> String {
    let folder = copy();
    edit(folder.path(), change);
    let error = error(folder.path());
    assert!(!error.is_empty(), "the model was loaded");
    error
}

#[test]
fn unchanged_copy_loads() {
    assert_eq!(error(copy().path()), "");
}

#[test]
fn impossible_sizes_are_named() {
    for (place, values) in [
        ("/sizes/heads", [json!(0), json!(1u64 << 60), json!(3)]),
        ("/sizes/head_dim", [json!(0), json!(1u64 << 62), json!(8)]),
        ("/sizes/layers", [json!(0), json!(1_000_000), json!(3)]),
        ("/sizes/width", [json!(0), json!(u64::MAX), json!(33)]),
        ("/sizes/vocabulary", [json!(0), json!(1u64 << 40), json!(7)]),
        ("/window", [json!(0), json!(u64::MAX), json!(1)]),
        ("/knn/layer", [json!(2), json!(u64::MAX), json!(0)]),
        ("/knn/k", [json!(0), json!(1u64 << 40), json!(5)]),
        (
            "/knn/capacity",
            [json!(0), json!(1u64 << 40), json!(u64::MAX)],
        ),
        ("/format", [json!(0), json!(99), json!(-1)]),
    ] {
        for value in values {
            let error =
                error_with(|manifest| *manifest.pointer_mut(place).unwrap() = value.clone());
            assert!(error.starts_with("model "), "{place} = {value}: {error}");
            assert!(!error.contains('\n'), "{place} = {value}: {error}");
        }
    }
    let error = error_with(|manifest| manifest["knn"] = Value::Null);
    assert!(error.contains("2 graphs"), "{error}");
}

#[test]
fn unusable_gate_is_named() {
    let short = error_with(|manifest| manifest["gate"] = json!({"keys": [[0.5, 0.5]]}));
    assert!(short.contains("model.json"), "{short}");
    let row: Vec<f64> = (0..continuo_score::gate::FEATURES + 1)
        .map(|_| 1e300)
        .collect();
    let infinite = error_with(|manifest| {
        manifest["gate"] = json!({"keys": [row, row, row], "band": [row, row, row]})
    });
    assert!(infinite.contains("gate"), "{infinite}");
}

#[test]
fn graphs_outside_the_directory_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("lower.onnx");
    fs::copy(
        artifacts::model().unwrap().join("plain/lower.onnx"),
        &target,
    )
    .unwrap();
    let path = target.display().to_string();
    for name in ["../lower.onnx", "", ".", "plain/../../lower.onnx", &path] {
        let error = error_with(|m| m["variants"]["plain"]["graphs"][0] = json!(name));
        assert!(
            error.contains("inside the model directory"),
            "{name}: {error}"
        );
    }
    #[cfg(unix)]
    {
        let folder = copy();
        let link = folder.path().join("plain/lower.onnx");
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(error(folder.path()).contains("outside the model directory"));
    }
}

#[test]
fn missing_or_malformed_files_are_named() {
    for name in [
        "model.json",
        "vocabulary.json",
        "plain/lower.onnx",
        "plain/upper.onnx",
    ] {
        for content in [
            None,
            Some(&b""[..]),
            Some(b"\x08\x0a\xff\xff\xff\xff\x7f"),
            Some(b"{}"),
        ] {
            let folder = copy();
            let path = folder.path().join(name);
            fs::remove_file(&path).unwrap();
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let error = error(folder.path());
            let file = path.file_name().unwrap().to_str().unwrap();
            assert!(error.contains(file), "{name} {content:?}: {error:?}");
        }
    }
    let folder = copy();
    let large = fs::File::create(folder.path().join("model.json")).unwrap();
    large.set_len(1 << 40).unwrap();
    assert!(error(folder.path()).contains("too many"));
}

#[test]
fn graphs_that_contradict_the_manifest_are_refused() {
    let swapped = error_with(|m| {
        let graphs = m["variants"]["plain"]["graphs"].as_array_mut().unwrap();
        graphs.swap(0, 1);
    });
    assert!(swapped.contains("the graph has"), "{swapped}");
    let twice = error_with(|m| {
        let graphs = m["variants"]["plain"]["graphs"].as_array_mut().unwrap();
        graphs[1] = graphs[0].clone();
    });
    assert!(
        twice.contains("the graph has") || twice.contains("belongs"),
        "{twice}"
    );
    let folder = copy();
    let whole = artifacts::xl_model().unwrap().join("plain/model.onnx");
    fs::copy(whole, folder.path().join("plain/lower.onnx")).unwrap();
    assert!(!error(folder.path()).is_empty());
}

/// Changes a model's `model.json`.
fn edit(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("model.json");
    let mut manifest = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(&path, manifest.to_string()).unwrap();
}

#[test]
fn variant_for_the_device_is_preferred() {
    let folder = copy();
    let remove = |name: &str| {
        let variants = |m: &mut Value| m["variants"].as_object_mut().unwrap().remove(name);
        edit(folder.path(), |manifest| {
            assert!(variants(manifest).is_some())
        });
        load(folder.path(), &[])
    };
    assert_eq!(load(&artifacts::model().unwrap(), &[]), Ok("cpu".into()));
    assert_eq!(remove("cpu"), Ok("plain".into()));
    assert_eq!(
        remove("plain"),
        Ok("gpu".into()),
        "the last variant is used, though slow"
    );
    assert!(remove("gpu").unwrap_err().contains("none of"));
    let named = load(&artifacts::model().unwrap(), &["gpu", "plain"]);
    assert_eq!(named, Ok("gpu".into()));
}

#[test]
fn in_place_graphs_are_checked_against_the_manifest() {
    for (variant, graphs) in [
        ("cpu", ["cpu/upper.onnx", "cpu/lower.onnx"]),
        ("cpu", ["cpu/lower.onnx", "cpu/lower.onnx"]),
        ("cpu", ["gpu/lower.onnx", "cpu/upper.onnx"]),
        ("gpu", ["cpu/lower.onnx", "gpu/upper.onnx"]),
        ("plain", ["plain/lower.onnx", "gpu/upper.onnx"]),
    ] {
        let folder = copy();
        edit(folder.path(), |m| {
            m["variants"][variant]["graphs"] = json!(graphs)
        });
        let error = load(folder.path(), &[variant]).unwrap_err();
        assert!(error.starts_with("model "), "{graphs:?}: {error}");
        assert!(!error.contains('\n'), "{graphs:?}: {error}");
    }
    for (place, value) in [("/window", 65_000), ("/sizes/heads", 3), ("/knn/k", 5)] {
        let folder = copy();
        edit(folder.path(), |m| {
            *m.pointer_mut(place).unwrap() = json!(value)
        });
        let loaded = load(folder.path(), &["cpu"]);
        // No shape depends on the window, so another size is not detected.
        assert_eq!(loaded.is_err(), place != "/window", "{place}: {loaded:?}");
    }
}
