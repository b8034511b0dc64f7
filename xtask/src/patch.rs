//! `cargo xtask patch`: applies our changes to released crates and puts them where the root
//! `Cargo.toml` expects them.
//!
//! ```text
//! third_party/patches/NAME-VERSION.patch              committed: explanation, hash, changes
//! third_party/if-missing-run-cargo-xtask-patch/NAME/  ignored by git: the patched crate
//! ```
//!
//! Every other command runs this first, since cargo cannot resolve the workspace without these
//! folders. Cargo's error message contains the folder's name, which says which command to run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

mod diff;
mod file;
mod released;
#[cfg(test)]
mod tests;
mod tree;

use file::PatchFile;
use released::Registry;
use tree::STAMP;

/// Folder of the patch files.
const PATCHES: &str = "third_party/patches";
/// Folder of the patched crates.
const PATCHED: &str = "third_party/if-missing-run-cargo-xtask-patch";

/// Options of `cargo xtask patch`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the changes made in the patched folders to the patch files
    #[arg(long)]
    save: bool,
    /// Names of crates to save [default: all]
    #[arg(requires = "save", value_name = "CRATE")]
    crates: Vec<String>,
}

/// Runs the command, in the repository's root.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folders = Folders::of_repository()?;
    if options.save {
        folders.save(&options.crates)
    } else {
        folders.make().map(|_| ())
    }
}

/// Makes every patched crate that is missing or outdated, in the repository's root.
///
/// # Errors
///
/// Fails if a released crate cannot be downloaded or is not the pinned one, if a patch does not
/// apply, or if a folder to be replaced has changes that are in no patch file.
pub(crate) fn make() -> Result<()> {
    Folders::of_repository()?.make().map(|_| ())
}

/// The folders that the command reads and writes.
struct Folders {
    patches: PathBuf,
    patched: PathBuf,
    registry: Registry,
}

impl Folders {
    fn of_repository() -> Result<Self> {
        Ok(Self {
            patches: PATCHES.into(),
            patched: PATCHED.into(),
            registry: Registry::of_user()?,
        })
    }

    /// Makes the crates that are missing or outdated, and returns their names.
    fn make(&self) -> Result<Vec<String>> {
        let is_outdated = |patch: &PatchFile| self.stamp(patch) != patch.content();
        if !self.patch_files()?.iter().any(is_outdated) {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        // Another process may have made them before the lock was taken.
        let mut patches = self.patch_files()?;
        patches.retain(is_outdated);
        for patch in &patches {
            self.make_one(patch)?;
            eprintln!("{}: applied", patch.path.display());
        }
        Ok(patches.into_iter().map(|patch| patch.name).collect())
    }

    fn make_one(&self, patch: &PatchFile) -> Result<()> {
        let folder = self.folder(patch);
        if folder.exists() {
            self.refuse_unsaved(patch, &folder)?;
        }
        let released = self.registry.fetch(patch)?;
        let patched = diff::apply(released, patch.diff())
            .with_context(|| format!("{} does not apply", patch.path.display()))?;
        // Written beside the folder and renamed, so that no process reads half a crate.
        let new = self.patched.join(format!(".new-{}", patch.name));
        let old = self.patched.join(format!(".old-{}", patch.name));
        tree::remove(&new)?;
        tree::remove(&old)?;
        tree::write(&patched, &new)?;
        fs::write(new.join(STAMP), patch.content())
            .with_context(|| format!("cannot write {}", new.join(STAMP).display()))?;
        let replace = |from: &Path, to: &Path| {
            fs::rename(from, to).with_context(|| {
                format!(
                    "cannot rename {} to {}; close the programs that have files of it open",
                    from.display(),
                    to.display()
                )
            })
        };
        if folder.exists() {
            replace(&folder, &old)?;
        }
        replace(&new, &folder)?;
        tree::remove(&old)
    }

    /// Fails if the folder has changes that are in no patch file.
    fn refuse_unsaved(&self, patch: &PatchFile, folder: &Path) -> Result<()> {
        let made_from = PatchFile::from_text(&patch.path, self.stamp(patch));
        let before = made_from.and_then(|old| {
            let released = self.registry.fetch(&old)?;
            diff::apply(released, old.diff())
        });
        let unsaved = match before {
            Ok(before) => tree::differing(&before, &tree::read(folder)?),
            Err(_) => vec!["no record of the patch it was made from".to_owned()],
        };
        if unsaved.is_empty() {
            return Ok(());
        }
        bail!(
            "{} has changed, but {} holds changes that are in no patch file ({}). Move them \
             away or delete that folder, and run `cargo xtask patch`",
            patch.path.display(),
            folder.display(),
            unsaved.join(", "),
        )
    }

    /// Writes the changes made in the folders of these crates, or of all, to the patch files.
    fn save(&self, names: &[String]) -> Result<()> {
        let _lock = self.lock()?;
        let patches = self.patch_files()?;
        if let Some(name) = names.iter().find(|&n| patches.iter().all(|p| p.name != *n)) {
            bail!(
                "no patch file in {} is for {name}; check the name",
                self.patches.display()
            );
        }
        let is_meant = |patch: &&PatchFile| names.is_empty() || names.contains(&patch.name);
        for patch in patches.iter().filter(is_meant) {
            self.save_one(patch)?;
        }
        Ok(())
    }

    fn save_one(&self, patch: &PatchFile) -> Result<()> {
        let folder = self.folder(patch);
        if self.stamp(patch) != patch.content() {
            bail!(
                "{} was not made from {} as it is now; run `cargo xtask patch` first",
                folder.display(),
                patch.path.display()
            );
        }
        let released = self.registry.fetch(patch)?;
        let edited = tree::read(&folder)?;
        let diff = diff::make(&released, &edited)
            .with_context(|| format!("cannot save the changes in {}", folder.display()))?;
        if diff == patch.diff() {
            eprintln!("{}: unchanged", patch.path.display());
            return Ok(());
        }
        let new = PatchFile::from_text(&patch.path, patch.with_diff(&diff))?;
        fs::write(&new.path, &new.text)
            .with_context(|| format!("cannot write {}", new.path.display()))?;
        fs::write(folder.join(STAMP), new.content())
            .with_context(|| format!("cannot write {}", folder.join(STAMP).display()))?;
        eprintln!("{}: saved", new.path.display());
        Ok(())
    }

    /// Returns every patch file, sorted by name.
    fn patch_files(&self) -> Result<Vec<PatchFile>> {
        let listed = fs::read_dir(&self.patches)
            .with_context(|| format!("cannot list {}", self.patches.display()))?;
        let mut paths = Vec::new();
        for entry in listed {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "patch") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| PatchFile::read(path)).collect()
    }

    fn folder(&self, patch: &PatchFile) -> PathBuf {
        self.patched.join(&patch.name)
    }

    /// Returns the stamp of a patched crate; it is empty if there is none.
    fn stamp(&self, patch: &PatchFile) -> String {
        fs::read_to_string(self.folder(patch).join(STAMP)).unwrap_or_default()
    }

    /// Waits until no other process works on the folders, and keeps others out until the returned
    /// file is dropped.
    fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.patched)
            .with_context(|| format!("cannot make {}", self.patched.display()))?;
        let path = self.patched.join(".lock");
        let file = File::create(&path)
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    }
}
