//! Where the things to test with are. `cargo xtask test` makes them and says where; without
//! it, they are looked for where it makes them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use crate::host::{Format, Plugin};

/// Cargo's target folder.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => dir.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}

fn place(variable: &str, default: &str, what: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| target_dir().join(default), PathBuf::from);
    ensure!(
        path.is_dir(),
        "there is no {what} at {}; `cargo xtask test` makes it",
        path.display()
    );
    path.canonicalize()
        .with_context(|| format!("cannot resolve {}", path.display()))
}

/// The bundle built for tests, which aborts when `process()` allocates.
pub fn bundle(format: Format) -> Result<PathBuf> {
    let folder = place(
        "CONTINUO_TEST_BUNDLES",
        "host-tests/bundled",
        "folder of test bundles",
    )?;
    Ok(folder.join("Continuo").with_extension(format.extension()))
}

/// A program of the workspace, built in the same profile as the test that asks.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("a test does not know where it is")?;
    // Tests lie one folder deeper than programs.
    let folder = own
        .parent()
        .and_then(Path::parent)
        .context("a test in no folder")?;
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    ensure!(
        path.is_file(),
        "{} is not built; `cargo xtask test` builds it",
        path.display()
    );
    Ok(path)
}

/// The model made for tests.
pub fn model() -> Result<PathBuf> {
    place("CONTINUO_TEST_MODEL", "test-model", "test model")
}

/// Copies a folder with all that is in it.
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

/// The same without a kNN memory: one graph.
pub fn xl_model() -> Result<PathBuf> {
    place(
        "CONTINUO_TEST_XL_MODEL",
        "test-model-xl",
        "test model with one graph",
    )
}

/// ONNX Runtime's library, under its own name.
pub fn runtime_library() -> Result<PathBuf> {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let folder = place(
        "CONTINUO_TEST_RUNTIME",
        "runtime",
        "folder with ONNX Runtime",
    )?;
    Ok(folder.join(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}")))
}

/// Plugins of this process play with the test model.
pub fn use_test_model() -> Result<()> {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    let model = model()?;
    MODEL.get_or_init(|| {
        // SAFETY: every test goes through here before it loads a plugin, so that none runs yet
        // and no other thread of this process reads the environment.
        unsafe { std::env::set_var("CONTINUO_MODEL", &model) };
        model
    });
    Ok(())
}

/// Loads the test bundle, to play with the test model.
pub fn load(format: Format) -> Result<Box<dyn Plugin>> {
    use_test_model()?;
    format.load(&bundle(format)?)
}
