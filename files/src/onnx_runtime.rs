//! ONNX Runtime's library: its file names, its folder, and the order of the search for it.
//!
//! - The commands ([`find`]) load the file that an option names, or the file in [`VARIABLE`].
//!   Without both, they load the first [`library_name`] in the program's folder and the three above
//!   it, in each of them or in its [`FOLDER`]; or the plugin's, in the plugin's resources there.
//! - The plugin ([`find_bundled`]) loads the first [`bundled_library_name`] in the folders of
//!   [`resource_folders`]: the folder in [`RESOURCES_VARIABLE`], else inside the bundle, else
//!   beside the plugin's file.
//!
//! `cargo xtask runtime` puts both files into [`FOLDER`] of cargo's target folder, which lies above
//! every program that cargo builds. `cargo xtask bundle` copies the plugin's file into the bundles.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

/// Environment variable with the path of the library for the commands.
pub const VARIABLE: &str = "CONTINUO_RUNTIME";
/// Environment variable with the folder of the plugin's resources, instead of those of its bundle.
pub const RESOURCES_VARIABLE: &str = "CONTINUO_RESOURCES";
/// Name of the folder in cargo's target folder that has the library.
pub const FOLDER: &str = "runtime";

/// Folder with the CLAP's resources, from the folder that has the CLAP; the archives of a release have
/// the commands there too.
const RESOURCES: &str = if cfg!(target_os = "macos") {
    "Continuo.clap/Contents/Resources"
} else {
    "Continuo.resources"
};

/// Name of the folder of a bundle that has everything else.
const CONTENTS: &str = "Contents";

/// Number of folders that are searched: the program's folder and those above it. Cargo puts
/// programs at most that deep into its target folder: `target/<platform>/<profile>/deps`.
const DEPTH: usize = 4;

/// The library's name for the commands, without the prefix and suffix of the system.
pub const NAME: &str = "onnxruntime";
/// The library's name for the plugin, without the prefix and suffix of the system. This differs from
/// the usual name, because the host or another plugin may have loaded its own copy under that.
pub const BUNDLED_NAME: &str = "onnxruntime-continuo";

/// Returns the library's file name for the commands.
pub fn library_name() -> String {
    format!("{DLL_PREFIX}{NAME}{DLL_SUFFIX}")
}

/// Returns the library's file name for the plugin.
pub fn bundled_library_name() -> String {
    format!("{DLL_PREFIX}{BUNDLED_NAME}{DLL_SUFFIX}")
}

/// Error of [`find`]. It says how to get the library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; fetch it with `cargo xtask runtime`, or name the library with --runtime or \
     {VARIABLE}"
)]
pub struct RuntimeNotFound {
    problem: String,
}

/// Finds the library for a command: the file that its option names, the one in [`VARIABLE`], or
/// the first one near the program.
///
/// # Errors
/// Fails if a path is named and there is no file, or if none is named and none is found.
pub fn find(named: Option<&Path>) -> Result<PathBuf, RuntimeNotFound> {
    find_among(named, variable(VARIABLE), program_folder().as_deref())
}

fn find_among(
    named: Option<&Path>,
    variable: Option<PathBuf>,
    program_folder: Option<&Path>,
) -> Result<PathBuf, RuntimeNotFound> {
    if let Some(path) = named.map(Path::to_path_buf).or(variable) {
        return if path.is_file() {
            Ok(path)
        } else {
            let problem = format!(
                "ONNX Runtime not found: there is no file {}",
                path.display()
            );
            Err(RuntimeNotFound { problem })
        };
    }
    let name = library_name();
    let in_folder = Path::new(FOLDER).join(&name);
    let bundled = Path::new(RESOURCES).join(bundled_library_name());
    let places = [Path::new(&name), &in_folder, &bundled];
    program_folder
        .and_then(|folder| find_above(folder, &places, Path::is_file))
        .ok_or_else(|| RuntimeNotFound {
            problem: format!(
                "ONNX Runtime not found: no {name} beside the program or in target/{FOLDER}"
            ),
        })
}

/// Returns the first folder at the path `relative` from the program's folder or the three above it,
/// or from the plugin's resources in one of these.
pub fn find_folder_near_program(relative: &Path) -> Option<PathBuf> {
    let bundled = Path::new(RESOURCES).join(relative);
    find_above(&program_folder()?, &[relative, &bundled], Path::is_dir)
}

/// Returns the first of the `relative` paths that `exists`, from `folder` and the three above it.
pub(crate) fn find_above(
    folder: &Path,
    relative: &[&Path],
    exists: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    folder
        .ancestors()
        .take(DEPTH)
        .flat_map(|folder| relative.iter().map(move |path| folder.join(path)))
        .find(|path| exists(path))
}

/// Returns the folder of the running program, with links followed; `None` if the system does not
/// know it.
pub(crate) fn program_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    // Windows canonicalises to paths that begin with `\\?\`, and cannot on some drives.
    let program = if cfg!(windows) {
        program
    } else {
        program.canonicalize().ok()?
    };
    program.parent().map(Path::to_path_buf)
}

/// Returns the first library with the file name for the plugin in `folders`.
pub fn find_bundled(folders: &[PathBuf]) -> Option<PathBuf> {
    let name = bundled_library_name();
    let mut paths = folders.iter().map(|folder| folder.join(&name));
    paths.find(|path| path.is_file())
}

