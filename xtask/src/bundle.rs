//! `cargo xtask bundle`: builds the plugin's CLAP and VST3 bundles with their resources.
//!
//! ```text
//! Continuo.clap                      one file (a folder on macOS)
//! Continuo.resources/                beside the file (Contents/Resources inside the folder)
//! Continuo.vst3/Contents/Resources/
//!     libonnxruntime-continuo.so     named for the platform; its licences and ours
//!     basic-pitch.onnx               the ear's model, its licence and its notice
//!     models/default/                the model that ships
//! shell/                             completions and man pages of the commands
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use continuo_files::{ear_model, onnx_runtime};
use nice_plug_xtask::{Architecture, CompilationTarget};

use crate::{ear, linkage, prerequisites, runtime, shell};

/// Cargo package of the plugin.
pub(crate) const PACKAGE: &str = "continuo";
/// Name of the plugin in `bundler.toml`.
pub(crate) const NAME: &str = "Continuo";
/// Path of the bundled model, in the repository and in the resources.
const MODEL: &str = "models/default";

/// Options of `cargo xtask bundle`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Package to bundle; there is only one
    #[arg(default_value = PACKAGE)]
    package: String,
    /// Optimise (the default)
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// Build with checks instead of optimisation, for a debugger; too slow to play along
    #[arg(long)]
    debug: bool,
}

/// Files that bundles take from the runtime folder.
pub(crate) struct Fetched {
    /// The runtime folder, with ONNX Runtime.
    pub(crate) folder: PathBuf,
    /// Whether it has the ear's model, too.
    pub(crate) has_ear: bool,
}

/// Fetches ONNX Runtime and the ear's model. If there is no way to the latter, prints a line and goes
/// on, since everything but audio works without it.
///
/// # Errors
///
/// Fails if ONNX Runtime cannot be fetched.
pub(crate) fn fetch() -> Result<Fetched> {
    let folder = runtime::run()?;
    let ear = ear::run();
    if let Err(why) = &ear {
        eprintln!("note: {why:#}; without the ear's model, Continuo reads MIDI and no audio");
    }
    Ok(Fetched {
        folder,
        has_ear: ear.is_ok(),
    })
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.package != PACKAGE {
        bail!(
            "there is no plugin package `{}`; the one to bundle is {PACKAGE}",
            options.package
        );
    }
    let bundled = plugin(!options.debug)?;
    pages(&bundled.join("shell"), profile(!options.debug))
}

/// Builds the bundles into `target/bundled` and returns that folder.
///
/// # Errors
///
/// Fails if a prerequisite is missing or a build fails.
pub(crate) fn plugin(optimised: bool) -> Result<PathBuf> {
    prerequisites::compilers()?;
    let fetched = fetch()?;
    let profile = profile(optimised);
    build(profile)?;
    assemble(&shell::target_dir()?, profile, &fetched)
}

/// Returns the options of cargo for a build with or without optimisation.
fn profile(optimised: bool) -> &'static [&'static str] {
    if optimised { &["--release"] } else { &[] }
}

/// Writes shell completions and man pages of the commands into a folder. Builds `continuo` for
/// this, but not the trainer, which takes many minutes: its pages are written if it is built
/// already.
fn pages(to: &Path, profile: &[&str]) -> Result<()> {
    shell::run(
        shell::cargo()
            .args([
                "build",
                "--package",
                "continuo-command",
                "--bin",
                "continuo",
            ])
            .args(profile),
    )?;
    let target = shell::target_dir()?;
    let newest = if profile.is_empty() {
        "debug"
    } else {
        "release"
    };
    for program in ["continuo", "continuo-trainer"] {
        let built = [newest, "release", "debug"].map(|profile| {
            let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
            target.join(profile).join(name)
        });
        match built.iter().find(|path| path.is_file()) {
            Some(path) => {
                shell::run(Command::new(path).args(["pages", "--all"]).arg(to))?;
            }
            None => eprintln!(
                "note: {program} is not built, so its completions and man pages are not in {}; \
                 `cargo build --release --package {program}` and bundle again",
                to.display()
            ),
        }
    }
    eprintln!("{}", to.display());
    Ok(())
}

