//! An output that is one file, a device, a pipe or standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, SpooledTempFile};

use crate::error::WriteError;
use crate::kind::{HEAD, Kind, describe, ending};
use crate::place::{Place, folder_of};
use crate::scratch::{self, Entry};

/// Standard output's name in messages.
pub const STANDARD_OUTPUT: &str = "standard output";

/// Bytes for a pipe that are kept in memory; more are kept in a temporary file.
const IN_MEMORY: usize = 16 << 20;

/// Existing files that an output may replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replace {
    /// Nothing.
    Never,
    /// A file of the kind that is written, and an empty file.
    #[default]
    SameKind,
    /// Any file. A folder still is not replaced by a file.
    Any,
}

impl Replace {
    /// For an option `--force`.
    pub fn forced(force: bool) -> Self {
        if force { Self::Any } else { Self::SameKind }
    }
}

/// An output that can be written, as far as can be known beforehand.
#[derive(Clone, Debug)]
pub struct Output {
    path: PathBuf,
    place: Place,
    kind: Kind,
    replace: Replace,
}

impl Output {
    /// Checks that a file of this kind can be written to `path` (`-`: standard output), to be
    /// called before the work begins. It makes a scratch file in the target's folder and removes
    /// it, and changes nothing else.
    ///
    /// # Errors
    /// When `path` is a folder, a disk, a socket, a read-only file or a file of another kind, has
    /// the ending of another kind, or cannot be written.
    pub fn check(path: &Path, kind: &Kind, replace: Replace) -> Result<Self, WriteError> {
        let output = Self {
            path: path.into(),
            place: Place::of_file(path, replace == Replace::Any)?,
            kind: *kind,
            replace,
        };
        match &output.place {
            Place::Standard => {
                let refused = kind.binary && replace != Replace::Any && io::stdout().is_terminal();
                if refused {
                    return Err(WriteError::Terminal(kind.name));
                }
            }
            Place::Stream(_) => {}
            Place::File(target) => {
                output.may_replace(target)?;
                scratch::file(folder_of(target)).map_err(WriteError::io(path))?;
            }
        }
        Ok(output)
    }

    /// Its name in messages: the path, or "standard output".
    pub fn name(&self) -> String {
        match self.place {
            Place::Standard => STANDARD_OUTPUT.into(),
            _ => self.path.display().to_string(),
        }
    }

    /// Whether it is standard output, which then can hold nothing else.
    pub fn is_standard(&self) -> bool {
        matches!(self.place, Place::Standard)
    }

    /// The file that it is, with links followed; none for a device, a pipe or standard output.
    pub fn target(&self) -> Option<&Path> {
        match &self.place {
            Place::File(target) => Some(target),
            _ => None,
        }
    }

    /// Whether it is the file at `path`, which then is replaced.
    pub fn is_file(&self, path: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        let target = self.target().and_then(real);
        target.is_some() && target == real(path)
    }

