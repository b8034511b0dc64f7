//! Reads released crates from cargo's cache, and downloads missing ones with cargo.
//!
//! Cargo stores each downloaded crate as `registry/cache/*/NAME-VERSION.crate` in its folder
//! (CARGO_HOME). `cargo info` downloads a missing crate without its dependencies, from the sources
//! for which cargo is configured.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;

use super::file::PatchFile;
use super::tree::{self, Tree};
use crate::shell;
use crate::wheel::sha256;

/// Cargo's cache of downloaded crates.
pub(super) struct Registry {
    /// Cargo's folder.
    pub(super) cargo_home: PathBuf,
}

impl Registry {
    /// Returns the cache of the current user.
    pub(super) fn of_user() -> Result<Self> {
        let set = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty());
        let cargo_home = set
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
            .context("there is no home folder; set CARGO_HOME to cargo's folder")?;
        let cargo_home = std::path::absolute(cargo_home)?;
        Ok(Self { cargo_home })
    }

    /// Returns the files of the crate that a patch file changes.
    ///
    /// # Errors
    ///
    /// Fails if cargo cannot download the crate, or if cargo's file is not the one that the patch
    /// file pins.
    pub(super) fn fetch(&self, patch: &PatchFile) -> Result<Tree> {
        let name = format!("{}-{}", patch.name, patch.version);
        let pinned = || {
            let mut cached = self.cached(&name).into_iter();
            cached.find_map(|(_, bytes)| (sha256(&bytes) == patch.sha256).then_some(bytes))
        };
        let bytes = match pinned() {
            Some(bytes) => bytes,
            None => {
                let downloaded = self.download(patch);
                match (pinned(), self.cached(&name).pop()) {
                    (Some(bytes), _) => bytes,
                    (None, Some((path, other))) => bail!(
                        "{} is not the crate that {} pins and was not used (SHA-256 {}, expected \
                         {}); check where cargo downloads from, delete the file and run this again",
                        path.display(),
                        patch.path.display(),
                        sha256(&other),
                        patch.sha256
                    ),
                    (None, None) => {
                        downloaded?;
                        bail!(
                            "cargo knows {name}, but there is no {name}.crate in {}; a source that \
                             keeps none, like the folder that `cargo vendor` makes, does not serve \
                             here",
                            self.cache().display()
                        )
                    }
                }
            }
        };
        unpack(&bytes, &name).with_context(|| format!("cannot unpack {name}.crate"))
    }

    /// Returns the path and the content of every file of a crate in the cache: one for each source
    /// of crates.
    fn cached(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let sources = fs::read_dir(self.cache()).into_iter().flatten().flatten();
        let paths = sources.map(|source| source.path().join(format!("{name}.crate")));
        paths
            .filter_map(|path| fs::read(&path).ok().map(|bytes| (path, bytes)))
            .collect()
    }

    fn cache(&self) -> PathBuf {
        self.cargo_home.join("registry").join("cache")
    }

    /// Downloads the crate into cargo's cache.
    fn download(&self, patch: &PatchFile) -> Result<()> {
        let spec = format!("{}@{}", patch.name, patch.version);
        let mut cargo = shell::cargo();
        cargo.args(["info", "--quiet", "--color=never", &spec]);
        cargo.env("CARGO_HOME", &self.cargo_home);
        // The workspace of the repository's root does not resolve yet.
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        let shown = shell::show(&cargo);
        let output = cargo
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start `{shown}`"))?;
        if !output.status.success() {
            bail!(
                "cannot download {spec}; run this once with a network, or copy {}-{}.crate into \
                 a folder in {}. `{shown}` says: {}",
                patch.name,
                patch.version,
                self.cache().display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}

/// Returns the files in a `.crate`, which is a gzipped tar with one folder NAME-VERSION.
fn unpack(bytes: &[u8], name: &str) -> Result<Tree> {
    let mut files = Tree::new();
    for entry in tar::Archive::new(GzDecoder::new(bytes)).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.into_owned();
        let path = inside(&path, name)
            .with_context(|| format!("{} is not inside {name}", path.display()))?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if tree::is_part(path.split('/').next().unwrap_or_default()) {
            files.insert(path, bytes);
        }
    }
    Ok(files)
}

/// Returns a path relative to the folder `name`; `None` if it leads outside.
fn inside(path: &Path, name: &str) -> Option<String> {
    let relative = path.strip_prefix(name).ok()?;
    let parts = relative.components().map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    Some(parts.collect::<Option<Vec<_>>>()?.join("/")).filter(|path| !path.is_empty())
}
