//! The platform that bundles are made for: this machine's, or another one's by cross-compilation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nice_plug_xtask::{Architecture, CompilationTarget};

use crate::{prerequisites, shell};

/// An operating system that Continuo runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Linux,
    Windows,
    MacOs,
}

/// The platforms that Continuo is made for: Rust's name, system, and processor.
const PLATFORMS: &[(&str, System, &str)] = &[
    ("x86_64-unknown-linux-gnu", System::Linux, "x86_64"),
    ("aarch64-unknown-linux-gnu", System::Linux, "aarch64"),
    ("x86_64-pc-windows-gnu", System::Windows, "x86_64"),
    ("x86_64-pc-windows-msvc", System::Windows, "x86_64"),
    ("aarch64-pc-windows-msvc", System::Windows, "aarch64"),
    ("x86_64-apple-darwin", System::MacOs, "x86_64"),
    ("aarch64-apple-darwin", System::MacOs, "aarch64"),
];

/// The platform that something is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Rust's name of the platform, if `--target` named it. Cargo then has a folder of that name.
    triple: Option<&'static str>,
    pub(crate) system: System,
    /// Processor, as in [`std::env::consts::ARCH`].
    pub(crate) arch: &'static str,
}

impl Target {
    /// The platform of this machine.
    pub(crate) fn host() -> Self {
        let system = match std::env::consts::OS {
            "windows" => System::Windows,
            "macos" => System::MacOs,
            _ => System::Linux,
        };
        Self {
            triple: None,
            system,
            arch: std::env::consts::ARCH,
        }
    }

    /// The platform that `--target` names, else this machine's.
    ///
    /// # Errors
    ///
    /// Fails if Continuo is not made for that platform.
    pub(crate) fn named(triple: Option<&str>) -> Result<Self> {
        let Some(wanted) = triple else {
            return Ok(Self::host());
        };
        let known = PLATFORMS.iter().find(|(triple, ..)| *triple == wanted);
        let Some(&(triple, system, arch)) = known else {
            let names: Vec<_> = PLATFORMS.iter().map(|(triple, ..)| *triple).collect();
            bail!(
                "--target {wanted}: Continuo is not made for it; it is made for {}",
                names.join(", ")
            );
        };
        Ok(Self {
            triple: Some(triple),
            system,
            arch,
        })
    }

