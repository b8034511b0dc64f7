//! Files and folders that appear whole or not at all.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Something written beside its final place and renamed into it; removed again if it is
/// dropped before.
pub struct Staged {
    temporary: PathBuf,
    place: PathBuf,
    /// Whether the temporary is to stay when this is dropped.
    kept: bool,
}

impl Staged {
    /// A file that will stand at `place`, replacing what is there. The caller creates
    /// [`Self::temporary`].
    pub fn file(place: &Path) -> Self {
        Self {
            temporary: beside(place, "partial"),
            place: place.into(),
            kept: false,
        }
    }

    /// The same, but what was written so far stays beside the place if it does not get there.
    pub fn lasting(place: &Path) -> Self {
        let mut staged = Self::file(place);
        staged.kept = true;
        staged
    }

    /// A folder that will stand at `place`; an empty one is made at [`Self::temporary`].
    pub fn folder(place: &Path) -> io::Result<Self> {
        let staged = Self::file(place);
        remove(&staged.temporary)?;
        std::fs::create_dir_all(&staged.temporary)?;
        Ok(staged)
    }

    /// Where to write.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Puts it in its place. A folder already there is removed only once the new one stands.
    pub fn keep(mut self) -> io::Result<()> {
        if self.place.is_dir() {
            let old = beside(&self.place, "old");
            remove(&old)?;
            std::fs::rename(&self.place, &old)?;
            if let Err(e) = std::fs::rename(&self.temporary, &self.place) {
                std::fs::rename(&old, &self.place)?;
                return Err(e);
            }
            self.kept = true;
            return remove(&old);
        }
        std::fs::rename(&self.temporary, &self.place)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing more can be done about a leftover that cannot be removed.
            let _ = remove(&self.temporary);
        }
    }
}

/// A name for something that belongs to `place`.
pub fn beside(place: &Path, suffix: &str) -> PathBuf {
    let mut name = place.file_name().map(OsString::from).unwrap_or_default();
    name.push(".");
    name.push(suffix);
    place.with_file_name(name)
}

/// Removes a file or a folder, if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
