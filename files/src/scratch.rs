//! Scratch files and folders of this process: names nobody else uses, and a list of them for
//! whoever ends the process early.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile, TempDir};

/// How scratch names begin: hidden, and to be recognised where a killed process left one.
const PREFIX: &str = ".continuo-";
/// How they end.
const SUFFIX: &str = ".part";

/// Scratch paths that exist now. Taken by any thread; never by an audio thread.
static LIVING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn living() -> MutexGuard<'static, Vec<PathBuf>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the scratch files and folders of this process, for a process that is about to end.
/// Waits for a swap of folders that is under way. Afterwards nothing can be put into its place.
pub fn remove_scratch() {
    for path in living().drain(..) {
        // Nothing more can be done about a leftover that cannot be removed.
        let _ = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
}

/// Runs something that [`remove_scratch`] must not come between.
pub(crate) fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    let _waits = living();
    work()
}

/// An entry of the list.
#[derive(Debug)]
pub(crate) struct Entry(PathBuf);

impl Entry {
    fn new(path: &Path) -> Self {
        living().push(path.to_path_buf());
        Self(path.to_path_buf())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        living().retain(|path| *path != self.0);
    }
}

/// The system's error without the scratch name that `tempfile` adds to its words.
fn without_name(why: io::Error) -> io::Error {
    match why.to_string().rsplit_once(" at path ") {
        Some((own, _)) => io::Error::new(why.kind(), own),
        None => why,
    }
}

/// A new scratch file in a folder, with the permissions that new files have there.
pub(crate) fn file(folder: &Path) -> io::Result<(NamedTempFile, Entry)> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder).map_err(without_name)?;
    let entry = Entry::new(file.path());
    Ok((file, entry))
}

/// A new scratch folder in a folder, with the permissions that new folders have there. It is
/// removed with all that is in it when it is dropped.
#[derive(Debug)]
pub struct ScratchFolder {
    // Dropped in this order: removed, then taken off the list.
    folder: TempDir,
    _entry: Entry,
}

impl ScratchFolder {
    /// Makes one in `parent`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn within(parent: &Path) -> io::Result<Self> {
        let mut builder = Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let folder = builder.tempdir_in(parent).map_err(without_name)?;
        let _entry = Entry::new(folder.path());
        Ok(Self { folder, _entry })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn close(self) -> io::Result<()> {
        self.folder.close()
    }

    /// Leaves it where it is, for somebody to look into.
    pub fn keep(mut self) {
        self.folder.disable_cleanup(true);
    }

    /// It has been renamed: there is nothing to remove any more.
    pub(crate) fn renamed(mut self) {
        self.folder.disable_cleanup(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_no_scratch_file() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let file = file(&gone).map(|_| ()).unwrap_err();
        let folder = ScratchFolder::within(&gone).map(|_| ()).unwrap_err();
        for why in [file, folder] {
            assert_eq!(why.kind(), io::ErrorKind::NotFound);
            assert!(!why.to_string().contains(PREFIX), "{why}");
        }
    }
}