/// Returns the folders in which the plugin searches its resources, in order; `own` is the path of
/// the plugin's library or program.
///
/// - The folder in [`RESOURCES_VARIABLE`]; if the variable is set, that is the only one.
/// - [`resources_inside`] a bundle that is a folder:
///   `Continuo.vst3/Contents/x86_64-linux/Continuo.so`, `Continuo.clap/Contents/MacOS/Continuo`.
/// - [`resources_beside`] a single file: `Continuo.clap` on Linux and Windows.
pub fn resource_folders(own: Option<&Path>) -> Vec<PathBuf> {
    resource_folders_among(variable(RESOURCES_VARIABLE), own)
}

fn resource_folders_among(variable: Option<PathBuf>, own: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = variable {
        return vec![folder];
    }
    let Some(own) = own else {
        return Vec::new();
    };
    let contents = own
        .ancestors()
        .nth(2)
        .filter(|folder| folder.file_name().is_some_and(|name| name == CONTENTS));
    let inside = contents.and_then(Path::parent).map(resources_inside);
    inside.into_iter().chain(resources_beside(own)).collect()
}

/// Returns the folder of the resources inside a bundle that is a folder.
pub fn resources_inside(bundle: &Path) -> PathBuf {
    bundle.join(CONTENTS).join("Resources")
}

/// Returns the folder of the resources beside a plugin or program that is one file; `None` if
/// `file` has no name.
pub fn resources_beside(file: &Path) -> Option<PathBuf> {
    let mut name = file.file_stem()?.to_os_string();
    name.push(".resources");
    Some(file.with_file_name(name))
}

/// Returns the path in an environment variable; an empty variable counts as missing.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Makes an empty file and the folders above it.
    fn touch(path: PathBuf) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    }

    #[test]
    fn option_precedes_variable_and_both_precede_the_search() {
        let target = tempfile::tempdir().unwrap();
        let file = |name: &str| touch(target.path().join(name));
        let (named, variable) = (file("named.so"), file("variable.so"));
        file(&library_name());
        let find =
            |named: Option<&Path>, variable| find_among(named, variable, Some(target.path()));
        assert_eq!(
            find(Some(&named), Some(variable.clone())),
            Ok(named.clone())
        );
        assert_eq!(find(None, Some(variable.clone())), Ok(variable));
        assert_eq!(find(None, None), Ok(target.path().join(library_name())));
    }

    #[test]
    fn nearest_library_is_found_beside_the_program_first() {
        let target = tempfile::tempdir().unwrap();
        let program = target.path().join("platform").join("debug").join("deps");
        fs::create_dir_all(&program).unwrap();
        let find = || find_among(None, None, Some(&program));
        assert!(find().is_err());
        // From the last place of the search to the first.
        for folder in [
            target.path().join(FOLDER),
            target.path().to_path_buf(),
            program.parent().unwrap().join(FOLDER),
            program.join(FOLDER),
            program.clone(),
        ] {
            let path = touch(folder.join(library_name()));
            assert_eq!(find(), Ok(path));
        }
        // A folder with that name is no library.
        fs::remove_file(program.join(library_name())).unwrap();
        fs::create_dir(program.join(library_name())).unwrap();
        assert_eq!(find(), Ok(program.join(FOLDER).join(library_name())));
        // The program's folder and three above it are searched, no more.
        let find_from = |folder: &str| find_among(None, None, Some(&target.path().join(folder)));
        assert!(find_from("a/b/c").is_ok());
        assert!(find_from("a/b/c/d").is_err());
    }

    #[test]
    fn missing_library_is_named_with_the_remedy() {
        let empty = tempfile::tempdir().unwrap();
        touch(empty.path().join(library_name()));
        let gone = Path::new("gone.so");
        for problem in [
            find_among(Some(gone), None, Some(empty.path())),
            find_among(None, Some(gone.into()), Some(empty.path())),
        ] {
            let text = problem.unwrap_err().to_string();
            assert!(text.contains("no file gone.so"), "{text}");
        }
        let text = find_among(None, None, None).unwrap_err().to_string();
        for part in [
            &library_name(),
            "cargo xtask runtime",
            "--runtime",
            VARIABLE,
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn resources_are_inside_a_bundle_or_beside_a_single_file() {
        let vst3 = Path::new("/p/Continuo.vst3/Contents/x86_64-linux/Continuo.so");
        assert_eq!(
            resource_folders_among(None, Some(vst3)),
            [
                Path::new("/p/Continuo.vst3/Contents/Resources"),
                Path::new("/p/Continuo.vst3/Contents/x86_64-linux/Continuo.resources"),
            ]
        );
        let clap = Path::new("/p/Continuo.clap");
        assert_eq!(
            resource_folders_among(None, Some(clap)),
            [Path::new("/p/Continuo.resources")]
        );
        assert!(resource_folders_among(None, None).is_empty());
    }

    #[test]
    fn named_resource_folder_is_the_only_one() {
        let clap = Path::new("/p/Continuo.clap");
        assert_eq!(
            resource_folders_among(Some("/r".into()), Some(clap)),
            [Path::new("/r")]
        );
    }

    #[test]
    fn bundled_library_is_the_first_with_the_plugins_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        touch(first.join(library_name()));
        let folders = [first.clone(), second.clone()];
        assert_eq!(find_bundled(&folders), None);
        let later = touch(second.join(bundled_library_name()));
        assert_eq!(find_bundled(&folders), Some(later));
        let sooner = touch(first.join(bundled_library_name()));
        assert_eq!(find_bundled(&folders), Some(sooner));
    }
}