    /// Begins to write. Nothing is to be seen of it before [`Draft::finish`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn begin(&self) -> Result<Draft, WriteError> {
        let sink = match &self.place {
            Place::Standard | Place::Stream(_) => Sink::Memory(SpooledTempFile::new(IN_MEMORY)),
            Place::File(target) => {
                let made = scratch::file(folder_of(target));
                let (file, entry) = made.map_err(WriteError::io(&self.path))?;
                Sink::File(file, entry)
            }
        };
        Ok(Draft {
            output: self.clone(),
            sink,
        })
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the system refuses: the disk may be full.
    pub fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let mut draft = self.begin()?;
        let written = draft.write_all(bytes);
        written.map_err(WriteError::io(&self.path))?;
        draft.finish()
    }

    /// Puts a file that was written beside the target in its place, as [`Draft::finish`] does: for
    /// what is written by several runs, one after another.
    ///
    /// # Errors
    /// When the system refuses, when something that must not be replaced came there meanwhile, or
    /// when this is no file.
    pub fn adopt(&self, scratch: &Path) -> Result<(), WriteError> {
        let failed = || WriteError::io(&self.path);
        let Some(target) = self.target() else {
            let what = "a device";
            let path = self.path.clone();
            return Err(WriteError::Special { path, what });
        };
        if let Some(permissions) = self.may_replace(target)? {
            fs::set_permissions(scratch, permissions).map_err(failed())?;
        }
        let synced = File::options().write(true).open(scratch);
        synced.and_then(|file| file.sync_all()).map_err(failed())?;
        fs::rename(scratch, target).map_err(failed())?;
        flush_folder(folder_of(target));
        Ok(())
    }

    /// Whether what is at `target` may be replaced, and its permissions.
    fn may_replace(&self, target: &Path) -> Result<Option<fs::Permissions>, WriteError> {
        let path = || self.path.clone();
        let forced = self.replace == Replace::Any;
        if let Some(ending) = ending(&self.path)
            && !forced
            && !self.kind.allows(&ending)
        {
            return Err(WriteError::Ending {
                path: path(),
                wanted: self.kind.name,
                ending,
                endings: self.kind.endings(),
            });
        }
        let data = match fs::metadata(target) {
            Ok(data) => data,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(WriteError::io(path())(why)),
        };
        if data.is_dir() {
            return Err(WriteError::Folder(path()));
        }
        let permissions = Some(data.permissions());
        match self.replace {
            Replace::Any => return Ok(permissions),
            Replace::Never => return Err(WriteError::Exists(path())),
            Replace::SameKind => {}
        }
        if data.permissions().readonly() {
            return Err(WriteError::ReadOnly(path()));
        }
        let head = head(target).map_err(WriteError::io(path()))?;
        if head.is_empty() || self.kind.is(&head, target) {
            return Ok(permissions);
        }
        Err(WriteError::OtherKind {
            path: path(),
            found: describe(&head),
            wanted: self.kind.name,
        })
    }
}

/// The first bytes of a file.
pub(crate) fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// An output that is being written. Dropped before [`Draft::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    output: Output,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    /// Beside its place.
    File(NamedTempFile, Entry),
    /// For a device or a pipe, in which nobody can go back.
    Memory(SpooledTempFile),
}

impl Draft {
    /// Puts it in its place: what was there is replaced by the whole of it, or left as it is. A
    /// reader of a pipe who has read enough is no error.
    ///
    /// # Errors
    /// When the system refuses, or when something that must not be replaced came there meanwhile.
    pub fn finish(self) -> Result<(), WriteError> {
        let Self { output, sink } = self;
        let failed = || WriteError::io(&output.path);
        match (sink, &output.place) {
            (Sink::File(file, _entry), Place::File(target)) => {
                if let Some(permissions) = output.may_replace(target)? {
                    file.as_file()
                        .set_permissions(permissions)
                        .map_err(failed())?;
                }
                file.as_file().sync_all().map_err(failed())?;
                let placed = match output.replace {
                    Replace::Never => file.persist_noclobber(target),
                    _ => file.persist(target),
                };
                placed.map_err(|why| failed()(why.error))?;
                flush_folder(folder_of(target));
                Ok(())
            }
            (Sink::Memory(mut bytes), place) => {
                bytes.seek(SeekFrom::Start(0)).map_err(failed())?;
                let sent = match place {
                    Place::Stream(path) => OpenOptions::new()
                        .write(true)
                        .open(path)
                        .and_then(|mut to| send(&mut bytes, &mut to)),
                    _ => send(&mut bytes, &mut io::stdout().lock()),
                };
                match sent {
                    Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                    Err(source) => Err(WriteError::Io {
                        path: output.name().into(),
                        source,
                    }),
                    Ok(()) => Ok(()),
                }
            }
            // `begin` makes a file for a file's place only.
            (Sink::File(..), _) => Ok(()),
        }
    }
}

fn send(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    io::copy(from, to)?;
    to.flush()
}

/// Has a rename reach the disk, where folders can be flushed. The file is there in any case.
pub(crate) fn flush_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        // Some file systems cannot.
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            // Past the wrapper, whose errors name the scratch file.
            Sink::File(file, _) => file.as_file_mut().write(bytes),
            Sink::Memory(memory) => memory.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::File(file, _) => file.as_file_mut().flush(),
            Sink::Memory(memory) => memory.flush(),
        }
    }
}

impl Read for Draft {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::File(file, _) => file.as_file_mut().read(bytes),
            Sink::Memory(memory) => memory.read(bytes),
        }
    }
}

impl Seek for Draft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.sink {
            Sink::File(file, _) => file.as_file_mut().seek(to),
            Sink::Memory(memory) => memory.seek(to),
        }
    }
}

#[cfg(test)]
mod tests;
