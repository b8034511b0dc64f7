//! The target of an output path: standard output, a device, or a file with links followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::WriteError;
use crate::input::is_standard;

/// Length of a chain of links that counts as a cycle.
const MOST_LINKS: u32 = 40;

/// Target of an output path.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Standard output.
    Standard,
    /// A device or a pipe, which is written to and never replaced.
    Stream(PathBuf),
    /// The path of a file, which need not exist, with all links followed.
    File(PathBuf),
}

/// Returns the place of a path that the system reserves: standard output, an open file of this
/// process, or a device of Windows. Returns `None` for all other paths.
fn opened(path: &Path) -> Option<Place> {
    let name = path.to_str()?;
    if is_standard(path) || ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].contains(&name) {
        return Some(Place::Standard);
    }
    let is_open = name == "/dev/stderr"
        || name.starts_with("/dev/fd/")
        || name.starts_with("/proc/self/fd/")
        || (cfg!(windows) && is_windows_device(path));
    is_open.then(|| Place::Stream(path.into()))
}

/// Whether Windows reserves this name for a device, whatever its folder and extension.
fn is_windows_device(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.trim_end().to_uppercase();
    let numbered = |name: &str| {
        let number = stem.strip_prefix(name);
        number.is_some_and(|n| n.len() == 1 && n.chars().all(|c| c.is_ascii_digit()))
    };
    ["CON", "PRN", "AUX", "NUL"].contains(&&*stem) || numbered("COM") || numbered("LPT")
}

impl Place {
    /// Returns the target of an output path. `forced` allows disks.
    ///
    /// # Errors
    /// Fails if the target is a folder, a socket or a disk, or lies in a folder that does not
    /// exist.
    pub(crate) fn of_file(path: &Path, forced: bool) -> Result<Self, WriteError> {
        if let Some(place) = opened(path) {
            return Ok(place);
        }
        let target = follow(path)?;
        match fs::metadata(&target) {
            Ok(data) if data.is_dir() => Err(WriteError::Folder(path.into())),
            Ok(data) if data.is_file() => Ok(Self::File(target)),
            Ok(data) => match special(&data) {
                Some("a disk") if forced => Ok(Self::Stream(target)),
                Some(what) => Err(WriteError::Special {
                    path: path.into(),
                    what,
                }),
                None => Ok(Self::Stream(target)),
            },
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                parent(path, &target)?;
                Ok(Self::File(target))
            }
            Err(why) => Err(WriteError::io(path)(why)),
        }
    }
}

/// Returns the name of a disk or a socket, with an article; `None` for character devices and pipes.
#[cfg(unix)]
fn special(data: &fs::Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    let kind = data.file_type();
    if kind.is_block_device() {
        Some("a disk")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        None
    }
}

#[cfg(not(unix))]
fn special(_: &fs::Metadata) -> Option<&'static str> {
    None
}

/// Follows a link at the end of a path, even if its target does not exist: an output must not
/// replace the link.
pub(crate) fn follow(path: &Path) -> Result<PathBuf, WriteError> {
    let mut target = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&target) {
            // A link's target is relative to the link's folder.
            Ok(next) => target = folder_of(&target).join(next),
            Err(_) => return Ok(target),
        }
    }
    let circle = io::Error::other("the links lead in a circle");
    Err(WriteError::io(path)(circle))
}

/// Returns the parent folder of a path.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Returns the parent folder of `target`. It must exist.
fn parent<'a>(path: &Path, target: &'a Path) -> Result<&'a Path, WriteError> {
    // "folder/" and ".." name a folder that does not exist.
    let ends_as_folder = path.to_string_lossy().ends_with(std::path::is_separator);
    if ends_as_folder || target.file_name().is_none() {
        return Err(WriteError::Folder(path.into()));
    }
    let folder = folder_of(target);
    match fs::metadata(folder) {
        Ok(data) if data.is_dir() => Ok(folder),
        Ok(_) => Err(WriteError::File(folder.into())),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Err(WriteError::NoFolder {
            path: path.into(),
            folder: folder.into(),
        }),
        Err(why) => Err(WriteError::io(path)(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_devices_are_known_by_name() {
        for name in ["NUL", "nul.mid", "C:/x/Con", "com1.wav", "LPT9"] {
            assert!(is_windows_device(Path::new(name)), "{name}");
        }
        for name in ["NULL", "com10", "console.mid", "communal"] {
            assert!(!is_windows_device(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn name_without_a_folder_and_name_of_a_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let refused = |path: &Path| Place::of_file(path, true).unwrap_err();
        assert!(matches!(refused(folder.path()), WriteError::Folder(_)));
        assert!(matches!(refused(&at("new/")), WriteError::Folder(_)));
        assert!(matches!(refused(&at("no/x")), WriteError::NoFolder { .. }));
        assert!(matches!(
            Place::of_file(&at("x"), false).unwrap(),
            Place::File(path) if path == at("x")
        ));
        assert!(matches!(
            Place::of_file(Path::new("-"), false).unwrap(),
            Place::Standard
        ));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_also_to_missing_files() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("second", at("first")).unwrap();
        symlink("real", at("second")).unwrap();
        assert_eq!(follow(&at("first")).unwrap(), at("real"));
        symlink("round", at("round")).unwrap();
        assert!(
            follow(&at("round"))
                .unwrap_err()
                .to_string()
                .contains("circle")
        );
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_written_and_sockets_are_refused() {
        let stream = |path: &Path| matches!(Place::of_file(path, false), Ok(Place::Stream(_)));
        assert!(stream(Path::new("/dev/null")));
        let standard = Place::of_file(Path::new("/dev/stdout"), false).unwrap();
        assert!(matches!(standard, Place::Standard));
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listens = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(matches!(
            Place::of_file(&socket, true),
            Err(WriteError::Special {
                what: "a socket",
                ..
            })
        ));
    }
}
