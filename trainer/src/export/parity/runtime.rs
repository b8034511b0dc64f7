//! ONNX Runtime: its library, and sessions.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::export::parity::error::ParityError;

/// Finds ONNX Runtime's library: the given path, `CONTINUO_RUNTIME`, or `runtime/` in a folder
/// above this program, where `cargo xtask runtime` puts it.
///
/// # Errors
/// There is no such file.
pub fn find_runtime(given: Option<&Path>) -> Result<PathBuf, ParityError> {
    let variable = || std::env::var_os("CONTINUO_RUNTIME").filter(|s| !s.is_empty());
    let named = given
        .map(Path::to_owned)
        .or_else(|| variable().map(PathBuf::from));
    if let Some(path) = named {
        return if path.is_file() {
            Ok(path)
        } else {
            Err(ParityError::NoRuntime(Some(path)))
        };
    }
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = format!("runtime/{prefix}onnxruntime{suffix}");
    let program = std::env::current_exe().unwrap_or_default();
    let found = program
        .ancestors()
        .skip(1)
        .map(|f| f.join(&library))
        .find(|p| p.is_file());
    found.ok_or(ParityError::NoRuntime(None))
}

/// The only environment of the process, shared by all sessions.
static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();

/// A session of a graph, on one thread.
///
/// # Errors
/// ONNX Runtime does not load or refuses the graph.
pub(super) fn open(runtime: &Path, graph: &[u8]) -> Result<Session, ParityError> {
    let fail = |reason: String| ParityError::Runtime {
        path: runtime.into(),
        reason,
    };
    let path = std::path::absolute(runtime).map_err(|e| fail(e.to_string()))?;
    let environment = ENVIRONMENT.get_or_init(|| {
        let builder = ort::init_from(&path).map_err(|e| e.to_string())?;
        builder
            .with_telemetry(false)
            .build()
            .map_err(|e| e.to_string())
    });
    let environment = environment.as_ref().map_err(|e| fail(e.clone()))?;
    let session = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(ort::Error::from)?
        .with_intra_threads(1)
        .map_err(ort::Error::from)?
        .commit_from_memory(graph)?;
    Ok(session)
}
