//! Archives whose bytes depend on their contents alone: `.tar.gz`, `.zip` and `.deb`. Every entry has
//! the same time, the same owner, and one of two modes.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Contents of an archive, sorted by path.
pub(super) struct Contents {
    /// Seconds since 1970 of every entry, except in a `.zip`.
    pub(super) time: u64,
    pub(super) entries: Vec<Entry>,
}

/// A file or link in an archive.
#[derive(Clone)]
pub(super) struct Entry {
    /// Path in the archive, with `/` between folders.
    pub(super) path: String,
    pub(super) data: Data,
}

/// Contents of an entry.
#[derive(Clone)]
pub(super) enum Data {
    /// Bytes of a file.
    File(Vec<u8>),
    /// Bytes of a file that may be executed.
    Program(Vec<u8>),
    /// Target of a symbolic link.
    Link(String),
    /// A folder; its path ends with `/`.
    Folder,
}

impl Contents {
    /// The `.tar.gz`, with every path below `root`.
    ///
    /// # Errors
    ///
    /// Fails if a path is too long.
    pub(super) fn tar_gz(&self, root: &str) -> Result<Vec<u8>> {
        // A header without name and time.
        let gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        let mut tar = tar::Builder::new(gzip);
        for Entry { path, data } in &self.entries {
            let path = format!("{root}{path}");
            let mut header = tar::Header::new_gnu();
            header.set_mtime(self.time);
            header.set_mode(data.mode());
            let bytes: &[u8] = match data {
                Data::File(bytes) | Data::Program(bytes) => bytes,
                Data::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    tar.append_link(&mut header, &path, target)?;
                    continue;
                }
                Data::Folder => {
                    header.set_entry_type(tar::EntryType::Directory);
                    &[]
                }
            };
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, &path, bytes)
                .with_context(|| format!("cannot put {path} into an archive"))?;
        }
        Ok(tar.into_inner()?.finish()?)
    }

    /// The same, with an entry for every folder before its contents, which dpkg wants.
    fn with_folders(&self) -> Self {
        let mut entries: BTreeMap<String, Data> = BTreeMap::new();
        for Entry { path, data } in &self.entries {
            for (at, _) in path.match_indices('/') {
                entries.insert(path[..=at].into(), Data::Folder);
            }
            entries.insert(path.clone(), data.clone());
        }
        let entries = entries.into_iter();
        Self {
            time: self.time,
            entries: entries.map(|(path, data)| Entry { path, data }).collect(),
        }
    }

    /// The `.zip`, with every path below `root`. Its times are 1980, the first that it can have.
    ///
    /// # Errors
    ///
    /// Fails if the contents do not fit the format.
    pub(super) fn zip(&self, root: &str) -> Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default());
        for Entry { path, data } in &self.entries {
            let path = format!("{root}{path}");
            let options = options.unix_permissions(data.mode());
            match data {
                Data::File(bytes) | Data::Program(bytes) => {
                    zip.start_file(path, options)?;
                    zip.write_all(bytes)?;
                }
                Data::Link(target) => zip.add_symlink(path, target, options)?,
                Data::Folder => zip.add_directory(path, options)?,
            }
        }
        Ok(zip.finish()?.into_inner())
    }

    /// The Debian package with these files below `/`, and `control` as its description. Format:
    /// deb(5).
    ///
    /// # Errors
    ///
    /// Fails if a path is too long.
    pub(super) fn deb(&self, control: &str) -> Result<Vec<u8>> {
        let description = Self {
            time: self.time,
            entries: vec![Entry {
                path: "control".into(),
                data: Data::File(control.into()),
            }],
        };
        let mut deb = ar::Builder::new(Vec::new());
        for (name, bytes) in [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar.gz", description.tar_gz("")?),
            ("data.tar.gz", self.with_folders().tar_gz("")?),
        ] {
            let mut header = ar::Header::new(name.into(), bytes.len() as u64);
            header.set_mtime(self.time);
            header.set_mode(0o100_644);
            deb.append(&header, bytes.as_slice())?;
        }
        Ok(deb.into_inner()?)
    }
}

impl Data {
    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::File(bytes) | Self::Program(bytes) => bytes.len(),
            Self::Link(target) => target.len(),
            Self::Folder => 0,
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Self::File(_) => 0o644,
            Self::Program(_) | Self::Folder => 0o755,
            Self::Link(_) => 0o777,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn contents() -> Contents {
        let entry = |path: &str, data| Entry {
            path: path.into(),
            data,
        };
        Contents {
            time: 1_796_000_000,
            entries: vec![
                entry("usr/bin/continuo", Data::Link("../lib/continuo".into())),
                entry("usr/lib/continuo", Data::Program(b"program".to_vec())),
                entry("usr/share/notes", Data::File(b"notes".to_vec())),
            ],
        }
    }

    #[test]
    fn same_contents_give_the_same_bytes() {
        let (one, two) = (contents(), contents());
        assert_eq!(one.zip("a/").unwrap(), two.zip("a/").unwrap());
        assert_eq!(
            one.deb("Package: a\n").unwrap(),
            two.deb("Package: a\n").unwrap()
        );
    }

    #[test]
    fn zip_and_tar_hold_what_was_put_in() {
        let bytes = contents().zip("root/").unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let program = zip.by_name("root/usr/lib/continuo").unwrap();
        assert_eq!(program.unix_mode().unwrap() & 0o777, 0o755);
        let bytes = contents().tar_gz("root/").unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut entries = tar.entries().unwrap().map(Result::unwrap);
        let link = entries.next().unwrap();
        assert_eq!(link.path().unwrap().to_str(), Some("root/usr/bin/continuo"));
        assert_eq!(
            link.link_name().unwrap().unwrap().to_str(),
            Some("../lib/continuo")
        );
        assert_eq!(entries.count(), 2);
    }

    /// Debian's own program reads the package.
    #[test]
    fn dpkg_reads_the_package() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.deb");
        let control = "Package: continuo\nVersion: 1.0\nArchitecture: all\nMaintainer: us\n\
                       Description: a test\n";
        std::fs::write(&path, contents().deb(control).unwrap()).unwrap();
        let dpkg = Command::new("dpkg-deb")
            .arg("--contents")
            .arg(&path)
            .stderr(Stdio::null())
            .output();
        let Ok(output) = dpkg else {
            eprintln!("skipped: there is no dpkg-deb");
            return;
        };
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains(" usr/lib/continuo"),
            "{text}"
        );
    }
}
