//! A search for files with given extensions in a folder and its subfolders.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// Result of a search: the files found, and the entries left out.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Files with one of the extensions, in order of name.
    pub files: Vec<PathBuf>,
    /// Folders, and files with one of the extensions, that were left out.
    pub left_out: Vec<LeftOut>,
    /// Number of files with other extensions.
    pub others: usize,
}

impl Found {
    /// Returns one line for each reason of leaving something in `folder` out: the number of entries
    /// and the first.
    pub fn summary(&self, folder: &Path) -> Vec<String> {
        let mut reasons: BTreeMap<&'static str, Vec<&LeftOut>> = BTreeMap::new();
        for left_out in &self.left_out {
            reasons
                .entry(left_out.why.reason())
                .or_default()
                .push(left_out);
        }
        let line = |(reason, all): (&'static str, Vec<&LeftOut>)| {
            let (count, first) = (all.len(), all[0]);
            let (folder, path) = (folder.display(), first.path.display());
            let first = match &first.why {
                Why::Unreadable(why) => format!("{path}: {why}"),
                _ => path.to_string(),
            };
            match count {
                1 => format!("{folder}: 1 left out, {reason}: {first}"),
                _ => format!("{folder}: {count} left out, {reason}; the first: {first}"),
            }
        };
        reasons.into_iter().map(line).collect()
    }
}

/// A file or folder that a search left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The file or folder.
    pub path: PathBuf,
    /// The reason.
    pub why: Why,
}

/// Reason of leaving a file or folder out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A name that begins with a dot.
    Hidden,
    /// A size in bytes above the limit.
    TooLarge(u64),
    /// A link to an entry that was found before.
    Again,
    /// A device, a pipe or a socket.
    Special,
    /// An error of the system.
    Unreadable(String),
}

impl Why {
    /// Returns the reason in words, the same for all entries with that reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::TooLarge(_) => "too large",
            Self::Again => "a link to what was found already",
            Self::Special => "a device or a pipe",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// Searches a folder and its subfolders for files with one of `endings` (in lower case, without the
/// dot) of at most `most_bytes`, which gets the extension. Each link is followed once and after all other entries, so that
/// cycles end and a file is found by its own name. The search ends when it has found more than
/// `most_files` files.
///
/// # Errors
/// Fails if the folder itself cannot be read, or is no folder.
pub fn search(
    folder: &Path,
    endings: &[&str],
    most_bytes: &dyn Fn(&str) -> u64,
    most_files: usize,
) -> io::Result<Found> {
    // An unreadable top folder is an error; an unreadable subfolder is left out.
    fs::read_dir(folder)?;
    let mut search = Search {
        endings,
        most_bytes,
        most_files,
        found: Found::default(),
        seen: HashSet::new(),
        links: Vec::new(),
    };
    search.walk(folder);
    while let Some(link) = search.links.pop() {
        search.link(&link);
    }
    search.found.files.sort();
    search.found.left_out.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(search.found)
}

struct Search<'a> {
    endings: &'a [&'a str],
    most_bytes: &'a dyn Fn(&str) -> u64,
    most_files: usize,
    found: Found,
    /// Files and folders found, without links.
    seen: HashSet<PathBuf>,
    /// Links to follow.
    links: Vec<PathBuf>,
}

