//! Python wheels: downloads a pinned one with pip, and takes files out of it.
//!
//! pip downloads the wheel by name and version, so that its mirrors, caches and folders of wheels
//! work, also without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{prerequisites, shell};

/// A pinned wheel.
pub(crate) struct Wheel<'a> {
    /// Name of the contents in messages.
    pub(crate) contents: &'a str,
    /// Name and version for pip: `name==version`.
    pub(crate) package: &'a str,
    /// Options of pip that choose one wheel of the package.
    pub(crate) choice: &'a [&'a str],
    /// SHA-256 of the wheel.
    pub(crate) sha256: &'a str,
    /// The command of xtask that fetches it.
    pub(crate) command: &'a str,
}

impl Wheel<'_> {
    /// Downloads the wheel below `dir`, checks its hash, gives it to `unpack`, and removes it.
    ///
    /// # Errors
    ///
    /// Fails if pip cannot download the wheel, if it is another one, or if `unpack` fails.
    pub(crate) fn fetch(
        &self,
        dir: &Path,
        unpack: impl FnOnce(&mut Archive) -> Result<()>,
    ) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        // Another process may run at the same time; each has its own folder.
        let scratch = dir.join(format!("download-{}", std::process::id()));
        let fetched = self.download(&scratch).and_then(|path| {
            let file = fs::File::open(path)?;
            let archive = zip::ZipArchive::new(file)
                .with_context(|| format!("the {} wheel is damaged", self.contents))?;
            unpack(&mut Archive {
                archive,
                contents: self.contents,
            })
        });
        let _ = fs::remove_dir_all(&scratch);
        fetched
    }

    /// Downloads the wheel into `scratch` with pip, checks its hash, and returns its path.
    fn download(&self, scratch: &Path) -> Result<PathBuf> {
        let Self {
            contents, package, ..
        } = self;
        let mut pip = Command::new(prerequisites::pip()?);
        pip.args([
            "-m",
            "pip",
            "--disable-pip-version-check",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ]);
        pip.args(self.choice)
            .arg("--dest")
            .arg(scratch)
            .arg(package);
        shell::run(&mut pip).with_context(|| {
            let choice = match self.choice {
                [] => String::new(),
                some => format!(" ({})", some.join(" ")),
            };
            format!(
                "cannot fetch {contents}; check the network and pip's settings. Without a network: \
                 put the wheel of {package}{choice} into a folder, set PIP_FIND_LINKS to it and \
                 PIP_NO_INDEX=1, and run `{}`",
                self.command
            )
        })?;
        let is_wheel = |path: &PathBuf| path.extension().is_some_and(|end| end == "whl");
        let found = fs::read_dir(scratch)
            .with_context(|| format!("pip made no folder {}", scratch.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(is_wheel)
            .with_context(|| format!("pip brought no wheel for {package}; check pip's settings"))?;
        let hash = sha256(&fs::read(&found)?);
        if hash != self.sha256 {
            bail!(
                "the wheel that pip brought for {package} is not the pinned one and was not used \
                 (SHA-256 {hash}, expected {}); check where pip downloads from",
                self.sha256
            );
        }
        Ok(found)
    }
}

/// An opened wheel.
pub(crate) struct Archive<'a> {
    archive: zip::ZipArchive<fs::File>,
    contents: &'a str,
}

impl Archive<'_> {
    /// Returns the bytes of the file `name`.
    ///
    /// # Errors
    ///
    /// Fails if the wheel has no such file, or if it is damaged.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self
            .archive
            .by_name(name)
            .with_context(|| format!("no {name} in the {} wheel", self.contents))?;
        std::io::copy(&mut file, &mut bytes)
            .with_context(|| format!("{name} in the {} wheel is damaged", self.contents))?;
        Ok(bytes)
    }
}

/// Writes a file under another name and renames it, so that no process reads half of it.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let half = path.with_extension(format!("part-{}", std::process::id()));
    fs::write(&half, bytes)
        .and_then(|()| fs::rename(&half, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
