//! A patch file: an explanation, the hash of the released crate, and the changes.
//!
//! ```text
//! nice-plug 0.4.2, four fixes             explanation: any text
//!
//! SHA-256: 5d1e...  nice-plug-0.4.2.crate  the released crate
//!
//! --- a/src/lib.rs                        changes: a unified diff
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Prefix of the line with the hash.
const HASH: &str = "SHA-256: ";

/// A patch file.
pub(super) struct PatchFile {
    /// Path of the patch file.
    pub(super) path: PathBuf,
    /// Name of the crate.
    pub(super) name: String,
    /// Version of the crate.
    pub(super) version: String,
    /// SHA-256 of the `.crate` file, in hexadecimal digits.
    pub(super) sha256: String,
    /// Text of the whole file.
    pub(super) text: String,
    /// Byte offset of the hash's line in `text`.
    content_at: usize,
}

impl PatchFile {
    /// Reads a patch file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, has no line that names its crate, or is named for another
    /// crate.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = Self::from_text(path, text)?;
        let expected = format!("{}-{}.patch", file.name, file.version);
        if path.file_name().is_none_or(|name| name != &*expected) {
            bail!(
                "{} is for {} {}; call it {expected}",
                path.display(),
                file.name,
                file.version
            );
        }
        Ok(file)
    }

    /// Parses a patch file's text; `path` is its path.
    ///
    /// # Errors
    ///
    /// Fails if no line names its crate.
    pub(super) fn from_text(path: &Path, text: String) -> Result<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix(HASH));
        let parsed = line.and_then(|line| {
            let (sha256, file) = line.split_once("  ")?;
            let (name, version) = split(file.trim_end().strip_suffix(".crate")?)?;
            Some((sha256.to_owned(), name.to_owned(), version.to_owned()))
        });
        let Some((sha256, name, version)) = parsed else {
            bail!(
                "{} has no line `{HASH}HEXADECIMAL  NAME-VERSION.crate`",
                path.display()
            );
        };
        let content_at = match text.find(&format!("\n{HASH}")) {
            Some(line_end) => line_end + 1,
            None => 0,
        };
        Ok(Self {
            path: path.to_owned(),
            name,
            version,
            sha256,
            text,
            content_at,
        })
    }

    /// Returns the file without its explanation: the hash and the changes.
    pub(super) fn content(&self) -> &str {
        &self.text[self.content_at..]
    }

    /// Returns the changes; they are empty for a crate that is used as released.
    pub(super) fn diff(&self) -> &str {
        let after_hash = self.content().split_once('\n').map_or("", |(_, rest)| rest);
        after_hash.trim_start_matches(['\r', '\n'])
    }

    /// Returns the text of the file with other changes.
    pub(super) fn with_diff(&self, diff: &str) -> String {
        let explanation = &self.text[..self.content_at];
        let Self {
            name,
            version,
            sha256,
            ..
        } = self;
        let gap = if diff.is_empty() { "" } else { "\n" };
        format!("{explanation}{HASH}{sha256}  {name}-{version}.crate\n{gap}{diff}")
    }
}

/// Splits NAME-VERSION. Both may contain dashes; a version begins with a number and a dot.
fn split(crate_file: &str) -> Option<(&str, &str)> {
    let dashes = crate_file.match_indices('-');
    let mut splits = dashes.map(|(at, _)| (&crate_file[..at], &crate_file[at + 1..]));
    splits.find(|(_, version)| {
        let number = version.split_once('.').map(|(number, _)| number);
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}
