//! Incomplete installations: the plugin loads, passes notes through and reports the problem.

use std::fs;
use std::path::Path;
use std::process::Command;

use continuo_tests::health_report::HealthReport;
use continuo_tests::host::Format;
use continuo_tests::{artifacts, scenario};

/// Plays in a process of its own with these environment variables. Returns the number of output notes
/// and the health report.
fn play(format: Format, variables: &[(&str, &Path)], settings: &[&str]) -> (usize, HealthReport) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let mut host = Command::new(env!("CARGO_BIN_EXE_play"));
    host.arg(artifacts::bundle(format).unwrap());
    for setting in settings {
        host.args(["--set", setting]);
    }
    host.env_remove("CONTINUO_MODEL")
        .env_remove("CONTINUO_RESOURCES");
    host.env("CONTINUO_REPORT", &report)
        .envs(variables.iter().copied());
    let output = host.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{format:?}, {variables:?}: {}: {said}",
        output.status
    );
    assert!(
        !said.contains("panicked"),
        "{format:?}, {variables:?}: {said}"
    );
    let notes = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    (notes, HealthReport::read(&report).unwrap())
}

/// Asserts that exactly the player's notes come out and that the problem names `culprit`.
fn assert_passes_notes_and_names(variables: &[(&str, &Path)], culprit: &Path) {
    for format in Format::ALL {
        let (notes, report) = play(format, variables, &["thru=On"]);
        assert_eq!(
            notes,
            scenario::opening().len(),
            "{format:?}, {variables:?}"
        );
        let problem = report.problem().unwrap_or_default();
        let named = culprit.to_string_lossy();
        assert!(
            problem.contains(&*named),
            "{named} is not named in {problem:?}"
        );
        assert!(
            !problem.contains('\n') && problem.len() < 600,
            "not one line: {problem:?}"
        );
    }
}

/// Copies the test model, to be damaged.
fn model_copy(folder: &Path) {
    artifacts::copy_folder(&artifacts::model().unwrap(), folder).unwrap();
}

/// Every ONNX file in a folder and below.
fn graphs(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(graphs(&path));
        } else if path.extension().is_some_and(|end| end == "onnx") {
            found.push(path);
        }
    }
    assert!(!found.is_empty(), "no graphs in {}", folder.display());
    found
}

#[test]
fn complete_installation_reports_no_problem() {
    for format in Format::ALL {
        let model = artifacts::model().unwrap();
        let settings = ["thru=Off", "mode=Continue", "seed=1"];
        let (notes, report) = play(format, &[("CONTINUO_MODEL", &model)], &settings);
        assert_eq!(report.problem(), None);
        assert_eq!(report.heard, scenario::opening().len() as u64);
        assert_eq!(report.played, notes as u64);
        assert!(notes > 0);
        // An offline host waits, so no note can be late.
        assert_eq!((report.late, report.dropped, report.overflow), (0, 0, 0));
        assert!(report.tokens > 0 && report.ms_per_token_median > Some(0.0));
        assert!(report.ms_per_token_p95 >= report.ms_per_token_median);
        assert!(report.model.is_some() && report.variant.is_some() && report.device.is_some());
    }
}

#[test]
fn missing_model_is_named_and_notes_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("nothing here");
    assert_passes_notes_and_names(&[("CONTINUO_MODEL", &model)], &model);
}

#[test]
fn empty_model_folder_is_named_and_notes_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    assert_passes_notes_and_names(&[("CONTINUO_MODEL", folder.path())], folder.path());
}

#[test]
fn model_of_unknown_format_is_named_and_notes_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    model_copy(folder.path());
    let path = folder.path().join("model.json");
    let mut manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    manifest["format"] = 99.into();
    fs::write(&path, manifest.to_string()).unwrap();
    assert_passes_notes_and_names(&[("CONTINUO_MODEL", folder.path())], folder.path());
}

#[test]
fn truncated_model_is_named_and_notes_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    model_copy(folder.path());
    let path = folder.path().join("model.json");
    let manifest = fs::read(&path).unwrap();
    fs::write(&path, &manifest[..manifest.len() / 2]).unwrap();
    assert_passes_notes_and_names(&[("CONTINUO_MODEL", folder.path())], folder.path());

    fs::write(&path, &manifest).unwrap();
    for graph in graphs(folder.path()) {
        let bytes = fs::read(&graph).unwrap();
        fs::write(&graph, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_passes_notes_and_names(&[("CONTINUO_MODEL", folder.path())], folder.path());
}

#[test]
fn model_with_invalid_graphs_is_named_and_notes_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    model_copy(folder.path());
    for graph in graphs(folder.path()) {
        fs::write(&graph, b"this is no graph").unwrap();
    }
    assert_passes_notes_and_names(&[("CONTINUO_MODEL", folder.path())], folder.path());
}

/// Asserts that the folder is named as the culprit when the plugin's resources are there.
fn assert_runtime_is_named(resources: &Path) {
    let model = artifacts::model().unwrap();
    let variables = [
        ("CONTINUO_RESOURCES", resources),
        ("CONTINUO_MODEL", model.as_path()),
    ];
    assert_passes_notes_and_names(&variables, resources);
}

#[test]
fn missing_runtime_is_named_and_notes_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    assert_runtime_is_named(folder.path());
}

#[test]
fn invalid_runtime_library_is_named_and_notes_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    let name = continuo_files::onnx_runtime::bundled_library_name();
    fs::write(folder.path().join(name), b"this is no library").unwrap();
    assert_runtime_is_named(folder.path());
}

/// Without environment variables, the plugin uses the model and runtime beside the bundle.
#[test]
fn bundled_model_plays_without_settings() {
    for format in Format::ALL {
        let (notes, report) = play(format, &[], &["thru=Off", "mode=Continue", "seed=1"]);
        assert_eq!(report.problem(), None);
        assert!(notes > 0, "{format:?} played nothing with models/default");
    }
}
