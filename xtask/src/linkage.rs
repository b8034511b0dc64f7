//! Imports and exports of a binary that hosts load: ELF, PE or Mach-O. Only libraries that every
//! system has are allowed. OpenMP, BLAS or a C++ library would bring threads or functions that a host
//! may have too, and so would exported functions of faiss.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::read::macho::{FatArch, MachOFatFile32};
use object::{BinaryFormat, File, NameOrOrdinal, Object};

/// The functions that a plugin exports for CLAP and VST3 hosts, of any system.
pub(crate) const PLUGIN_EXPORTS: &[&str] = &["clap_entry", "GetPluginFactory"];

/// Libraries that every Linux has: the C library, its mathematics, the unwinder of Rust and C++,
/// and the loader.
const LINUX: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Libraries that every Windows from 10 on has, in lower case. The C library in its parts
/// (`api-ms-win-…`) is one of them; Visual C++'s own are not.
const WINDOWS: &[&str] = &[
    "advapi32.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "combase.dll",
    "comctl32.dll",
    "comdlg32.dll",
    "crypt32.dll",
    "dwmapi.dll",
    "gdi32.dll",
    "imm32.dll",
    "kernel32.dll",
    "msvcrt.dll",
    "ntdll.dll",
    "ole32.dll",
    "oleaut32.dll",
    "opengl32.dll",
    "propsys.dll",
    "rpcrt4.dll",
    "shell32.dll",
    "shlwapi.dll",
    "uiautomationcore.dll",
    "user32.dll",
    "userenv.dll",
    "uxtheme.dll",
    "version.dll",
    "winmm.dll",
    "ws2_32.dll",
];

/// Folders of macOS's own libraries.
const MACOS: &[&str] = &["/usr/lib/", "/System/Library/"];

/// Fails if the binary at `path` imports a library or function that is not on every machine, lacks
/// one of `exports`, or exports a function of faiss.
///
/// # Errors
///
/// Fails for these reasons, or if the file cannot be read.
pub(crate) fn check(path: &Path, exports: &[&str]) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let failed = || format!("cannot read the imports of {}", path.display());
    for binary in binaries(&bytes).with_context(failed)? {
        if let Some(linkage) = Linkage::read(binary).with_context(failed)? {
            check_linkage(path, &linkage, exports)?;
        }
    }
    Ok(())
}

/// The binaries of a file: those for several processors in a universal one of macOS, else one.
fn binaries(bytes: &[u8]) -> Result<Vec<&[u8]>> {
    if !bytes.starts_with(&[0xca, 0xfe, 0xba, 0xbe]) {
        return Ok(vec![bytes]);
    }
    let universal = MachOFatFile32::parse(bytes)?;
    let arches = universal.arches().iter();
    Ok(arches
        .map(|arch| arch.data(bytes))
        .collect::<object::Result<_>>()?)
}

fn check_linkage(path: &Path, linkage: &Linkage, exports: &[&str]) -> Result<()> {
    let path = path.display();
    let foreign = linkage.foreign();
    if !foreign.is_empty() {
        bail!(
            "{path} needs {}, which not every machine has. faiss must link nothing \
             (third_party/faiss/toolchain.cmake); if it was built before that file existed, run \
             `cargo clean -p faiss-sys`",
            foreign.join(", "),
        );
    }
    let missing: Vec<_> = exports
        .iter()
        .filter(|name| !linkage.exports(name))
        .collect();
    if !missing.is_empty() {
        bail!("{path} does not export {missing:?}, so hosts cannot load it");
    }
    let faiss = linkage.exports.iter().find(|name| name.contains("faiss"));
    if let Some(name) = faiss {
        bail!(
            "{path} exports {name}; a host could mix it up with its own faiss \
             (third_party/faiss/toolchain.cmake)"
        );
    }
    // Windows names a library once for each crate that imports from it, in any case.
    let mut libraries = linkage.libraries.clone();
    libraries.sort_by_key(|name| name.to_lowercase());
    libraries.dedup_by_key(|name| name.to_lowercase());
    eprintln!("{path}: needs {}", libraries.join(", "));
    eprintln!("{path}: exports {}", linkage.exports.join(", "));
    Ok(())
}

/// Imports and exports of a binary.
struct Linkage {
    format: BinaryFormat,
    /// Names of imported libraries.
    libraries: Vec<String>,
    /// Names of imported functions without a library version, in ELF. The loader would search them
    /// in the libraries that the host has loaded, and refuse the plugin if none has them.
    unversioned: Vec<String>,
    /// Names of exported functions and data.
    exports: Vec<String>,
}

