//! What must be on the machine before anything else works. Rust is: this runs.
//!
//! The plugin links nothing but the C library (its window finds X11 and OpenGL when it opens),
//! so compilers of C (for the linker and for the few crates with C in them) and C++ with CMake
//! (for faiss) and pip (for ONNX Runtime) are the whole list; a virtual display, and what screen
//! readers speak through, are wanted for a test each.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// Something programs need, and the Debian packages that bring it.
struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    found: fn() -> bool,
}

const COMPILER: Need = Need {
    what: "a C compiler and linker (cc)",
    packages: &["gcc", "libc6-dev"],
    found: || cfg!(windows) || shell::succeeds("cc", &["--version"]),
};

const CXX: Need = Need {
    what: "a C++ compiler (g++ or c++)",
    packages: &["g++"],
    found: || cfg!(windows) || shell::succeeds("c++", &["--version"]),
};

/// faiss wants 3.24 or newer: Debian 12 has 3.25. CMake itself says so where it is older.
const CMAKE: Need = Need {
    what: "CMake (cmake)",
    packages: &["cmake", "make"],
    found: || shell::succeeds("cmake", &["--version"]),
};

const PIP: Need = Need {
    what: "Python 3 with pip",
    packages: &["python3", "python3-pip"],
    found: || python().is_some(),
};

/// For the editor in a real window: a display nobody sees, and OpenGL without a graphics card.
/// The plugin itself links none of it; it looks for it when its window opens.
const DISPLAY: Need = Need {
    what: "a virtual display (Xvfb) with OpenGL",
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

/// For the editor as a screen reader meets it: a session's bus, and AT-SPI on it.
const READING: Need = Need {
    what: "what screen readers speak through (D-Bus, AT-SPI)",
    packages: &["dbus", "at-spi2-core"],
    found: || {
        !cfg!(target_os = "linux")
            || (shell::succeeds("dbus-daemon", &["--version"])
                && Path::new("/usr/share/dbus-1/services/org.a11y.Bus.service").exists())
    },
};

/// The standalone program plays through ALSA (or JACK, which it looks for when it runs).
const SOUND: Need = Need {
    what: "ALSA's headers and pkg-config",
    packages: &["libasound2-dev", "pkg-config"],
    found: || !cfg!(target_os = "linux") || shell::succeeds("pkg-config", &["--exists", "alsa"]),
};

/// Makes sure that what plays through the system can be compiled.
pub(crate) fn sound() -> Result<()> {
    provide(&SOUND)
}

/// Makes sure that Rust code, and the C++ in it, can be compiled and linked.
pub(crate) fn compilers() -> Result<()> {
    provide(&COMPILER)?;
    provide(&CXX)?;
    provide(&CMAKE)
}

/// Has a virtual display, and what screen readers speak through, if they can be had; the tests
/// that want them do without them, and say so.
pub(crate) fn display() {
    if let Err(why) = provide(&DISPLAY) {
        eprintln!("the editor will not be tested in a window: {why:#}");
    }
    if let Err(why) = provide(&READING) {
        eprintln!("the editor will not be tested with a screen reader: {why:#}");
    }
}

/// Makes sure that there is a Python with pip, and says how to start it.
pub(crate) fn pip() -> Result<&'static str> {
    provide(&PIP)?;
    match python() {
        Some(python) => Ok(python),
        None => bail!("pip was installed, yet `python3 -m pip --version` still fails"),
    }
}

/// Makes sure that `cargo fmt` and `cargo clippy` are there.
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

/// The first Python that has pip. The system's own is tried too: a version manager's may
/// come first in the path and lack pip.
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

/// Installs what is missing where that is allowed, and otherwise says how to.
fn provide(need: &Need) -> Result<()> {
    if (need.found)() {
        return Ok(());
    }
    let packages = need.packages.join(" ");
    if !shell::succeeds("apt-get", &["--version"]) {
        bail!(
            "{} is missing; install it and run this again (on Debian: {packages})",
            need.what
        );
    }
    let by_hand = format!("sudo apt-get update && sudo apt-get install -y {packages}");
    let Some(mut prefix) = as_root() else {
        bail!(
            "{} is missing, and installing it needs a password; paste:  {by_hand}",
            need.what
        );
    };
    eprintln!("{} is missing: installing {packages}", need.what);
    prefix.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    // A list that cannot be refreshed may still be good enough; the install tells.
    let _ = shell::run(&mut apt(&prefix, &["update"]));
    let installed =
        shell::run(apt(&prefix, &["install", "-y", "--no-install-recommends"]).args(need.packages));
    if installed.is_err() || !(need.found)() {
        bail!(
            "{} is missing and could not be installed; try:  {by_hand}",
            need.what
        );
    }
    Ok(())
}

/// What to put before a command to run it as root, if that needs no password.
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