/// Builds the bundles for tests and returns their folder. They are debug builds that abort when
/// `process()` allocates. Their folder is another one, since they are not for use.
pub(crate) fn for_tests() -> Result<PathBuf> {
    prerequisites::compilers()?;
    let fetched = fetch()?;
    build(&["--features", "assert_process_allocs"])?;
    let target = shell::target_dir()?;
    let home = target.join("host-tests");
    let library = Path::new("debug").join(library_name());
    let to = home.join(&library);
    copy(&target.join(&library), &to)?;
    assemble(&home, &[], &fetched)
}

fn library_name() -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    format!("{DLL_PREFIX}{PACKAGE}{DLL_SUFFIX}")
}

fn build(args: &[&str]) -> Result<()> {
    shell::run(
        shell::cargo()
            .args(["build", "--package", PACKAGE, "--lib"])
            .args(args),
    )
}

/// Makes the bundles in `home/bundled` from the library that cargo built in `home`.
fn assemble(home: &Path, profile: &[&str], fetched: &Fetched) -> Result<PathBuf> {
    let profile: Vec<String> = profile.iter().map(ToString::to_string).collect();
    nice_plug_xtask::bundle(home, PACKAGE, &profile, false)?;
    let bundled = home.join("bundled");
    // nice-plug takes the command-line tool, which has the package's name, for a standalone plugin.
    for stray in [
        NAME.to_string(),
        format!("{NAME}.exe"),
        format!("{NAME}.app"),
    ] {
        let path = bundled.join(stray);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    for (bundle, resources) in places(&bundled) {
        if !bundle.exists() {
            bail!(
                "{} was not made; does the plugin export that format?",
                bundle.display()
            );
        }
        add_resources(&resources, fetched)?;
        if cfg!(target_os = "macos") {
            // The signature covers the resources, so the bundle is signed again.
            nice_plug_xtask::maybe_codesign(
                &bundle,
                CompilationTarget::MacOS(Architecture::AArch64),
            );
        }
        eprintln!("{}", bundle.display());
        for binary in binaries(&bundle, &resources)? {
            linkage::check(&binary)?;
        }
    }
    if !Path::new(MODEL).join("model.json").is_file() {
        eprintln!(
            "note: there is no {MODEL}/model.json, so the bundles have no model: the plugin will \
             load and pass notes through, and play only with CONTINUO_MODEL set to a model's folder"
        );
    }
    Ok(bundled)
}

/// Returns the files of a bundle that hosts load: the bundle itself, or all its files except the
/// resources. ONNX Runtime is a resource, which needs the system's C++ library and is loaded by the
/// plugin.
fn binaries(bundle: &Path, resources: &Path) -> Result<Vec<PathBuf>> {
    if bundle.is_file() {
        return Ok(vec![bundle.to_path_buf()]);
    }
    let mut found = Vec::new();
    for entry in
        fs::read_dir(bundle).with_context(|| format!("cannot list {}", bundle.display()))?
    {
        let path = entry?.path();
        if path != resources {
            found.extend(binaries(&path, resources)?);
        }
    }
    Ok(found)
}

/// Returns the paths of both bundles in a folder, each with the path of its resources.
pub(crate) fn places(folder: &Path) -> [(PathBuf, PathBuf); 2] {
    let clap = folder.join(format!("{NAME}.clap"));
    let vst3 = folder.join(format!("{NAME}.vst3"));
    let beside = onnx_runtime::resources_beside(&clap).filter(|_| !cfg!(target_os = "macos"));
    let clap_resources = beside.unwrap_or_else(|| onnx_runtime::resources_inside(&clap));
    let vst3_resources = onnx_runtime::resources_inside(&vst3);
    [(clap, clap_resources), (vst3, vst3_resources)]
}

/// Copies ONNX Runtime, the models and the licences into a resources folder.
pub(crate) fn add_resources(to: &Path, fetched: &Fetched) -> Result<()> {
    remove(to)?;
    let library = onnx_runtime::bundled_library_name();
    let mut names = vec![library.as_str()];
    names.extend(runtime::LICENCES.map(|(_, name)| name));
    if fetched.has_ear {
        names.push(ear_model::NAME);
        names.extend(ear::LICENCES.map(|(_, name)| name));
    }
    for name in names {
        copy(&fetched.folder.join(name), &to.join(name))?;
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
    use super::*;

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
        let bundles = places(home.path()).map(|(_, resources)| resources);
        for to in bundles.into_iter().chain([beside]) {
            for has_ear in [true, false] {
                let fetched = Fetched {
                    folder: folder.clone(),
                    has_ear,
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
