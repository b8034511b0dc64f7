//! ONNX Runtime, loaded once a process.

use std::path::Path;
use std::sync::Mutex;

use ort::environment::Environment;

use crate::error::EngineError;

/// ONNX Runtime and its one environment. Never unloaded: another plugin in the same host may
/// have loaded its own, and unloading either has crashed hosts.
pub struct Runtime {
    environment: Environment,
}

static LOADED: Mutex<Option<&'static Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the library at `library`. Later calls give the runtime already loaded,
    /// whatever their path; a failed call can be repeated.
    pub fn load(library: &Path) -> Result<&'static Runtime, EngineError> {
        let fail = |reason: String| EngineError::Runtime {
            path: library.to_path_buf(),
            reason,
        };
        let mut loaded = LOADED
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(runtime) = *loaded {
            return Ok(runtime);
        }
        // By absolute path: a bare name would find whatever the host has loaded already.
        let path = std::path::absolute(library).map_err(|e| fail(e.to_string()))?;
        if !path.is_file() {
            return Err(fail("no such file".into()));
        }
        let environment = ort::init_from(&path)
            .map_err(|e| fail(e.to_string()))?
            .with_name("continuo")
            .with_telemetry(false)
            .build()
            .map_err(|e| fail(e.to_string()))?;
        let runtime = Box::leak(Box::new(Runtime { environment }));
        *loaded = Some(runtime);
        Ok(runtime)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}
