//! An output that is a folder.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::WriteError;
use crate::input::is_standard;
use crate::output::{Replace, flush_folder};
use crate::place::{folder_of, follow};
use crate::scratch::{self, ScratchFolder};

/// A kind of folder that commands write.
#[derive(Clone, Copy, Debug)]
pub struct FolderKind {
    /// Name in a sentence, with an article: "a model directory".
    pub name: &'static str,
    /// Name of the file that identifies folders of this kind.
    pub marker: &'static str,
    /// Whether a file of this name is part of the output. All other files in a replaced folder
    /// belong to its owner and are kept.
    pub owns: fn(&OsStr) -> bool,
}

/// A folder output that has passed the checks before the work begins.
#[derive(Clone, Debug)]
pub struct FolderOutput {
    path: PathBuf,
    target: PathBuf,
    kind: FolderKind,
    replace: Replace,
}

impl FolderOutput {
    /// Checks that a folder of this kind can be written to `path`. Call it before the work begins.
    /// [`Self::begin`] makes missing parent folders.
    ///
    /// # Errors
    /// Fails if `path` is a file, a folder of another kind that is not empty (whatever `replace`
    /// is), or standard output, or cannot be written.
    pub fn check(path: &Path, kind: &FolderKind, replace: Replace) -> Result<Self, WriteError> {
        if is_standard(path) {
            return Err(WriteError::FolderToStandardOutput(kind.name));
        }
        let mut target = follow(path)?;
        // Resolves "." and "..", which cannot be renamed.
        if target.file_name().is_none()
            && let Ok(real) = target.canonicalize()
        {
            target = real;
        }
        let output = Self {
            path: path.into(),
            target,
            kind: *kind,
            replace,
        };
        output.may_replace()?;
        takes_new(path, folder_of(&output.target))?;
        Ok(output)
    }

    /// Checks that the target may be replaced, and returns it; `None` if it does not exist.
    fn may_replace(&self) -> Result<Option<&Path>, WriteError> {
        let refused = |why| Err(WriteError::io(&self.path)(why));
        let data = match fs::metadata(&self.target) {
            Ok(data) => data,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return refused(why),
        };
        if !data.is_dir() {
            return Err(WriteError::File(self.path.clone()));
        }
        let is_empty = match fs::read_dir(&self.target) {
            Ok(mut entries) => entries.next().is_none(),
            Err(why) => return refused(why),
        };
        if self.replace == Replace::Never && !is_empty {
            return Err(WriteError::Exists(self.path.clone()));
        }
        if is_empty || self.target.join(self.kind.marker).is_file() {
            return Ok(Some(&self.target));
        }
        Err(WriteError::OtherFolder {
            path: self.path.clone(),
            wanted: self.kind.name,
            marker: self.kind.marker,
        })
    }

    /// Begins to write into a scratch folder beside the target, and makes missing parent folders.
    ///
    /// # Errors
    /// Fails if the system does not make the folders.
    pub fn begin(&self) -> Result<FolderDraft, WriteError> {
        let above = folder_of(&self.target);
        fs::create_dir_all(above).map_err(WriteError::io(above))?;
        let scratch = ScratchFolder::within(above).map_err(WriteError::io(&self.path))?;
        Ok(FolderDraft {
            output: self.clone(),
            scratch,
        })
    }
}

/// Checks that files can be made in a folder at `path`, or that the folder can be made with its
/// parents. Changes nothing.
///
/// # Errors
/// Fails if `path` is a file, or the system refuses.
pub fn check_folder(path: &Path) -> Result<(), WriteError> {
    if fs::metadata(path).is_ok_and(|data| !data.is_dir()) {
        return Err(WriteError::File(path.into()));
    }
    takes_new(path, path)
}

/// Checks that `folder`, or its nearest existing parent, accepts new entries.
fn takes_new(path: &Path, folder: &Path) -> Result<(), WriteError> {
    let mut above = folder;
    while !above.exists() && above != folder_of(above) {
        above = folder_of(above);
    }
    if !above.is_dir() {
        return Err(WriteError::File(above.into()));
    }
    let made = ScratchFolder::within(above);
    made.map(drop).map_err(WriteError::io(path))
}

/// A folder in progress. Dropping it before [`FolderDraft::finish`] leaves nothing.
#[derive(Debug)]
pub struct FolderDraft {
    output: FolderOutput,
    scratch: ScratchFolder,
}

