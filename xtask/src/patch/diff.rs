//! Makes a unified diff of the changes between two trees, and applies such a diff.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
use diffy::{DiffOptions, Patch};

use super::tree::Tree;

/// Path of a missing file in a diff.
const NO_FILE: &str = "/dev/null";
/// Numbers of lines of context around each change, in the order in which they are tried. Without
/// context, a change could apply at the wrong place of another release.
const CONTEXTS: [usize; 3] = [1, 2, 3];

/// Applies a unified diff of many files.
///
/// # Errors
///
/// Fails if the text is no such diff, or if a hunk does not apply; the error names the file and the
/// hunk.
pub(super) fn apply(mut tree: Tree, diff: &str) -> Result<Tree> {
    if diff.is_empty() {
        return Ok(tree);
    }
    for file in PatchSet::parse(diff, ParseOptions::unidiff()) {
        let file = file?;
        let operation = file.operation().strip_prefix(1);
        let (path, creates) = match &operation {
            FileOperation::Create(path) => (path, true),
            FileOperation::Delete(path) => (path, false),
            FileOperation::Modify { original, modified } if original == modified => {
                (modified, false)
            }
            other => bail!("{other:?} is not supported; write it as a deletion and a creation"),
        };
        let before = match tree.remove(path.as_ref()) {
            Some(_) if creates => bail!("{path} is created, but the released crate has it"),
            None if !creates => bail!("{path} is changed, but the released crate lacks it"),
            found => text(path, found.unwrap_or_default())?,
        };
        let patch = file
            .patch()
            .as_text()
            .context("binary changes are not supported")?;
        let after = apply_file(&before, patch).with_context(|| path.to_string())?;
        if !operation.is_delete() {
            tree.insert(path.to_string(), after.into_bytes());
        } else if !after.is_empty() {
            bail!("{path} is deleted, but the patch leaves lines in it");
        }
    }
    Ok(tree)
}

fn apply_file(before: &str, patch: &Patch<'_, str>) -> Result<String> {
    diffy::apply(before, patch).context("the released file does not have the lines to be changed")
}

/// Makes the unified diff from one tree to another, with as little context as possible.
///
/// # Errors
///
/// Fails if a changed file is not UTF-8, or if the diff does not reproduce `after`.
pub(super) fn make(before: &Tree, after: &Tree) -> Result<String> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut diff = String::new();
    for path in paths {
        let (old, new) = (before.get(path), after.get(path));
        if old != new {
            diff.push_str(&make_file(path, old, new)?);
        }
    }
    if apply(before.clone(), &diff)? != *after {
        bail!(
            "the unified diff of these changes does not reproduce them; edit the patch file by hand"
        );
    }
    Ok(diff)
}

/// Returns the diff of one file that differs; `None` stands for a file that does not exist.
fn make_file(path: &str, old: Option<&Vec<u8>>, new: Option<&Vec<u8>>) -> Result<String> {
    let name = |side: char, file: Option<&Vec<u8>>| match file {
        Some(_) => format!("{side}/{path}"),
        None => NO_FILE.to_owned(),
    };
    let mut options = DiffOptions::new();
    options.set_original_filename(name('a', old));
    options.set_modified_filename(name('b', new));
    let old = text(path, old.cloned().unwrap_or_default())?;
    let new = text(path, new.cloned().unwrap_or_default())?;
    for context in CONTEXTS {
        let patch = options.set_context_len(context).create_patch(&old, &new);
        if diffy::apply(&old, &patch).is_ok_and(|applied| applied == new) {
            return Ok(patch.to_string());
        }
    }
    bail!("{path}: no unified diff reproduces the changes; edit the patch file by hand");
}

fn text(path: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).with_context(|| format!("{path} is not a text file"))
}
