//! Wine: a prefix of its own in cargo's target folder, with a desktop on a virtual display.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::TRIPLE;
use crate::{prerequisites, shell};

/// Source of the library `bcryptprimitives.dll`, which Windows has from 8 on and Wine 8 has not.
/// Rust's standard library takes its random numbers from it.
const RANDOM_NUMBERS: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
    return SystemFunction036(bytes, (ULONG)count);
}
";

/// A Wine prefix with a running desktop, and a display for the windows in it. All its programs end
/// when it is dropped.
pub(super) struct Wine {
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
    pub(super) fn start() -> Result<Self> {
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
    pub(super) fn plugin_folder(&self, name: &str) -> Result<PathBuf> {
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
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("wine");
        self.environment(&mut command);
        command.arg(program);
        command
    }

    /// Makes cargo run Windows programs under Wine.
    pub(super) fn configure(&self, cargo: &mut Command) {
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
