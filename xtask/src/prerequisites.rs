//! Programs and libraries, besides Rust itself, that must be installed before other commands work.
//!
//! The plugin links nothing but the C library; its window loads X11 and OpenGL when it opens.
//! Therefore the list is short: a C compiler (for the linker and crates with C code), C++, CMake
//! and make (for faiss), and pip (for ONNX Runtime). The standalone program also needs ALSA's
//! headers. A virtual display and AT-SPI are optional: without them, tests of the editor are
//! skipped.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// A prerequisite.
struct Prerequisite {
    /// Name in messages.
    name: &'static str,
    /// Debian packages that provide it.
    packages: &'static [&'static str],
    /// Whether it is installed.
    found: fn() -> bool,
}

const COMPILER: Prerequisite = Prerequisite {
    name: "a C compiler and linker (cc)",
    packages: &["gcc", "libc6-dev"],
    found: || cfg!(windows) || shell::succeeds("cc", &["--version"]),
};

const CXX: Prerequisite = Prerequisite {
    name: "a C++ compiler (c++)",
    packages: &["g++"],
    found: || cfg!(windows) || shell::succeeds("c++", &["--version"]),
};

/// Version of CMake that faiss requires. Debian 12 has 3.25.
const CMAKE: Prerequisite = Prerequisite {
    name: "CMake 3.24 or newer (cmake)",
    packages: &["cmake"],
    found: || cmake_version().is_some_and(|version| version >= OLDEST_CMAKE),
};

/// Oldest usable version of CMake: `cmake_minimum_required` of faiss.
const OLDEST_CMAKE: (u32, u32) = (3, 24);

/// CMake builds its Makefiles with make, unless `CMAKE_GENERATOR` selects another generator.
const MAKE: Prerequisite = Prerequisite {
    name: "make",
    packages: &["make"],
    found: || {
        cfg!(windows)
            || std::env::var_os("CMAKE_GENERATOR").is_some()
            || shell::succeeds("make", &["--version"])
    },
};

const PIP: Prerequisite = Prerequisite {
    name: "Python 3 with pip",
    packages: &["python3", "python3-pip"],
    found: || python().is_some(),
};

/// Tests of the editor in a window need a virtual display, and OpenGL without a graphics card. The
/// plugin links none of these libraries and loads them when its window opens.
const DISPLAY: Prerequisite = Prerequisite {
    name: "a virtual display (Xvfb) with OpenGL",
    packages: &[
        "xvfb",
        "libgl1",
        "libgl1-mesa-dri",
        "libx11-xcb1",
        "libxcursor1",
        "libxkbcommon-x11-0",
    ],
    found: || !cfg!(target_os = "linux") || shell::succeeds("Xvfb", &["-help"]),
};

/// Tests of the editor with a screen reader need a session bus and AT-SPI.
const ACCESSIBILITY: Prerequisite = Prerequisite {
    name: "the interface of screen readers (D-Bus, AT-SPI)",
    packages: &["dbus", "at-spi2-core"],
    found: || {
        !cfg!(target_os = "linux")
            || (shell::succeeds("dbus-daemon", &["--version"])
                && Path::new("/usr/share/dbus-1/services/org.a11y.Bus.service").exists())
    },
};

/// The standalone program needs these libraries. It plays through ALSA or, if it finds it at run
/// time, JACK.
const SOUND: Prerequisite = Prerequisite {
    name: "ALSA's headers and pkg-config",
    packages: &["libasound2-dev", "pkg-config"],
    found: || !cfg!(target_os = "linux") || shell::succeeds("pkg-config", &["--exists", "alsa"]),
};

/// Builds for Windows on another system need MinGW's compilers, in the variant with POSIX threads.
const MINGW: Prerequisite = Prerequisite {
    name: "a compiler for Windows (MinGW, x86_64-w64-mingw32-g++)",
    packages: &["g++-mingw-w64-x86-64-posix"],
    found: || shell::succeeds(&mingw_tool("g++"), &["--version"]),
};

/// Tests on Windows' behalf run under Wine.
const WINE: Prerequisite = Prerequisite {
    name: "Wine, 64 bits",
    packages: &["wine", "wine64"],
    found: || shell::succeeds("wine", &["--version"]),
};

/// Installs MinGW's compilers.
///
/// # Errors
///
/// Fails if they are missing and cannot be installed.
pub(crate) fn mingw() -> Result<()> {
    provide(&MINGW)
}

/// Installs Wine.
///
/// # Errors
///
/// Fails if it is missing and cannot be installed.
pub(crate) fn wine() -> Result<()> {
    provide(&WINE)
}

/// Name of a program of MinGW. Debian's variant with POSIX threads has an ending of its own; other
/// distributions have no other variant.
pub(crate) fn mingw_tool(tool: &str) -> String {
    let plain = format!("x86_64-w64-mingw32-{tool}");
    let posix = format!("{plain}-posix");
    if shell::succeeds(&posix, &["--version"]) {
        posix
    } else {
        plain
    }
}

/// Installs the prerequisites of the standalone program.
///
/// # Errors
///
/// Fails if they are missing and cannot be installed.
pub(crate) fn sound() -> Result<()> {
    provide(&SOUND)
}