impl Search<'_> {
    fn walk(&mut self, folder: &Path) {
        let mut entries = WalkDir::new(folder).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            if self.found.files.len() > self.most_files {
                return;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(why) => {
                    let path = why.path().unwrap_or(folder).to_path_buf();
                    let why = why
                        .into_io_error()
                        .map_or_else(|| "cannot be read".to_string(), |why| why.to_string());
                    self.leave_out(path, Why::Unreadable(why));
                    continue;
                }
            };
            // The top folder may have any name, and may be a link.
            if entry.depth() == 0 {
                self.is_new(entry.path());
                continue;
            }
            if self.step(&entry) {
                entries.skip_current_dir();
            }
        }
    }

    /// Processes an entry. Returns whether it is a folder to skip.
    fn step(&mut self, entry: &DirEntry) -> bool {
        let (path, kind) = (entry.path(), entry.file_type());
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() {
            if hidden {
                self.leave_out(path.into(), Why::Hidden);
            }
            return hidden || !self.is_new(path);
        }
        if kind.is_symlink() {
            if hidden {
                self.leave_out(path.into(), Why::Hidden);
            } else {
                self.links.push(path.into());
            }
        } else {
            self.file(path, hidden);
        }
        false
    }

    /// Follows a link.
    fn link(&mut self, path: &Path) {
        match fs::metadata(path) {
            // A link into a searched folder leads to known entries.
            Ok(data) if data.is_dir() && self.knows(path) => {
                self.leave_out(path.into(), Why::Again);
            }
            Ok(data) if data.is_dir() => self.walk(path),
            Ok(_) => self.file(path, false),
            Err(why) => self.leave_out(path.into(), Why::Unreadable(why.to_string())),
        }
    }

    fn file(&mut self, path: &Path, hidden: bool) {
        let ending = path.extension().map(|e| e.to_ascii_lowercase());
        let known = |e| self.endings.iter().find(|known| e == **known);
        let Some(ending) = ending.and_then(known) else {
            self.found.others += 1;
            return;
        };
        let why = match fs::metadata(path) {
            _ if hidden => Why::Hidden,
            Err(why) => Why::Unreadable(why.to_string()),
            Ok(data) if !data.is_file() => Why::Special,
            Ok(data) if data.len() > (self.most_bytes)(ending) => Why::TooLarge(data.len()),
            Ok(_) if !self.is_new(path) => Why::Again,
            Ok(_) => return self.found.files.push(path.into()),
        };
        self.leave_out(path.into(), why);
    }

    fn leave_out(&mut self, path: PathBuf, why: Why) {
        self.found.left_out.push(LeftOut { path, why });
    }

    fn knows(&self, path: &Path) -> bool {
        path.canonicalize()
            .is_ok_and(|real| self.seen.contains(&real))
    }

    /// Whether this file or folder is found for the first time. An entry without a real path counts
    /// as new.
    fn is_new(&mut self, path: &Path) -> bool {
        path.canonicalize()
            .map_or(true, |real| self.seen.insert(real))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(folder: &Path) -> Found {
        search(folder, &["mid", "kar"], &|_| 100, usize::MAX).unwrap()
    }

    #[test]
    fn search_finds_files_by_ending_and_counts_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/c.mid")).unwrap();
        fs::create_dir(at(".git")).unwrap();
        for name in [
            "z.MID",
            "a.kar",
            "b/c.mid/d.mid",
            "mid",
            "x.wav",
            ".git/e.mid",
            "._z.mid",
        ] {
            fs::write(at(name), "").unwrap();
        }
        fs::write(at("huge.mid"), [0; 101]).unwrap();
        let Found {
            files,
            left_out,
            others,
        } = found(folder.path());
        assert_eq!(files, ["a.kar", "b/c.mid/d.mid", "z.MID"].map(at));
        let left_out: Vec<_> = left_out.into_iter().map(|l| (l.path, l.why)).collect();
        let expected = [
            (at("._z.mid"), Why::Hidden),
            (at(".git"), Why::Hidden),
            (at("huge.mid"), Why::TooLarge(101)),
        ];
        assert_eq!(left_out, expected);
        assert_eq!(others, 2);
        let lines = found(folder.path()).summary(Path::new("music"));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("music: 2 left out, hidden; the first: "));
        assert!(lines[1].starts_with("music: 1 left out, too large: "));
        let few = search(folder.path(), &["mid", "kar"], &|_| 100, 1).unwrap();
        assert_eq!(few.files.len(), 2);
        assert!(search(&at("gone"), &["mid"], &|_| 100, 1).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_once_and_never_in_a_circle() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("far.mid"), "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        fs::write(at("b/own.mid"), "").unwrap();
        symlink(folder.path(), at("b/up")).unwrap();
        symlink(outside.path(), at("a-link")).unwrap();
        symlink(outside.path(), at("again")).unwrap();
        symlink(at("b/own.mid"), at("a.mid")).unwrap();
        symlink(at("nowhere"), at("broken.mid")).unwrap();
        symlink(at("loop.mid"), at("loop.mid")).unwrap();
        symlink(Path::new("/dev/null"), at("device.mid")).unwrap();
        let found = found(folder.path());
        assert_eq!(found.files.len(), 2, "{found:?}");
        assert!(found.files.contains(&at("b/own.mid")), "by its own name");
        assert!(found.files.iter().any(|file| file.ends_with("far.mid")));
        let why = |name: &str| {
            let left_out = found.left_out.iter().find(|l| l.path == at(name));
            left_out.map(|l| l.why.clone())
        };
        assert_eq!(why("b/up"), Some(Why::Again));
        assert_eq!(why("a.mid"), Some(Why::Again));
        assert_eq!(why("device.mid"), Some(Why::Special));
        assert!(matches!(why("broken.mid"), Some(Why::Unreadable(_))));
        assert!(matches!(why("loop.mid"), Some(Why::Unreadable(_))));
        assert!(why("again").is_some() != why("a-link").is_some());
    }
}
