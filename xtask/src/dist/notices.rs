//! Licences of everything that is compiled into Continuo, from the sources that cargo compiles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use spdx::{Expression, ParseMode};

use crate::target::Target;

/// Beginnings of the names of files with licences and notices, in upper case.
const NAMES: [&str; 8] = [
    "LICENSE",
    "LICENCE",
    "UNLICENSE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "OFL",
    "UFL",
];
/// Folders of a crate in which such files are searched, besides its own: licences of fonts, and those
/// of C++ code that a crate compiles.
const FOLDERS: [&str; 4] = ["fonts", "licenses", "LICENSES", "faiss"];

/// Works that are compiled in and are no crates.
const OTHERS: &str = "\
Rust's standard library: MIT OR Apache-2.0, the Rust project's contributors (rust-lang.org).
GCC's C++ library and support library, linked into the plugin on Linux and Windows: GPL-3.0 with \
the GCC Runtime Library Exception 3.1, Free Software Foundation.
ONNX Runtime and basic-pitch's model lie beside the plugin, with licences of their own.
";

/// Debian's file on MinGW-w64, whose runtime and threads are linked into a build of its compiler.
const MINGW: &str = "/usr/share/doc/mingw-w64-x86-64-dev/copyright";

/// The notices for the packages `roots` and all that they are compiled from, for a platform.
///
/// # Errors
///
/// Fails if cargo cannot list the packages, if a licence cannot be read, or if a package has neither a
/// text nor a known licence.
pub(super) fn notices(roots: &[&str], target: Target) -> Result<String> {
    let mut command = MetadataCommand::new();
    command.other_options(["--filter-platform".into(), target.rust_name()?]);
    let metadata = command.exec().context("cargo lists no packages")?;
    let mut text = String::from("Continuo is compiled from the following works of others.\n\n");
    text += OTHERS;
    if target.is_mingw() {
        let mingw = fs::read_to_string(MINGW)
            .with_context(|| format!("cannot read MinGW-w64's licences in {MINGW}"))?;
        write!(
            text,
            "\nMinGW-w64's runtime and its winpthreads:\n\n{mingw}\n"
        )?;
    }
    // Many crates have the same text; each is printed once, below the names of all of them.
    let mut works: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in compiled(&metadata, roots)? {
        let licence = package.license.as_deref().unwrap_or("see the text");
        let source = match &package.repository {
            Some(repository) => format!(", {repository}"),
            None => String::new(),
        };
        let name = format!("{} {} ({licence}){source}", package.name, package.version);
        let folder = package
            .manifest_path
            .parent()
            .context("a package without a folder")?;
        let mut texts = String::new();
        for path in licences(folder.as_std_path())? {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts += String::from_utf8_lossy(&bytes).trim();
            texts += "\n\n";
        }
        if texts.is_empty() {
            texts = standard_texts(package)?;
        }
        works.entry(texts).or_default().push(name);
    }
    for (texts, names) in works {
        let line = "-".repeat(80);
        write!(text, "\n{line}\n{}\n{line}\n\n{texts}", names.join("\n"))?;
    }
    Ok(text)
}

/// The authors and the standard texts of the licences of a package that brings no text.
fn standard_texts(package: &Package) -> Result<String> {
    let licence = package.license.as_deref().unwrap_or_default();
    let unknown = || {
        format!(
            "{}: no text, and no known licence: {licence:?}",
            package.name
        )
    };
    let parsed = Expression::parse_mode(licence, ParseMode::LAX).with_context(unknown)?;
    let mut texts = match package.authors.as_slice() {
        [] => String::from("Copyright of its authors\n\n"),
        authors => format!("Copyright of {}\n\n", authors.join(", ")),
    };
    for required in parsed.requirements() {
        let id = required.req.license.id().with_context(unknown)?;
        writeln!(texts, "{}\n\n{}\n", id.full_name, id.text().trim())?;
    }
    Ok(texts)
}

/// Packages of others that the roots are compiled from, by name and version.
fn compiled<'a>(metadata: &'a Metadata, roots: &[&str]) -> Result<Vec<&'a Package>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo resolves no packages")?;
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let is_root = |package: &&Package| roots.contains(&package.name.as_str());
    let roots = metadata.packages.iter().filter(is_root);
    let mut waiting: Vec<&PackageId> = roots.map(|package| &package.id).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !found.insert(id) {
            continue;
        }
        let node = nodes.get(id).context("a package without dependencies")?;
        let normal = node.deps.iter().filter(|dependency| {
            dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal)
        });
        waiting.extend(normal.map(|dependency| &dependency.pkg));
    }
    let members: BTreeSet<_> = metadata.workspace_members.iter().collect();
    let mut packages: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| found.contains(&package.id) && !members.contains(&package.id))
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(packages)
}

/// Files with licences of a crate, by path.
fn licences(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let folders = FOLDERS.iter().map(|name| folder.join(name));
    for folder in std::iter::once(folder.to_path_buf()).chain(folders) {
        if !folder.is_dir() {
            continue;
        }
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
        {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_uppercase();
            if path.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    #[test]
    fn every_work_has_a_name_and_known_ones_have_their_text() {
        shell::enter_root().unwrap();
        let text = notices(&["continuo"], Target::host()).unwrap();
        for name in ["faiss-sys ", "egui ", "ort ", "nice-plug "] {
            assert!(text.contains(&format!("\n{name}")), "{name}");
        }
        assert!(
            text.contains("Copyright (c) Facebook"),
            "faiss's own licence"
        );
        let rule = "-".repeat(80);
        let without = text
            .split(&rule)
            .skip(1)
            .filter(|part| part.trim().is_empty());
        assert_eq!(without.count(), 0, "a work without a text");
        assert!(
            !text.contains("objc2"),
            "a crate of another system: {}",
            Target::host().name()
        );
        assert!(
            !text.contains("\ncontinuo "),
            "our own crates are not others'"
        );
    }
}
