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
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use continuo_files::onnx_runtime;

use crate::resources::{self, Fetched, MODEL, add_resources, copy};
use crate::target::{System, Target};
use crate::{linkage, shell};

/// Cargo package of the plugin.
pub(crate) const PACKAGE: &str = "continuo";
/// Name of the plugin in `bundler.toml`.
pub(crate) const NAME: &str = "Continuo";

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
    /// Build for another platform, by Rust's name: x86_64-pc-windows-gnu with MinGW; the others on
    /// their own systems. The bundles are then in target/PLATFORM/bundled
    #[arg(long, value_name = "PLATFORM")]
    target: Option<String>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.package != PACKAGE {
        bail!(
            "there is no plugin package `{}`; the one to bundle is {PACKAGE}",
            options.package
        );
    }
    let target = Target::named(options.target.as_deref())?;
    let bundled = plugin(target, !options.debug)?;
    match target.triple() {
        None => pages(&bundled.join("shell"), profile(!options.debug)),
        // The built command prints the pages, and that of another system does not run here.
        Some(_) => Ok(()),
    }
}

/// Builds the bundles into the `bundled` folder of cargo's folder for the platform, and returns it.
///
/// # Errors
///
/// Fails if a prerequisite is missing or a build fails.
pub(crate) fn plugin(target: Target, optimised: bool) -> Result<PathBuf> {
    target.prepare()?;
    let fetched = resources::fetch(target)?;
    let profile = profile(optimised);
    build(target, profile)?;
    let folder = target.folder()?;
    assemble(&Home { folder, target }, optimised, &fetched)
}

/// Returns the options of cargo for a build with or without optimisation.
fn profile(optimised: bool) -> &'static [&'static str] {
    if optimised { &["--release"] } else { &[] }
}

/// Returns the name of cargo's folder for a build with or without optimisation.
fn profile_folder(optimised: bool) -> &'static str {
    if optimised { "release" } else { "debug" }
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
pub(crate) fn for_tests(target: Target) -> Result<PathBuf> {
    target.prepare()?;
    let fetched = resources::fetch(target)?;
    build(target, &["--features", "assert_process_allocs"])?;
    let folder = target.folder()?.join("host-tests");
    let library = Path::new(profile_folder(false)).join(target.library(PACKAGE));
    copy(&target.folder()?.join(&library), &folder.join(&library))?;
    assemble(&Home { folder, target }, false, &fetched)
}

fn build(target: Target, args: &[&str]) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--package", PACKAGE, "--lib"]);
    target.configure(&mut cargo);
    shell::run(cargo.args(args))
}

/// A folder with a built library in `debug` or `release`, and bundles made of it in `bundled`.
struct Home {
    folder: PathBuf,
    target: Target,
}

/// Makes the bundles in `home/bundled` from the library that cargo built in `home`.
fn assemble(home: &Home, optimised: bool, fetched: &Fetched) -> Result<PathBuf> {
    let Home { folder, target } = home;
    let mut args: Vec<String> = profile(optimised).iter().map(ToString::to_string).collect();
    if let Some(triple) = target.triple() {
        // nice-plug takes the library from a folder of the platform's name.
        let library = Path::new(profile_folder(optimised)).join(target.library(PACKAGE));
        copy(&folder.join(&library), &folder.join(triple).join(&library))?;
        args.extend(["--target".into(), triple.into()]);
    }
    nice_plug_xtask::bundle(folder, PACKAGE, &args, false)?;
    let bundled = folder.join("bundled");
    // nice-plug takes the command-line tool, which has the package's name, for a standalone plugin.
    for stray in [
        NAME.to_string(),
        format!("{NAME}.exe"),
        format!("{NAME}.app"),
    ] {
        let path = bundled.join(stray);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    for (bundle, resources) in places(&bundled, *target) {
        if !bundle.exists() {
            bail!(
                "{} was not made; does the plugin export that format?",
                bundle.display()
            );
        }
        add_resources(&resources, fetched)?;
        describe(&bundle)?;
        // The signature covers the resources, so a bundle for macOS is signed again.
        nice_plug_xtask::maybe_codesign(&bundle, target.for_bundler()?);
        if target.system == System::MacOs && Target::host().system == System::MacOs {
            shell::run(
                Command::new("codesign")
                    .args(["--verify", "--strict"])
                    .arg(&bundle),
            )?;
        }
        eprintln!("{}", bundle.display());
        for binary in binaries(&bundle, &resources)? {
            linkage::check(&binary, linkage::PLUGIN_EXPORTS)?;
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

/// Writes identifier and version into the property list of a bundle for macOS. nice-plug gives both
/// formats the same ones.
fn describe(bundle: &Path) -> Result<()> {
    let path = bundle.join("Contents/Info.plist");
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(());
    };
    let format = bundle.extension().unwrap_or_default().to_string_lossy();
    let text = text
        .replace(
            "<string>1.0.0</string>",
            concat!("<string>", env!("CARGO_PKG_VERSION"), "</string>"),
        )
        .replace("com.nice-plug.continuo", &format!("org.continuo.{format}"));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
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
pub(crate) fn places(folder: &Path, target: Target) -> [(PathBuf, PathBuf); 2] {
    let clap = folder.join(format!("{NAME}.clap"));
    let vst3 = folder.join(format!("{NAME}.vst3"));
    let beside = onnx_runtime::resources_beside(&clap).filter(|_| target.system != System::MacOs);
    let clap_resources = beside.unwrap_or_else(|| onnx_runtime::resources_inside(&clap));
    let vst3_resources = onnx_runtime::resources_inside(&vst3);
    [(clap, clap_resources), (vst3, vst3_resources)]
}

/// Files and folders of an installed bundle of [`places`]: the bundle, and its resources if they lie
/// beside it and not inside.
pub(crate) fn installed(bundle: PathBuf, resources: PathBuf) -> impl Iterator<Item = PathBuf> {
    let beside = (!resources.starts_with(&bundle)).then_some(resources);
    std::iter::once(bundle).chain(beside)
}

#[cfg(test)]
mod tests;