    /// Every platform that Continuo is made for.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        PLATFORMS.iter().map(|&(triple, system, arch)| Self {
            triple: Some(triple),
            system,
            arch,
        })
    }

    /// System and processor for messages and archives: `windows-x86_64`, or `windows-msvc-x86_64` with
    /// Microsoft's compiler, of which nothing was run yet.
    pub(crate) fn name(self) -> String {
        let system = match self.system {
            System::Linux => "linux",
            System::Windows if self.is_msvc() => "windows-msvc",
            System::Windows => "windows",
            System::MacOs => "macos",
        };
        format!("{system}-{}", self.arch)
    }

    /// Rust's name of the platform.
    ///
    /// # Errors
    ///
    /// Fails if rustc does not say which platform this machine is.
    pub(crate) fn rust_name(self) -> Result<String> {
        if let Some(triple) = self.triple {
            return Ok(triple.into());
        }
        let said = Command::new("rustc").arg("-vV").output()?;
        let said = String::from_utf8(said.stdout)?;
        let host = said.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(host.context("`rustc -vV` names no host")?.into())
    }

    /// Rust's name of the platform, if `--target` named it.
    pub(crate) fn triple(self) -> Option<&'static str> {
        self.triple
    }

    /// The file name of a library.
    pub(crate) fn library(self, name: &str) -> String {
        match self.system {
            System::Linux => format!("lib{name}.so"),
            System::Windows => format!("{name}.dll"),
            System::MacOs => format!("lib{name}.dylib"),
        }
    }

    /// The file name of a program.
    pub(crate) fn program(self, name: &str) -> String {
        match self.system {
            System::Windows => format!("{name}.exe"),
            System::Linux | System::MacOs => name.into(),
        }
    }

    /// The platform for nice-plug's bundler.
    ///
    /// # Errors
    ///
    /// Fails if the bundler does not know the processor.
    pub(crate) fn for_bundler(self) -> Result<CompilationTarget> {
        let arch = match self.arch {
            "x86_64" => Architecture::X86_64,
            "aarch64" => Architecture::AArch64,
            other => bail!("bundles are not made for the processor {other}"),
        };
        Ok(match self.system {
            System::Linux => CompilationTarget::Linux(arch),
            System::Windows => CompilationTarget::Windows(arch),
            System::MacOs => CompilationTarget::MacOS(arch),
        })
    }

    /// Cargo's folder for this platform: `target`, or `target/TRIPLE`.
    ///
    /// # Errors
    ///
    /// Fails if the path cannot be resolved.
    pub(crate) fn folder(self) -> Result<PathBuf> {
        let target = shell::target_dir()?;
        Ok(self
            .triple
            .map_or(target.clone(), |triple| target.join(triple)))
    }

    /// Installs what a build for this platform needs.
    ///
    /// # Errors
    ///
    /// Fails if something is missing and cannot be installed, or if this machine cannot link for
    /// the platform.
    pub(crate) fn prepare(self) -> Result<()> {
        prerequisites::compilers()?;
        let Some(triple) = self.triple else {
            return Ok(());
        };
        let host = Self::host();
        if self.system == System::MacOs && host.system != System::MacOs {
            bail!(
                "{triple} needs Apple's linker; run this on a Mac. Here, `cargo xtask check \
                 --target {triple}` checks types"
            );
        }
        if self.is_msvc() && host.system != System::Windows {
            bail!(
                "{triple} needs Microsoft's linker; run this on Windows, or make bundles for \
                 x86_64-pc-windows-gnu here"
            );
        }
        if self.is_mingw() {
            prerequisites::mingw()?;
        }
        standard_library(triple)
    }

    /// Whether Microsoft's compiler builds for this platform.
    fn is_msvc(self) -> bool {
        let host = cfg!(target_env = "msvc");
        self.triple.map_or(host, |triple| triple.ends_with("-msvc"))
    }

    /// Whether MinGW's compilers build for this platform, on another system than Windows.
    pub(crate) fn is_mingw(self) -> bool {
        self.triple
            .is_some_and(|triple| triple.ends_with("-windows-gnu"))
            && Self::host().system != System::Windows
    }

    /// Adds `--target` and the compilers to a call of cargo. Goes after the subcommand.
    pub(crate) fn configure(self, cargo: &mut Command) {
        let Some(triple) = self.triple else {
            return;
        };
        cargo.args(["--target", triple]);
        if self.is_mingw() {
            let underscored = triple.replace('-', "_");
            let gcc = prerequisites::mingw_tool("gcc");
            let linker = format!("CARGO_TARGET_{}_LINKER", underscored.to_uppercase());
            cargo.env(linker, &gcc);
            cargo.env(format!("CC_{underscored}"), gcc);
            cargo.env(
                format!("CXX_{underscored}"),
                prerequisites::mingw_tool("g++"),
            );
        }
    }
}

/// Makes sure that Rust's standard library for a platform is there.
///
/// # Errors
///
/// Fails if it is missing and rustup cannot install it.
pub(crate) fn standard_library(triple: &str) -> Result<()> {
    if has_standard_library(triple)? {
        return Ok(());
    }
    eprintln!("Rust's library for {triple} is missing: rustup target add {triple}");
    shell::succeeds("rustup", &["target", "add", triple]);
    if !has_standard_library(triple)? {
        bail!("Rust's library for {triple} is missing; install it:  rustup target add {triple}");
    }
    Ok(())
}

fn has_standard_library(triple: &str) -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", triple])
        .output()
        .context("cannot start rustc")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_platform_has_its_own_folder_and_file_names() {
        let windows = Target::named(Some("x86_64-pc-windows-gnu")).unwrap();
        assert_eq!(windows.library("continuo"), "continuo.dll");
        assert_eq!(windows.program("continuo"), "continuo.exe");
        assert_eq!(windows.name(), "windows-x86_64");
        assert!(windows.folder().unwrap().ends_with("x86_64-pc-windows-gnu"));
        let host = Target::named(None).unwrap();
        assert_eq!(host.folder().unwrap(), shell::target_dir().unwrap());
        assert_eq!(
            host.program("continuo"),
            format!("continuo{}", std::env::consts::EXE_SUFFIX)
        );
    }

    #[test]
    fn unknown_platform_is_refused_with_the_known_ones() {
        let error = Target::named(Some("wasm32-unknown-unknown")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("wasm32") && text.contains("aarch64-apple-darwin"),
            "{text}"
        );
    }
}
