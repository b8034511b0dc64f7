//! Inputs that are files, pipes or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ReadError;

/// Name of standard input in messages.
pub const STANDARD_INPUT: &str = "standard input";

/// Greatest size of a music file in bytes: far above any real one, and far below the memory's size.
pub const MOST_BYTES: u64 = 256 << 20;

/// Whether a path is `-`, which stands for standard input or standard output.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Content of an input, with the name of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Name in messages: the path, or "standard input".
    pub name: PathBuf,
    /// The whole content.
    pub bytes: Vec<u8>,
}

/// Whether standard input has been read; a second read would find it empty.
static STANDARD_INPUT_READ: AtomicBool = AtomicBool::new(false);

/// Reads a file, a pipe or, for the path `-`, standard input.
///
/// # Errors
/// Fails if the input is a folder, has more than `most` bytes, or cannot be read, or if standard
/// input has been read before.
pub fn read_input(path: &Path, most: u64) -> Result<Input, ReadError> {
    if is_standard(path) {
        if STANDARD_INPUT_READ.swap(true, Ordering::Relaxed) {
            return Err(ReadError::StandardInputTwice);
        }
        return read(STANDARD_INPUT.into(), io::stdin().lock(), most);
    }
    let failed = |source| ReadError::Io {
        path: path.into(),
        source,
    };
    // This is checked first, since some systems refuse to open a folder without naming the reason.
    if path.is_dir() {
        return Err(ReadError::Folder(path.into()));
    }
    read(path.into(), File::open(path).map_err(failed)?, most)
}

/// Reads an input as UTF-8 text, as [`read_input`] does.
///
/// # Errors
/// Also fails if the input is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, ReadError> {
    let Input { name, bytes } = read_input(path, most)?;
    String::from_utf8(bytes).map_err(|_| ReadError::NotText(name))
}

fn read(name: PathBuf, from: impl Read, most: u64) -> Result<Input, ReadError> {
    let mut bytes = Vec::new();
    match from.take(most.saturating_add(1)).read_to_end(&mut bytes) {
        Err(source) => Err(ReadError::Io { path: name, source }),
        Ok(_) if bytes.len() as u64 > most => Err(ReadError::TooLarge { path: name, most }),
        Ok(_) => Ok(Input { name, bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_unreadable_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(read_input(&path, 3).unwrap().bytes, b"ab\xff");
        assert!(matches!(
            read_input(&path, 2),
            Err(ReadError::TooLarge { .. })
        ));
        assert!(matches!(read_text(&path, 3), Err(ReadError::NotText(_))));
        let folder = folder.path();
        assert!(matches!(read_input(folder, 3), Err(ReadError::Folder(_))));
        let gone = read_input(&folder.join("gone"), 3).unwrap_err().to_string();
        assert!(gone.contains("gone"), "{gone}");
    }

    #[cfg(unix)]
    #[test]
    fn endless_device_is_too_large() {
        let endless = read_input(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert!(matches!(endless, ReadError::TooLarge { .. }));
        assert_eq!(read_input(Path::new("/dev/null"), 1).unwrap().bytes, b"");
    }
}
