//! Dynamic linkage of a Linux plugin. Only libraries that every Linux has are allowed. OpenMP, BLAS
//! or a C++ library would bring threads or functions that a host may have too.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{File, NameOrOrdinal, Object};

/// Libraries that every Linux has: the C library, its mathematics, the unwinder of Rust and C++,
/// and the loader.
const EVERYWHERE: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Fails if the library at `path` imports a library or function that is not on every machine.
/// Accepts files of other formats than ELF.
///
/// # Errors
///
/// Fails if there is such an import or the file cannot be read.
pub(crate) fn check(path: &Path) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let linkage =
        Linkage::read(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
    let Some(linkage) = linkage else {
        return Ok(());
    };
    let foreign = linkage.foreign();
    if !foreign.is_empty() {
        bail!(
            "{} needs {}, which not every machine has; it may need only {}. \
             faiss must link nothing (third_party/faiss/toolchain.cmake); \
             if it was built before that file existed, run `cargo clean -p faiss-sys`",
            path.display(),
            foreign.join(", "),
            EVERYWHERE.join(", "),
        );
    }
    eprintln!("{}: needs {}", path.display(), linkage.libraries.join(", "));
    Ok(())
}

/// Imports of a library.
struct Linkage {
    /// Names of imported libraries.
    libraries: Vec<String>,
    /// Names of imported functions without a library version. The loader would search them in the
    /// libraries that the host has loaded, and refuse the plugin if none has them.
    unversioned: Vec<String>,
}

impl Linkage {
    /// Reads the imports of an ELF library; `None` if it is no ELF file.
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        if !bytes.starts_with(b"\x7fELF") {
            return Ok(None);
        }
        let file = File::parse(bytes)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut libraries = Vec::new();
        for library in file.import_libraries()? {
            libraries.push(text(library?.name()));
        }
        let mut unversioned = Vec::new();
        for import in file.imports()? {
            let import = import?;
            if let NameOrOrdinal::Name(name) = import.name()
                && import.library().is_empty()
                && !import.is_weak()
            {
                unversioned.push(text(name));
            }
        }
        Ok(Some(Self {
            libraries,
            unversioned,
        }))
    }

    /// Returns the imports that are not on every machine.
    fn foreign(&self) -> Vec<&str> {
        let libraries = self.libraries.iter().map(String::as_str);
        libraries
            .filter(|name| !EVERYWHERE.contains(name))
            .chain(self.unversioned.iter().map(String::as_str))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library that is read is this test program, which links only what Rust links on Linux.
    #[test]
    #[cfg(target_os = "linux")]
    fn test_program_has_no_foreign_imports() {
        let bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        let linkage = Linkage::read(&bytes).unwrap().unwrap();
        assert!(linkage.libraries.contains(&"libc.so.6".to_string()));
        assert!(linkage.foreign().is_empty(), "{:?}", linkage.foreign());
        check(&std::env::current_exe().unwrap()).unwrap();
    }

    #[test]
    fn foreign_libraries_and_functions_are_named() {
        let linkage = Linkage {
            libraries: ["libc.so.6", "libgomp.so.1"].map(String::from).to_vec(),
            unversioned: vec!["sgemm_".into()],
        };
        assert_eq!(linkage.foreign(), ["libgomp.so.1", "sgemm_"]);
    }

    #[test]
    fn other_formats_have_no_linkage_and_damaged_elf_is_an_error() {
        assert!(Linkage::read(b"MZ\x90").unwrap().is_none());
        assert!(Linkage::read(b"\x7fELF then nothing").is_err());
    }
}
