//! `cargo xtask test --wine`: builds for Windows with MinGW, and tests the result under Wine.
//!
//! Hosts, commands and the trainer run as on Windows, against Windows' bundles and ONNX Runtime for
//! Windows, with paths of a drive. Tests that need Linux are not compiled. Wine is not Windows: what
//! it shows is that the code runs, and not how a system of Microsoft's looks or sounds.

mod prefix;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use continuo_files::onnx_runtime;

use crate::target::Target;
use crate::test::{Artifacts, Tally, run_tests};
use crate::{bundle, dist, prerequisites, resources, runtime, shell};
use prefix::Wine;

/// Rust's name of the platform that is tested.
const TRIPLE: &str = "x86_64-pc-windows-gnu";

/// Blocks of the random run for each format.
const STRESS_BLOCKS: &str = "20000";

/// Tests for Windows under Wine. `linux` are the artefacts of the ordinary tests, whose models are
/// used here too. Returns the numbers of tests.
///
/// # Errors
///
/// Fails if a prerequisite is missing, or if a build or a test fails.
pub(crate) fn run(linux: &Artifacts) -> Result<Tally> {
    prerequisites::wine()?;
    let target = Target::named(Some(TRIPLE))?;
    let bundled = bundle::for_tests(target)?;
    let library = runtime::folder(target)?.join(target.library(onnx_runtime::NAME));
    let wine = Wine::start()?;

    let mut tally = Tally::default();
    // Tests run examples, and programs of other packages, which `cargo test` would not build.
    let [mut build, mut tests] = ["build", "test"].map(|command| {
        let mut cargo = shell::cargo();
        cargo.args([command, "--workspace", "--lib", "--bins", "--tests"]);
        target.configure(&mut cargo);
        cargo
    });
    shell::run(build.arg("--examples"))?;
    tests.arg("--no-fail-fast");
    // Wine 8 now and then refuses to start a program while another one starts.
    tests.env("RUST_TEST_THREADS", "1");
    wine.configure(&mut tests);
    tests.env(onnx_runtime::VARIABLE, windows_path(&library));
    tests.env("CONTINUO_TEST_BUNDLES", windows_path(&bundled));
    tests.env(
        "CONTINUO_TEST_RUNTIME",
        windows_path(&runtime::folder(target)?),
    );
    tests.env("CONTINUO_TEST_MODEL", windows_path(&linux.model));
    tests.env("CONTINUO_TEST_XL_MODEL", windows_path(&linux.xl_model));
    run_tests(&mut tests, &mut tally)?;

    let programs = target.folder()?.join("debug");
    let mut stress = wine.command(&programs.join("stress.exe"));
    stress.args(["--blocks", STRESS_BLOCKS, "--seed", "13", "--bundles"]);
    stress.arg(windows_path(&bundled));
    shell::run(stress.env("CONTINUO_MODEL", windows_path(&linux.model)))?;

    same_notes_as_on_linux(&wine, &programs, &bundled, linux)?;
    script_installs(&wine, &bundled)?;
    Ok(tally)
}

/// Runs the script that Windows' archive contains, from a folder with a space and an emoji in its
/// name. What lies there afterwards must equal the bundles: also the second time, when the version
/// before has a file more.
fn script_installs(wine: &Wine, bundled: &Path) -> Result<()> {
    let folder = shell::target_dir()?.join("wine-install/Continuo 🎹");
    resources::remove(&folder)?;
    resources::copy(bundled, &folder)?;
    fs::write(folder.join("install.cmd"), dist::INSTALL_CMD)?;
    for _ in 0..2 {
        let mut script = wine.command(Path::new("cmd"));
        script.args(["/c", "install.cmd", "/quiet"]);
        shell::run(script.current_dir(&folder).stdin(Stdio::null()))?;
        for (kind, extension) in [("CLAP", "clap"), ("CLAP", "resources"), ("VST3", "vst3")] {
            let name = format!("{}.{extension}", bundle::NAME);
            let installed = wine.plugin_folder(kind)?.join(&name);
            let mut diff = Command::new("diff");
            diff.arg("--recursive")
                .arg(folder.join(&name))
                .arg(&installed);
            shell::run(&mut diff)
                .with_context(|| format!("install.cmd did not copy {name} whole"))?;
            if installed.is_dir() {
                fs::write(installed.join("of an earlier version"), "")?;
            }
        }
    }
    println!("install.cmd: copies both bundles whole, twice");
    Ok(())
}

/// Plays three seeds to both systems' CLAPs and compares the MIDI files.
fn same_notes_as_on_linux(
    wine: &Wine,
    programs: &Path,
    bundled: &Path,
    linux: &Artifacts,
) -> Result<()> {
    let target = shell::target_dir()?;
    let clap = format!("{}.clap", bundle::NAME);
    for seed in ["1", "2", "3"] {
        let outs = ["linux", "windows"].map(|system| target.join("wine-demo").join(system));
        let mut ours = Command::new(target.join("debug/demo"));
        ours.arg("--bundle").arg(linux.bundled.join(&clap));
        ours.env("CONTINUO_MODEL", &linux.model);
        ours.arg("--out").arg(&outs[0]);
        let mut theirs = wine.command(&programs.join("demo.exe"));
        theirs
            .arg("--bundle")
            .arg(windows_path(&bundled.join(&clap)));
        theirs.env("CONTINUO_MODEL", windows_path(&linux.model));
        theirs.arg("--out").arg(windows_path(&outs[1]));
        for demo in [&mut ours, &mut theirs] {
            shell::run(
                demo.args(["--bars", "8", "--seed", seed])
                    .stdout(Stdio::null()),
            )?;
        }
        let [ours, theirs] = outs.map(|out| fs::read(out.join("played.mid")));
        if ours? != theirs? {
            bail!("played.mid of seed {seed} differs between Linux and Windows");
        }
    }
    println!("played.mid of three seeds: the same bytes on Linux and under Wine");
    Ok(())
}

/// A path as Windows programs see it: Wine's drive `Z:` is the root folder.
fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lie_on_wines_drive() {
        assert_eq!(windows_path(Path::new("/a b/ü")), "Z:/a b/ü");
    }
}
