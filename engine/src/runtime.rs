//! ONNX Runtime, loaded once in a process.

use std::path::Path;
use std::sync::Mutex;

use ort::environment::Environment;

use crate::error::EngineError;

/// ONNX Runtime and its environment. Shared by all threads. It is never unloaded: another plugin in the
/// host may have loaded its own copy, and unloading either one has crashed hosts.
pub struct Runtime {
    environment: Environment,
}

static LOADED: Mutex<Option<&'static Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the library at `library`. Later calls return the runtime that is loaded already, for any
    /// path. A failed call can be repeated. Blocks while another thread loads it.
    ///
    /// # Errors
    /// Fails if there is no such file, or it is no ONNX Runtime of a supported version.
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
        #[cfg(windows)]
        crate::visual_cpp::check().map_err(fail)?;
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

    /// Environment of ONNX Runtime, for other models than the engine's.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}