/// Installs the compilers, CMake and make.
///
/// # Errors
///
/// Fails if one is missing and cannot be installed.
pub(crate) fn compilers() -> Result<()> {
    provide(&COMPILER)?;
    provide(&CXX)?;
    provide(&CMAKE)?;
    provide(&MAKE)
}

/// Installs a virtual display and the interface of screen readers, if possible. Without them, their
/// tests are skipped with a message.
pub(crate) fn display() {
    if let Err(why) = provide(&DISPLAY) {
        eprintln!("the editor will not be tested in a window: {why:#}");
    }
    if let Err(why) = provide(&ACCESSIBILITY) {
        eprintln!("the editor will not be tested with a screen reader: {why:#}");
    }
}

/// Installs Python with pip and returns the command that starts this Python.
///
/// # Errors
///
/// Fails if it is missing and cannot be installed.
pub(crate) fn pip() -> Result<&'static str> {
    provide(&PIP)?;
    match python() {
        Some(python) => Ok(python),
        None => bail!(
            "pip was installed, yet `python3 -m pip --version` still fails; run it to see why"
        ),
    }
}

/// Installs `cargo fmt` and `cargo clippy`.
///
/// # Errors
///
/// Fails if one is missing and rustup cannot install it.
pub(crate) fn lints() -> Result<()> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let missing = || !shell::succeeds("cargo", &[tool, "--version"]);
        if missing() {
            eprintln!("cargo {tool} is missing: rustup component add {component}");
            shell::succeeds("rustup", &["component", "add", component]);
        }
        if missing() {
            bail!("cargo {tool} is missing; install it:  rustup component add {component}");
        }
    }
    Ok(())
}

/// Whether cargo-deny is installed. If it is not, prints how to install it: that takes minutes, so
/// it is left to the user and to continuous integration.
pub(crate) fn has_deny() -> bool {
    let found = shell::succeeds("cargo", &["deny", "--version"]);
    if !found {
        eprintln!(
            "licences of dependencies are not checked: cargo deny is missing; install it:  cargo \
             install --locked cargo-deny"
        );
    }
    found
}

/// Returns the first Python that has pip. Tries the system's own too, since a version manager's
/// Python may come first in the path and lack pip.
fn python() -> Option<&'static str> {
    let names: &[&str] = if cfg!(windows) {
        &["python", "py", "python3"]
    } else {
        &["python3", "/usr/bin/python3"]
    };
    names
        .iter()
        .copied()
        .find(|name| shell::succeeds(name, &["-m", "pip", "--version"]))
}

/// Returns the major and minor version of the installed CMake.
fn cmake_version() -> Option<(u32, u32)> {
    let output = Command::new("cmake").arg("--version").output().ok()?;
    parse_cmake_version(&String::from_utf8_lossy(&output.stdout))
}

/// Parses the major and minor version in a line like `cmake version 3.25.1`.
fn parse_cmake_version(text: &str) -> Option<(u32, u32)> {
    let version = text.split_once("cmake version ")?.1;
    let mut numbers = version.split('.').map(|number| number.trim().parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Installs a missing prerequisite if that needs no password.
///
/// # Errors
///
/// Fails if it cannot be installed; the error names the command that installs it.
fn provide(prerequisite: &Prerequisite) -> Result<()> {
    if (prerequisite.found)() {
        return Ok(());
    }
    let packages = prerequisite.packages.join(" ");
    if !shell::succeeds("apt-get", &["--version"]) {
        bail!(
            "{} is missing; install it and run this again (its packages on Debian: {packages})",
            prerequisite.name
        );
    }
    let by_hand = format!("sudo apt-get update && sudo apt-get install -y {packages}");
    let Some(mut prefix) = as_root() else {
        bail!(
            "{} is missing, and installing it needs a password; paste:  {by_hand}",
            prerequisite.name
        );
    };
    eprintln!("{} is missing: installing {packages}", prerequisite.name);
    prefix.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    // An outdated package list may be good enough; the installation decides.
    let _ = shell::run(&mut apt(&prefix, &["update"]));
    let installed = shell::run(
        apt(&prefix, &["install", "-y", "--no-install-recommends"]).args(prerequisite.packages),
    );
    if installed.is_err() || !(prerequisite.found)() {
        bail!(
            "{} is missing and could not be installed; try:  {by_hand}",
            prerequisite.name
        );
    }
    Ok(())
}

/// Returns the prefix that runs a command as root; `None` if that needs a password.
fn as_root() -> Option<Vec<&'static str>> {
    let uid = Command::new("id").arg("-u").output().ok()?;
    if uid.stdout.trim_ascii() == b"0" {
        Some(Vec::new())
    } else {
        shell::succeeds("sudo", &["-n", "true"]).then(|| vec!["sudo", "-n"])
    }
}

fn apt(prefix: &[&str], args: &[&str]) -> Command {
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmake_version_is_read_and_compared() {
        let version = |text| parse_cmake_version(text).unwrap();
        assert_eq!(version("cmake version 3.25.1\n\nCMake suite"), (3, 25));
        assert!(version("cmake version 3.22.1") < OLDEST_CMAKE);
        assert!(version("cmake version 4.0.0-rc1") >= OLDEST_CMAKE);
        assert_eq!(parse_cmake_version("zsh: command not found"), None);
    }
}
