//! Scratch files and folders of this process: unique names, and a list of them for removal when the
//! process ends early.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile, TempDir};

/// Prefix of scratch names. It hides them, and identifies leftovers of a killed process.
const PREFIX: &str = ".continuo-";
/// Suffix of scratch names.
const SUFFIX: &str = ".part";

/// Scratch paths that exist now. Any thread may lock the list, except audio threads.
static LIVING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn living() -> MutexGuard<'static, Vec<PathBuf>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the scratch files and folders of this process. Call it when the process is about to end,
/// from any thread but an audio thread. It waits for a running exchange of folders. Afterwards no
/// output in progress can be finished: a thread that makes or forgets a scratch file waits until the
/// process has ended.
pub fn remove_scratch() {
    let mut living = living();
    for path in living.drain(..) {
        // A leftover that cannot be removed stays.
        let _ = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
    // The list stays locked, so that nothing is made after it was emptied.
    std::mem::forget(living);
}

/// Runs a function that [`remove_scratch`] must not interrupt.
pub(crate) fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    let _waits = living();
    work()
}

/// A path in [`LIVING`]; dropping the entry removes the path from the list.
#[derive(Debug)]
pub(crate) struct Entry(PathBuf);

impl Entry {
    /// Makes a scratch file or folder and lists it in one go, so that [`remove_scratch`] sees both or
    /// neither.
    fn make<T: AsRef<Path>>(make: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Self)> {
        let mut living = living();
        let made = make().map_err(without_name)?;
        let path = made.as_ref().to_path_buf();
        living.push(path.clone());
        Ok((made, Self(path)))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        living().retain(|path| *path != self.0);
    }
}

/// Returns the system's error without the scratch name that `tempfile` adds to its text.
fn without_name(why: io::Error) -> io::Error {
    match why.to_string().rsplit_once(" at path ") {
        Some((own, _)) => io::Error::new(why.kind(), own),
        None => why,
    }
}

/// Makes a scratch file in a folder, with the permissions of new files there.
pub(crate) fn file(folder: &Path) -> io::Result<(NamedTempFile, Entry)> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    Entry::make(|| builder.tempfile_in(folder))
}

/// A scratch folder, with the permissions of new folders in its parent. Dropping it removes it and
/// its content.
#[derive(Debug)]
pub struct ScratchFolder {
    // Fields are dropped in this order: the folder is removed, then its entry in the list.
    folder: TempDir,
    _entry: Entry,
}

impl ScratchFolder {
    /// Makes a scratch folder in `parent`.
    ///
    /// # Errors
    /// Fails if the system does not make it.
    pub fn within(parent: &Path) -> io::Result<Self> {
        let mut builder = Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let (folder, _entry) = Entry::make(|| builder.tempdir_in(parent))?;
        Ok(Self { folder, _entry })
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the folder and its content.
    ///
    /// # Errors
    /// Fails if the system does not remove them.
    pub fn close(self) -> io::Result<()> {
        self.folder.close()
    }

    /// Keeps the folder for inspection.
    pub fn keep(mut self) {
        self.folder.disable_cleanup(true);
    }

    /// Forgets the folder after it has been renamed.
    pub(crate) fn renamed(mut self) {
        self.folder.disable_cleanup(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_no_scratch_file() {
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
