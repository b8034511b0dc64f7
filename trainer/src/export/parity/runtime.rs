//! Sessions of ONNX Runtime.

use std::path::Path;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::export::parity::error::ParityError;

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
