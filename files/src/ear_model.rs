//! The file of basic-pitch's model, with which audio becomes notes.
//!
//! The commands ([`find`]) load the file that an option names, or the file in [`VARIABLE`]. Without
//! both, they load the first [`NAME`] beside ONNX Runtime's library, in the program's folder and the
//! three above it, or in the [`FOLDER`] of each. The plugin ([`find_bundled`]) searches its
//! [`resource_folders`](crate::onnx_runtime::resource_folders).
//!
//! `cargo xtask ear` puts the file, its licence and its notice into [`FOLDER`] of cargo's target
//! folder. `cargo xtask bundle` copies them into the bundles, if it can fetch them.

use std::path::{Path, PathBuf};

use crate::onnx_runtime::{FOLDER, find_above, program_folder, variable};

/// Environment variable with the path of the model.
pub const VARIABLE: &str = "CONTINUO_EAR";
/// Name of the model's file.
pub const NAME: &str = "basic-pitch.onnx";

/// Error of [`find`]. It says how to get the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; fetch it with `cargo xtask ear`, or name the model's file with {VARIABLE}")]
pub struct EarModelNotFound {
    problem: String,
}

/// Finds the model for a command: the file that its option names, the one in [`VARIABLE`], or the
/// first one beside `library` or near the program.
///
/// # Errors
/// Fails if a path is named and there is no file, or if none is named and none is found.
pub fn find(named: Option<&Path>, library: Option<&Path>) -> Result<PathBuf, EarModelNotFound> {
    find_among(
        named,
        variable(VARIABLE),
        library,
        program_folder().as_deref(),
    )
}

fn find_among(
    named: Option<&Path>,
    variable: Option<PathBuf>,
    library: Option<&Path>,
    program_folder: Option<&Path>,
) -> Result<PathBuf, EarModelNotFound> {
    if let Some(path) = named.map(Path::to_path_buf).or(variable) {
        return if path.is_file() {
            Ok(path)
        } else {
            let problem = format!(
                "the ear's model not found: there is no file {}",
                path.display()
            );
            Err(EarModelNotFound { problem })
        };
    }
    let beside = library.map(|library| library.with_file_name(NAME));
    let in_folder = Path::new(FOLDER).join(NAME);
    let places = [Path::new(NAME), &in_folder];
    beside
        .filter(|path| path.is_file())
        .or_else(|| find_above(program_folder?, &places, Path::is_file))
        .ok_or_else(|| EarModelNotFound {
            problem: format!(
                "the ear's model not found: no {NAME} beside the program or in target/{FOLDER}"
            ),
        })
}

/// Returns the first model in `folders`.
pub fn find_bundled(folders: &[PathBuf]) -> Option<PathBuf> {
    let mut paths = folders.iter().map(|folder| folder.join(NAME));
    paths.find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn option_precedes_variable_library_and_program() {
        let target = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = target.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let (named, variable) = (file("named.onnx"), file("variable.onnx"));
        let beside = file(&format!("lib/{NAME}"));
        let near = file(&format!("bin/{FOLDER}/{NAME}"));
        let (library, program) = (
            target.path().join("lib/x.so"),
            target.path().join("bin/debug"),
        );
        let find = |named: Option<&Path>, variable, library: Option<&Path>| {
            find_among(named, variable, library, Some(&program))
        };
        let all = find(Some(&named), Some(variable.clone()), Some(&library));
        assert_eq!(all, Ok(named));
        assert_eq!(
            find(None, Some(variable.clone()), Some(&library)),
            Ok(variable)
        );
        assert_eq!(find(None, None, Some(&library)), Ok(beside.clone()));
        assert_eq!(
            find(None, None, Some(&program.join("x.so"))),
            Ok(near.clone())
        );
        assert_eq!(find(None, None, None), Ok(near));
        assert_eq!(
            find_bundled(&[program, target.path().join("lib")]),
            Some(beside)
        );
    }

    #[test]
    fn missing_model_is_named_with_the_remedy() {
        let gone = find_among(Some(Path::new("gone.onnx")), None, None, None);
        let text = gone.unwrap_err().to_string();
        assert!(text.contains("no file gone.onnx"), "{text}");
        let text = find_among(None, None, None, None).unwrap_err().to_string();
        for part in [NAME, "cargo xtask ear", VARIABLE] {
            assert!(text.contains(part), "{text}");
        }
    }
}