impl FolderDraft {
    /// Returns the path of the scratch folder that holds the files until [`FolderDraft::finish`].
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes a file and flushes it to the disk, so that a crash leaves no half-written folder.
    /// `name` is a path inside the folder.
    ///
    /// # Errors
    /// Fails if the system refuses; the error names the file by its final path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.path().join(name);
        let written = fs::create_dir_all(folder_of(&path)).and_then(|()| {
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(WriteError::io(self.output.path.join(name)))
    }

    /// Moves the folder into the target's place. First copies the owner's files from an existing
    /// folder into the new one. The old folder is removed only after the new one is in place.
    ///
    /// # Errors
    /// Fails if the system refuses, or if a file that must not be replaced has appeared in the
    /// meantime. The existing folder is kept.
    pub fn finish(self) -> Result<(), WriteError> {
        let Self { output, scratch } = self;
        let target = &output.target;
        let failed = || WriteError::io(&output.path);
        let Some(old) = output.may_replace()? else {
            fs::rename(scratch.path(), target).map_err(failed())?;
            scratch.renamed();
            flush_folder(folder_of(target));
            return Ok(());
        };
        keep(old, scratch.path(), &output.kind).map_err(failed())?;
        let permissions = fs::metadata(old).map_err(failed())?.permissions();
        fs::set_permissions(scratch.path(), permissions).map_err(failed())?;
        scratch::undisturbed(|| swap(scratch.path(), old)).map_err(failed())?;
        flush_folder(folder_of(target));
        // The old folder has the scratch name now.
        scratch.close().map_err(failed())
    }
}

/// Copies the owner's files from an old folder into a new one.
fn keep(old: &Path, new: &Path, kind: &FolderKind) -> io::Result<()> {
    for entry in fs::read_dir(old)? {
        let name = entry?.file_name();
        if !(kind.owns)(&name) && fs::symlink_metadata(new.join(&name)).is_err() {
            copy(&old.join(&name), &new.join(&name))?;
        }
    }
    Ok(())
}

/// Copies a file, a link, or a folder with its content.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return fs::set_permissions(to, fs::metadata(from)?.permissions());
    }
    #[cfg(unix)]
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if !kind.is_file() && !kind.is_symlink() {
        let what = format!("{} is neither a file nor a folder", from.display());
        return Err(io::Error::other(what));
    }
    fs::copy(from, to)?;
    // Windows flushes only files that are open for writing.
    let copied = OpenOptions::new().read(true).write(cfg!(windows)).open(to);
    match copied {
        // The copy of a file without write permission has none either.
        Err(why) if cfg!(windows) && why.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        copied => copied?.sync_all(),
    }
}

/// Exchanges two folders: atomically where the system can, else by way of a third name.
fn swap(new: &Path, old: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
        // Not every file system supports this; the code below then exchanges them in three steps.
    }
    let mut third = new.as_os_str().to_os_string();
    third.push(".old");
    let third = PathBuf::from(third);
    fs::rename(old, &third)?;
    if let Err(why) = fs::rename(new, old) {
        fs::rename(&third, old)?;
        return Err(why);
    }
    fs::rename(&third, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: FolderKind = FolderKind {
        name: "a model directory",
        marker: "model.json",
        owns: |name| ["model.json", "plain"].iter().any(|own| name == *own),
    };

    fn write(output: &FolderOutput, version: &str) -> Result<(), WriteError> {
        let draft = output.begin()?;
        draft.write("model.json", version.as_bytes())?;
        draft.write("plain/lower", b"graph")?;
        draft.finish()
    }

    #[test]
    fn folder_appears_whole_and_keeps_files_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let check = |name: &str| FolderOutput::check(&at(name), &MODEL, Replace::SameKind);
        let output = check("above/m").unwrap();
        assert!(!at("above").exists(), "the check changes nothing");
        write(&output, "1").unwrap();
        fs::write(at("above/m/plain/stale"), "").unwrap();
        fs::create_dir(at("above/m/takes")).unwrap();
        fs::write(at("above/m/takes/one"), "mine").unwrap();
        write(&output, "2").unwrap();
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!(read("above/m/model.json"), "2");
        assert_eq!(read("above/m/takes/one"), "mine");
        assert!(!at("above/m/plain/stale").exists());
        let left: Vec<_> = fs::read_dir(at("above")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");

        drop(output.begin().unwrap());
        assert_eq!(fs::read_dir(at("above")).unwrap().count(), 1);
    }

    #[test]
    fn other_folders_files_and_neighbours_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("music/deep")).unwrap();
        fs::create_dir(at("empty")).unwrap();
        fs::create_dir(at("m.old")).unwrap();
        fs::create_dir(at("m.partial")).unwrap();
        fs::write(at("file"), "x").unwrap();
        let check = |name: &str| FolderOutput::check(&at(name), &MODEL, Replace::Any);
        assert!(matches!(
            check("music"),
            Err(WriteError::OtherFolder { .. })
        ));
        assert!(matches!(check("file"), Err(WriteError::File(_))));
        assert!(check("file/m").is_err());
        let standard = FolderOutput::check(Path::new("-"), &MODEL, Replace::Any);
        assert!(matches!(
            standard,
            Err(WriteError::FolderToStandardOutput(_))
        ));
        write(&check("empty").unwrap(), "1").unwrap();
        for version in ["1", "2"] {
            write(&check("m").unwrap(), version).unwrap();
        }
        assert!(at("m.old").is_dir() && at("m.partial").is_dir() && at("music/deep").is_dir());
    }
}
