//! What a Linux plugin asks the loader for. It must find it on every machine and in every
//! host: so only what is part of every Linux, and nothing that brings threads or functions a
//! host may have of its own (OpenMP, BLAS, another C++ library).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{File, NameOrOrdinal, Object};

/// The C library, its mathematics, the unwinder that Rust and C++ share, and the loader.
const EVERYWHERE: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Fails where the library at `path` needs a library or a function that is not everywhere.
/// Does nothing for another format than ELF.
pub(crate) fn check(path: &Path) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let needs = Needs::read(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
    let Some(needs) = needs else {
        return Ok(());
    };
    let foreign = needs.foreign();
    if !foreign.is_empty() {
        bail!(
            "{} needs {}, which not every machine has; it may need only {}. \
             faiss is meant to be linked with nothing (third_party/faiss/toolchain.cmake); \
             if it was built before that file was there: cargo clean -p faiss-sys",
            path.display(),
            foreign.join(", "),
            EVERYWHERE.join(", "),
        );
    }
    eprintln!("{}: needs {}", path.display(), needs.libraries.join(", "));
    Ok(())
}

/// What a library asks for.
struct Needs {
    /// Names of libraries.
    libraries: Vec<String>,
    /// Functions that no named library is known to have: the loader would look for them in
    /// whatever the host has loaded, and refuse the plugin where there is none.
    loose: Vec<String>,
}

impl Needs {
    /// `None` if these are not the bytes of an ELF library.
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
        let mut loose = Vec::new();
        for import in file.imports()? {
            let import = import?;
            if let NameOrOrdinal::Name(name) = import.name()
                && import.library().is_empty()
                && !import.is_weak()
            {
                loose.push(text(name));
            }
        }
        Ok(Some(Self { libraries, loose }))
    }

    fn foreign(&self) -> Vec<&str> {
        let libraries = self.libraries.iter().map(String::as_str);
        libraries
            .filter(|name| !EVERYWHERE.contains(name))
            .chain(self.loose.iter().map(String::as_str))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This very program is read: what `cargo` links for Linux needs nothing else.
    #[test]
    #[cfg(target_os = "linux")]
    fn reads_what_a_program_needs() {
        let bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = Needs::read(&bytes).unwrap().unwrap();
        assert!(needs.libraries.contains(&"libc.so.6".to_string()));
        assert!(needs.foreign().is_empty(), "{:?}", needs.foreign());
        check(&std::env::current_exe().unwrap()).unwrap();
    }

    #[test]
    fn names_what_is_foreign() {
        let needs = Needs {
            libraries: ["libc.so.6", "libgomp.so.1"].map(String::from).to_vec(),
            loose: vec!["sgemm_".into()],
        };
        assert_eq!(needs.foreign(), ["libgomp.so.1", "sgemm_"]);
    }

    #[test]
    fn other_formats_are_left_alone() {
        assert!(Needs::read(b"MZ\x90").unwrap().is_none());
        assert!(Needs::read(b"\x7fELF then nothing").is_err());
    }
}
