//! Command-line options for the paths of ONNX Runtime and of the model, and their defaults.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use continuo_files::onnx_runtime::{self, RuntimeNotFound};

/// Path options of every command that runs a model.
#[derive(clap::Args, Clone, Debug)]
pub struct ModelPaths {
    /// Model directory [default: models/default beside the command or in the source tree]
    #[arg(long, env = "CONTINUO_MODEL", value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// ONNX Runtime's library [env: CONTINUO_RUNTIME] [default: beside the command, or
    /// target/runtime]
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
}

impl ModelPaths {
    /// Returns the path of the library to load.
    ///
    /// # Errors
    /// Fails if the named file does not exist, or none is named and none is found.
    pub fn runtime_library(&self) -> Result<PathBuf, RuntimeNotFound> {
        onnx_runtime::find(self.runtime.as_deref())
    }

    /// Returns the path of the model directory to load.
    ///
    /// # Errors
    /// Fails if no path is given and no default folder exists.
    pub fn model_directory(&self) -> Result<PathBuf> {
        let named = self.model.clone();
        named
            .or_else(|| onnx_runtime::find_folder_near_program(Path::new("models/default")))
            .context(
                "no model found; name a model directory with --model (`continuo-trainer export` \
                 makes them)",
            )
    }
}
