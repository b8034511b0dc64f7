//! An output that is a file, a device, a pipe or standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{NamedTempFile, SpooledTempFile};

use crate::error::WriteError;
use crate::kind::{self, HEAD, Kind, describe, ending};
use crate::place::{Place, folder_of};
use crate::scratch::{self, Entry};

/// Name of standard output in messages.
pub const STANDARD_OUTPUT: &str = "standard output";

/// Number of bytes for a device or a pipe that are kept in memory; longer outputs go to a temporary
/// file.
const IN_MEMORY: usize = 16 << 20;

/// Existing files that an output may replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replace {
    /// No file.
    Never,
    /// A file of the kind that is written, or an empty file.
    #[default]
    SameKind,
    /// Any file. A file still does not replace a folder.
    Any,
}

impl Replace {
    /// Returns the value for an option `--force`.
    pub fn forced(force: bool) -> Self {
        if force { Self::Any } else { Self::SameKind }
    }
}

/// An output that has passed the checks before the work begins.
#[derive(Clone, Debug)]
pub struct Output {
    path: PathBuf,
    place: Place,
    kind: Kind,
    replace: Replace,
}

impl Output {
    /// Checks that a file of this kind can be written to `path` (`-`: standard output). Call it
    /// before the work begins. It makes and removes a scratch file in the target's folder, and
    /// changes nothing else.
    ///
    /// # Errors
    /// Fails if `path` is a folder, a disk, a socket, a read-only file or a file of another kind,
    /// has the extension of another kind, or cannot be written.
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

    /// Returns the name in messages: the path, or "standard output".
    pub fn name(&self) -> String {
        match self.place {
            Place::Standard => STANDARD_OUTPUT.into(),
            _ => self.path.display().to_string(),
        }
    }

    /// Whether this is standard output. It must then have no other content.
    pub fn is_standard(&self) -> bool {
        matches!(self.place, Place::Standard)
    }

    /// Returns the path of the file with links followed; `None` for a device, a pipe or standard
    /// output.
    pub fn target(&self) -> Option<&Path> {
        match &self.place {
            Place::File(target) => Some(target),
            _ => None,
        }
    }

    /// Whether this output replaces the file at `path`.
    pub fn is_file(&self, path: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        let target = self.target().and_then(real);
        target.is_some() && target == real(path)
    }

    /// Begins to write. The target stays unchanged until [`Draft::finish`].
    ///
    /// # Errors
    /// Fails if the system does not make the scratch file.
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

    /// Writes the whole output.
    ///
    /// # Errors
    /// Fails if the system refuses, for example because the disk is full.
    pub fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let mut draft = self.begin()?;
        let written = draft.write_all(bytes);
        written.map_err(WriteError::io(&self.path))?;
        draft.finish()
    }

    /// Moves a file that was written beside the target into the target's place, as
    /// [`Draft::finish`] does. It serves outputs that several runs write one after another.
    ///
    /// # Errors
    /// Fails if the system refuses, if a file that must not be replaced has appeared in the
    /// meantime, or if this output is no file.
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

    /// Checks that the file at `target` may be replaced, and returns its permissions; `None` if
    /// there is no such file.
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

/// Returns the first bytes of a file; of a FLAC file with an ID3v2 tag, those behind the tag.
pub(crate) fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&file).take(HEAD as u64).read_to_end(&mut head)?;
    if let Some(length) = kind::tag_length(&head) {
        let mut behind = Vec::new();
        file.seek(SeekFrom::Start(length as u64))?;
        file.take(HEAD as u64).read_to_end(&mut behind)?;
        if (kind::FLAC.recognises)(&behind) {
            return Ok(behind);
        }
    }
    Ok(head)
}

/// An output in progress. Dropping it before [`Draft::finish`] leaves nothing.
#[derive(Debug)]
pub struct Draft {
    output: Output,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    /// A scratch file beside the target.
    File(NamedTempFile, Entry),
    /// A buffer for a device, a pipe or standard output, in which seeking is impossible.
    Memory(SpooledTempFile),
}

impl Draft {
    /// Moves the output into the target's place. An existing file is replaced as a whole, or stays
    /// unchanged. A pipe that its reader has closed is not an error.
    ///
    /// # Errors
    /// Fails if the system refuses, or if a file that must not be replaced has appeared in the
    /// meantime.
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
                place(file, target, output.replace).map_err(failed())?;
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
            // `begin` makes a scratch file only for targets that are files.
            (Sink::File(..), _) => Ok(()),
        }
    }
}

/// Pauses before the next attempt to replace a file that another program holds, in milliseconds.
const PAUSES: [u64; 6] = [20, 50, 100, 200, 400, 800];

/// Renames a scratch file to its target. Windows refuses that while another program holds the
/// target open, which a virus scanner does for a moment with every new file; so it is tried again for
/// a second and a half.
fn place(mut file: NamedTempFile, target: &Path, replace: Replace) -> io::Result<()> {
    // Other systems replace a file that may not be written; Windows refuses.
    #[cfg(windows)]
    if replace == Replace::Any
        && let Ok(data) = fs::metadata(target)
    {
        let mut permissions = data.permissions();
        permissions.set_readonly(false);
        fs::set_permissions(target, permissions)?;
    }
    let mut pauses = PAUSES.iter();
    loop {
        let placed = match replace {
            Replace::Never => file.persist_noclobber(target),
            _ => file.persist(target),
        };
        let Err(refused) = placed else { return Ok(()) };
        match pauses.next().filter(|_| is_held(&refused.error)) {
            Some(&pause) => std::thread::sleep(Duration::from_millis(pause)),
            None => return Err(refused.error),
        }
        file = refused.file;
    }
}

/// Whether the system says that another program holds a file: access denied, a sharing violation or
/// a lock violation. Other systems than Windows replace such a file.
fn is_held(error: &io::Error) -> bool {
    cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

fn send(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    io::copy(from, to)?;
    to.flush()
}

/// Flushes a rename to the disk where folders can be flushed. The file exists in any case.
pub(crate) fn flush_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        // Some file systems cannot flush folders.
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            // Calls the inner file, since errors of the wrapper name the scratch file.
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
