//! Command-line options for the paths of ONNX Runtime and of the model, and the search for defaults.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Path options of every command that runs a model.
#[derive(clap::Args, Clone, Debug)]
pub struct ModelPaths {
    /// Model directory [default: models/default beside the command or in the source tree]
    #[arg(long, env = "CONTINUO_MODEL", value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// ONNX Runtime's library [default: beside the command, or target/runtime]
    #[arg(long, env = "CONTINUO_RUNTIME", value_name = "FILE")]
    pub runtime: Option<PathBuf>,
}

impl ModelPaths {
    /// Returns the path of the library to load.
    ///
    /// # Errors
    /// Fails if no path is given and none is found.
    pub fn runtime_library(&self) -> Result<PathBuf> {
        let name = library_file_name("onnxruntime");
        find(
            self.runtime.as_deref(),
            &[&name, &format!("runtime/{name}")],
        )
        .or_else(|_| {
            bail!("no {name} found; `cargo xtask runtime` fetches it, or name it with --runtime")
        })
    }

    /// Returns the path of the model directory to load.
    ///
    /// # Errors
    /// Fails if no path is given and none is found.
    pub fn model_directory(&self) -> Result<PathBuf> {
        find(self.model.as_deref(), &["models/default"]).or_else(|_| {
            bail!("no model found; name a model directory with --model (`continuo-trainer export` makes them)")
        })
    }
}

/// Returns the platform's file name of a shared library.
fn library_file_name(stem: &str) -> String {
    format!(
        "{}{stem}{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    )
}

/// Returns the given path, or else the first of `relative` that exists in the folder of this command or
/// in a folder above it.
fn find(named: Option<&Path>, relative: &[&str]) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_path_buf());
    }
    let command = std::env::current_exe()?.canonicalize()?;
    for folder in command.ancestors().skip(1).take(4) {
        for place in relative {
            let path = folder.join(place);
            if path.exists() {
                return Ok(path);
            }
        }
    }
    bail!("not found")
}
