//! The files of a crate, in memory and on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

/// Name of the file in a patched crate that holds the content of the patch file from which the
/// crate was made. `plugin/build.rs` compares it with the patch file, so that no outdated crate is
/// compiled.
pub(super) const STAMP: &str = ".patch";

/// Contents of each file by its path in the crate, with `/` between folders.
pub(super) type Tree = BTreeMap<String, Vec<u8>>;

/// Names of the files and folders at a crate's top that cargo and this program make. They are no
/// part of the crate.
const NOT_PART: [&str; 3] = ["Cargo.lock", "target", STAMP];

/// Whether a file or folder at a crate's top belongs to the tree.
pub(super) fn is_part(name: &str) -> bool {
    !NOT_PART.contains(&name)
}

/// Reads the files in a crate's folder.
pub(super) fn read(folder: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    read_into(folder, "", &mut tree)?;
    Ok(tree)
}

fn read_into(folder: &Path, prefix: &str, tree: &mut Tree) -> Result<()> {
    let listed =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in listed {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if prefix.is_empty() && !is_part(&name) {
            continue;
        }
        let (path, key) = (entry.path(), format!("{prefix}{name}"));
        if path.is_dir() {
            read_into(&path, &format!("{key}/"), tree)?;
        } else {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            tree.insert(key, bytes);
        }
    }
    Ok(())
}

/// Writes the files of a crate into a folder.
pub(super) fn write(tree: &Tree, folder: &Path) -> Result<()> {
    for (path, bytes) in tree {
        let path = folder.join(path);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Removes a folder and its contents, if it exists.
pub(super) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Returns the paths of the files in which two trees differ.
pub(super) fn differing(a: &Tree, b: &Tree) -> Vec<String> {
    let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differs = |path: &&String| a.get(*path) != b.get(*path);
    paths.into_iter().filter(differs).cloned().collect()
}
