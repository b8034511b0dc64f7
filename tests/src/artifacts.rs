//! Paths of the artifacts that tests use: bundles, models, ONNX Runtime, programs.
//!
//! `cargo xtask test` builds them and passes their paths in environment variables. Without these, the
//! default paths of `cargo xtask test --prepare` apply.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use continuo_files::{ear_model, onnx_runtime};

use crate::host::{Format, Plugin};

/// Cargo's target folder.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => dir.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}

/// The folder in an environment variable, or `default` in the target folder.
fn folder(variable: &str, default: &str, name: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| target_dir().join(default), PathBuf::from);
    ensure!(
        path.is_dir(),
        "there is no {name} at {}; run `cargo xtask test --prepare`",
        path.display()
    );
    path.canonicalize()
        .with_context(|| format!("cannot resolve {}", path.display()))
}

/// The bundle for tests, which aborts the process when `process()` allocates.
///
/// # Errors
///
/// Fails when the test bundles are missing.
pub fn bundle(format: Format) -> Result<PathBuf> {
    let folder = folder(
        "CONTINUO_TEST_BUNDLES",
        "host-tests/bundled",
        "folder of test bundles",
    )?;
    Ok(folder.join("Continuo").with_extension(format.extension()))
}

/// A program of the workspace, built in the same profile as the calling test.
///
/// # Errors
///
/// Fails when the program is missing.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("the path of the test program is unknown")?;
    // Test programs are one folder deeper than programs.
    let folder = own
        .parent()
        .and_then(Path::parent)
        .context("the test program has no parent folder")?;
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    ensure!(
        path.is_file(),
        "{} is not built; run `cargo xtask test --prepare`",
        path.display()
    );
    Ok(path)
}

/// A call of a command with the test model and ONNX Runtime.
pub fn command(name: &str) -> Result<Command> {
    let mut command = Command::new(program(name)?);
    command
        .env("CONTINUO_MODEL", model()?)
        .env(onnx_runtime::VARIABLE, runtime_library()?);
    Ok(command)
}

/// The test model, which has a kNN memory and two graphs.
///
/// # Errors
///
/// Fails when the test model is missing.
pub fn model() -> Result<PathBuf> {
    folder("CONTINUO_TEST_MODEL", "test-model", "test model")
}

/// Copies a folder and its contents.
///
/// # Errors
///
/// Fails when a file cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in
        std::fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?
    {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(())
}

/// The test model without a kNN memory, which has one graph.
///
/// # Errors
///
/// Fails when the test model is missing.
pub fn xl_model() -> Result<PathBuf> {
    folder(
        "CONTINUO_TEST_XL_MODEL",
        "test-model-xl",
        "test model with one graph",
    )
}

/// Makes a test model of another kind in `folder` with the program `make-test-model` and its `options`.
/// Returns the model directory.
///
/// # Errors
///
/// Fails when a program or library is missing, or the training or export fails.
pub fn make_model(folder: &Path, options: &[&str]) -> Result<PathBuf> {
    let model = folder.join("model");
    let made = Command::new(program("make-test-model")?)
        .arg("--trainer")
        .arg(program("continuo-trainer")?)
        .arg("--runtime")
        .arg(runtime_library()?)
        .args(options)
        .arg("--out")
        .arg(&model)
        .output()?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "make-test-model {options:?}: {said}");
    Ok(model)
}

/// ONNX Runtime's library for the commands, as `cargo xtask runtime` fetched it.
///
/// # Errors
///
/// Fails when the library is missing.
pub fn runtime_library() -> Result<PathBuf> {
    let folder = folder(
        "CONTINUO_TEST_RUNTIME",
        onnx_runtime::FOLDER,
        "folder with ONNX Runtime",
    )?;
    Ok(folder.join(onnx_runtime::library_name()))
}

/// Makes plugins of this process load the test model, through `CONTINUO_MODEL`.
///
/// # Errors
///
/// Fails when the test model is missing.
pub fn use_test_model() -> Result<()> {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    let model = model()?;
    MODEL.get_or_init(|| {
        // SAFETY: every test calls this before it loads a plugin, and no other thread of this process
        // reads the environment before that.
        unsafe { std::env::set_var("CONTINUO_MODEL", &model) };
        model
    });
    Ok(())
}

/// Makes plugins of this process load basic-pitch's model, through `CONTINUO_EAR`. Returns whether it
/// is there, as `cargo xtask ear` fetched it; if not, says so.
///
/// # Errors
///
/// Fails when ONNX Runtime is missing.
pub fn use_ear_model() -> Result<bool> {
    static MODEL: OnceLock<Option<PathBuf>> = OnceLock::new();
    let library = runtime_library()?;
    let found = MODEL.get_or_init(|| match ear_model::find(None, Some(&library)) {
        Ok(model) => {
            // SAFETY: as in `use_test_model`.
            unsafe { std::env::set_var(ear_model::VARIABLE, &model) };
            Some(model)
        }
        Err(reason) => {
            eprintln!("skipped: {reason}");
            None
        }
    });
    Ok(found.is_some())
}

/// Loads the test bundle with the test model.
///
/// # Errors
///
/// Fails when bundle or model is missing, or the plugin cannot be loaded.
pub fn load(format: Format) -> Result<Box<dyn Plugin>> {
    use_test_model()?;
    format.load(&bundle(format)?)
}