impl Linkage {
    /// Reads imports and exports; `None` if the file is no binary, such as a property list.
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        const MAGICS: [&[u8]; 3] = [b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe"];
        if !MAGICS.iter().any(|magic| bytes.starts_with(magic)) {
            return Ok(None);
        }
        let file = File::parse(bytes)?;
        let format = file.format();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut libraries = Vec::new();
        for library in file.import_libraries()? {
            libraries.push(text(library?.name()));
        }
        let mut unversioned = Vec::new();
        if format == BinaryFormat::Elf {
            for import in file.imports()? {
                let import = import?;
                if let NameOrOrdinal::Name(name) = import.name()
                    && import.library().is_empty()
                    && !import.is_weak()
                {
                    unversioned.push(text(name));
                }
            }
        }
        let mut exports = Vec::new();
        for export in file.exports()? {
            if let NameOrOrdinal::Name(name) = export?.name() {
                exports.push(text(name));
            }
        }
        Ok(Some(Self {
            format,
            libraries,
            unversioned,
            exports,
        }))
    }

    /// Returns the imports that are not on every machine.
    fn foreign(&self) -> Vec<&str> {
        let is_everywhere = |name: &str| match self.format {
            BinaryFormat::Pe => {
                let name = name.to_lowercase();
                WINDOWS.contains(&name.as_str()) || name.starts_with("api-ms-win-")
            }
            BinaryFormat::MachO => MACOS.iter().any(|folder| name.starts_with(folder)),
            _ => LINUX.contains(&name),
        };
        let libraries = self.libraries.iter().map(String::as_str);
        libraries
            .filter(|name| !is_everywhere(name))
            .chain(self.unversioned.iter().map(String::as_str))
            .collect()
    }

    /// Whether a function is exported. Mach-O puts a `_` before each name.
    fn exports(&self, name: &str) -> bool {
        self.exports
            .iter()
            .any(|export| export.strip_prefix('_').unwrap_or(export) == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library that is read is this test program, which links only what Rust links.
    #[test]
    fn test_program_has_no_foreign_imports() {
        let own = std::env::current_exe().unwrap();
        let linkage = Linkage::read(&fs::read(&own).unwrap()).unwrap().unwrap();
        assert!(!linkage.libraries.is_empty());
        assert!(linkage.foreign().is_empty(), "{:?}", linkage.foreign());
        check(&own, &[]).unwrap();
        let error = check(&own, PLUGIN_EXPORTS).unwrap_err().to_string();
        assert!(error.contains("clap_entry"), "{error}");
    }

    #[test]
    fn foreign_libraries_and_functions_are_named() {
        let linkage = |format, libraries: &[&str], unversioned: &[&str]| Linkage {
            format,
            libraries: libraries.iter().map(ToString::to_string).collect(),
            unversioned: unversioned.iter().map(ToString::to_string).collect(),
            exports: Vec::new(),
        };
        let elf = linkage(
            BinaryFormat::Elf,
            &["libc.so.6", "libgomp.so.1"],
            &["sgemm_"],
        );
        assert_eq!(elf.foreign(), ["libgomp.so.1", "sgemm_"]);
        let libraries = [
            "KERNEL32.dll",
            "api-ms-win-crt-heap-l1-1-0.dll",
            "libstdc++-6.dll",
            "VCRUNTIME140.dll",
        ];
        let pe = linkage(BinaryFormat::Pe, &libraries, &[]);
        assert_eq!(pe.foreign(), ["libstdc++-6.dll", "VCRUNTIME140.dll"]);
        let libraries = [
            "/usr/lib/libSystem.B.dylib",
            "/System/Library/Frameworks/AppKit.framework/Versions/C/AppKit",
            "/opt/homebrew/lib/libomp.dylib",
        ];
        let mach_o = linkage(BinaryFormat::MachO, &libraries, &[]);
        assert_eq!(mach_o.foreign(), ["/opt/homebrew/lib/libomp.dylib"]);
    }

    #[test]
    fn exports_are_found_with_and_without_underscore() {
        let linkage = Linkage {
            format: BinaryFormat::MachO,
            libraries: Vec::new(),
            unversioned: Vec::new(),
            exports: vec!["_clap_entry".into(), "GetPluginFactory".into()],
        };
        assert!(PLUGIN_EXPORTS.iter().all(|name| linkage.exports(name)));
        assert!(!linkage.exports("VSTPluginMain"));
    }

    #[test]
    fn other_files_have_no_linkage_and_damaged_binaries_are_errors() {
        assert!(Linkage::read(b"<?xml").unwrap().is_none());
        assert!(Linkage::read(b"\x7fELF then nothing").is_err());
        assert!(Linkage::read(b"MZ\x90").is_err());
    }
}
