//! Resources of bundles: what the plugin and the standalone program need beside their binary.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use continuo_files::onnx_runtime;

use crate::target::Target;
use crate::{ear, runtime};

/// Path of the bundled model, in the repository and in the resources.
pub(crate) const MODEL: &str = "models/default";

/// Fetched files that bundles contain.
pub(crate) struct Fetched {
    /// ONNX Runtime, under the plugin's name for it.
    pub(crate) library: PathBuf,
    /// The ear's model; `None` if it could not be fetched.
    pub(crate) ear: Option<PathBuf>,
}

/// Fetches ONNX Runtime for a platform and the ear's model. If there is no way to the latter, prints
/// a line and goes on, since everything but audio works without it.
///
/// # Errors
///
/// Fails if ONNX Runtime cannot be fetched.
pub(crate) fn fetch(target: Target) -> Result<Fetched> {
    let folder = runtime::run(target)?;
    let ear = ear::run();
    if let Err(why) = &ear {
        eprintln!("note: {why:#}; without the ear's model, Continuo reads MIDI and no audio");
    }
    Ok(Fetched {
        library: folder.join(target.library(onnx_runtime::BUNDLED_NAME)),
        ear: ear.ok(),
    })
}

/// Copies ONNX Runtime, the models and the licences into a resources folder.
pub(crate) fn add_resources(to: &Path, fetched: &Fetched) -> Result<()> {
    remove(to)?;
    let take = |file: &Path, licences: [(&str, &str); 2]| {
        let folder = file.parent().context("a fetched file has no folder")?;
        let name = file.file_name().context("a fetched file has no name")?;
        let licences = licences.map(|(_, name)| OsStr::new(name));
        for name in [name].into_iter().chain(licences) {
            copy(&folder.join(name), &to.join(name))?;
        }
        anyhow::Ok(())
    };
    take(&fetched.library, runtime::LICENCES)?;
    if let Some(ear) = &fetched.ear {
        take(ear, ear::LICENCES)?;
    }
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(Path::new(name), &to.join(name))?;
    }
    if Path::new(MODEL).is_dir() {
        copy(Path::new(MODEL), &to.join(MODEL))?;
        // The plugin does not read the weights for further training.
        remove(&to.join(MODEL).join("weights.safetensors"))?;
    }
    Ok(())
}

/// Removes a file or a folder, if it exists.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Copies a file or a folder with its contents, and makes the folders above it. Removes an existing
/// file instead of overwriting it, since a host may have it mapped.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in
            fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?
        {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    remove(to)?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use continuo_files::ear_model;

    use super::*;
    use crate::{bundle, shell};

    /// Names of the files in a folder, in order.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| entry.path().is_file());
        let mut names: Vec<_> = files
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn resources_are_where_the_plugin_searches_them() {
        shell::enter_root().unwrap();
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("runtime");
        fs::create_dir(&folder).unwrap();
        let library = onnx_runtime::bundled_library_name();
        let mut runtime = vec![library.as_str()];
        runtime.extend(runtime::LICENCES.map(|(_, name)| name));
        let mut ear = vec![ear_model::NAME];
        ear.extend(ear::LICENCES.map(|(_, name)| name));
        for name in runtime.iter().chain(&ear) {
            fs::write(folder.join(name), name).unwrap();
        }
        let standalone = home.path().join("continuo-standalone");
        let beside = onnx_runtime::resources_beside(&standalone).unwrap();
        let bundles = bundle::places(home.path(), Target::host());
        for to in bundles
            .map(|(_, resources)| resources)
            .into_iter()
            .chain([beside])
        {
            for has_ear in [true, false] {
                let fetched = Fetched {
                    library: folder.join(&library),
                    ear: has_ear.then(|| folder.join(ear_model::NAME)),
                };
                add_resources(&to, &fetched).unwrap();
                let mut expected = vec!["LICENSE-APACHE", "LICENSE-MIT"];
                expected.extend(&runtime);
                expected.extend(ear.iter().filter(|_| has_ear));
                expected.sort_unstable();
                assert_eq!(names(&to), expected);
                let folders = [to.clone()];
                assert!(onnx_runtime::find_bundled(&folders).is_some());
                let found = ear_model::find_bundled(&folders);
                assert_eq!(found, has_ear.then(|| to.join(ear_model::NAME)));
            }
        }
    }
}
