//! `cargo xtask test --wine`: builds for Windows with MinGW, and tests the result under Wine.
//!
//! Hosts, commands and the trainer run as on Windows, against Windows' bundles and ONNX Runtime for
//! Windows, with paths of a drive. Tests that need Linux are not compiled. Wine is not Windows: what
//! it shows is that the code runs, and not how a system of Microsoft's looks or sounds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use continuo_files::onnx_runtime;

use crate::target::Target;
use crate::test::{Artifacts, Tally, run_tests};
use crate::{bundle, dist, prerequisites, resources, runtime, shell};

/// Rust's name of the platform that is tested.
const TRIPLE: &str = "x86_64-pc-windows-gnu";

/// Packages whose tests run under Wine: those that hosts, commands, and files depend on.
const PACKAGES: [&str; 6] = [
    "continuo-files",
    "continuo-cli",
    "continuo-command",
    "continuo-trainer",
    "continuo",
    "continuo-tests",
];

/// Blocks of the random run for each format.
const STRESS_BLOCKS: &str = "20000";

/// Source of the library `bcryptprimitives.dll`, which Windows has from 8 on and Wine 8 has not.
/// Rust's standard library takes its random numbers from it.
const RANDOM_NUMBERS: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
    return SystemFunction036(bytes, (ULONG)count);
}
";

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
        cargo.args([command, "--lib", "--bins", "--tests"]);
        cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
        target.configure(&mut cargo);
        cargo
    });
    shell::run(build.arg("--examples"))?;
    tests.arg("--no-fail-fast");
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
/// name: what it copies must equal the bundles, whether or not an earlier version lies there.
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
                .arg(installed);
            shell::run(&mut diff)
                .with_context(|| format!("install.cmd did not copy {name} whole"))?;
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

/// A Wine prefix with a running desktop, and a display for the windows in it. All its programs end
/// when it is dropped.
struct Wine {
    prefix: PathBuf,
    display: Option<Display>,
    desktop: Option<Child>,
}

/// A virtual display, ended when dropped.
struct Display {
    name: String,
    server: Child,
}

impl Wine {
    /// Makes the prefix in cargo's target folder, unless it is there, and starts a display.
    fn start() -> Result<Self> {
        let prefix = shell::target_dir()?.join("wine");
        fs::create_dir_all(&prefix).with_context(|| format!("cannot make {}", prefix.display()))?;
        let display = Display::start();
        if let Err(why) = &display {
            eprintln!("no windows will be opened under Wine: {why:#}");
        }
        let mut wine = Self {
            prefix,
            display: display.ok(),
            desktop: None,
        };
        let library = wine
            .prefix
            .join("drive_c/windows/system32/bcryptprimitives.dll");
        if !library.is_file() {
            eprintln!("making a Wine prefix in {}", wine.prefix.display());
            let mut boot = Command::new("wineboot");
            wine.environment(&mut boot);
            shell::run(
                boot.arg("--init")
                    .stdout(Stdio::null())
                    .stderr(Stdio::null()),
            )?;
            let source = wine.prefix.join("bcryptprimitives.c");
            fs::write(&source, RANDOM_NUMBERS)?;
            let mut gcc = Command::new(prerequisites::mingw_tool("gcc"));
            gcc.args(["-shared", "-o"]).arg(&library).arg(&source);
            shell::run(gcc.arg("-ladvapi32"))?;
        }
        wine.desktop = Some(wine.start_desktop()?);
        Ok(wine)
    }

    /// Starts Wine's desktop. The first program that asks for a desktop would start it otherwise, and
    /// it would inherit that program's output: whoever reads a pipe to its end would wait for ever.
    fn start_desktop(&self) -> Result<Child> {
        let mut desktop = self.command(Path::new("explorer.exe"));
        desktop.arg("/desktop").stdin(Stdio::null());
        desktop.stdout(Stdio::null()).stderr(Stdio::null());
        desktop.spawn().context("cannot start Wine's desktop")
    }

    /// A folder in which DAWs look for this user's plugins, such as `CLAP`.
    fn plugin_folder(&self, name: &str) -> Result<PathBuf> {
        let users = self.prefix.join("drive_c/users");
        for user in fs::read_dir(&users)? {
            let common = user?.path().join("AppData/Local/Programs/Common");
            if common.join(name).is_dir() {
                return Ok(common.join(name));
            }
        }
        bail!("no user in {} has plugins of {name}", users.display())
    }

    /// A Windows program under Wine.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("wine");
        self.environment(&mut command);
        command.arg(program);
        command
    }

    /// Makes cargo run Windows programs under Wine.
    fn configure(&self, cargo: &mut Command) {
        self.environment(cargo);
        let variable = TRIPLE.replace('-', "_").to_uppercase();
        cargo.env(format!("CARGO_TARGET_{variable}_RUNNER"), "wine");
    }

    fn environment(&self, command: &mut Command) {
        command.env("WINEPREFIX", &self.prefix);
        command.env("WINEDEBUG", "-all");
        // Wine would otherwise offer to download Mono and Gecko, and write menu entries.
        command.env("WINEDLLOVERRIDES", "mscoree=;mshtml=;winemenubuilder.exe=");
        match &self.display {
            Some(display) => command.env("DISPLAY", &display.name),
            None => command.env_remove("DISPLAY"),
        };
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        let mut server = Command::new("wineserver");
        self.environment(&mut server);
        let _ = server.arg("--kill").status();
        if let Some(desktop) = &mut self.desktop {
            let _ = desktop.wait();
        }
    }
}

impl Display {
    /// Starts Xvfb, which chooses a free number.
    fn start() -> Result<Self> {
        use std::io::{BufRead, BufReader};
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1280x1024x24",
                "-nolisten",
                "tcp",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start Xvfb")?;
        let output = server.stdout.take().context("Xvfb has no output")?;
        let mut number = String::new();
        BufReader::new(output).read_line(&mut number)?;
        if number.trim().is_empty() {
            bail!("Xvfb did not start");
        }
        Ok(Self {
            name: format!(":{}", number.trim()),
            server,
        })
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lie_on_wines_drive() {
        assert_eq!(windows_path(Path::new("/a b/ü")), "Z:/a b/ü");
    }
}
